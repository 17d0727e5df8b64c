// One connection for all tabs of a browser: elected, shared, handed on, in virtual time.

import assert from "node:assert/strict";
import test from "node:test";
// Loaded by the client when it is needed, which takes real time.
import "../src/client/event_line.js";
import "../src/client/tabs.js";
import { Tidings } from "../src/tidings.js";
import { Clock, Machine, Server, messageId, seeded, tokenFor } from "./world.mjs";

function browser() {
  const clock = new Clock();
  const server = new Server(clock);
  const machine = new Machine(clock, server);
  const random = seeded(11);
  function tab(options = {}) {
    const page = machine.page();
    const tidings = new Tidings({ userId: 1, url: "https://push.example/", random, ...options, platform: page.platform });
    const got = [];
    tidings.on("message", ({ notification_id }) => got.push(notification_id));
    const gaps = [];
    tidings.on("gap", (gap) => gaps.push(gap));
    tidings.connect();
    return Object.assign(tidings, { page, got, gaps });
  }
  return { clock, server, machine, tab, advance: (ms) => clock.advance(ms) };
}

test("seventeen tabs hold one connection, and each gets everything, once", async () => {
  const { server, tab, advance } = browser();
  const tabs = Array.from({ length: 17 }, () => tab());
  await advance(2_000);
  assert.equal(server.connections.size, 1);
  assert.equal(server.attempts, 1);
  assert.deepEqual(tabs.map(({ transport }) => transport).sort(), [...Array(16).fill("tab"), "websocket"]);
  assert.ok(tabs.every(({ status }) => status.state === "online"));
  for (let n = 0; n < 50; n += 1) server.publish("1");
  await advance(2_000);
  for (const { got } of tabs) assert.equal(got.length, 50);
  // What each of them does arrives once, and whoever did it is told.
  const accepted = await settled(advance, tabs.map((one, n) => one.send({ kind: "view", item_id: n, event_id: `of-${n}` })));
  assert.deepEqual(accepted.map(({ event_id }) => event_id), tabs.map((_, n) => `of-${n}`));
  assert.ok([...server.user("1").events.values()].every((times) => times === 1));
  await assert.rejects(settled(advance, [tabs[5].send({ kind: "nonsense" })]), { code: "unknown_kind" });
  await settled(advance, tabs.map((one, n) => one.read([messageId("1", n + 1)])));
  assert.ok(tabs.every(({ waiting }) => waiting === 0));
  assert.equal(server.frames.filter(({ type }) => type === "read").length, 17);
});

async function settled(advance, promises) {
  const all = Promise.all(promises);
  all.catch(() => {});
  await advance(5_000);
  return all;
}

test("presence is visible while any tab is", async () => {
  const { server, tab, advance } = browser();
  const [first, second] = [tab(), tab()];
  await advance(1_000);
  const looked = () => server.frames.filter(({ type }) => type === "presence").at(-1).visible;
  assert.equal(looked(), true);
  first.page.show(false);
  await advance(100);
  assert.equal(looked(), true, "the second is visible");
  second.page.show(false);
  await advance(100);
  assert.equal(looked(), false);
  second.page.show(true);
  await advance(100);
  assert.equal(looked(), true);
  second.disconnect();
  await advance(100);
  assert.equal(looked(), false, "a tab that has gone looks at nothing");
});

test("when the tab with the connection goes another takes over: nothing lost, nothing twice", async () => {
  const { server, tab, advance } = browser();
  const tabs = [tab(), tab(), tab()];
  await advance(1_000);
  for (let round = 0; round < 2; round += 1) {
    for (let n = 0; n < 5; n += 1) server.publish("1");
    const sent = tabs[2].send({ kind: "view", item_id: round });
    tabs[round].disconnect();
    server.publish("1");
    await advance(3_000);
    assert.equal((await sent).duplicate, false);
    assert.equal(server.connections.size, 1);
  }
  assert.equal(tabs[2].transport, "websocket");
  assert.equal(tabs[2].got.length, 12);
  assert.equal(new Set(tabs[2].got).size, 12);
  assert.deepEqual(tabs[2].gaps, []);
});

test("a tab that hangs or is frozen with the connection loses it, and comes back as one of the others", async () => {
  const { server, tab, advance } = browser();
  const [first, second] = [tab(), tab()];
  await advance(1_000);
  assert.equal(first.transport, "websocket");
  first.page.frozen = true;
  server.publish("1");
  await advance(60_000);
  second.page.show(true);
  await advance(8_000);
  assert.equal(second.transport, "websocket");
  assert.equal(second.got.length, 1);
  server.publish("1");
  await advance(1_000);
  first.page.frozen = false;
  await advance(10_000);
  assert.equal(first.transport, "tab");
  assert.deepEqual(first.got, second.got);
  assert.equal(server.connections.size, 1);
});

