// What the client promises, in virtual time against a server that counts (world.mjs).

import assert from "node:assert/strict";
import test from "node:test";
// Loaded by the client when it is needed, which takes real time.
import "../src/client/event_line.js";
import { Tidings } from "../src/tidings.js";
import { token } from "./support.mjs";
import { Clock, Machine, Server, messageId, seeded, settle, tokenFor } from "./world.mjs";

function world(seed = 7) {
  const clock = new Clock();
  const server = new Server(clock);
  const machine = new Machine(clock, server);
  const random = seeded(seed);
  const open = (options = {}, page = machine.page()) =>
    Object.assign(new Tidings({ url: "https://push.example/", random, share: false, ...options, platform: { ...page.platform, ...options.platform } }), { page });
  return { clock, server, machine, open, advance: (ms) => clock.advance(ms) };
}

/** Everything a client tells, by name. */
function diary(tidings) {
  const told = {};
  for (const name of ["status", "welcome", "message", "withdraw", "accepted", "error", "gap"]) {
    told[name] = [];
    tidings.on(name, (detail) => told[name].push(detail));
  }
  return told;
}

test("handlers that throw hurt nobody", async (t) => {
  const { advance, server, open } = world();
  const reported = [];
  t.mock.method(console, "error", (error) => reported.push(error));
  const tidings = open({ userId: 1 });
  for (const name of ["status", "welcome", "notification"]) {
    tidings.on(name, () => { throw new Error(`in ${name}`); });
    tidings.on(name, async () => { throw new Error(`later in ${name}`); });
  }
  const told = diary(tidings);
  tidings.connect();
  await advance(1_000);
  server.publish("1");
  await advance(1_000);
  assert.equal(told.message.length, 1);
  [...server.connections][0].close(3008);
  await advance(30_000);
  assert.equal(tidings.status.state, "online");
  assert.equal(told.welcome.length, 2);
  assert.ok(reported.some((error) => error.message === "in notification"));
  assert.ok(reported.some((error) => error.message === "later in notification"));
});

test("what is ended inside a handler stays ended", async () => {
  for (const [name, when] of [["status", "connecting"], ["status", "online"], ["status", "offline"], ["welcome"], ["message"], ["gap"]]) {
    const { advance, server, open } = world();
    const tidings = open({ userId: 1 });
    tidings.connect();
    await advance(1_000);
    server.publish("1");
    await advance(1_000);
    tidings.on(name, (detail) => (!when || detail.state === when) && tidings.disconnect());
    if (name === "gap") server.user("1").epoch = "another";
    [...server.connections][0].close(3008);
    await advance(2_000);
    server.publish("1");
    await advance(120_000);
    assert.equal(server.connections.size, 0, name + when);
    assert.deepEqual([tidings.status.state, tidings.status.retryAt], ["offline", null], name + when);
    const { attempts } = server;
    await advance(3_600_000);
    assert.equal(server.attempts, attempts, name + when);
    tidings.connect();
  }
});

test("a server that is full is not stormed, and gets everything once it is not", async () => {
  const { advance, server, open } = world();
  server.full = true;
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(1_000);
  const sent = Promise.all(Array.from({ length: 500 }, (_, n) => tidings.send({ kind: "view", item_id: n })));
  await advance(60_000);
  const first = server.frames.length;
  await advance(600_000);
  const perMinute = (server.frames.length - first) / 10;
  assert.ok(perMinute < 20, `${perMinute} frames a minute`);
  server.full = false;
  await advance(60_000);
  assert.equal((await sent).length, 500);
  assert.ok([...server.user("1").events.values()].every((times) => times === 1));
  // And never more at a time than a server takes from one connection.
  const seconds = new Map();
  for (const { at, type } of server.frames) if (type === "event") seconds.set(Math.floor(at / 10_000), (seconds.get(Math.floor(at / 10_000)) ?? 0) + 1);
  assert.ok(Math.max(...seconds.values()) <= 500, `${Math.max(...seconds.values())} in ten seconds`);
});

test("a refusal without a name is taken to be of all that is under way", async () => {
  const { advance, server, open } = world();
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(1_000);
  const lost = server.event;
  server.event = (connection) => connection.send({ type: "error", code: "busy", message: "", temporary: true });
  const sent = tidings.send({ kind: "view", item_id: 1 });
  await advance(1_000);
  server.event = lost;
  await advance(30_000);
  assert.equal((await sent).duplicate, false);
});

