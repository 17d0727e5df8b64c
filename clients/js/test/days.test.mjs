// Two days of a tab in virtual time: the machine sleeps and wakes, the network changes 200 times, tokens end, the server
// restarts, the page is frozen and thawed. Nothing may be lost, nothing may come twice, and nobody may be stormed.

import assert from "node:assert/strict";
import test from "node:test";
// Loaded by the client when it is needed, which takes real time.
import "../src/client/event_line.js";
import "../src/client/tabs.js";
import { Tidings } from "../src/tidings.js";
import { Clock, Machine, Server, seeded, tokenFor } from "./world.mjs";

const HOUR = 3_600_000;
const SEEDS = Number(process.env.SEEDS ?? 10);

/** What happens to a machine, at random times within two days. */
function fate(random, { machine, pages, server }) {
  const at = () => random() * 48 * HOUR;
  const all = (target, name, fields) => pages.forEach((page) => page.tell(target, name, fields));
  const events = [];
  const add = (time, act) => events.push({ time, act });
  for (let n = 0; n < 200; n += 1) {
    const time = at();
    const kind = random();
    if (kind < 0.5) add(time, () => machine.changeNetwork()); // without a word
    else if (kind < 0.7) add(time, () => (machine.changeNetwork(), all("window", "online")));
    else {
      add(time, () => (machine.changeNetwork(false), all("window", "offline")));
      add(time + random() * 600_000, () => (machine.changeNetwork(true), all("window", "online")));
    }
  }
  for (let n = 0; n < 8; n += 1) {
    const time = at();
    add(time, () => (machine.asleep = true));
    add(time + random() * 4 * HOUR, () => {
      machine.asleep = false;
      pages.forEach((page) => page.show(random() < 0.7));
    });
  }
  for (let n = 0; n < 40; n += 1) {
    const page = pages[Math.floor(random() * pages.length)];
    const time = at();
    add(time, () => !machine.asleep && page.show(random() < 0.5));
    const frozen = at();
    // Some browsers say so before, some do not.
    const warned = random() < 0.7;
    add(frozen, () => (warned && page.tell("document", "freeze"), (page.frozen = true)));
    add(frozen + random() * HOUR, () => ((page.frozen = false), page.tell("document", "resume")));
  }
  for (let n = 0; n < 6; n += 1) {
    add(at(), () => [...server.connections].forEach((one) => one.close(3001, "shutting down retry_ms=3000")));
    const time = at();
    add(time, () => (server.full = true));
    add(time + random() * 300_000, () => (server.full = false));
  }
  return events.sort((a, b) => a.time - b.time);
}

for (const tabs of [1, 3]) {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    test(`48 hours of ${tabs} ${tabs === 1 ? "tab" : "tabs"}, seed ${seed}`, { timeout: 120_000 }, async () => {
      const random = seeded(seed * 1_000 + tabs);
      const clock = new Clock();
      const server = new Server(clock);
      const machine = new Machine(clock, server);
      const pages = Array.from({ length: tabs }, () => machine.page());
      const [begun, start] = [clock.now, Date.now()];
      let [asked, gaps] = [0, 0];
      const clients = pages.map((page) => {
        const getToken = async () => {
          asked += 1;
          if (!machine.online) throw new Error("no network");
          return tokenFor(clock, "7", 900);
        };
        const tidings = new Tidings({ url: "https://push.example/", getToken, random, platform: page.platform });
        const got = [];
        const inbox = new Set();
        tidings.on("message", ({ notification_id }) => inbox.has(notification_id) || got.push(notification_id));
        // What is no longer held is in the inbox, which a page reads then; one on its way may be there already.
        tidings.on("gap", () => {
          for (const { notification_id } of server.user("7").messages) {
            if (!got.includes(notification_id)) got.push(notification_id), inbox.add(notification_id);
          }
          gaps += 1;
        });
        tidings.connect();
        return Object.assign(tidings, { got, sent: [] });
      });
      await clock.advance(5_000);
      let [published, sent, peak, before] = [0, 0, 0, { attempts: 0, frames: 0, asked: 0 }];
      const events = fate(random, { machine, pages, server });
      const end = begun + 48 * HOUR;
      while (clock.now < end) {
        const minute = clock.now + 60_000;
        while (events.length > 0 && begun + events[0].time <= minute) {
          await clock.advance(Math.max(0, begun + events[0].time - clock.now));
          events.shift().act();
        }
        if (random() < 0.3) (published += 1), server.publish("7");
        if (random() < 0.1 && !machine.asleep) {
          const one = clients[Math.floor(random() * tabs)];
          one.sent.push(one.send({ kind: "view", item_id: (sent += 1) }));
        }
        await clock.advance(minute - clock.now);
        const now = { attempts: server.attempts, frames: server.frames.length, asked };
        peak = Math.max(peak, now.attempts - before.attempts + (now.frames - before.frames) + (now.asked - before.asked));
        before = now;
      }
      // All is well again for a while.
      machine.asleep = false;
      server.full = false;
      machine.changeNetwork(true);
      for (const page of pages) {
        page.frozen = false;
        page.tell("document", "resume");
        page.tell("window", "online");
        page.show(true);
      }
      await clock.advance(120_000);
      for (const { got, status } of clients) {
        assert.equal(status.state, "online");
        assert.equal(got.length, new Set(got).size, "twice");
        assert.equal(new Set(got).size, published, "lost");
      }
      const answers = (await Promise.all(clients.flatMap((one) => one.sent))).length;
      assert.equal(answers, sent);
      assert.equal(server.user("7").events.size, sent, "events");
      assert.equal(server.connections.size, 1);
      const minutes = (clock.now - begun) / 60_000;
      const perMinute = (server.attempts + server.frames.length + asked) / minutes;
      const peaks = `at most ${peak} in one minute; ${server.attempts} connections, ${asked} tokens`;
      console.log(`48 h, ${tabs} tab(s), seed ${seed}: ${perMinute.toFixed(1)} requests/min on average, ${peaks}, ${published} messages, ${sent} events, ${gaps} gaps, ${((Date.now() - start) / 1_000).toFixed(1)} s of wall time`);
      assert.ok(perMinute < 6, `${perMinute} requests a minute`);
      assert.ok(peak < 60, `${peak} requests in a minute`);
    });
  }
}
