// The Tidings service worker: shows pushed messages once, opens what they are about, reports what came of them, takes back
// what was read elsewhere, subscribes anew when the browser drops a subscription. It acts on its own messages only, so it
// may live in the worker of a shop:
//
//   self.tidingsServer = "https://push.example/";
//   importScripts("https://push.example/sw.js");
//
// On its own it is registered by webpush.js, with `?server=https://push.example/` when Tidings is not where this file is.
/// <reference lib="webworker" />
/* global importScripts, clients, tidingsShown */
(() => {
  /** @type {any} */ const worker = self;
  /** @type {string | null | undefined} */
  const given = worker.tidingsServer ?? new URL(self.location.href).searchParams.get("server");
  /** @type {URL} */ const SERVER = new URL(given ?? "./", self.location.href);
  // Beside this file: at the server for a worker of a shop, else where this one is.
  if (!worker.tidingsShown) importScripts(new URL("shown.js", worker.tidingsServer ? SERVER : self.location.href).href);
  /** @type {{ claim(id: string): Promise<boolean>, release(id: string): Promise<void>, recall(name: string): Promise<any>, remember(name: string, value: unknown): Promise<void> }} */
  const store = worker.tidingsShown;
  /** @type {ServiceWorkerGlobalScope} */ const scope = worker;

  scope.addEventListener("push", (event) => {
    const message = read(event.data);
    if (message?.type === "withdraw") event.waitUntil(close([message.notification_id]));
    else if (message) event.waitUntil(show(message));
  });
  scope.addEventListener("message", (event) => {
    if (event.data?.type === "tidings-close") event.waitUntil(close(event.data.notification_ids ?? []));
  });
  scope.addEventListener("notificationclick", (event) => {
    const data = event.notification.data?.tidings;
    if (!data) return;
    event.notification.close();
    const action = (data.actions ?? []).find((/** @type {any} */ { action }) => action === event.action);
    // Opened first: a window may be opened only right after the click.
    event.waitUntil(Promise.all([open(action?.url ?? data.url), report(data, "clicked")]));
  });
  scope.addEventListener("notificationclose", (event) => {
    const data = event.notification.data?.tidings;
    if (data) event.waitUntil(report(data, "dismissed"));
  });
  scope.addEventListener("pushsubscriptionchange", (/** @type {any} */ event) => event.waitUntil(subscribeAnew(event)));

  /** Null for a push of somebody else. @param {PushMessageData | null} data */
  function read(data) {
    try {
      const message = data?.json();
      const ours = typeof message?.notification_id === "string";
      return ours ? message : null;
    } catch {
      return null;
    }
  }

  /** @param {any} message */
  async function show(message) {
    if (Date.parse(message.expires_at) <= Date.now()) return;
    const { notification_id, title, body, image, tag, url, category, report_token, data } = message;
    // Without the store (a full disk, private browsing) twice is better than never.
    const first = await store.claim(notification_id).catch(() => true);
    if (!first) return;
    const actions = buttons(data?.actions);
    try {
      /** @type {any} What browsers know and the type does not: image, renotify, actions. */
      const options = {
        body: body ?? "",
        icon: image,
        image,
        tag: tag ?? notification_id,
        // A later message of the same tag replaces the earlier one and is worth another look.
        renotify: Boolean(tag) && tag !== notification_id,
        actions: actions.map(({ action, title, icon }) => ({ action, title, icon })),
        data: { notification_id, url, category, data, tidings: { url, report_token, actions } },
      };
      await scope.registration.showNotification(title || "News", options);
    } catch (error) {
      await store.release(notification_id).catch(() => {});
      throw error;
    }
    await tell({ type: "tidings-shown", notification_id });
    await report(message, "displayed");
  }

  /** As many buttons as the browser shows. @param {unknown} wanted @returns {{ action: string, title: string, icon?: string, url?: string }[]} */
  function buttons(wanted) {
    const most = /** @type {any} */ (self).Notification?.maxActions ?? 2;
    const valid = (/** @type {any} */ one) => typeof one?.action === "string" && typeof one.title === "string";
    return Array.isArray(wanted) ? wanted.filter(valid).slice(0, most) : [];
  }

  /** Read or withdrawn elsewhere. @param {string[]} ids */
  async function close(ids) {
    for (const shown of await scope.registration.getNotifications()) {
      if (shown.data?.tidings && ids.includes(shown.data.notification_id)) shown.close();
    }
  }

  /** @param {object} what */
  async function tell(what) {
    for (const client of await scope.clients.matchAll({ type: "window", includeUncontrolled: true })) {
      client.postMessage(what);
    }
  }

  /** Focuses a window that shows it, else opens one. Only web pages: an address may come from a shop's import. @param {string | undefined} address */
  async function open(address) {
    const home = scope.registration.scope;
    let target = new URL(home);
    try {
      target = new URL(address ?? "", home);
    } catch {
      // No address: the page itself.
    }
    if (!/^https?:$/.test(target.protocol)) target = new URL(home);
    const windows = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
    const there = windows.find((window) => window.url === target.href);
    return there ? there.focus() : scope.clients.openWindow(target.href);
  }

  /** No login: the token that came with the message speaks for it. @param {any} data @param {string} outcome */
  async function report(data, outcome) {
    if (!data?.report_token) return;
    const body = JSON.stringify({ token: data.report_token, outcome });
    await post("v1/webpush/reports", body).catch(() => post("v1/webpush/reports", body).catch(() => {}));
  }

  /** Another origin need not answer: nothing is read. @param {string} path @param {string} body */
  function post(path, body) {
    const mode = SERVER.origin === self.location.origin ? "same-origin" : "no-cors";
    return fetch(new URL(path, SERVER), { method: "POST", body, mode, credentials: "omit", keepalive: true });
  }

  /** @param {PushSubscription} subscription @param {string} user_id @param {string} replaces the endpoint before */
  async function hand(subscription, user_id, replaces) {
    const body = JSON.stringify({ ...subscription.toJSON(), user_id, replaces });
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(new URL("v1/webpush/subscriptions", SERVER), { method: "POST", body, headers, credentials: "omit" });
    const said = await answer.json().catch(() => ({}));
    return { ...said, ended: answer.status === 409 || Boolean(said.ended) };
  }

  /**
   * The browser has dropped a subscription of ours, and may have made another. With authentication only a page can tell the
   * server: one that is open is asked, or the next visit does (`renewWebPush`). @param {any} event
   */
  async function subscribeAnew({ oldSubscription, newSubscription }) {
    const known = await store.recall("subscribed").catch(() => undefined);
    if (!known || (oldSubscription && oldSubscription.endpoint !== known.endpoint)) return;
    const response = await fetch(new URL("v1/webpush/key", SERVER), { credentials: "omit" });
    const { public_key } = await response.json();
    const subscribe = (/** @type {string} */ applicationServerKey) => scope.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
    let subscription = newSubscription ?? (await subscribe(public_key));
    let replaces = known.replaces ?? known.endpoint;
    if (known.user !== null) {
      const { ended, application_server_key } = await hand(subscription, known.user, replaces);
      if (ended) {
        // It had ended already, or is of another key: another one instead, once.
        await subscription.unsubscribe();
        subscription = await subscribe(application_server_key ?? public_key);
        await hand(subscription, known.user, replaces);
      }
      replaces = undefined;
    }
    // What the server was not told, the page tells.
    await store.remember("subscribed", { ...known, endpoint: subscription.endpoint, replaces });
    await tell({ type: "tidings-subscription" });
  }
})();