test("too many connections: it comes back when a place is free", async () => {
  const { advance, server, open } = world();
  server.places = 2;
  const [, , third] = [1, 2, 3].map(() => open({ userId: 1 })).map((tidings) => (tidings.connect(), tidings));
  await advance(300_000);
  assert.equal(third.status.state === "online", false);
  assert.ok(server.attempts < 60, `${server.attempts} attempts in five minutes`);
  [...server.connections][0].close(3503);
  await advance(40_000);
  assert.equal(third.status.state, "online");
});

test("a connection that falls at once is no reason to hurry", async () => {
  const { advance, server, open } = world();
  const login = server.login;
  server.login = function (connection, frame) {
    login.call(this, connection, frame);
    connection.close(3008, "too slow");
  };
  open({ userId: 1 }).connect();
  await advance(600_000);
  assert.ok(server.attempts < 80, `${server.attempts} attempts in ten minutes`);
});

test("another token is asked for before one ends, at 3005, and after a refusal; never in a storm", async () => {
  const { clock, advance, server, open } = world();
  let asked = 0;
  const tidings = open({ getToken: async () => ((asked += 1), tokenFor(clock, "7", 600)) });
  const told = diary(tidings);
  tidings.connect();
  await advance(3_600_000);
  assert.equal(tidings.user, "7");
  assert.equal(told.status.filter(({ state }) => state === "offline").length, 0, "never offline");
  assert.ok(asked >= 6 && asked <= 8, `asked ${asked} times in an hour`);
  // A server that ends one early, and one that refuses.
  [...server.connections][0].close(3005);
  await advance(5_000);
  assert.equal(tidings.status.state, "online");
  [...server.connections][0].close(3500);
  await advance(5_000);
  assert.equal(tidings.status.state, "online");
});

test("with a clock that is wrong by hours the token is renewed in time all the same", async () => {
  for (const hours of [-5, 5]) {
    const { clock, advance, server, open, machine } = world();
    let asked = 0;
    const page = machine.page();
    const { now } = page.platform;
    page.platform.now = () => now() + hours * 3_600_000;
    const tidings = open({ userId: 7, getToken: () => ((asked += 1), tokenFor(clock, "7", 600)) }, page);
    const told = diary(tidings);
    tidings.connect();
    await advance(3_600_000);
    assert.ok(asked >= 6 && asked <= 20, `asked ${asked} times with a clock off by ${hours} h`);
    assert.ok(told.status.filter(({ state }) => state === "offline").length <= 1);
    assert.ok(server.attempts < 25, `${server.attempts}`);
  }
});

test("a callback that fails is asked again with patience, one that has nobody ends it", async () => {
  const { clock, advance, open } = world();
  let asked = 0;
  const tidings = open({ getToken: async () => { asked += 1; if (asked < 4) throw new Error("no network"); return tokenFor(clock, "7", 600); } });
  tidings.connect();
  await advance(60_000);
  assert.equal(tidings.status.state, "online");
  assert.equal(asked, 4);
  const nobody = open({ getToken: () => null });
  nobody.connect();
  await advance(1_000);
  assert.deepEqual([nobody.status.state, nobody.status.retryAt], ["offline", null]);
});

test("without a callback an expired token ends it, instead of a login for ever", async () => {
  const { clock, advance, server, open } = world();
  const tidings = open({ token: tokenFor(clock, "7", 60) });
  tidings.connect();
  await advance(3_600_000);
  assert.deepEqual([tidings.status.state, tidings.status.code, tidings.status.retryAt], ["offline", 3005, null]);
  assert.ok(server.attempts <= 2, `${server.attempts}`);
});

test("tokens that are refused are asked for again, ever more seldom, until one is taken or nobody is signed in", async () => {
  for (const code of [3005, 3500]) {
    const { clock, advance, server, open } = world();
    const { login } = server;
    let bad = true;
    server.login = function (connection, frame) { if (bad) connection.close(code, "refused"); else login.call(this, connection, frame); };
    let nobody = false;
    const tidings = open({ getToken: () => (nobody ? null : tokenFor(clock, "7", 600)) });
    tidings.connect();
    await advance(10_000);
    assert.equal(tidings.status.state, "offline");
    assert.ok(tidings.status.retryAt > clock.now);
    assert.ok(server.attempts >= 3, `${server.attempts}`);
    await advance(3_600_000);
    assert.ok(server.attempts < 60, `${server.attempts} attempts in an hour`);
    bad = false;
    await advance(300_000);
    assert.equal(tidings.status.state, "online");
    bad = nobody = true;
    [...server.connections][0].close(code);
    await advance(60_000);
    assert.deepEqual([tidings.status.state, tidings.status.retryAt], ["offline", null]);
  }
});

