// What arrives for the user: newest first, with how long it took, and what became of it.

import * as api from "../api.js";
import { $, empty, h, icon, put, text, unavailable } from "../dom.js";
import { ago, duration, money, title, words } from "../format.js";
import { picture } from "../picture.js";
import { toast } from "../toast.js";
import { claimShown } from "../../webpush.js";
import { watchSilence } from "./silence.js";

const KEPT = 100;
/** Messages of the inbox read at once. */
const PAGE = 20;
/** Visible for this long counts as displayed. */
const DISPLAYED_MS = 600;
/** A mute is taken back this long after it was made, at the earliest. */
const UNDO_AFTER_MS = 800;

/** `muted` is called after a mute, `unmute(wish)` takes one back. */
export function startNotifications({ person, open, muted: mutedChanged, unmute }) {
  const list = $("#notifications");
  /** notification_id → { element, message, read, displayed }. */
  const entries = new Map();
  const timers = new Map();

  const watcher = new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) {
        const id = target.dataset.notificationId;
        clearTimeout(timers.get(id));
        if (isIntersecting)
          timers.set(
            id,
            setTimeout(() => displayed(id), DISPLAYED_MS),
          );
      }
    },
    { threshold: 0.5 },
  );
  document.addEventListener("visibilitychange", () => {
    // Look again at what is on the screen: it counts from now on.
    for (const { element, displayed: seen } of entries.values()) {
      if (seen) continue;
      watcher.unobserve(element);
      watcher.observe(element);
    }
  });

  reset();
  person.on("become", ({ changed }) => {
    if (!changed) return;
    reset();
    inbox();
  });
  person.on("message", ({ message, arrival }) => arrived(message, arrival));
  person.on("withdraw", ({ notification_id, reason }) => {
    if (reason === "read_elsewhere") markRead(notification_id);
    else settle(notification_id, "withdrawn", `Withdrawn${reason ? `: ${words(reason)}` : ""}`);
  });
  person.on("gap", () =>
    list.prepend(h("p", { class: "stream-gap" }, "Some earlier messages were missed while offline.")),
  );
  // What is read at the bell is read here as well.
  $("#inbox").addEventListener("tidings-change", ({ detail: { change, ids } }) => {
    if (change === "read") ids.forEach(markRead);
  });
  watchSilence({ person, tell: silent });

  function reset() {
    watcher.disconnect();
    entries.clear();
    put(
      list,
      empty(
        "Nothing has arrived yet",
        person.id === null ? "Choose a user, then view a product." : "View a product: a message may follow.",
      ),
    );
    count();
  }

  /** What waited in the inbox, below what has arrived since; what is older is found at the bell. */
  async function inbox() {
    const id = person.id;
    const read = async () => {
      const page = await api.get(api.path("v1/users", id, "inbox"), { limit: PAGE });
      api.list(page?.messages);
      list.querySelector(".inbox-failed")?.remove();
      if (id !== person.id || entries.size + page.messages.length > KEPT) return;
      for (const message of page.messages) waiting(message);
      count();
    };
    const failed = (error) => {
      list.querySelector(".inbox-failed")?.remove();
      list.append(h("div", { class: "inbox-failed" }, unavailable("The inbox can't be shown", error)));
    };
    await api.persist(read, { wanted: () => id === person.id, failed });
  }

  function waiting(message) {
    const id = String(message.notification_id);
    if (entries.has(id)) return;
    if (entries.size === 0) list.querySelector(".empty")?.remove();
    const element = entryElement(id, message, null);
    entries.set(id, { element, message, read: Boolean(message.read), displayed: Boolean(message.seen) });
    element.classList.toggle("unread", !message.read);
    list.append(element);
    if (!message.seen) watcher.observe(element);
  }

  function markRead(id) {
    const entry = entries.get(id);
    if (!entry || entry.read) return;
    entry.read = true;
    entry.element.classList.remove("unread");
    count();
  }

  function arrived(message, arrival) {
    const id = String(message.notification_id ?? `${message.epoch ?? ""}:${message.offset ?? Math.random()}`);
    if (entries.has(id)) return;
    if (entries.size === 0) list.querySelector(".empty")?.remove();
    list.querySelector(".stream-silence")?.remove();
    const element = entryElement(id, message, arrival);
    entries.set(id, { element, message, read: false, displayed: false });
    list.prepend(element);
    watcher.observe(element);
    trim();
    count();
    text($("#announce"), `New notification: ${message.title ?? ""}. ${message.body ?? ""}`);
    announce(id, message, arrival);
  }

  /** Pops up what the browser itself has not shown already; in a hidden page nothing does. */
  async function announce(id, message, arrival) {
    if (document.visibilityState !== "visible" || !(await claimShown(id))) return;
    const first = message.items?.[0];
    toast({
      title: message.title ?? title(message.kind),
      body: timing(arrival) ?? message.body,
      kind: "news",
      picture: first && picture(first),
      onOpen: () => clicked(id, first),
      quiet: true,
    });
  }

  /** A quiet line in the stream; only the newest one stays. */
  function silent(sentence) {
    list.querySelector(".empty")?.remove();
    list.querySelector(".stream-silence")?.remove();
    list.prepend(h("p", { class: "stream-silence" }, h("span", {}, sentence), ago(new Date().toISOString())));
  }

  function trim() {
    for (const [id, { element }] of entries) {
      if (entries.size <= KEPT) return;
      watcher.unobserve(element);
      element.remove();
      entries.delete(id);
    }
  }

  function entryElement(id, message, arrival) {
    const [first, ...rest] = message.items ?? [];
    const label = `notification-${id}`;
    return h(
      "article",
      { class: "entry unread", dataset: { notificationId: id }, "aria-labelledby": label, tabindex: "0" },
      h(
        "header",
        { class: "entry-head" },
        h("span", { class: "entry-kind" }, title(message.category ?? message.kind)),
        ago(message.sent_at ?? new Date().toISOString()),
      ),
      h("h3", { id: label }, message.title ?? title(message.kind ?? message.type)),
      saysMore(message, first) && h("p", { class: "entry-body" }, message.body),
      first && lead(id, first),
      rest.length > 0 &&
        h(
          "ul",
          { class: "entry-rest" },
          rest
            .slice(0, 5)
            .map((item) =>
              h(
                "li",
                {},
                h(
                  "button",
                  { type: "button", title: item.title, "aria-label": item.title, onclick: () => clicked(id, item) },
                  picture(item),
                ),
              ),
            ),
        ),
      trace(message, arrival),
      h(
        "footer",
        { class: "entry-actions" },
        h(
          "button",
          { type: "button", class: "quiet small", dataset: { action: "click" }, onclick: () => clicked(id, first) },
          "Open",
        ),
        h(
          "button",
          { type: "button", class: "quiet small", dataset: { action: "dismiss" }, onclick: () => dismissed(id) },
          "Dismiss",
        ),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            dataset: { action: "mute" },
            title: `Mute “${title(message.category)}”`,
            "aria-label": `Mute the category ${title(message.category)}`,
            onclick: () => muted(id),
          },
          icon("mute"),
        ),
        first &&
          h(
            "button",
            {
              type: "button",
              class: "quiet small",
              dataset: { action: "mute-products" },
              title: `No more products like ${first.title}`,
              onclick: (event) => muteProducts(id, first, event.currentTarget),
            },
            "No more like this",
          ),
      ),
    );
  }

  function lead(id, item) {
    return h(
      "button",
      { type: "button", class: "entry-lead", onclick: () => clicked(id, item) },
      picture(item),
      h("span", {}, h("span", { class: "rec-title" }, item.title), h("span", { class: "rec-reason" }, item.reason)),
      h("span", { class: "price" }, money(item.price, item.currency)),
    );
  }

  // What came of it.

  function displayed(id) {
    const entry = entries.get(id);
    if (!entry || entry.displayed || document.visibilityState !== "visible") return;
    entry.displayed = true;
    watcher.unobserve(entry.element);
    person.feedback(id, "displayed");
  }

  function clicked(id, item) {
    const entry = entries.get(id);
    if (!entry) return;
    displayed(id);
    person.feedback(id, "clicked", item?.item_id);
    person.read([id]);
    settle(id, "clicked", "Opened");
    if (item) open(item);
  }

  function dismissed(id) {
    displayed(id);
    person.feedback(id, "dismissed");
    settle(id, "dismissed", "Dismissed");
  }

  /** No more of the category of products that the message is about. */
  async function muteProducts(id, item, button) {
    button.disabled = true;
    try {
      const { category } = await api.get(api.path("v1/items", item.item_id));
      const wish = category?.[0] ? { of: "item_category", name: category[0] } : { of: "item", name: String(item.item_id) };
      await api.post(api.path("v1/users", person.id, "mute"), wish);
      settleMuted(id, wish.of === "item" ? item.title : wish.name, wish);
      mutedChanged();
    } catch (error) {
      button.disabled = false;
      toast({ title: "Could not mute this", body: api.sentence(error), kind: "wrong" });
    }
  }

  function muted(id) {
    const { category } = entries.get(id)?.message ?? {};
    person.feedback(id, "muted");
    settleMuted(id, title(category), { category });
    setTimeout(mutedChanged, 400);
  }

  /** The entry says what is muted, with an Undo that brings its buttons back. */
  function settleMuted(id, name, wish) {
    const { element } = entries.get(id);
    const footer = element.querySelector("footer");
    const buttons = [...footer.children];
    const mutedAt = performance.now();
    settle(id, "muted", `Muted: “${name}”`);
    const undo = h("button", { type: "button", class: "quiet small", dataset: { action: "undo" } }, "Undo");
    undo.addEventListener("click", async () => {
      undo.disabled = true;
      try {
        // A mute of this moment may still be on its way to the store, and would come after the change that takes it back.
        await new Promise((resolve) => setTimeout(resolve, mutedAt + UNDO_AFTER_MS - performance.now()));
        await unmute(wish);
        delete element.dataset.state;
        for (const button of buttons) button.disabled = false;
        put(footer, buttons);
        buttons[0].focus({ preventScroll: true });
        text($("#announce"), `${name} is no longer muted.`);
      } catch (error) {
        undo.disabled = false;
        toast({ title: "Could not undo this", body: api.sentence(error), kind: "wrong" });
      }
    });
    footer.append(undo);
    undo.focus({ preventScroll: true });
  }

  function settle(id, state, sentence) {
    const entry = entries.get(id);
    if (!entry) return;
    entry.read = true;
    const { element } = entry;
    const focused = element.contains(document.activeElement);
    element.classList.remove("unread");
    element.dataset.state = state;
    put(element.querySelector("footer"), h("p", { class: "note" }, sentence));
    if (focused) element.focus({ preventScroll: true });
    count();
  }

  function count() {
    const unread = [...entries.values()].filter((entry) => !entry.read).length;
    const badge = $("#unread-jump");
    badge.hidden = unread === 0;
    put(badge, String(unread), h("span", { class: "visually-hidden" }, " unread"));
  }
}

