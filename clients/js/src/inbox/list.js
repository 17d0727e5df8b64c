/** The list of messages: pages, rows, keys, and its loading, empty and error states. @module */

/** @import { Tidings } from "../tidings.js" */
/** @import { InboxMessage } from "../client/types.js" */
/** @import { RowContext } from "./row.js" */
import { h, put, set, textButton } from "./dom.js";
import { Entries } from "./entries.js";
import { Row } from "./row.js";

/** @typedef {"inbox" | "unread" | "archived" | "snoozed"} View */
/** @typedef {RowContext & { loaded: (page: any) => void, announce: (text: string) => void }} ListContext */

/** Messages of a page. */
const PAGE = 20;
/** Most messages that the server gives at once. */
const MAX_PAGE = 100;
/** Visible for this long counts as displayed. */
const DISPLAYED_MS = 600;
const GHOSTS = 3;

export class List {
  entries = new Entries();
  /** @type {View} */ view = "inbox";
  #context;
  /** @type {Tidings | null} */ #client = null;
  /** @type {Map<string, Row>} */ #rows = new Map();
  /** The row that Tab leads to. */
  #current = "";
  /** Numbers requests: an answer that is no longer wanted is dropped. */
  #turn = 0;
  /** @type {"idle" | "loading" | "failed"} */ #state = "idle";
  #list;
  #foot = h("div", {});
  /** @type {IntersectionObserver} */ #watcher;
  /** @type {Map<string, any>} */ #timers = new Map();
  /** @type {HTMLElement} */ element;