test("nothing of one is sent as another: a token, a browser, two people", async () => {
  const { clock, advance, server, open, machine } = world();
  const anna = open({ token: tokenFor(clock, "anna", 900), resume: true });
  anna.connect();
  await advance(1_000);
  for (let n = 0; n < 9; n += 1) server.publish("anna");
  await advance(1_000);
  machine.changeNetwork(false);
  await advance(40_000);
  anna.send({ kind: "view", item_id: 1 }).catch(() => {});
  anna.feedback(messageId("anna", 1), "clicked");
  await advance(100);
  // The tab is closed without a word; Bob signs in, and is owed six.
  anna.page.frozen = true;
  machine.changeNetwork();
  const bob = open({ token: tokenFor(clock, "bob", 900), resume: true });
  const told = diary(bob);
  assert.equal(bob.waiting, 0);
  bob.connect();
  await advance(1_000);
  for (let n = 0; n < 6; n += 1) server.publish("bob");
  await advance(5_000);
  assert.equal(told.message.length, 6);
  assert.equal(told.gap.length, 0);
  assert.equal(server.user("bob").events.size, 0);
  assert.ok(!server.frames.some(({ user, type }) => user === "bob" && type === "feedback"));
  bob.disconnect();
  // Anna comes back, and what she did goes out as hers.
  const again = open({ token: tokenFor(clock, "anna", 900), resume: true });
  assert.equal(again.waiting, 2);
  again.connect();
  await advance(5_000);
  assert.equal(server.user("anna").events.size, 1);
  assert.equal(again.waiting, 0);
});

test("who it is may be known from the server only: before that nothing of storage is used", async () => {
  const { advance, server, open, machine } = world();
  machine.storage.setItem("tidings.me.outbox.x", JSON.stringify([["k", { type: "event", kind: "view", event_id: "k" }, Date.UTC(2030, 0, 1)]]));
  machine.storage.setItem("tidings.7.outbox.x", JSON.stringify([["mine", { type: "event", kind: "view", event_id: "mine" }, Date.UTC(2030, 0, 1)]]));
  server.login = ((login) => function (connection, frame) { login.call(this, connection, { ...frame, user_id: 7, token: undefined }); })(server.login);
  const tidings = open({ token: "opaque" });
  assert.deepEqual([tidings.user, tidings.waiting], [undefined, 0]);
  await assert.rejects(tidings.inbox(), { code: "not_identified" });
  tidings.connect();
  await advance(5_000);
  assert.equal(tidings.user, "7");
  assert.deepEqual([...server.user("7").events.keys()], ["mine"]);
});

test("a callback that suddenly brings another user's token ends it", async () => {
  const { clock, advance, server, open } = world();
  let who = "anna";
  const tidings = open({ getToken: () => tokenFor(clock, who, 120) });
  tidings.connect();
  await advance(1_000);
  who = "bob";
  await advance(600_000);
  assert.deepEqual([tidings.status.state, tidings.status.reason], ["offline", "Another user has signed in."]);
  assert.ok(!server.users.has("bob"));
});

test("sign-out forgets: what waits, where the stream stands, who it was", async () => {
  const { clock, advance, open, machine } = world();
  const tidings = open({ token: tokenFor(clock, "anna", 900), resume: true });
  tidings.connect();
  await advance(1_000);
  machine.changeNetwork(false);
  tidings.send({ kind: "view", item_id: 1 }).catch(() => {});
  machine.storage.setItem("other", "stays");
  await advance(1_000);
  assert.ok(machine.storage.length > 1);
  await tidings.signOut();
  await settle();
  assert.deepEqual([machine.storage.length, tidings.user, tidings.waiting, tidings.status.retryAt], [1, undefined, 0, null]);
});

test("a name with a dot is not the start of another's", async () => {
  const { open } = world();
  const tidings = open({ userId: "a.outbox" });
  tidings.feedback(messageId("n", 1), "clicked");
  await settle();
  assert.equal(open({ userId: "a" }).waiting, 0);
  assert.equal(open({ userId: "a.outbox" }).waiting, 1);
});