/** A body that only names the first item says nothing that its picture and title do not. */
function saysMore({ body }, first) {
  return Boolean(body) && !(first && body.startsWith(first.title));
}

/** "4.8 ms after your view", when the cause is known. */
function timing({ total_ms, cause }) {
  return total_ms === null ? null : `${duration(total_ms)} after ${cause}`;
}

/** The way from the act to the arrival, as a line in two parts: until it was stored, and from there to here. */
function trace(message, arrival) {
  if (!arrival) return h("p", { class: "trace-text" }, message.read ? "Read" : "Was waiting in the inbox");
  const sent = Date.parse(message.sent_at);
  const travel = Number.isNaN(sent) ? null : Math.max(0, arrival.received - sent);
  const known = timing(arrival);
  if (!known) {
    return h(
      "p",
      { class: "trace-text" },
      travel === null
        ? "Just arrived"
        : travel > 60_000
          ? "Was waiting in the inbox"
          : `Arrived after ${travel < 1 ? "less than 1 ms" : duration(travel)}, by the two clocks`,
    );
  }
  const { total_ms, commit_ms } = arrival;
  const stored = commit_ms !== null && commit_ms <= total_ms ? commit_ms : null;
  const line = h("span", { class: "trace", "aria-hidden": "true" });
  if (stored !== null) {
    const part = h("span", { class: "trace-stored" });
    part.style.flexGrow = String(Math.max(stored, total_ms * 0.04));
    line.append(part);
  }
  const rest = h("span", { class: "trace-arrived" });
  rest.style.flexGrow = String(Math.max(total_ms - (stored ?? 0), total_ms * 0.04));
  line.append(rest);
  return h(
    "div",
    {
      class: "trace-box",
      title: travel === null ? "" : `Sent ${message.sent_at}, ${duration(travel)} by the two clocks`,
    },
    line,
    h(
      "p",
      { class: "trace-text" },
      h("strong", {}, known),
      stored !== null && h("span", {}, `stored in ${duration(stored)}`),
    ),
  );
}
