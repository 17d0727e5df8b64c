// What a page tells the server of its subscription, with a browser's push manager that is written down.

import assert from "node:assert/strict";
import test from "node:test";

globalThis.self = globalThis;
await import("../src/shown.js");
const { enableWebPush, renewWebPush } = await import("../src/webpush.js");

const KEYS = { own: Buffer.from([4, 255, 254]), other: Buffer.from([4, 1, 2]) };
const text = (key) => KEYS[key].toString("base64url");

/** A page of a browser; `answers` are the server's to subscriptions, in order. */
function page(t, { answers = [], subscription = null, subscribed } = {}) {
  const seen = { posted: [], ended: [], made: 0 };
  const settings = { subscribed };
  const make = (endpoint, key) => ({
    endpoint,
    options: { applicationServerKey: new Uint8Array(key).buffer },
    toJSON: () => ({ endpoint, keys: {} }),
    unsubscribe: async () => { seen.ended.push(endpoint); current = null; },
  });
  let current = subscription && make(subscription, KEYS.own);
  const pushManager = {
    getSubscription: async () => current,
    subscribe: async ({ applicationServerKey }) => (current = make(`https://push/new${(seen.made += 1)}`, applicationServerKey)),
  };
  const fetch = async (url, { method, body }) => {
    if (method === "GET") return Response.json({ public_key: text("own") });
    seen.posted.push(JSON.parse(body));
    const [status, answer] = answers.shift() ?? [201, { created: true, ended: null }];
    return Response.json(answer, { status });
  };
  const platform = {
    navigator: { serviceWorker: {} }, window: { PushManager: 1, Notification: 1 }, location: new URL("https://shop.example/"), fetch,
    Notification: { permission: "granted", requestPermission: async () => "granted" },
    tidingsShown: { recall: async (name) => settings[name], remember: async (name, value) => void (settings[name] = value) },
  };
  for (const [name, value] of Object.entries(platform)) {
    const was = Object.getOwnPropertyDescriptor(globalThis, name);
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    t.after(() => (was ? Object.defineProperty(globalThis, name, was) : delete globalThis[name]));
  }
  const registration = { active: { state: "activated", addEventListener() {}, removeEventListener() {} }, pushManager };
  return { seen, settings, options: { userId: 7, server: "https://push.example/", registration } };
}

test("the server is told the key of a subscription", async (t) => {
  const { seen, settings, options } = page(t);
  await enableWebPush(options);
  assert.deepEqual(seen.posted, [{ endpoint: "https://push/new1", keys: {}, user_id: 7, application_server_key: text("own") }]);
  assert.deepEqual(settings.subscribed, { endpoint: "https://push/new1", server: "https://push.example/", user: "7" });
});

test("a subscription that had ended gives way to another one, and what waits moves there", async (t) => {
  const { seen, settings, options } = page(t, { subscription: "https://push/old", answers: [[200, { created: false, ended: "gone 410" }]] });
  await enableWebPush(options);
  assert.deepEqual(seen.ended, ["https://push/old"]);
  assert.deepEqual(seen.posted.map(({ endpoint, replaces }) => [endpoint, replaces]), [["https://push/old", undefined], ["https://push/new1", "https://push/old"]]);
  assert.equal(settings.subscribed.endpoint, "https://push/new1");
});

test("one of another key is made anew with the key that the server names, once", async (t) => {
  const conflict = [409, { error: { code: "other_application_server_key", message: "no" }, application_server_key: text("other") }];
  const { seen, options } = page(t, { subscription: "https://push/old", answers: [conflict] });
  await enableWebPush(options);
  assert.deepEqual(seen.posted.map((body) => body.application_server_key), [text("own"), text("other")]);
  const again = page(t, { subscription: "https://push/old", answers: [conflict, conflict, conflict] });
  await assert.rejects(enableWebPush(again.options));
  assert.equal(again.seen.posted.length, 2);
});

test("what the service worker could not tell is told at the next visit, once", async (t) => {
  const subscribed = { endpoint: "https://push/new", server: "https://push.example/", user: "7", replaces: "https://push/old" };
  const { seen, settings, options } = page(t, { subscription: "https://push/new", subscribed });
  assert.equal(await renewWebPush(options), true);
  assert.equal(seen.posted[0].replaces, "https://push/old");
  assert.equal(settings.subscribed.replaces, undefined);
});
