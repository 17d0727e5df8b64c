/**
 * Web Push for a page: ask, subscribe, tell the server, and share with the service worker what was shown.
 *
 *   import { enableWebPush } from "/webpush.js";
 *   button.onclick = () => enableWebPush({ userId: 1 });   // in a click: browsers ask only then
 *
 * @module
 */

/**
 * `server` is where Tidings is (beside this file by default). `serviceWorker` is the address of the worker: `sw.js`, or the
 * shop's own that imports it, on the page's own origin, since browsers take no other; `scope` the pages it is registered
 * for (below its folder by default). `registration` is one that the page has made itself.
 * @typedef {{ userId?: number | string, token?: string, server?: string, serviceWorker?: string, scope?: string,
 *   registration?: ServiceWorkerRegistration }} PushOptions
 */
/** @typedef {"unsupported" | "denied" | "off" | "on"} PushState */
/**
 * What this browser has subscribed to; `replaces` is an endpoint before that the server does not know to be replaced.
 * @typedef {{ endpoint: string, server: string, user: string | null, replaces?: string }} Subscribed
 */

const LOADED_FROM = /^(https?:.*\/)webpush\.js$/.exec((import.meta.url ?? "").split(/[?#]/)[0])?.[1];
/** A worker that is not there by then will not be. */
const ACTIVE_WITHIN_MS = 20_000;
const KEY = "subscribed";

/** Does this browser push at all? It does in secure contexts only (https, or localhost). */
export const webPushSupported = () =>
  "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** @returns {Promise<any>} */
async function store() {
  // Loaded when it is needed: a bundler may leave out what is only imported for its effect.
  await import("./shown.js");
  return /** @type {any} */ (self).tidingsShown;
}

/** @param {PushOptions} options */
function serverOf({ server }) {
  const given = server ?? LOADED_FROM;
  if (given === undefined) throw new TypeError('Where is Tidings? In a bundle it needs to be told: { server: "https://push.example/" }');
  return new URL(given, location.href);
}

/** The worker's registration, once it is active, wherever the page is. @param {PushOptions} options */
async function register(options) {
  if (options.registration) return active(options.registration);
  const server = serverOf(options);
  const address = new URL(options.serviceWorker ?? new URL("sw.js", LOADED_FROM ?? server), location.href);
  if (!options.serviceWorker || /\/sw\.js$/.test(address.pathname)) {
    if (server.href !== new URL("./", address).href) address.searchParams.set("server", server.href);
  }
  return active(await navigator.serviceWorker.register(address, options.scope ? { scope: options.scope } : {}));
}

/** Settles also where the page is outside of the scope; `serviceWorker.ready` would not. @param {ServiceWorkerRegistration} registration @returns {Promise<ServiceWorkerRegistration>} */
function active(registration) {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The service worker did not start in time.")), ACTIVE_WITHIN_MS);
    const look = () => {
      if (registration.active?.state === "activated" || worker?.state === "activated") resolve(registration);
      else if (!worker || worker.state === "redundant") reject(new Error("The service worker could not be installed."));
      else return;
      clearTimeout(timer);
      worker?.removeEventListener("statechange", look);
    };
    worker?.addEventListener("statechange", look);
    look();
  });
}

/** @param {PushOptions} options @param {string} path @param {string} method @param {object} [body] */
async function call(options, path, method, body) {
  const headers = new Headers({ "Content-Type": "application/json" });
  if (options.token) headers.set("Authorization", `Bearer ${options.token}`);
  const response = await fetch(new URL(path, serverOf(options)), { method, headers, body: body && JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw Object.assign(new Error(answer?.error?.message ?? `the server answered ${response.status}`), { status: response.status, answer });
  return answer;
}

/** @param {PushOptions} options */
const whose = ({ userId }) => (userId === undefined ? {} : { user_id: userId });

/** What this page has subscribed, by any worker. @returns {Promise<PushSubscription | null>} */
async function current() {
  const known = /** @type {Subscribed | undefined} */ (await (await store()).recall(KEY).catch(() => undefined));
  const all = [];
  for (const registration of await navigator.serviceWorker.getRegistrations()) {
    const subscription = await registration.pushManager?.getSubscription();
    if (subscription) all.push(subscription);
  }
  return all.find(({ endpoint }) => endpoint === known?.endpoint) ?? (known ? null : all[0]) ?? null;
}

/** Is this browser subscribed? @returns {Promise<PushState>} */
export async function webPushState() {
  if (!webPushSupported()) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  return (await current()) ? "on" : "off";
}

/**
 * Asks the user, subscribes and tells the server. Call it in a click; calling it again renews the subscription, which
 * is worth doing at each sign-in. Rejects with a sentence for a person. @param {PushOptions} [options]
 */
export async function enableWebPush(options = {}) {
  if (!webPushSupported()) throw new Error("This browser has no Web Push here: it needs https or localhost.");
  const permission = await Notification.requestPermission();
  if (permission !== "granted") throw new Error("Notifications are not allowed: the browser's settings can change that.");
  await subscribe(options);
}

/**
 * Renews a subscription that this browser has made, without asking anybody: one of a key that the server no longer has is
 * made anew, one that the browser has dropped as well. Worth calling at each visit. True if there is one.
 * @param {PushOptions} [options] @returns {Promise<boolean>}
 */
export async function renewWebPush(options = {}) {
  if (!webPushSupported() || Notification.permission !== "granted") return false;
  const known = /** @type {Subscribed | undefined} */ (await (await store()).recall(KEY));
  const user = options.userId === undefined ? null : String(options.userId);
  if (!known || known.server !== serverOf(options).href || known.user !== user) return false;
  await subscribe(options);
  return true;
}

/** @param {PushOptions} options */
async function subscribe(options) {
  const known = /** @type {Subscribed | undefined} */ (await (await store()).recall(KEY).catch(() => undefined));
  const { public_key } = await call(options, "v1/webpush/key", "GET");
  const { pushManager } = await register(options);
  let applicationServerKey = bytes(public_key);
  let subscription = await pushManager.getSubscription();
  const key = subscription?.options.applicationServerKey;
  if (subscription && key && !same(new Uint8Array(key), applicationServerKey)) {
    await subscription.unsubscribe(); // Of another server, or of a key that is gone.
    subscription = null;
  }
  let replaces = known?.server === serverOf(options).href ? (known.replaces ?? known.endpoint) : undefined;
  subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  const first = await tell(options, subscription, replaces);
  if (first.ended || first.other) {
    // It had ended, or is of another key: another one instead, once.
    if (first.other) applicationServerKey = bytes(first.other);
    else replaces = subscription.endpoint;
    await subscription.unsubscribe();
    subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    const { other } = await tell(options, subscription, replaces);
    if (other) throw new Error("The server has another key than it says.");
  }
  /** @type {Subscribed} */
  const subscribed = {
    endpoint: subscription.endpoint,
    server: serverOf(options).href,
    user: options.userId === undefined ? null : String(options.userId),
  };
  // The worker needs it when the browser replaces the subscription; without storage the next visit repairs it.
  await (await store()).remember(KEY, subscribed).catch(() => {});
}

/**
 * Hands a subscription to the server. `ended`: the reason why it had ended; `other`: the key that it should be of.
 * @param {PushOptions} options @param {PushSubscription} subscription @param {string} [replaces] @returns {Promise<{ ended?: string | null, other?: string }>}
 */
async function tell(options, subscription, replaces) {
  const key = subscription.options.applicationServerKey;
  const application_server_key = key ? base64url(new Uint8Array(key)) : undefined;
  try {
    return await call(options, "v1/webpush/subscriptions", "POST", { ...subscription.toJSON(), ...whose(options), application_server_key, replaces });
  } catch (error) {
    const { status, answer } = /** @type {any} */ (error);
    if (status === 409 && answer?.application_server_key) return { other: answer.application_server_key };
    throw error;
  }
}

/** Ends the subscription here and at the server: do it at each sign-out. @param {PushOptions} [options] */
export async function disableWebPush(options = {}) {
  if (!webPushSupported()) return;
  const subscription = await current();
  await (await store()).remember(KEY, null).catch(() => {});
  if (!subscription) return;
  // Here first: a server that can't be reached is told by its push service (410).
  await subscription.unsubscribe();
  await call(options, "v1/webpush/subscriptions", "DELETE", { endpoint: subscription.endpoint, ...whose(options) });
}

/**
 * True for the first to show a message on this browser, page or service worker: show it only then. False in a page that
 * nobody looks at, which claims nothing: the service worker shows it, or it waits in the inbox.
 * @param {string} notificationId @returns {Promise<boolean>}
 */
export async function claimShown(notificationId) {
  if (document.visibilityState === "hidden") return false;
  return (await store()).claim(notificationId).catch(() => true);
}

/** @param {string} base64url */
function bytes(base64url) {
  const text = atob(base64url.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} bytes */
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

/** @param {Uint8Array} a @param {Uint8Array} b */
const same = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