test("storage that throws, is full or is not there changes nothing but the reload", async () => {
  const throwing = new Proxy({}, { get() { throw new Error("denied"); } });
  const full = { length: 0, key: () => null, getItem: () => null, removeItem() {}, setItem() { throw new Error("quota"); } };
  for (const storage of [throwing, full, null]) {
    const { advance, server, open } = world();
    const tidings = open({ userId: 1, resume: true, platform: { storage } });
    tidings.connect();
    const sent = tidings.send({ kind: "view", item_id: 1 });
    await advance(1_000);
    server.publish("1");
    await advance(1_000);
    assert.equal((await sent).duplicate, false);
    await tidings.signOut();
  }
});

test("a message that expires is gone at once, and once", async () => {
  const { clock, advance, server, open } = world();
  const tidings = open({ userId: 1 });
  const told = diary(tidings);
  tidings.connect();
  await advance(1_000);
  const at = clock.now + 60_000;
  const { notification_id } = server.publish("1", { expires_at: new Date(at).toISOString() });
  server.publish("1", { expires_at: new Date(at + 80 * 86_400_000).toISOString() });
  await advance(59_900 - (clock.now - (at - 60_000)));
  assert.equal(told.withdraw.length, 0);
  await advance(200);
  assert.deepEqual(told.withdraw.map(({ reason }) => reason), ["expired"]);
  assert.ok(clock.now - at < 1_000);
  for (const connection of server.connections) connection.send({ type: "withdraw", notification_id, reason: "expired" });
  await advance(60_000);
  assert.equal(told.withdraw.length, 1);
});

test("the network changes, the machine sleeps, the page is frozen or kept for the back button: it is soon there again", async () => {
  const { advance, server, open, machine } = world();
  const tidings = open({ userId: 1 });
  const told = diary(tidings);
  tidings.connect();
  await advance(20_000);
  const back = async (within, what) => {
    const missed = server.publish("1").notification_id;
    await advance(within);
    assert.equal(tidings.status.state, "online", what);
    assert.ok(told.message.some(({ notification_id }) => notification_id === missed), what);
    await advance(20_000);
  };
  machine.changeNetwork(false);
  tidings.page.tell("window", "offline");
  await advance(30_000);
  assert.equal(tidings.status.reason, "This device has no network.");
  machine.changeNetwork(true);
  tidings.page.tell("window", "online");
  await back(2_000, "online");
  machine.changeNetwork();
  tidings.page.tell("window", "online");
  await back(8_000, "another network, without a word in between");
  machine.asleep = true;
  await advance(3_600_000);
  machine.asleep = false;
  tidings.page.show(true);
  await back(8_000, "awake");
  for (const [target, sleep, wake] of [["document", "freeze", "resume"], ["window", "pagehide", "pageshow"]]) {
    tidings.page.tell(target, sleep, { persisted: true });
    await advance(1_000);
    assert.equal(machine.sockets.size, 0, `${sleep}: no socket is held`);
    tidings.page.tell(target, wake, { persisted: true });
    await back(2_000, wake);
  }
  tidings.page.tell("window", "pagehide", { persisted: false });
  assert.equal(tidings.status.state, "online");
  assert.equal(new Set(told.message.map(({ notification_id }) => notification_id)).size, told.message.length);
});

test("a flood of events of the platform is no flood of attempts", async () => {
  const { advance, server, open, machine } = world();
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(20_000);
  server.accept = ((accept) => function (socket) { const connection = accept.call(this, socket); connection.close(1011); return connection; })(server.accept);
  machine.changeNetwork();
  const before = server.attempts;
  for (let n = 0; n < 600; n += 1) {
    tidings.page.tell("window", n % 2 ? "online" : "offline");
    tidings.page.show(n % 3 === 0);
    await advance(100);
  }
  assert.ok(server.attempts - before < 30, `${server.attempts - before} attempts in a minute`);
});

test("an opaque or broken token is no reason to fail", async () => {
  const { advance, open } = world();
  for (const broken of ["", "x", "a.b.c", token([]), token("text"), `.${Buffer.from("null").toString("base64url")}.`]) {
    const tidings = open({ userId: 1, token: broken });
    tidings.connect();
    await advance(10);
    assert.equal(tidings.user, "1");
    tidings.disconnect();
  }
});

