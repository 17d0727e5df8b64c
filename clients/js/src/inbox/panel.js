/** The window behind the bell: the list, the preferences, what was done and how to undo it. @module */

/** @import { Tidings } from "../tidings.js" */
/** @import { InboxMessage, Item, Message, Withdraw } from "../client/types.js" */
/** @import { Action } from "./row.js" */
/** @import { View } from "./list.js" */
/** @import { Language, WordName } from "./words.js" */
import { Changes } from "./changes.js";
import { h, iconButton, put, set, textButton } from "./dom.js";
import { List } from "./list.js";
import { PreferencesPanel, readPreferences } from "./preferences.js";

/**
 * `select` is false if the page takes care of what follows.
 * @typedef {{ language: Language, counted: (counts: { unread: number, unseen: number }) => void, announce: (text: string) => void,
 *   close: (focus: boolean) => void, changed: (change: import("./changes.js").Change, ids: string[]) => void,
 *   select: (detail: { message: InboxMessage, item: Item | null, url: string | null }) => boolean }} PanelHost
 */

const TICK_MS = 30_000;
/** @type {View[]} */ const VIEWS = ["inbox", "unread", "archived", "snoozed"];

export class Panel {
  /** @type {Language} */ language;
  /** @type {HTMLElement} */ element;
  #host;
  /** @type {Tidings | null} */ #client = null;
  /** @type {List} */ #list;
  /** @type {Changes} */ #changes;
  /** Whether the server archives, snoozes and deletes: unknown until there was a message or a refusal. */
  #marks = true;
  #open = false;
  #preferring = false;
  /** @type {(() => Promise<void>) | null} */ #undo = null;
  /** @type {any} */ #tick = 0;
  #title = h("h2", { id: "title" });
  #readAll = h("button", {});
  #gear = h("button", {});
  #back = h("button", {});
  #bar = h("div", {});
  #notice = h("div", {});
  #offline = h("p", {});
  #preferences = h("div", {});

