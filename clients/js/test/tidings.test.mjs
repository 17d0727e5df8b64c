// The client under Node against a real server: `TIDINGS_URL` names its WebSocket (tests/it/client.rs starts it and runs
// this). Between them stands a small proxy, so that connections can be cut, refused, or kept from upgrading.

import assert from "node:assert/strict";
import http from "node:http";
import net from "node:net";
import test from "node:test";
import { Tidings, backoff, mayReconnect } from "../src/tidings.js";

const target = new URL(process.env.TIDINGS_URL ?? "ws://127.0.0.1:8080/ws");
let nextUser = 1_000 + Math.floor(Math.random() * 1_000_000);

/** localStorage's shape, in memory. */
function memoryStorage() {
  const map = new Map();
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, String(value)),
    removeItem: (key) => void map.delete(key),
    key: (index) => [...map.keys()][index] ?? null,
    get length() {
      return map.size;
    },
  };
}

/** Passes bytes on; `cut` ends what is open, `down` refuses what comes, `upgrades: false` answers WebSockets with 403. */
async function proxy(options = {}) {
  const open = new Set();
  const state = { down: false, upgrades: true, refused: 0, ...options };
  const server = net.createServer((near) => {
    if (state.down) return near.destroy();
    near.once("data", (head) => {
      if (!state.upgrades && /upgrade: websocket/i.test(head.toString("latin1"))) {
        state.refused += 1;
        return near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      }
      const far = net.connect(Number(target.port), target.hostname);
      far.write(head);
      near.pipe(far).pipe(near);
      for (const [socket, other] of [[near, far], [far, near]]) {
        open.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => (open.delete(socket), other.destroy()));
      }
    });
    near.on("error", () => {});
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.url = `ws://127.0.0.1:${server.address().port}/ws`;
  state.cut = () => open.forEach((socket) => socket.destroy());
  state.close = () => (state.cut(), server.close());
  opened.push(state.close);
  return state;
}

/** Resolves with the first detail of `name` that `wanted` takes. */
function once(client, name, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came; ${JSON.stringify(client.status)}`)), 20_000);
    const stop = client.on(name, (detail) => {
      if (!wanted(detail)) return;
      clearTimeout(timer);
      stop();
      resolve(detail);
    });
  });
}

async function http_(method, path, body) {
  const base = target.href.replace(/^ws/, "http");
  const init = { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await fetch(new URL(path, base), init);
  return { status: answer.status, json: await answer.json() };
}

/** How many events of a user are stored. */
async function stored(user) {
  const answer = await fetch(new URL(`v1/users/${user}/profile`, target.href.replace(/^ws/, "http")));
  return answer.ok ? (await answer.json()).events : 0;
}

/** What a test leaves open would keep the process alive. */
const opened = [];
test.afterEach(() => opened.splice(0).forEach((end) => end()));

/** A client of a fresh user; quick to come back. */
function client(options = {}) {
  const made = new Tidings({ userId: nextUser++, url: target.href, random: () => 0.1, storage: null, ...options });
  opened.push(() => made.disconnect());
  return made;
}

test.before(async () => {
  const items = Array.from({ length: 40 }, (_, id) => ({ item_id: id, title: `Thing ${id}`, category: `C${id % 4}` }));
  assert.equal((await http_("PUT", "v1/items", items)).status, 200);
});

test("a client logs in, an event is stored, and its recommendation arrives", async () => {
  const tidings = client();
  const welcome = once(tidings, "welcome");
  tidings.connect();
  assert.equal((await welcome).recovered, true);
  assert.equal(tidings.transport, "websocket");
  const push = once(tidings, "recommendation", (message) => message.trigger === "view");
  const accepted = await tidings.send({ kind: "view", item_id: 3 });
  assert.equal(accepted.duplicate, false);
  assert.ok((await push).items.length > 0);
  assert.equal(tidings.waiting, 0);
  tidings.disconnect();
});

test("what is refused is said and not tried again", async () => {
  const tidings = client();
  tidings.connect();
  await assert.rejects(tidings.send({ kind: "nonsense", item_id: 1 }), { code: "unknown_kind" });
  assert.equal(tidings.waiting, 0);
  tidings.disconnect();
});

test("after a cut it resumes: nothing is missed, nothing is shown twice", async () => {
  const between = await proxy();
  const userId = nextUser++;
  const tidings = client({ userId, url: between.url });
  const elsewhere = client({ userId });
  const [shown, all] = [[], []];
  tidings.on("recommendation", (message) => shown.push(message));
  elsewhere.on("recommendation", (message) => all.push(message.notification_id));
  elsewhere.connect();
  await once(elsewhere, "recommendation");
  tidings.connect();
  await once(tidings, "welcome");
  for (let round = 0; round < 3; round += 1) {
    const back = once(tidings, "welcome");
    between.down = true;
    between.cut();
    await once(tidings, "status", ({ state }) => state === "offline");
    const missed = once(elsewhere, "recommendation");
    await elsewhere.send({ kind: "view", item_id: round * 7 });
    await missed;
    between.down = false;
    assert.equal((await back).recovered, true);
    const push = once(tidings, "recommendation", (message) => message.trigger === "view");
    await tidings.send({ kind: "view", item_id: 20 + round });
    await push;
  }
  const ids = shown.map((message) => message.notification_id);
  assert.equal(new Set(ids).size, ids.length, "shown twice");
  assert.deepEqual(all.slice(1).filter((id) => !ids.includes(id)), [], "missed");
  const offsets = shown.map((message) => message.offset);
  assert.deepEqual(offsets, [...offsets].sort((a, b) => a - b));
  tidings.disconnect();
  elsewhere.disconnect();
  between.close();
});

test("what is done offline is sent on return, dated when it was done, once", async () => {
  const between = await proxy({ down: true });
  const userId = nextUser++;
  const tidings = client({ userId, url: between.url });
  tidings.connect();
  const sent = [1, 2, 3].map((item_id) => tidings.send({ kind: "view", item_id }));
  assert.equal(tidings.waiting, 3);
  between.down = false;
  await Promise.all(sent);
  assert.equal(await stored(userId), 3);
  tidings.disconnect();
  between.close();
});

test("events and feedback survive a reload, and another tab's are taken over", async () => {
  const storage = memoryStorage();
  const userId = nextUser++;
  const first = client({ userId, storage });
  first.connect();
  const { notification_id } = await once(first, "recommendation");
  first.disconnect();

  const away = await proxy({ down: true });
  const lost = client({ userId, storage, url: away.url });
  lost.connect();
  lost.send({ kind: "view", item_id: 5 }).catch(() => {});
  lost.feedback(notification_id, "clicked");
  lost.feedback(notification_id, "clicked");
  await new Promise((resolve) => setTimeout(resolve, 20));
  // The page is gone without a word: nothing is called, its connection attempts just end.
  away.close();

  const before = await (await fetch(new URL("admin/metrics", target.href.replace(/^ws/, "http")))).json();
  const next = client({ userId, storage });
  assert.equal(next.waiting, 2, "the same feedback twice is one");
  const taken = once(next, "accepted");
  next.connect();
  await taken;
  for (let n = 0; next.waiting > 0 && n < 400; n += 1) await new Promise((resolve) => setTimeout(resolve, 25));
  assert.equal(next.waiting, 0);
  assert.equal(storage.length, 0, "nothing is left behind");
  assert.equal(await stored(userId), 1);
  const clicks = (metrics) => metrics.feedback.overall.clicked ?? 0;
  for (let n = 0; n < 400; n += 1) {
    const now = await (await fetch(new URL("admin/metrics", target.href.replace(/^ws/, "http")))).json();
    if (clicks(now) > clicks(before)) break;
    assert.ok(n < 399, "the click was not counted");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  lost.disconnect();
  next.disconnect();
});

test("what waits is bounded", () => {
  const tidings = client();
  const refused = [];
  for (let n = 0; n < 1_001; n += 1) tidings.send({ kind: "view", item_id: n }).catch((error) => refused.push(error));
  assert.equal(tidings.waiting, 1_000);
  assert.equal(tidings.feedback("x", "clicked"), false);
  tidings.disconnect();
});

test("a page that asks for it goes on where it was before the reload", async () => {
  const storage = memoryStorage();
  const userId = nextUser++;
  const first = client({ userId, storage, resume: true });
  first.connect();
  await once(first, "recommendation");
  first.disconnect();
  const elsewhere = client({ userId });
  elsewhere.connect();
  await once(elsewhere, "welcome");
  const push = once(elsewhere, "recommendation", (message) => message.trigger === "view");
  await elsewhere.send({ kind: "view", item_id: 9 });
  const { offset } = await push;
  const second = client({ userId, storage, resume: true });
  const missed = once(second, "recommendation", (message) => message.offset === offset);
  second.connect();
  await missed;
  second.disconnect();
  elsewhere.disconnect();
});

test("the back-off is full jitter between 0.5 and 20 s, and a server's hint comes on top", async () => {
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(3, () => 0.5), 2_000);
  assert.equal(backoff(40, () => 1), 20_000);
  assert.ok(mayReconnect(3001) && !mayReconnect(3500));
  /** A socket that the server closes with a hint. */
  class Hinting {
    readyState = 0;
    constructor() {
      queueMicrotask(() => this.onclose({ code: 3001, reason: "shutting down; retry_ms=7000" }));
    }
    send() {}
    close() {}
  }
  const tidings = client({ WebSocket: Hinting, random: () => 0 });
  const offline = once(tidings, "status", ({ state }) => state === "offline");
  const before = Date.now();
  tidings.connect();
  const { retryAt } = await offline;
  assert.ok(retryAt >= before + 7_000 && retryAt <= Date.now() + 7_000);
  tidings.disconnect();
});

const probe = new AbortController();
const sse = await fetch(new URL("v1/sse?user_id=1", target.href.replace(/^ws/, "http")), { signal: probe.signal });
probe.abort();
const skip = sse.ok ? false : "the server has no /v1/sse";

test("where WebSockets are blocked, Server-Sent Events take over: messages, events, resume", { skip }, async () => {
  const between = await proxy({ upgrades: false });
  const userId = nextUser++;
  const tidings = client({ userId, url: between.url });
  const shown = [];
  tidings.on("recommendation", (message) => shown.push(message.notification_id));
  tidings.connect();
  await once(tidings, "welcome");
  assert.equal(tidings.transport, "sse");
  assert.equal(between.refused, 2);
  const push = once(tidings, "recommendation", (message) => message.trigger === "view");
  await tidings.send({ kind: "view", item_id: 3 });
  await push;
  await assert.rejects(tidings.send({ kind: "nonsense", item_id: 1 }), { code: "unknown_kind" });
  const back = once(tidings, "welcome");
  between.cut();
  await once(tidings, "status", ({ state }) => state === "offline");
  await http_("POST", "v1/events", { kind: "view", user_id: userId, item_id: 8 });
  assert.equal((await back).recovered, true);
  await tidings.send({ kind: "view", item_id: 12 });
  assert.equal(new Set(shown).size, shown.length, "shown twice");
  tidings.disconnect();
  between.close();
});