test("all is read up to the moment of the call, also offline and after a reload, and never in another stream", async () => {
  const { advance, server, open, machine } = world();
  const reads = () => server.frames.filter(({ type }) => type === "read" || type === "seen").map(({ type, all, up_to, ...more }) => [type, all, up_to, more.epoch]);
  const away = async () => {
    machine.changeNetwork(false);
    await advance(40_000);
  };
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(1_000);
  for (let n = 0; n < 2; n += 1) server.publish("1");
  await advance(1_000);
  await away();
  const done = tidings.readAll();
  for (let n = 0; n < 3; n += 1) server.publish("1");
  machine.changeNetwork(true);
  await advance(40_000);
  await done;
  assert.deepEqual(reads(), [["read", true, 2, undefined]]);
  // The page is left, and the next one sends it.
  await away();
  tidings.readAll();
  await advance(100);
  tidings.page.frozen = true;
  for (let n = 0; n < 4; n += 1) server.publish("1");
  machine.changeNetwork(true);
  const next = open({ userId: 1 });
  next.connect();
  await advance(5_000);
  assert.deepEqual(reads().slice(1), [["read", true, 5, undefined]]);
  // The server has begun the stream anew: its offsets say something else.
  await away();
  const outcomes = Promise.all([next.readAll(), next.seen()].map((one) => one.catch(({ code }) => code)));
  Object.assign(server.user("1"), { epoch: "another", offset: 0, messages: [] });
  machine.changeNetwork(true);
  await advance(40_000);
  assert.deepEqual(await outcomes, ["stream_lost", "stream_lost"]);
  assert.deepEqual([reads().length, next.waiting], [2, 0]);
});

test("before anything is known of the stream all is read at once, over HTTP", async () => {
  const { open } = world();
  const asked = [];
  const fetch = async (url, { method, body }) => (asked.push([method, String(url), body]), new Response('{"unread":0,"unseen":0,"changed":2,"not_found":[]}'));
  const tidings = open({ userId: 1, platform: { fetch } });
  await tidings.readAll();
  assert.deepEqual(asked, [["POST", "https://push.example/v1/users/1/inbox/read", '{"all":true}']]);
  assert.deepEqual([tidings.counts.unread, tidings.waiting], [0, 0]);
});

test("counts that nobody tells any more are none: after a return, and in an answer that was under way", async () => {
  const { advance, server, open, machine } = world();
  let answer;
  const fetch = () => new Promise((resolve) => (answer = () => resolve(new Response('{"messages":[],"unread":2,"unseen":2}'))));
  const tidings = open({ userId: 1, transport: "websocket", platform: { fetch } });
  const told = [];
  tidings.on("inbox", ({ unread, unseen }) => told.push([unread, unseen]));
  tidings.connect();
  await advance(1_000);
  assert.deepEqual(told.splice(0), [[0, 0]]);
  const tell = (unread) => [...server.connections].forEach((one) => one.send({ type: "inbox", unread, unseen: unread }));
  tell(2);
  await advance(1_000);
  const page = tidings.inbox();
  await settle();
  // Another device reads everything while this one is away.
  machine.changeNetwork(false);
  await advance(40_000);
  assert.deepEqual(tidings.counts, { unread: 2, unseen: 2 });
  machine.changeNetwork(true);
  await advance(40_000);
  assert.deepEqual([told.splice(0), tidings.counts.unread], [[[2, 2], [0, 0]], 0]);
  answer();
  assert.equal((await page).unread, 0);
  assert.equal(tidings.counts.unread, 0);
  // Where there are some, nothing else is told before.
  const { login } = server;
  server.login = function (connection, frame) { login.call(this, connection, frame); connection.send({ type: "inbox", unread: 3, unseen: 1 }); };
  [...server.connections][0].close(3008);
  await advance(30_000);
  assert.deepEqual([told, tidings.counts], [[[3, 1]], { unread: 3, unseen: 1 }]);
});

