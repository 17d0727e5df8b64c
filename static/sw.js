// The Tidings service worker: shows pushed messages once, opens what they are about, reports what came of them.
// Register it with `?server=https://push.example/` when the Tidings server is not where this file is.
/* global importScripts, clients, tidingsShown */
importScripts(new URL("shown.js", self.location.href).href);

const SERVER = new URL(new URL(self.location.href).searchParams.get("server") ?? "./", self.location.href);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(show(read(event.data))));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  // Opened first: a window may be opened only right after the click.
  event.waitUntil(Promise.all([open(event.notification.data?.url), report(event.notification.data, "clicked")]));
});
self.addEventListener("notificationclose", (event) => event.waitUntil(report(event.notification.data, "dismissed")));

function read(data) {
  try {
    const message = data?.json();
    return typeof message?.notification_id === "string" ? message : null;
  } catch {
    return null; // Not ours.
  }
}

async function show(message) {
  if (!message || Date.parse(message.expires_at) <= Date.now()) return;
  const { notification_id, title, body, image, tag, url, category, report_token, data } = message;
  // Without the store (a full disk, private browsing) twice is better than never.
  const first = await tidingsShown.claim(notification_id).catch(() => true);
  if (!first) return;
  try {
    await self.registration.showNotification(title || "News", {
      body: body ?? "",
      icon: image,
      image,
      tag: tag ?? notification_id,
      // A later message of the same tag replaces the earlier one and is worth another look.
      renotify: Boolean(tag) && tag !== notification_id,
      data: { notification_id, url, category, report_token, data },
    });
  } catch (error) {
    await tidingsShown.release(notification_id).catch(() => {});
    throw error;
  }
  for (const client of await clients.matchAll({ type: "window", includeUncontrolled: true })) {
    client.postMessage({ type: "tidings-shown", notification_id });
  }
  await report(message, "displayed");
}

/** Focuses a window that shows it, else opens one. Only web pages: an address may come from a shop's import. */
async function open(address) {
  const scope = self.registration.scope;
  let target = new URL(scope);
  try {
    target = new URL(address ?? "", scope);
  } catch {
    // No address: the page itself.
  }
  if (!/^https?:$/.test(target.protocol)) target = new URL(scope);
  const windows = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find((window) => window.url === target.href);
  return there ? there.focus() : clients.openWindow(target.href);
}

/** No login: the token that came with the message speaks for it. */
async function report(data, outcome) {
  if (!data?.report_token) return;
  const request = {
    method: "POST",
    body: JSON.stringify({ token: data.report_token, outcome }),
    // Another origin need not answer: nothing is read.
    mode: SERVER.origin === self.location.origin ? "same-origin" : "no-cors",
    credentials: "omit",
    keepalive: true,
  };
  const address = new URL("v1/webpush/reports", SERVER);
  await fetch(address, request).catch(() => fetch(address, request).catch(() => {}));
}