  /** @param {ListContext} context */
  constructor(context) {
    this.#context = context;
    const { language } = context;
    this.#list = h("ul", { "aria-label": language.say("title"), "aria-describedby": "keys" });
    const keys = h("span", { id: "keys", hidden: true }, language.say("keys"));
    this.element = h("div", { class: "body", part: "list" }, this.#list, this.#foot, keys);
    this.#list.addEventListener("focusin", ({ target }) => this.#reach(this.#rowOf(target)));
    this.#watcher = new IntersectionObserver((changes) => changes.forEach((change) => this.#watch(change)), { root: this.element, threshold: 0.5 });
  }

  /** @param {Tidings | null} client */
  use(client) {
    this.#client = client;
    this.forget();
  }

  /** Nothing of it is known any more. */
  forget() {
    this.#turn += 1;
    this.#state = "idle";
    this.entries.clear();
    this.draw();
  }

  get loaded() {
    return this.entries.next !== undefined;
  }

  get busy() {
    return this.#state === "loading";
  }

  /** The next page, or the first: as many messages as are there, so that none is lost from view. @param {boolean} first */
  async load(first) {
    const client = this.#client;
    if (!client) return;
    const turn = (this.#turn += 1);
    const asked = { first, askedAt: performance.now() };
    const limit = first ? Math.min(MAX_PAGE, Math.max(PAGE, this.entries.all.length)) : PAGE;
    const before = first ? undefined : (this.entries.next ?? undefined);
    const state = this.view === "inbox" ? undefined : this.view;
    this.#state = "loading";
    this.draw();
    try {
      const page = await client.inbox({ limit, ...(before !== undefined && { before }), ...(state && { state }) });
      if (turn !== this.#turn) return;
      this.#state = "idle";
      this.#context.loaded(page);
      this.#added(this.entries.page(page, asked), first);
    } catch {
      if (turn !== this.#turn) return;
      this.#state = "failed";
      this.draw();
    }
  }

  /** @param {string[]} added @param {boolean} first */
  #added(added, first) {
    const focused = this.#foot.contains(this.#active());
    this.draw();
    if (first) return;
    this.#context.announce(this.#context.language.say("loaded", { n: added.length }));
    if (focused) (this.#rows.get(added[0]) ?? this.#last())?.controls[0]?.focus();
  }

  /** @param {InboxMessage} message */
  arrive(message) {
    if (!this.entries.arrive(message)) return;
    this.draw();
    this.#rows.get(message.notification_id)?.element.classList.add("new");
  }

  /** Brings what is shown to what is known. */
  draw() {
    const { all } = this.entries;
    const kept = new Set(all.map((message) => message.notification_id));
    for (const [id, row] of this.#rows) if (!kept.has(id)) this.#drop(id, row);
    let place = this.#list.firstElementChild;
    for (const message of all) {
      const row = this.#rows.get(message.notification_id) ?? this.#add(message);
      row.update(message);
      // One that is in its place already is not moved: that would take its focus away.
      if (row.element === place) place = place.nextElementSibling;
      else this.#list.insertBefore(row.element, place);
    }
    if (!kept.has(this.#current)) this.#reach(this.#rows.get(all[0]?.notification_id ?? ""));
    this.#list.hidden = all.length === 0;
    set(this.element, "aria-busy", this.busy);
    this.#drawFoot();
  }

  /** @param {InboxMessage} message */
  #add(message) {
    const row = new Row(message, this.#context);
    this.#rows.set(message.notification_id, row);
    row.reachable(false);
    if (!message.seen && !message.read) this.#watcher.observe(row.element);
    return row;
  }

  /** Focus that was in it goes to the next one. @param {string} id @param {Row} row */
  #drop(id, row) {
    const focused = row.element.contains(this.#active());
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    this.#watcher.unobserve(row.element);
    clearTimeout(this.#timers.get(id));
    row.element.remove();
    this.#rows.delete(id);
    if (!focused) return;
    const heir = this.#rowOf(next);
    if (heir) {
      this.#reach(heir);
      heir.controls[0]?.focus();
    } else /** @type {HTMLElement | null} */ (this.element.closest("[role=dialog]"))?.focus();
  }

  #drawFoot() {
    const { language } = this.#context;
    const { length } = this.entries.all;
    const focused = this.#foot.contains(this.#active());
    const again = (/** @type {boolean} */ first) => () => this.load(first);
    if (!this.#client) put(this.#foot, h("p", { class: "state" }, language.say("signedOut")));
    else if (this.#state === "failed") {
      const retry = textButton(language.say("retry"), { "data-name": "retry", onclick: again(!this.loaded || length === 0) });
      put(this.#foot, h("div", { class: "state problem", role: "alert" }, language.say("failed"), retry));
      if (focused) retry.focus();
    } else if (this.busy && length === 0) {
      put(this.#foot, h("p", { class: "hidden", role: "status" }, language.say("loading")), ...Array.from({ length: GHOSTS }, () => h("div", { class: "ghost" })));
      if (focused) /** @type {HTMLElement | null} */ (this.element.closest("[role=dialog]"))?.focus();
    } else if (length === 0) {
      const plain = this.view === "inbox";
      put(this.#foot, h("div", { class: "state", part: "empty" }, h("strong", {}, language.say(plain ? "empty" : "emptyView")), plain && language.say("emptyMore")));
    } else if (this.entries.next) this.#drawOlder();
    else put(this.#foot);
  }

  /** The button stays while it loads, so that focus does. */
  #drawOlder() {
    const { language } = this.#context;
    const label = language.say(this.busy ? "loading" : "older");
    const there = /** @type {HTMLButtonElement | null} */ (this.#foot.querySelector(".older button"));
    const button = there ?? textButton(label, { "data-name": "older", onclick: () => this.busy || this.load(false) });
    button.textContent = label;
    set(button, "aria-disabled", this.busy ? "true" : null);
    if (!there) put(this.#foot, h("div", { class: "older" }, button));
  }

  /** Walks the messages; true if the key was one of its own. @param {KeyboardEvent} event */
  key({ key, target }) {
    const rows = [...this.#list.children];
    const row = this.#rowOf(target);
    const at = row ? rows.indexOf(row.element) : -1;
    const older = /** @type {HTMLElement | null} */ (this.#foot.querySelector("button"));
    if (row && (key === "ArrowLeft" || key === "ArrowRight")) return this.#sideways(row, key === "ArrowRight" ? 1 : -1);
    if (!row && key === "ArrowUp" && this.#foot.contains(/** @type {Node} */ (target))) return this.#focus(this.#last());
    if (!row && key === "ArrowDown") return this.focus();
    if (!row) return false;
    if (key === "ArrowDown" && at === rows.length - 1) older?.focus();
    else if (key === "ArrowDown") this.#focus(this.#rowOf(rows[at + 1]));
    else if (key === "ArrowUp") this.#focus(this.#rowOf(rows[Math.max(0, at - 1)]));
    else if (key === "Home") this.#focus(this.#rowOf(rows[0]));
    else if (key === "End") this.#focus(this.#last());
    else return false;
    return true;
  }

  /** @param {Row} row @param {number} step */
  #sideways(row, step) {
    const { controls } = row;
    const at = controls.indexOf(/** @type {HTMLElement} */ (this.#active()));
    controls[Math.min(controls.length - 1, Math.max(0, at + step))]?.focus();
    return true;
  }

  /** The current message; false if there is none. */
  focus() {
    return this.#focus(this.#rows.get(this.#current));
  }

  /** Closes the actions of a message that has the focus; false if there are none open. */
  collapse() {
    const row = this.#rowOf(this.#active());
    if (!row?.expanded) return false;
    row.expand(false);
    /** @type {HTMLElement | null} */ (row.element.querySelector("[data-name=more]"))?.focus();
    return true;
  }

  /** @param {Row | undefined} row */
  #focus(row) {
    row?.controls[0]?.focus();
    row?.element.scrollIntoView({ block: "nearest" });
    return Boolean(row);
  }

  /** @param {Row | undefined} row */
  #reach(row) {
    if (!row) return;
    this.#rows.get(this.#current)?.reachable(false);
    this.#current = row.element.dataset.id ?? "";
    row.reachable(true);
  }

  #last() {
    return this.#rowOf(this.#list.lastElementChild);
  }

  /** @param {EventTarget | null} target @returns {Row | undefined} */
  #rowOf(target) {
    const element = target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".row")) : null;
    return this.#rows.get(element?.dataset.id ?? "");
  }

  #active() {
    return /** @type {ShadowRoot} */ (this.element.getRootNode()).activeElement ?? null;
  }

  /** @param {IntersectionObserverEntry} change */
  #watch({ target, isIntersecting }) {
    const id = /** @type {HTMLElement} */ (target).dataset.id ?? "";
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    if (!isIntersecting) return;
    const look = () => {
      this.#timers.delete(id);
      if (document.visibilityState !== "visible") return;
      this.#watcher.unobserve(target);
      this.#client?.feedback(id, "displayed");
    };
    this.#timers.set(id, setTimeout(look, DISPLAYED_MS));
  }
}