  /** @param {PanelHost} host */
  constructor(host) {
    this.#host = host;
    this.language = host.language;
    this.element = h("div", { class: "panel", part: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: "-1", popover: "manual" });
    this.#list = this.#build();
    this.#changes = new Changes({
      list: () => this.#list,
      language: () => this.language,
      counted: (counts) => this.#counted(counts),
      changed: host.changed,
      say: (text, undo) => this.#say(text, undo),
      refused: (error, revert) => this.#refused(error, revert),
    });
  }

  /** Everything anew in another language. @param {Language} language */
  translate(language) {
    this.language = language;
    const { entries, view } = this.#list;
    this.#list = this.#build();
    this.#list.use(this.#client);
    this.#list.entries = entries;
    this.#list.view = view;
    this.#list.draw();
    if (this.#preferring) this.#prefer(true);
  }

  #build() {
    const say = (/** @type {WordName} */ name) => this.language.say(name);
    put(this.#title, say("title"));
    this.#readAll = iconButton("check", say("readAll"), { "data-name": "read-all", onclick: () => this.#changes.readAll() });
    this.#gear = iconButton("gear", say("preferences"), { "data-name": "preferences", onclick: () => this.#prefer(true) });
    this.#back = iconButton("back", say("back"), { "data-name": "back", hidden: true, onclick: () => this.#prefer(false) });
    const close = iconButton("close", say("close"), { "data-name": "close", onclick: () => this.#host.close(true) });
    const views = h("select", { onchange: () => this.#view(/** @type {View} */ (views.value)) }, ...VIEWS.map((name) => h("option", { value: name }, say(name))));
    this.#bar = h("div", { class: "bar" }, h("label", {}, say("view"), views));
    this.#notice = h("div", { class: "bar notice", role: "status", hidden: true });
    this.#offline = h("p", { class: "bar", role: "status", hidden: true }, say("offline"));
    this.#preferences = h("div", { class: "body", hidden: true });
    const list = new List({
      language: this.language,
      now: () => Date.now(),
      can: (action) => this.#can(action),
      act: (action, id) => this.#changes.act(action, id),
      choose: (id, item, url, event) => this.#choose(id, item, url, event),
      loaded: (page) => this.#loaded(page),
      announce: this.#host.announce,
    });
    put(this.element, h("header", {}, this.#back, this.#title, this.#readAll, this.#gear, close), this.#bar, this.#offline, this.#notice, list.element, this.#preferences);
    this.#show();
    return list;
  }

  /** @param {Tidings | null} client */
  use(client) {
    this.#client = client;
    this.#marks = true;
    this.#say(null);
    this.#preferring = false;
    this.#list.view = "inbox";
    this.#list.use(client);
    this.#changes.client = client;
    this.#show();
    if (this.#open) this.refresh();
  }

  /** What the connection tells. @param {Tidings} client @returns {(() => void)[]} */
  listen(client) {
    return [
      client.on("message", (message) => this.#arrived(message)),
      client.on("inbox", (counts) => this.#changes.pending || this.#counted(counts)),
      client.on("withdraw", (withdraw) => this.#withdrawn(withdraw)),
      client.on("restore", () => this.refresh()),
      client.on("gap", () => this.refresh()),
      // What was read or withdrawn meanwhile is not told again.
      client.on("welcome", () => this.#list.loaded && this.refresh()),
      client.on("status", () => {
        this.#show();
        // Signed out: nothing of the user stays. The client has forgotten them right after this.
        queueMicrotask(() => {
          if (client !== this.#client || client.status.state !== "offline" || client.status.retryAt !== null || client.user !== undefined) return;
          this.#list.forget();
          this.#counted({ unread: 0, unseen: 0 });
        });
      }),
    ];
  }

  opened() {
    this.#open = true;
    this.#tick = setInterval(() => this.#list.draw(), TICK_MS);
    this.#show();
    if (this.#client && !this.#list.loaded && !this.#list.busy) this.#list.load(true);
    else this.#list.draw();
    this.#seen();
    if (!this.#list.focus()) this.element.focus();
  }

  closed() {
    this.#open = false;
    clearInterval(this.#tick);
    this.#say(null);
    this.#prefer(false);
  }

  /** At once if it is looked at, else when it is opened next. */
  async refresh() {
    if (this.#open) await this.#list.load(true);
    else this.#list.entries.next = undefined;
  }

  /** One step back. */
  escape() {
    if (this.#list.collapse()) return;
    if (this.#preferring) this.#prefer(false);
    else this.#host.close(true);
  }

  /** True if the key was taken. @param {KeyboardEvent} event */
  key(event) {
    const field = event.target instanceof Element && event.target.matches("input, select");
    if (field || this.#preferring) return false;
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && this.#undo) {
      this.#undo();
      return true;
    }
    return !event.ctrlKey && !event.metaKey && !event.altKey && this.#list.key(event);
  }

  #show() {
    const { state, retryAt } = this.#client?.status ?? { state: "online", retryAt: null };
    this.#offline.hidden = !(state === "offline" && retryAt !== null);
    this.#readAll.hidden = this.#preferring || !this.#client?.counts?.unread;
    this.#gear.hidden = this.#preferring || !this.#client;
    this.#back.hidden = !this.#preferring;
    this.#bar.hidden = this.#preferring || !this.#marks || !this.#client;
    this.#preferences.hidden = !this.#preferring;
    if (this.#list) this.#list.element.hidden = this.#preferring;
    put(this.#title, this.language.say(this.#preferring ? "preferences" : "title"));
  }

  /** @param {{ unread: number, unseen: number }} counts */
  #counted(counts) {
    // A button that vanishes leaves its focus to the window.
    const focused = this.#readAll.matches(":focus") && counts.unread === 0;
    this.#host.counted(counts);
    this.#show();
    if (focused && !this.#list.focus()) this.element.focus();
  }

  /** @param {any} page */
  #loaded({ messages, unread, unseen }) {
    if (messages.length) this.#marks = "archived" in messages[0];
    this.#counted({ unread, unseen });
    const root = /** @type {ShadowRoot} */ (this.element.getRootNode());
    // Whoever waited at the window goes on at the first message.
    if (this.#open && root.activeElement === this.element) queueMicrotask(() => this.#list.focus());
  }

  /** @param {View} view */
  #view(view) {
    this.#list.forget();
    this.#list.view = view;
    this.#say(null);
    this.#list.load(true);
  }

  /** @param {Message} message */
  #arrived(message) {
    // The answer to a login is no message of the inbox.
    const kept = message.offset !== undefined && message.trigger !== "login" && !(message.type === "notification" && message.ephemeral);
    if (!kept) return;
    this.#host.announce(this.language.say("arrived", { title: message.title }));
    const { view, loaded, busy } = this.#list;
    if ((view !== "inbox" && view !== "unread") || !(loaded || busy)) return;
    this.#list.arrive(/** @type {InboxMessage} */ (message));
    this.#seen();
  }

  /** @param {Withdraw} withdraw */
  #withdrawn({ notification_id, reason }) {
    const { entries, view } = this.#list;
    if (reason === "read_elsewhere") entries.mark(notification_id, true, performance.now());
    else if (reason === view) return this.refresh();
    else entries.remove(notification_id, performance.now());
    this.#list.draw();
  }

  #seen() {
    if (this.#open && document.visibilityState === "visible") this.#client?.seen().catch(() => {});
  }

  /** @param {Action} action */
  #can(action) {
    const { view } = this.#list;
    if (action === "read" || action === "mute") return true;
    if (action === "snoozeHour" || action === "snoozeDay") return this.#marks && view !== "archived";
    return this.#marks;
  }

  /** @param {string} id @param {Item | null} item @param {string | null} url @param {Event} event */
  #choose(id, item, url, event) {
    const message = this.#list.entries.get(id);
    if (!message) return;
    const { ctrlKey, metaKey, shiftKey } = /** @type {MouseEvent} */ (event);
    const elsewhere = ctrlKey || metaKey || shiftKey;
    this.#client?.feedback(id, "clicked", item?.item_id);
    this.#changes.read(message);
    const go = this.#host.select({ message: { ...message }, item, url });
    if (!go) event.preventDefault();
    if (!elsewhere && (!go || url)) this.#host.close(false);
    else if (!url) /** @type {Element} */ (event.currentTarget).closest(".row")?.classList.add("whole");
  }

  /** @param {any} error @param {() => void} [revert] */
  #refused(error, revert) {
    if (error.status === 404 || error.status === 405) this.#marks = false;
    revert?.();
    this.#list.draw();
    this.#show();
    this.#say(this.language.say("refused", { reason: error.message }), null, true);
  }

  /** What was done, until something else is; with a way back. @param {string | null} text @param {(() => Promise<void>) | null} [undo] */
  #say(text, undo = null, wrong = false) {
    const focused = this.#notice.contains(/** @type {ShadowRoot} */ (this.element.getRootNode()).activeElement ?? null);
    this.#notice.hidden = text === null;
    this.#notice.classList.toggle("wrong", wrong);
    this.#undo = undo && (() => this.#undone(undo));
    put(this.#notice, text && h("span", {}, text), undo && textButton(this.language.say("undo"), { "data-name": "undo", onclick: () => this.#undo?.() }));
    if (focused && this.#open && !this.#list.focus()) this.element.focus();
  }

  /** @param {() => Promise<void>} undo */
  async #undone(undo) {
    this.#undo = null;
    try {
      await undo();
      this.#say(this.language.say("didUndo"));
    } catch (error) {
      this.#refused(error);
    }
  }

  /** @param {boolean} preferring */
  async #prefer(preferring) {
    const client = this.#client;
    const was = this.#preferring;
    this.#preferring = preferring && client !== null;
    this.#say(null);
    this.#show();
    if (!this.#preferring || !client) {
      put(this.#preferences);
      if (was && this.#open) this.#gear.focus();
      return;
    }
    this.#back.focus();
    put(this.#preferences, h("p", { class: "state", role: "status" }, this.language.say("loading")));
    set(this.#preferences, "aria-busy", true);
    const wanted = () => this.#preferring && client === this.#client;
    try {
      const preferences = await readPreferences(client);
      if (wanted()) put(this.#preferences, this.#form(client, preferences));
    } catch {
      const retry = textButton(this.language.say("retry"), { "data-name": "retry", onclick: () => this.#prefer(true) });
      if (wanted()) put(this.#preferences, h("div", { class: "state problem", role: "alert" }, this.language.say("preferencesFailed"), retry));
    }
    set(this.#preferences, "aria-busy", null);
  }

  /** @param {Tidings} client @param {import("./preferences.js").Preferences} preferences */
  #form(client, preferences) {
    const failed = (/** @type {any} */ error, /** @type {() => void} */ again) => {
      this.#say(this.language.say("refused", { reason: error.message }), null, true);
      this.#notice.append(textButton(this.language.say("retry"), { "data-name": "retry", onclick: again }));
    };
    return new PreferencesPanel(client, preferences, { language: this.language, saved: () => this.#say(this.language.say("saved")), failed }).element;
  }
}
