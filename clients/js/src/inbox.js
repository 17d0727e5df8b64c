/**
 * `<tidings-inbox>`: a bell with the number of unread messages, and the inbox behind it. A web component without
 * dependency; see the README for its attributes, properties, events and CSS variables.
 *
 *   import "/inbox.js";
 *   document.querySelector("tidings-inbox").client = tidings;
 *
 * @module
 */

/** @import { Tidings } from "./tidings.js" */
/** @import { Item, InboxMessage } from "./client/types.js" */
/** @import { Words } from "./inbox/words.js" */
import { h, icon, put, set } from "./inbox/dom.js";
import { Panel } from "./inbox/panel.js";
import { style } from "./inbox/style.js";
import { Language } from "./inbox/words.js";

/**
 * @typedef {{ message: InboxMessage, item: Item | null, url: string | null }} SelectDetail
 * @typedef {{ unread: number, unseen: number }} CountDetail
 * @typedef {{ change: import("./inbox/changes.js").Change, ids: string[] }} ChangeDetail
 * @typedef {import("./inbox/words.js").Words} InboxWords
 */

/** More are told as `99+`. */
const MAX_SHOWN = 99;
const GAP_PX = 6;
const EDGE_PX = 8;
/** As in the style sheet. */
const NARROW_PX = 480;
/** Under Node, where there are no elements, the module can be loaded all the same. */
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

export class TidingsInbox extends Base {
  static observedAttributes = ["server", "user-id", "token", "locale"];