test("a tab in the back-forward cache holds neither connection nor lock, and gets what it missed", async () => {
  const { server, tab, advance } = browser();
  const [first, second] = [tab(), tab()];
  await advance(1_000);
  server.publish("1");
  await advance(1_000);
  first.page.tell("window", "pagehide", { persisted: true });
  await advance(2_000);
  assert.equal(second.transport, "websocket");
  for (let n = 0; n < 20; n += 1) server.publish("1");
  await advance(1_000);
  first.page.tell("window", "pageshow", { persisted: true });
  await advance(2_000);
  assert.equal(first.transport, "tab");
  assert.deepEqual(first.got, second.got);
  assert.deepEqual(first.gaps, []);
  // More than is kept: it is said instead of left out.
  first.page.tell("window", "pagehide", { persisted: true });
  for (let n = 0; n < 200; n += 1) server.publish("1");
  await advance(2_000);
  first.page.tell("window", "pageshow", { persisted: true });
  await advance(2_000);
  assert.equal(first.gaps.length, 1);
});

test("what ends one ends all, sign-out forgets in all, and an outage is everybody's", async () => {
  const { clock, server, tab, advance, machine } = browser();
  const options = { userId: undefined, token: tokenFor(clock, "anna", 3_600) };
  const tabs = [tab(options), tab(options), tab(options)];
  await advance(1_000);
  machine.changeNetwork(false);
  tabs[0].page.tell("window", "offline");
  await advance(20_000);
  assert.ok(tabs.every(({ status }) => status.state !== "online"));
  const sent = tabs[1].send({ kind: "view", item_id: 1 });
  machine.changeNetwork();
  tabs[0].page.tell("window", "online");
  await advance(25_000);
  assert.ok(tabs.every(({ status }) => status.state === "online"));
  assert.equal((await sent).duplicate, false);
  await tabs[2].signOut();
  await advance(1_000);
  assert.ok(tabs.every(({ status, user }) => status.state === "offline" && user === undefined));
  assert.equal(server.connections.size, 0);
  const others = [tab({ userId: 2 }), tab({ userId: 2 })];
  await advance(1_000);
  [...server.connections][0].close(3503, "signed out");
  await advance(1_000);
  assert.deepEqual(others.map(({ status }) => [status.code, status.retryAt]), [[3503, null], [3503, null]]);
});

test("two users, and a tab that wants its own, each have one", async () => {
  const { server, tab, advance } = browser();
  const tabs = [tab(), tab({ userId: 2 }), tab(), tab({ share: false })];
  await advance(1_000);
  assert.equal(server.connections.size, 3);
  server.publish("2");
  await advance(1_000);
  assert.deepEqual(tabs.map(({ got }) => got.length), [0, 1, 0, 0]);
});

test("the token of the tab with the connection is renewed for all", async () => {
  const { clock, server, tab, advance } = browser();
  let asked = 0;
  const getToken = () => ((asked += 1), tokenFor(clock, "1", 600));
  const tabs = [tab({ getToken }), tab({ getToken }), tab({ getToken })];
  await advance(3_600_000);
  assert.ok(asked < 15, `${asked}`);
  server.publish("1");
  await advance(1_000);
  assert.ok(tabs.every(({ got }) => got.length === 1));
});

test("a tab without the connection knows the counts, also where there is nothing unread", async () => {
  const { server, tab, advance } = browser();
  const first = tab();
  await advance(1_000);
  [...server.connections][0].send({ type: "inbox", unread: 2, unseen: 1 });
  await advance(1_000);
  const second = tab();
  await advance(1_000);
  assert.equal(second.transport, "tab");
  assert.deepEqual([first.counts, second.counts], Array(2).fill({ unread: 2, unseen: 1 }));
  [...server.connections][0].close(3008);
  await advance(30_000);
  assert.deepEqual([first.counts, second.counts], Array(2).fill({ unread: 0, unseen: 0 }));
});

test("a refusal that names no frame reaches the tab that wrote it", async () => {
  const { server, tab, advance } = browser();
  server.mute = (connection, { name }) => name || connection.send({ type: "error", code: "nothing_to_mute", message: "no", temporary: false });
  const tabs = [tab(), tab(), tab()];
  await advance(1_000);
  const wishes = tabs.map((one, n) => one.mute({ of: "brand", name: n === 1 ? undefined : "Harbor" }).then(() => "stored", ({ code }) => code));
  await advance(2_000);
  assert.deepEqual(await Promise.all(wishes), ["stored", "nothing_to_mute", "stored"]);
});
