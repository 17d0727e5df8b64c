/** One message in the list. @module */

/** @import { InboxMessage, Item } from "../client/types.js" */
/** @import { Language } from "./words.js" */
import { h, icon, iconButton, put, set, textButton } from "./dom.js";
import { safeUrl } from "./entries.js";
import { readable } from "./words.js";

/** @typedef {"archive" | "unarchive" | "read" | "unread" | "snoozeHour" | "snoozeDay" | "mute" | "delete"} Action */
/**
 * `can` tells which actions there are; `act` does one; `choose` opens the message, or one of its items.
 * @typedef {{ language: Language, now: () => number, can: (action: Action) => boolean, act: (action: Action, id: string) => void,
 *   choose: (id: string, item: Item | null, url: string | null, event: Event) => void }} RowContext
 */

const MAX_ITEMS = 4;

/** Its element lives as long as the message is listed, so that focus stays where it is. */
export class Row {
  /** @type {HTMLLIElement} */ element;
  #context;
  /** @type {InboxMessage} */ #message;
  #id;
  /** @type {HTMLElement} */ #open;
  /** @type {HTMLElement} */ #unread;
  /** @type {HTMLElement} */ #time;
  /** @type {HTMLButtonElement} */ #archive;
  /** @type {HTMLButtonElement} */ #more;
  /** @type {HTMLElement} */ #actions;

  /** @param {InboxMessage} message @param {RowContext} context */
  constructor(message, context) {
    this.#context = context;
    this.#message = message;
    const id = (this.#id = message.notification_id);
    const { language, act } = context;
    this.#unread = h("span", { class: "hidden" });
    this.#time = h("time", {});
    this.#open = this.#opener();
    this.#archive = iconButton("archive", language.say("archive"), { "data-name": "archive", onclick: () => act(this.#archived ? "unarchive" : "archive", id) });
    this.#more = iconButton("more", language.say("more"), { "data-name": "more", "aria-expanded": "false", onclick: () => this.expand(this.#actions.hidden) });
    this.#actions = h("div", { class: "actions", role: "group", "aria-label": language.say("more"), hidden: true });
    this.element = h("li", { class: "row", part: "message", "data-id": id }, this.#open, this.#archive, this.#more, this.#items(), this.#actions);
    this.update(message);
  }

  get #archived() {
    return Boolean(this.#message.archived);
  }

  /** @param {InboxMessage} message */
  update(message) {
    this.#message = message;
    const { language, can, now } = this.#context;
    this.element.classList.toggle("unread", !message.read);
    put(this.#unread, message.read ? "" : `${language.say("isUnread")}: `);
    const sent = Date.parse(message.sent_at);
    const until = Date.parse(message.snoozed_until ?? "");
    if (sent) {
      set(this.#time, "datetime", message.sent_at);
      this.#time.title = language.moment(sent);
    }
    const snoozed = until > now() ? ` · ${language.say("until", { time: language.moment(until) })}` : "";
    put(this.#time, (sent ? language.ago(sent, now()) : "") + snoozed);
    const name = this.#archived ? "unarchive" : "archive";
    if (this.#archive.dataset.name !== name) put(this.#archive, icon(name));
    this.#archive.dataset.name = name;
    this.#archive.title = language.say(name);
    set(this.#archive, "aria-label", `${language.say(name)}: ${message.title}`);
    set(this.#more, "aria-label", `${language.say("more")}: ${message.title}`);
    this.#archive.hidden = !can(name) || Boolean(snoozed);
    if (!this.#actions.hidden) this.#list();
  }

  /** Controls in the order in which the arrow keys walk them. @returns {HTMLElement[]} */
  get controls() {
    return [.../** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll("a, button"))].filter((one) => one.checkVisibility());
  }

  /** @param {boolean} expanded */
  expand(expanded) {
    this.#actions.hidden = !expanded;
    set(this.#more, "aria-expanded", String(expanded));
    if (expanded) this.#list();
  }

  get expanded() {
    return !this.#actions.hidden;
  }

  /** Only one of the page's controls is reached by Tab in each row but the current. @param {boolean} current */
  reachable(current) {
    for (const control of /** @type {NodeListOf<HTMLElement>} */ (this.element.querySelectorAll("a, button"))) control.tabIndex = current ? 0 : -1;
  }

  #opener() {
    const { title, body, image_url, url, items } = this.#message;
    const first = items?.[0];
    const picture = safeUrl(image_url ?? first?.image_url);
    const address = safeUrl(url) ?? safeUrl(first?.url);
    const inside = [
      picture && h("img", { src: picture, alt: "", loading: "lazy", referrerpolicy: "no-referrer", onerror: this.#noPicture }),
      h("span", { class: "head" }, this.#unread, title),
      body && h("span", { class: "words" }, body),
      h("span", { class: "meta" }, readable(this.#message.category ?? ""), " · ", this.#time),
    ];
    const onclick = (/** @type {Event} */ event) => this.#context.choose(this.#id, null, address, event);
    const attributes = { class: `open${picture ? " pictured" : ""}`, onclick };
    return address ? h("a", { ...attributes, href: address }, ...inside) : h("button", { ...attributes, type: "button" }, ...inside);
  }

  /** A picture that can't be loaded leaves no hole. @param {Event} event */
  #noPicture({ currentTarget }) {
    const image = /** @type {HTMLElement} */ (currentTarget);
    image.parentElement?.classList.remove("pictured");
    image.remove();
  }

  #items() {
    const { items = [] } = this.#message;
    if (items.length < 2) return null;
    const { language, choose } = this.#context;
    const links = items.slice(0, MAX_ITEMS).map((item) => {
      const url = safeUrl(item.url);
      const onclick = (/** @type {Event} */ event) => choose(this.#id, item, url, event);
      const inside = [h("span", {}, item.title), typeof item.price === "number" && h("strong", {}, language.money(item.price, item.currency))];
      return url ? h("a", { class: "text", href: url, onclick }, ...inside) : h("button", { type: "button", class: "text", onclick }, ...inside);
    });
    return h("div", { class: "items" }, links);
  }

  /** The actions that there are now. */
  #list() {
    const { language, can, act } = this.#context;
    const { read, category } = this.#message;
    /** @type {[Action, string][]} */
    const wanted = [
      read ? ["unread", language.say("markUnread")] : ["read", language.say("markRead")],
      ["snoozeHour", language.say("snoozeHour")],
      ["snoozeDay", language.say("snoozeDay")],
      ["mute", language.say("mute", { name: readable(category ?? "") })],
      ["delete", language.say("remove")],
    ];
    const there = wanted.filter(([action]) => can(action) && (action !== "mute" || category));
    const buttons = there.map(([action, label]) => {
      const button = textButton(label, { "data-action": action });
      button.addEventListener("click", () => {
        // What can't be undone is asked for twice.
        if (action === "delete" && !button.classList.contains("sure")) {
          button.classList.add("sure");
          put(button, language.say("removeSure"));
        } else act(action, this.#id);
      });
      return button;
    });
    put(this.#actions, buttons);
    if (this.#open.tabIndex === -1) this.reachable(false);
  }
}
