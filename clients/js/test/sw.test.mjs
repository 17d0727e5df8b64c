// The service worker in a scope of its own, beside a worker that is not ours (in a real browser: tests/it/client_pages.rs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import vm from "node:vm";

const source = (name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8");

/** A worker's scope: what it shows, opens, posts and tells pages is written down. */
function worker({ search = "", tidingsServer, settings = {}, claimed = new Set(), answers = [] } = {}) {
  const seen = { shown: [], opened: [], posted: [], told: [], imported: [], subscribed: [], ended: [] };
  const listeners = {};
  const scope = {
    location: new URL(`https://shop.example/push/sw.js${search}`),
    tidingsServer,
    URL, JSON, Date, Promise, Array, Notification: { maxActions: 2 },
    importScripts: (url) => seen.imported.push(url),
    addEventListener: (name, listener) => (listeners[name] ??= []).push(listener),
    registration: {
      scope: "https://shop.example/",
      showNotification: async (title, options) => seen.shown.push({ title, ...options, close() { seen.shown.splice(seen.shown.indexOf(this), 1); } }),
      getNotifications: async () => [...seen.shown],
      pushManager: {
        subscribe: async (options) => {
          const endpoint = `https://push/new${seen.subscribed.length || ""}`;
          seen.subscribed.push(options);
          return { endpoint, toJSON: () => ({ endpoint, keys: {} }), unsubscribe: async () => seen.ended.push(endpoint) };
        },
      },
    },
    clients: {
      matchAll: async () => [{ url: "https://shop.example/open", focus: async () => seen.opened.push("focus"), postMessage: (what) => seen.told.push(what) }],
      openWindow: async (url) => seen.opened.push(url),
    },
    fetch: async (url, { method = "GET", body } = {}) => {
      if (method === "POST") seen.posted.push([String(url), JSON.parse(body)]);
      return (method === "POST" && answers.shift()) || { status: 200, json: async () => ({ public_key: "BPk" }) };
    },
  };
  scope.self = scope;
  scope.tidingsShown = {
    claim: async (id) => !claimed.has(id) && Boolean(claimed.add(id)),
    release: async (id) => void claimed.delete(id),
    recall: async (name) => settings[name],
    remember: async (name, value) => void (settings[name] = value),
  };
  vm.runInNewContext(source("sw.js"), scope);
  const fire = async (name, event = {}) => {
    const waited = [];
    for (const listener of listeners[name] ?? []) listener({ waitUntil: (promise) => waited.push(promise), ...event });
    await Promise.all(waited);
    return waited.length;
  };
  const push = (data) => fire("push", { data: { json: () => (typeof data === "string" ? JSON.parse(data) : data) } });
  return { seen, fire, push, scope, settings, listeners };
}

const message = { notification_id: "m1", title: "Order 17", body: "is on its way", url: "/17", report_token: "t1",
  data: { actions: [{ action: "track", title: "Track", url: "/track/17" }, { action: "help", title: "Help" }, { action: "third", title: "Third" }] } };

test("it touches its own pushes and notifications only, and the life of no worker", async () => {
  const { seen, fire, push, listeners } = worker();
  for (const theirs of [{ title: "Sale" }, "{", { notification_id: 17 }, "null"]) assert.equal(await push(theirs), 0);
  assert.equal(await fire("push", { data: null }), 0);
  const notification = { data: { notification_id: "theirs" }, close: () => seen.opened.push("closed") };
  assert.equal(await fire("notificationclick", { notification, action: "" }), 0);
  assert.equal(await fire("notificationclose", { notification: {} }), 0);
  assert.equal(await fire("message", { data: "hello" }), 0);
  assert.deepEqual([seen.shown, seen.opened, seen.posted], [[], [], []]);
  assert.equal(listeners.install ?? listeners.activate ?? listeners.fetch, undefined);
});

test("it shows a message once, with buttons, and reports what came of it", async () => {
  const { seen, fire, push } = worker({ search: "?server=https://push.example/" });
  await push(message);
  await push(message);
  assert.equal(seen.shown.length, 1);
  assert.deepEqual(seen.shown[0].actions.map(({ title }) => title), ["Track", "Help"]);
  const [shown] = seen.shown;
  await fire("notificationclick", { notification: shown, action: "track" });
  await push({ ...message, notification_id: "m2" });
  await fire("notificationclick", { notification: seen.shown[0], action: "" });
  await push({ ...message, notification_id: "m3", url: "javascript:alert(1)", data: undefined });
  await fire("notificationclick", { notification: seen.shown[0], action: "" });
  assert.deepEqual(seen.opened, ["https://shop.example/track/17", "https://shop.example/17", "https://shop.example/"]);
  const outcomes = seen.posted.map(([url, body]) => `${url} ${body.outcome}`);
  assert.deepEqual(outcomes.slice(0, 2), ["https://push.example/v1/webpush/reports displayed", "https://push.example/v1/webpush/reports clicked"]);
  await push({ ...message, notification_id: "m4", expires_at: "2001-01-01T00:00:00Z" });
  assert.equal(seen.shown.length, 0, "expired");
});

test("what was read or withdrawn elsewhere is taken back", async () => {
  const { seen, fire, push } = worker();
  for (const id of ["a", "b", "c"]) await push({ ...message, notification_id: id });
  seen.shown.push({ data: { notification_id: "a" }, close: () => assert.fail("theirs") });
  await push({ type: "withdraw", notification_id: "a" });
  await fire("message", { data: { type: "tidings-close", notification_ids: ["b"] } });
  assert.deepEqual(seen.shown.map(({ data }) => data.notification_id), ["c", "a"]);
});

test("a subscription that the browser drops is made anew: by itself, or by the page where there are tokens", async () => {
  for (const [user, posts] of [["7", 1], [null, 0]]) {
    const subscribed = { endpoint: "https://push/old", server: "https://push.example/", user };
    const { seen, fire, settings } = worker({ search: "?server=https://push.example/", settings: { subscribed } });
    await fire("pushsubscriptionchange", { oldSubscription: { endpoint: "https://push/old" } });
    assert.equal(seen.posted.length, posts);
    if (posts) assert.deepEqual(seen.posted[0], ["https://push.example/v1/webpush/subscriptions", { endpoint: "https://push/new", keys: {}, user_id: "7", replaces: "https://push/old" }]);
    assert.equal(settings.subscribed.endpoint, "https://push/new");
    // The page has a token, and tells what was replaced.
    assert.equal(settings.subscribed.replaces, posts ? undefined : "https://push/old");
    assert.deepEqual(seen.told.map(({ type }) => type), ["tidings-subscription"]);
    // One of the shop's is none of ours.
    await fire("pushsubscriptionchange", { oldSubscription: { endpoint: "https://push/theirs" } });
    assert.equal(seen.subscribed.length, 1);
  }
});

test("a subscription that had ended, or is of another key, gives way to another one, once", async () => {
  const json = (status, body) => ({ status, json: async () => body });
  for (const [answer, key] of [[json(200, { ended: "gone 410", application_server_key: "BPk" }), "BPk"], [json(409, { application_server_key: "BOther" }), "BOther"]]) {
    const subscribed = { endpoint: "https://push/old", server: "https://push.example/", user: "7" };
    const { seen, fire, settings } = worker({ search: "?server=https://push.example/", settings: { subscribed }, answers: [answer] });
    await fire("pushsubscriptionchange", { oldSubscription: { endpoint: "https://push/old" } });
    assert.deepEqual(seen.ended, ["https://push/new"]);
    assert.equal(seen.subscribed[1].applicationServerKey, key);
    assert.deepEqual(seen.posted.map(([, { endpoint, replaces }]) => [endpoint, replaces]), [["https://push/new", "https://push/old"], ["https://push/new1", "https://push/old"]]);
    assert.equal(settings.subscribed.endpoint, "https://push/new1");
  }
});
