// The client under Node against a real server: `TIDINGS_URL` names its WebSocket (tests/it/client.rs starts it and runs
// this). Between them stands a small proxy, so that connections can be cut, refused, or kept from upgrading.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { Tidings, backoff, mayReconnect } from "../src/tidings.js";
import {
  base, call, framesOverHttp, freshUser, memoryStorage, once, opened, proxy, sleep, stored, target, until,
} from "./support.mjs";

/** A client of a fresh user; quick to come back. */
function client(options = {}) {
  const made = new Tidings({ userId: freshUser(), url: target.href, random: () => 0.1, storage: null, ...options });
  opened.push(() => made.disconnect());
  return made;
}

/** A promise, and what resolves it. */
function opener() {
  let resolve;
  return { promise: new Promise((opens) => (resolve = opens)), resolve: () => resolve() };
}

test.before(async () => {
  const items = Array.from({ length: 40 }, (_, id) => ({ item_id: id, title: `Thing ${id}`, category: `C${id % 4}` }));
  assert.equal((await call("PUT", "v1/items", items)).status, 200);
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
  const userId = freshUser();
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
  const userId = freshUser();
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
  const userId = freshUser();
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
  const userId = freshUser();
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

test("ids that are numbers settle as strings do", async () => {
  const userId = freshUser();
  const tidings = client({ userId });
  tidings.connect();
  const accepted = await tidings.send({ kind: "view", item_id: 3, event_id: 17 });
  assert.deepEqual([accepted.event_id, tidings.waiting], ["17", 0]);
  assert.equal((await tidings.send({ kind: "view", item_id: 3, event_id: "17" })).duplicate, true);
  await assert.rejects(tidings.send({ kind: "nonsense", item_id: 1, event_id: 18 }), { code: "unknown_kind" });
  assert.equal(tidings.user, String(userId));
});

test("the server may be named in any way", async () => {
  for (const url of [target.href, base.href, base.href.slice(0, -1), `${base.href}ws`]) {
    const tidings = client({ url });
    tidings.connect();
    await once(tidings, "welcome");
    assert.ok((await tidings.inbox({ limit: 1 })).messages.length <= 1);
    tidings.disconnect();
  }
  assert.throws(() => new Tidings({ userId: 1 }), /needs to be told/);
});

test("what is read, seen and muted is stored, also when it was done offline", async () => {
  const between = await proxy();
  const userId = freshUser();
  const tidings = client({ userId, url: between.url });
  tidings.connect();
  await once(tidings, "welcome");
  const arrived = once(tidings, "notification");
  await call("POST", "v1/notifications", { user_id: userId, title: "Order 17" });
  const { notification_id } = await arrived;
  await tidings.seen();
  await until("the count arrives", () => tidings.counts?.unseen === 0 && tidings.counts.unread === 1);
  between.down = true;
  between.cut();
  await once(tidings, "status", ({ state }) => state === "offline");
  const read = tidings.read([notification_id]);
  const muted = tidings.mute({ of: "item", name: "39" });
  assert.equal(tidings.waiting, 2);
  between.down = false;
  await Promise.all([read, muted]);
  await until("the inbox says so", async () => {
    const { messages } = await tidings.inbox();
    return messages.find((message) => message.notification_id === notification_id)?.read;
  });
  await tidings.readAll();
  await until("the count arrives", () => tidings.counts?.unread === 0);
});

test("an answer that is late does not undo counts that came meanwhile", async () => {
  const userId = freshUser();
  const { promise: released, resolve: release } = opener();
  const { promise: answered, resolve: answer } = opener();
  const late = async (...request) => {
    const response = await fetch(...request);
    answer();
    await released;
    return response;
  };
  const tidings = client({ userId, fetch: late });
  tidings.connect();
  await once(tidings, "welcome");
  const arrived = once(tidings, "notification");
  await call("POST", "v1/notifications", { user_id: userId, title: "Order 17" });
  const { notification_id } = await arrived;
  await until("the count arrives", () => tidings.counts?.unread === 1);
  const page = tidings.inbox();
  await answered;
  await tidings.read([notification_id]);
  await until("the count arrives", () => tidings.counts?.unread === 0);
  release();
  assert.equal((await page).unread, 0);
  assert.equal(tidings.counts.unread, 0);
});

const unknown = await call("POST", "v1/connections/none/frames", []);
const takesFrames = unknown.json?.error?.code === "unknown_connection";
const secured = process.env.TIDINGS_TOKEN_URL;
for (const transport of ["websocket", "sse"]) {
  const skip = secured ? false : "no server with tokens";
  test(`over ${transport} tokens that end are replaced, and a token alone says whose inbox it is`, { skip }, async () => {
    const sign = (text) => createHmac("sha256", process.env.TIDINGS_SECRET).update(text).digest("base64url");
    const userId = freshUser();
    const issue = () => {
      const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const claims = { sub: String(userId), role: "user", exp: Math.floor(Date.now() / 1_000) + 3 };
      const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
      return `${text}.${sign(text)}`;
    };
    let asked = 0;
    const getToken = async () => ((asked += 1), issue());
    const direct = transport === "websocket" || takesFrames;
    const url = direct ? secured : (await framesOverHttp({ to: new URL(secured) })).address.href;
    const tidings = client({ userId: undefined, getToken, transport, url });
    let welcomes = 0;
    tidings.on("welcome", ({ user_id }) => (assert.equal(user_id, userId), (welcomes += 1)));
    tidings.connect();
    await until("three logins", () => welcomes >= 3);
    assert.ok(asked >= 3 && asked <= welcomes + 2, `${asked} tokens for ${welcomes} logins`);
    assert.equal(tidings.user, String(userId));
    assert.equal((await tidings.inbox()).unread >= 0, true);
    tidings.disconnect();
    const without = client({ userId: undefined, token: issue(), transport, url });
    without.connect();
    await once(without, "status", ({ state, retryAt }) => state === "offline" && retryAt === null);
    assert.equal(without.status.code, 3005);
  });
}

/** A proxy to a server that takes frames over HTTP: the real one where it does, unless requests are to be looked at. */
async function blocked(options, looks = !takesFrames) {
  const server = looks ? await framesOverHttp() : null;
  return Object.assign(await proxy({ to: server?.address, ...options }), { server });
}

for (const looks of takesFrames ? [false, true] : [true]) test(`where WebSockets are blocked, Server-Sent Events take over${looks ? ": every frame" : ""}`, async () => {
  const between = await blocked({ upgrades: false }, looks);
  const userId = freshUser();
  const tidings = client({ userId, url: between.url });
  const shown = [];
  tidings.on("recommendation", (message) => shown.push(message.notification_id));
  tidings.connect();
  await once(tidings, "welcome");
  assert.equal(tidings.transport, "sse");
  assert.equal(between.refused, 2);
  const push = once(tidings, "recommendation", (message) => message.trigger === "view");
  await tidings.send({ kind: "view", item_id: 3 });
  const { notification_id } = await push;
  await assert.rejects(tidings.send({ kind: "nonsense", item_id: 1 }), { code: "unknown_kind" });
  tidings.feedback(notification_id, "displayed");
  await tidings.read([notification_id]);
  assert.equal(tidings.waiting, 0);
  const sent = (kind) => !looks || between.server.bodies.some(({ type }) => type === kind);
  for (const kind of ["presence", "event", "feedback", "read", "ack"]) await until(kind, () => sent(kind));
  const back = once(tidings, "welcome");
  between.cut();
  await once(tidings, "status", ({ state }) => state === "offline");
  await call("POST", "v1/events", { kind: "view", user_id: userId, item_id: 8 });
  assert.equal((await back).recovered, true);
  await tidings.send({ kind: "view", item_id: 12 });
  assert.equal(new Set(shown).size, shown.length, "shown twice");
});

test("on Server-Sent Events what is refused for the moment goes again, in one request", async () => {
  const between = await blocked({}, true);
  const tidings = client({ url: between.url, transport: "sse" });
  tidings.connect();
  await once(tidings, "welcome");
  await until("the first frames", () => between.server.posts > 0);
  between.server.status = 503;
  const before = between.server.posts;
  const sent = Promise.all(Array.from({ length: 300 }, (_, n) => tidings.send({ kind: "view", item_id: n % 40 })));
  await sleep(300);
  between.server.status = 200;
  await sent;
  assert.ok(between.server.posts - before < 20, `${between.server.posts - before} requests`);
});

test("where a proxy lets the handshake through and swallows frames, Server-Sent Events are tried, and remembered", async () => {
  const between = await blocked({ swallows: true });
  const options = { url: between.url, storage: memoryStorage() };
  const tidings = client(options);
  const begun = Date.now();
  tidings.connect();
  await once(tidings, "welcome", () => true, 40_000);
  assert.equal(tidings.transport, "sse");
  assert.ok(Date.now() - begun < 15_000, `${Date.now() - begun} ms`);
  await tidings.send({ kind: "view", item_id: 3 });
  // The probe opens a socket and is not answered: no coming and going.
  const sockets = between.sockets;
  await until("the probe", () => between.sockets > sockets);
  await sleep(500);
  assert.equal(tidings.transport, "sse");
  tidings.disconnect();
  const next = client(options);
  const again = Date.now();
  next.connect();
  await once(next, "welcome");
  assert.ok(Date.now() - again < 3_000, "remembered");
  // Once frames pass, everything moves to the WebSocket, and nothing is lost on the way.
  between.swallows = false;
  await until("the WebSocket", () => next.transport === "websocket" && next.status.state === "online");
});