test("what the server could not read is not kept: a frame that is too large, an id that is none", async () => {
  const { advance, open, machine } = world();
  const tidings = open({ userId: 1 });
  await assert.rejects(tidings.send({ kind: "search", query: "ä".repeat(40_000) }), { code: "too_large" });
  await assert.rejects(tidings.read([messageId("1", 1), "order-17"]), { code: "bad_id" });
  await assert.rejects(tidings.mute({ of: "brand", notification_id: "order-17" }), { code: "bad_id" });
  assert.equal(tidings.feedback("order-17", "clicked"), false);
  assert.equal(tidings.waiting, 1);
  await advance(100);
  assert.ok([...Array(machine.storage.length).keys()].every((n) => machine.storage.getItem(machine.storage.key(n)).length < 1_000));
});

test("a bad frame is given up with what was under way, and is not sent by the next page", async () => {
  const { advance, server, open } = world();
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(1_000);
  const { event } = server;
  server.event = (connection, { kind }) => kind === "search" && connection.close(3501, "bad frame");
  const outcomes = [tidings.send({ kind: "view", item_id: 1 }), tidings.send({ kind: "search", query: "x" })].map((one) => one.catch(({ code }) => code));
  await advance(1_000);
  assert.deepEqual([await Promise.all(outcomes), tidings.waiting], [["bad_frame", "bad_frame"], 0]);
  assert.deepEqual([tidings.status.state, tidings.status.code, tidings.status.retryAt], ["offline", 3501, null]);
  server.event = event;
  const next = open({ userId: 1 });
  next.connect();
  await advance(5_000);
  assert.deepEqual([next.status.state, next.waiting, server.user("1").events.size], ["online", 0, 0]);
});

test("a refusal that names no frame is of the oldest that has no answer of its own, of the kind that is refused so", async () => {
  const { advance, server, open } = world();
  server.mute = (connection, { name }) => name || connection.send({ type: "error", code: "nothing_to_mute", message: "no", temporary: false });
  server.feedback = (connection) => connection.send({ type: "error", code: "unknown_notification", message: "no", temporary: false });
  server.read = (connection, { notification_id }) => notification_id === messageId("1", 9) && connection.send({ type: "error", code: "bad_frame", message: "no", temporary: false });
  const tidings = open({ userId: 1 });
  tidings.connect();
  await advance(1_000);
  const of = (promise) => promise.then(() => "stored", ({ code }) => code);
  const outcomes = [tidings.read([messageId("1", 1)]), tidings.mute({ of: "brand" }), tidings.mute({ of: "brand", name: "Harbor" })].map(of);
  tidings.feedback(messageId("1", 2), "clicked");
  await advance(1_000);
  assert.deepEqual(await Promise.all(outcomes), ["stored", "nothing_to_mute", "stored"]);
  assert.equal(await of((async () => { const read = tidings.read([messageId("1", 9)]); await advance(1_000); await read; })()), "bad_frame");
  assert.equal(tidings.waiting, 0);
});

test("over HTTP a batch that is too large goes in halves, and only what is too large alone is given up", async () => {
  const { EventLine } = await import("../src/client/event_line.js");
  const { advance, machine } = world();
  const [taken, told, posts] = [[], [], []];
  const fetch = async (url, { body }) => {
    const frames = JSON.parse(body);
    posts.push(frames.length);
    if (frames.some(({ large }) => large)) return new Response('{"error":{"code":"too_large","message":"no"}}', { status: 413 });
    taken.push(...frames);
    return new Response('{"replies":[]}');
  };
  const events = { opened() {}, heard() {}, lost: assert.fail, frame: (frame) => told.push(frame) };
  const line = new EventLine({ ...machine.page().platform, fetch }, new URL("https://push.example/"), {}, events);
  for (let n = 0; n < 40; n += 1) line.write({ type: "event", kind: "view", event_id: `e${n}`, ...(n === 17 && { large: true }) });
  for (let n = 0; n < 20; n += 1) await advance(100);
  assert.deepEqual(taken.map(({ event_id }) => event_id), [...Array(40).keys()].filter((n) => n !== 17).map((n) => `e${n}`));
  assert.deepEqual(told.map(({ code, reply_to }) => [code, reply_to]), [["too_large", "e17"]]);
  assert.ok(posts.length < 20, `${posts}`);
});

/** A server that knows users by other names than those that log in. */
function renamed(server, names) {
  const { login } = server;
  server.login = function (connection, frame) {
    const claims = frame.token ? JSON.parse(Buffer.from(frame.token.split(".")[1], "base64url")) : {};
    const said = String(frame.user_id ?? claims.sub);
    login.call(this, connection, { ...frame, user_id: names[said] ?? said, token: undefined });
  };
}

