// What a shop writes: it has to compile against the package.

import { Tidings, TidingsError, type InboxMessage, type Message, type ShopEvent, type Status } from "tidings-client";
import { enableWebPush } from "tidings-client/webpush";
import { TidingsInbox, type CountDetail, type SelectDetail } from "tidings-client/inbox";

const tidings = new Tidings({ userId: "u-7", url: "https://push.example/", getToken: async () => null, transport: "sse", storage: null });

function words(message: Message): string {
  if (message.type === "recommendation") return message.items.map(({ title, price }) => `${title} ${price ?? ""}`).join();
  return `${message.title} ${message.priority ?? "normal"} ${message.url ?? ""}`;
}

const stop: () => void = tidings.on("message", (message) => console.log(words(message)));
tidings.on("status", ({ state, retryAt }: Status) => console.log(state === "online", retryAt));
tidings.on("withdraw", ({ notification_id, reason }) => console.log(notification_id, reason === "archived"));
tidings.on("restore", ({ notification_id, reason }) => console.log(notification_id, reason === "returned"));
tidings.on("inbox", ({ unread, unseen }) => console.log(unread + unseen));

export async function all(): Promise<void> {
  const { event_id, duplicate } = await tidings.send({ kind: "view", item_id: 101, dwell_ms: 4_000 });
  console.log(event_id.length, duplicate);
  await tidings.mute({ of: "brand", name: "Harbor" });
  await tidings.read(["a"]);
  const { messages, next_before } = await tidings.inbox({ state: "archived", limit: 5 });
  const first: InboxMessage = messages[0];
  console.log(first.read, first.archived ?? false, next_before);
  const { not_found } = await tidings.mark("snooze", ["a"], { until: "2030-01-31T08:00:00Z" });
  console.log(not_found.length);
  if (tidings.feedback("a", "clicked", 101)) stop();
  await enableWebPush({ userId: 1, server: "https://push.example/", serviceWorker: "/sw.js" }).catch((error: unknown) => {
    if (error instanceof TidingsError) console.log(error.code, error.temporary);
  });
}

const own = new Tidings<"share" | "compare">({ userId: 1 });
await own.send({ kind: "share", item_id: 101 });
await own.send({ kind: "view", item_id: 101 });
const event: ShopEvent<"compare"> = { kind: "compare", item_id: 101 };
new TidingsInbox().client = own;

const inbox = document.querySelector("tidings-inbox");
if (inbox instanceof TidingsInbox) {
  inbox.client = tidings;
  inbox.words = { title: "Post", loaded: { one: "{n} letter", other: "{n} letters" } };
  inbox.addEventListener("tidings-select", (event) => {
    const { message, item, url } = (event as CustomEvent<SelectDetail>).detail;
    console.log(message.title, item?.item_id, url);
  });
  inbox.addEventListener("tidings-count", (event) => console.log((event as CustomEvent<CountDetail>).detail.unread));
  inbox.show();
}