  /** @type {Tidings | null} */ #client = null;
  /** Made from the attributes, and ended with them. */
  #own = false;
  #making = 0;
  /** @type {Words | null} */ #words = null;
  /** @type {(() => void)[]} */ #unlisten = [];
  /** @type {HTMLButtonElement} */ #bell;
  /** @type {HTMLElement} */ #badge;
  /** @type {HTMLElement} */ #live;
  /** @type {Panel} */ #panel;
  #counts = { unread: 0, unseen: 0 };

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style()];
    this.#badge = h("span", { class: "badge", part: "badge", "aria-hidden": "true", hidden: true });
    this.#bell = h("button", { type: "button", class: "bell", part: "bell", id: "bell", "aria-haspopup": "dialog", "aria-expanded": "false", "aria-controls": "panel" }, icon("bell"), this.#badge);
    this.#bell.addEventListener("click", () => this.toggle());
    this.#live = h("span", { class: "hidden", "aria-live": "polite" });
    this.#panel = new Panel({
      language: this.#language(),
      counted: (counts) => this.#count(counts),
      announce: (text) => put(this.#live, text),
      close: (focus) => this.hide({ focus }),
      changed: (change, ids) => this.#emit("tidings-change", { change, ids }),
      select: (detail) => this.#emit("tidings-select", detail, true),
    });
    root.append(this.#bell, this.#live, this.#panel.element);
    root.addEventListener("focusout", (event) => this.#left(/** @type {FocusEvent} */ (event)));
    root.addEventListener("keydown", (event) => this.#key(/** @type {KeyboardEvent} */ (event)));
  }

  connectedCallback() {
    // Set before the element was defined.
    for (const name of /** @type {const} */ (["client", "words", "locale"])) {
      if (!Object.hasOwn(this, name)) continue;
      const value = /** @type {any} */ (this)[name];
      delete this[name];
      /** @type {any} */ (this)[name] = value;
    }
    this.#translate();
    if (this.#client) this.#listen();
    else this.#makeSoon();
  }

  disconnectedCallback() {
    this.hide({ focus: false });
    for (const stop of this.#unlisten.splice(0)) stop();
    // Moved within the page, it is connected again by then.
    queueMicrotask(() => !this.isConnected && this.#endOwn());
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (name === "locale") this.#translate();
    else if (this.#own || !this.#client) {
      this.#endOwn();
      this.#makeSoon();
    }
  }

  /** The connection that it shows: given by the page, else made from the attributes. @returns {Tidings | null} */
  get client() {
    return this.#client;
  }

  set client(client) {
    if (client === this.#client) return;
    this.#making += 1;
    this.#endOwn();
    this.#use(client);
    if (!client) this.#makeSoon();
  }

  /** BCP 47; by default that of the page, else of the browser. */
  get locale() {
    const near = /** @type {HTMLElement | null} */ (this.closest?.("[lang]"))?.lang;
    return this.getAttribute("locale") ?? (near || navigator.language);
  }

  set locale(locale) {
    set(this, "locale", locale);
  }

  /** Words over those built in, for the language of `locale`. @returns {Words | null} */
  get words() {
    return this.#words;
  }

  set words(words) {
    this.#words = words;
    this.#translate();
  }

  get unread() {
    return this.#counts.unread;
  }

  get open() {
    return this.#bell.getAttribute("aria-expanded") === "true";
  }

  toggle() {
    if (this.open) this.hide();
    else this.show();
  }

  show() {
    if (this.open || !this.isConnected) return;
    set(this.#bell, "aria-expanded", "true");
    this.#panel.element.showPopover();
    this.#place();
    addEventListener("resize", this.#place);
    addEventListener("scroll", this.#place, { capture: true, passive: true });
    document.addEventListener("pointerdown", this.#outside, true);
    this.#panel.opened();
    this.#emit("tidings-toggle", { open: true });
  }

  /** Focus goes back to the bell unless it is elsewhere by now. */
  hide({ focus = true } = {}) {
    if (!this.open) return;
    set(this.#bell, "aria-expanded", "false");
    removeEventListener("resize", this.#place);
    removeEventListener("scroll", this.#place, { capture: true });
    document.removeEventListener("pointerdown", this.#outside, true);
    if (this.#panel.element.matches(":popover-open")) this.#panel.element.hidePopover();
    this.#panel.closed();
    if (focus) this.#bell.focus();
    this.#emit("tidings-toggle", { open: false });
  }

  /** Reads the list anew. */
  refresh() {
    return this.#panel.refresh();
  }

  #makeSoon() {
    const turn = (this.#making += 1);
    // After a `client` that the page sets in the same breath.
    queueMicrotask(async () => {
      const [userId, token, url] = ["user-id", "token", "server"].map((name) => this.getAttribute(name) ?? undefined);
      const current = () => turn === this.#making && this.isConnected && !this.#client;
      if (!current()) return;
      if (userId === undefined && token === undefined) return this.#panel.use(null);
      const { Tidings } = await import("./tidings.js");
      if (!current()) return;
      const client = new Tidings({ userId: userId === undefined ? userId : idOf(userId), token, url, locale: this.locale });
      this.#own = true;
      this.#use(client);
      client.connect();
    });
  }

  #endOwn() {
    if (!this.#own) return;
    this.#own = false;
    const client = this.#client;
    this.#use(null);
    client?.disconnect();
  }

  /** @param {Tidings | null} client */
  #use(client) {
    this.#client = client;
    for (const stop of this.#unlisten.splice(0)) stop();
    this.#count({ unread: 0, unseen: 0 });
    this.#panel.use(client);
    if (this.isConnected && client) this.#listen();
  }

  #listen() {
    const client = this.#client;
    if (!client || this.#unlisten.length) return;
    this.#unlisten = this.#panel.listen(client);
    if (client.counts) this.#count(client.counts);
  }

  /** @param {CountDetail} counts */
  #count(counts) {
    const { unread } = counts;
    this.#badge.hidden = unread === 0;
    put(this.#badge, unread > MAX_SHOWN ? `${MAX_SHOWN}+` : String(unread));
    const changed = counts.unread !== this.#counts.unread || counts.unseen !== this.#counts.unseen;
    this.#counts = { unread, unseen: counts.unseen };
    this.#label();
    if (changed) this.#emit("tidings-count", this.#counts);
  }

  #label() {
    const { unread } = this.#counts;
    const language = this.#panel.language;
    const label = unread ? language.say("bell", { n: unread }) : language.say("title");
    set(this.#bell, "aria-label", label);
    this.#bell.title = label;
  }

  #language() {
    return new Language(this.isConnected ? this.locale : "en", this.#words);
  }

  #translate() {
    if (!this.isConnected) return;
    this.#panel.translate(this.#language());
    set(this.#panel.element, "lang", this.#panel.language.locale);
    this.#label();
  }

  /** Below the bell, or above it where there is more room; within the window. */
  #place = () => {
    const { element } = this.#panel;
    const { left, right, top, bottom } = this.#bell.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    const { innerHeight } = globalThis;
    if (clientWidth <= NARROW_PX) {
      Object.assign(element.style, { left: "0", top: "auto", bottom: "0", maxHeight: "" });
      return;
    }
    const below = innerHeight - bottom - GAP_PX - EDGE_PX;
    const above = top - GAP_PX - EDGE_PX;
    const up = below < 320 && above > below;
    const start = getComputedStyle(this).direction === "rtl" ? right - element.offsetWidth : left;
    const wanted = start + element.offsetWidth > clientWidth - EDGE_PX ? right - element.offsetWidth : start;
    const x = Math.max(EDGE_PX, Math.min(wanted, clientWidth - element.offsetWidth - EDGE_PX));
    Object.assign(element.style, {
      left: `${x}px`,
      top: up ? "auto" : `${bottom + GAP_PX}px`,
      bottom: up ? `${innerHeight - top + GAP_PX}px` : "auto",
      maxHeight: `min(var(--tidings-max-height, 620px), ${Math.max(160, up ? above : below)}px)`,
    });
  };

  /** @param {PointerEvent} event */
  #outside = (event) => {
    if (!event.composedPath().includes(this)) this.hide({ focus: false });
  };

  /** Focus that goes on to the page closes the list. @param {FocusEvent} event */
  #left({ relatedTarget }) {
    const to = /** @type {Node | null} */ (relatedTarget);
    if (to && to !== this && !this.shadowRoot?.contains(to)) this.hide({ focus: false });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.open || event.defaultPrevented) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.#panel.escape();
    } else if (this.#panel.key(event)) event.preventDefault();
  }

  /** False if a listener has prevented what follows. @param {string} name @param {unknown} detail */
  #emit(name, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable }));
  }
}

/** Digits name the same user as the integer. @param {string} id */
function idOf(id) {
  const number = Number(id);
  return /^(0|[1-9]\d{0,15})$/.test(id) && Number.isSafeInteger(number) ? number : id;
}

if (globalThis.customElements && !customElements.get("tidings-inbox")) customElements.define("tidings-inbox", TidingsInbox);