const kept = (id) => JSON.stringify([[id, { type: "event", kind: "view", event_id: id }, Date.UTC(2030, 0, 1)]]);

test("the server may know a user by another name than the token: what this page does is that user's, what others left is not", async () => {
  const { clock, advance, server, open, machine } = world();
  renamed(server, { "auth0|abc": "shop-7" });
  machine.storage.setItem(`tidings.${encodeURIComponent("auth0|abc")}.outbox.x`, kept("another's"));
  machine.storage.setItem("tidings.shop-7.outbox.x", kept("mine"));
  machine.storage.setItem("tidings.shop-7.position", JSON.stringify({ position: { epoch: "eshop-7", offset: 1 } }));
  server.publish("shop-7");
  server.publish("shop-7");
  const tidings = open({ getToken: () => tokenFor(clock, "auth0|abc", 120), resume: true });
  const told = diary(tidings);
  const sent = tidings.send({ kind: "view", event_id: "now" });
  tidings.connect();
  await advance(5_000);
  assert.equal((await sent).duplicate, false);
  assert.deepEqual([tidings.status.state, tidings.user], ["online", "shop-7"]);
  assert.deepEqual([...server.user("shop-7").events.keys()], ["now", "mine"]);
  assert.equal(told.gap.length, 1, "what came before the login was not resumed, and is not left out in silence");
  // Renewed again and again, it stays the same user, and resumes.
  await advance(600_000);
  server.publish("shop-7");
  await advance(1_000);
  assert.deepEqual([tidings.status.state, told.message.length, told.gap.length], ["online", 1, 1]);
  assert.ok([...Array(machine.storage.length).keys()].some((n) => machine.storage.getItem(machine.storage.key(n)).includes("another's")), "kept for whose it is");
  // A server that changes its mind without a word has somebody else in mind.
  renamed(server, { "shop-7": "shop-8", "auth0|abc": "shop-8" });
  [...server.connections][0].close(3008);
  await advance(30_000);
  assert.deepEqual([tidings.status.state, tidings.status.reason], ["offline", "Another user has signed in."]);
});

test("a visitor who is merged goes on as the user, with an id or with tokens, and brings nothing unsent along", async () => {
  for (const tokens of [false, true]) {
    const { clock, advance, server, open } = world();
    let who = "anon";
    const tidings = open({ resume: true, ...(tokens ? { getToken: () => tokenFor(clock, who, 900) } : { userId: who }) });
    const told = diary(tidings);
    tidings.connect();
    await advance(1_000);
    server.publish("anon");
    await advance(1_000);
    const { event } = server;
    server.event = () => {};
    const lost = tidings.send({ kind: "view", event_id: "unsent" }).catch(({ code }) => code);
    await advance(100);
    server.event = event;
    if (tokens) (who = "acc"), (tidings.page.platform.now = () => clock.now);
    renamed(server, { anon: "acc" });
    [...server.connections][0].close(3010);
    await advance(30_000);
    assert.deepEqual([tidings.status.state, tidings.user, await lost], ["online", "acc", "another_user"], String(tokens));
    assert.equal(server.user("acc").events.size, 0);
    server.publish("acc");
    await advance(1_000);
    assert.equal(told.message.at(-1).user_id, "acc");
    // The next token names the user by that name, too.
    await advance(1_800_000);
    assert.equal(tidings.status.state, "online");
  }
});

test("after a stream was lost another's token takes over nothing: neither what waits nor where the stream stands", async () => {
  const { clock, advance, server, open } = world();
  let who = "anna";
  const tidings = open({ getToken: () => tokenFor(clock, who, 900) });
  tidings.connect();
  await advance(1_000);
  server.publish("anna");
  await advance(1_000);
  server.event = () => {};
  tidings.send({ kind: "view", event_id: "of anna" }).catch(() => {});
  await advance(100);
  who = "bob";
  const { login } = server;
  let refused = false;
  server.login = function (connection, frame) { if (!refused) (refused = true), connection.close(3005); else login.call(this, connection, frame); };
  [...server.connections][0].close(3010);
  await advance(30_000);
  assert.equal(tidings.user, "bob");
  const { resume } = server.frames.filter(({ type }) => type === "login").at(-1);
  assert.deepEqual([resume, tidings.waiting, server.user("bob").events.size], [undefined, 0, 0]);
});
