// @ts-check
/**
 * Web Push for a page: ask, subscribe, tell the server, and share with the service worker what was shown.
 *
 *   import { enableWebPush } from "/webpush.js";
 *   button.onclick = () => enableWebPush({ userId: 1 });   // in a click: browsers ask only then
 */
import "./shown.js";

/**
 * `server` is where Tidings is (beside this file by default), `serviceWorker` where `sw.js` is: on the page's own
 * origin, browsers take no other.
 * @typedef {{ userId?: number | string, token?: string, server?: string, serviceWorker?: string }} PushOptions
 */
/** @typedef {"unsupported" | "denied" | "off" | "on"} PushState */

/** Does this browser push at all? It does in secure contexts only (https, or localhost). */
export const webPushSupported = () =>
  "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

/** @param {PushOptions} options */
const serverOf = ({ server }) => new URL(server ?? "./", server ? location.href : import.meta.url);

/** @param {PushOptions} options */
async function register(options) {
  const address = new URL(options.serviceWorker ?? new URL("sw.js", import.meta.url), location.href);
  const server = serverOf(options);
  if (server.href !== new URL("./", address).href) address.searchParams.set("server", server.href);
  await navigator.serviceWorker.register(address);
  return navigator.serviceWorker.ready;
}

/** @param {PushOptions} options @param {string} path @param {string} method @param {object} [body] */
async function call(options, path, method, body) {
  const headers = new Headers({ "Content-Type": "application/json" });
  if (options.token) headers.set("Authorization", `Bearer ${options.token}`);
  const response = await fetch(new URL(path, serverOf(options)), { method, headers, body: body && JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message ?? `the server answered ${response.status}`);
  return answer;
}

/** @param {PushOptions} options */
const whose = ({ userId }) => (userId === undefined ? {} : { user_id: userId });

/** Is this browser subscribed? @returns {Promise<PushState>} */
export async function webPushState() {
  if (!webPushSupported()) return "unsupported";
  if (Notification.permission === "denied") return "denied";
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ? "on" : "off";
}

/**
 * Asks the user, subscribes and tells the server. Call it in a click; calling it again renews the subscription, which
 * is worth doing at each sign-in. Rejects with a sentence for a person. @param {PushOptions} [options]
 */
export async function enableWebPush(options = {}) {
  if (!webPushSupported()) throw new Error("This browser has no Web Push here: it needs https or localhost.");
  const permission = await Notification.requestPermission();
  if (permission !== "granted") throw new Error("Notifications are not allowed: the browser's settings can change that.");
  const { public_key } = await call(options, "v1/webpush/key", "GET");
  const registration = await register(options);
  const applicationServerKey = bytes(public_key);
  let subscription = await registration.pushManager.getSubscription();
  const key = subscription?.options.applicationServerKey;
  if (subscription && key && !same(new Uint8Array(key), applicationServerKey)) {
    await subscription.unsubscribe(); // Of another server, or of a key that is gone.
    subscription = null;
  }
  subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  await call(options, "v1/webpush/subscriptions", "POST", { ...subscription.toJSON(), ...whose(options) });
}

/** Ends the subscription here and at the server: do it at each sign-out. @param {PushOptions} [options] */
export async function disableWebPush(options = {}) {
  if (!webPushSupported()) return;
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  if (!subscription) return;
  // Here first: a server that can't be reached is told by its push service (410).
  await subscription.unsubscribe();
  await call(options, "v1/webpush/subscriptions", "DELETE", { endpoint: subscription.endpoint, ...whose(options) });
}

/**
 * True for the first to show a message on this browser, page or service worker: show it only then.
 * @param {string} notificationId @returns {Promise<boolean>}
 */
export const claimShown = (notificationId) =>
  /** @type {any} */ (self).tidingsShown.claim(notificationId).catch(() => true);

/** @param {string} base64url */
function bytes(base64url) {
  const text = atob(base64url.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** @param {Uint8Array} a @param {Uint8Array} b */
const same = (a, b) => a.length === b.length && a.every((byte, index) => byte === b[index]);
