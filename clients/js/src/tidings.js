/**
 * The Tidings client for browsers and Node ≥ 20: one connection that logs in, stays up, resumes where it left off, shows
 * each notification once and sends what the user does. A WebSocket, or Server-Sent Events where WebSockets are
 * blocked. What can't be sent yet is kept, over a reload too. ES modules, no dependency, no build step.
 *
 *   import { Tidings } from "/tidings.js";
 *   const tidings = new Tidings({ userId: 1 });
 *   tidings.on("recommendation", (message) => show(message.items));
 *   tidings.connect();
 *   await tidings.send({ kind: "view", item_id: 101 });   // resolves once the event is durably stored
 *
 * @module
 */

/** @import { Accepted, ClientFrame, ErrorFrame, Id, InboxChange, InboxQuery, MuteWish, Outcome, Platform, Welcome, Withdraw } from "./client/types.js" */
import { requestAs, serverOf } from "./client/address.js";
import { CLOSE_REASONS } from "./client/close_codes.js";
import { Connection } from "./client/connection.js";
import { Credentials } from "./client/credentials.js";
import { Outbox } from "./client/outbox.js";
import { TidingsError, closeShown, platformOf, quietly, randomId, report } from "./client/platform.js";
import { Sender } from "./client/sender.js";
import { Stream } from "./client/stream.js";

export { mayReconnect } from "./client/close_codes.js";
export { TidingsError, backoff } from "./client/platform.js";

/**
 * @typedef {import("./client/types.js").Events} Events
 * @typedef {import("./client/types.js").Options} Options
 * @typedef {import("./client/types.js").Message} Message
 * @typedef {import("./client/types.js").InboxMessage} InboxMessage
 * @typedef {import("./client/types.js").ServerFrame} ServerFrame
 * @typedef {import("./client/types.js").Status} Status
 */
/** @template {string} [Own=never] @typedef {import("./client/types.js").ShopEvent<Own>} ShopEvent */
/** @typedef {{ sentAt: number, resolve: (accepted?: any) => void, reject: (error: Error) => void }} Waiter */

/** One acknowledgement covers all that arrives within this. */
const ACK_DELAY_MS = 40;

/**
 * A user's connection. What it tells is in {@link Events}; options are all optional. `Own` names event kinds of the shop's own for
 * the type checker, as `Tidings<"share" | "compare">`.
 * @template {string} [Own=never]
 */
export class Tidings {
  /** @type {Platform} */ #platform;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {Map<string, Waiter>} */ #waiters = new Map();
  /** @type {string | undefined} */ #user;
  /** Whom a token names: a guess until the server, if not the page, has said who it is (`#sure`). @type {string | undefined} */ #hint;
  #sure = false;
  /** @type {Options} */ #options;
  /** @type {URL} */ #server;
  /** @type {Credentials} */ #credentials;
  /** @type {Connection} */ #connection;
  /** @type {Outbox} */ #outbox;
  /** @type {Sender} */ #sender;
  /** @type {Stream} */ #stream;
  /** @type {any} */ #ackTimer = 0;
  #acknowledged = -1;
  #pushRenewed = false;
  /** What a connection takes for granted until the server says otherwise. @type {{ unread: number, unseen: number } | null} */
  #none = null;
  /** Unread and unseen messages by the server's count, null until it has told. @type {{ unread: number, unseen: number } | null} */
  counts = null;

  /** @param {Options} [options] */
  constructor(options = {}) {
    this.#options = options;
    this.#server = serverOf(options);
    const platform = (this.#platform = platformOf(options));
    this.#credentials = new Credentials(options, platform);
    this.#outbox = new Outbox(platform);
    this.#sender = new Sender(this.#outbox, platform);
    this.#stream = new Stream(platform, (withdraw) => this.#withdrawn(withdraw));
    this.#connection = new Connection(options, platform, this.#credentials, this.#server, {
      status: (status) => this.#emit("status", status),
      welcome: (frame) => this.#welcome(frame),
      online: (frame) => this.#online(frame),
      frame: (frame) => this.#receive(frame),
      dropped: (code) => this.#dropped(code),
      ping: () => this.#sender.ping(),
      ended: (reason) => this.#ended(new TidingsError("closed", reason)),
      forget: () => this.#forget(),
      position: () => this.#stream.position,
      identified: (...who) => this.#identified(...who),
    });
    if (this.#credentials.user !== undefined) this.#identified(this.#credentials.user);
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name @param {(detail: Events[Name]) => void} handler @returns {() => void} stops listening
   */
  on(name, handler) {
    const handlers = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** How the connection is. @returns {Status} */
  get status() {
    return this.#connection.status;
  }

  /** What waits for the server: events, feedback, and what was read or muted. */
  get waiting() {
    return this.#outbox.size;
  }

  /** `websocket`, `sse`, `tab` (another tab of this browser holds the connection), or null while there is none. */
  get transport() {
    return this.#connection.transport;
  }

  /** Who it is, once that is known. @returns {string | undefined} */
  get user() {
    return this.#user;
  }

  /** Connects and keeps connected until {@link disconnect}. */
  connect() {
    this.#connection.connect();
  }

  /** Closes for good. Events not yet accepted are rejected and given up, as is feedback. */
  disconnect() {
    this.#ended(new TidingsError("disconnected", "Disconnected."));
    this.#outbox.clear();
    this.#connection.disconnect();
  }

  /**
   * Closes, and forgets the user on this browser, in all tabs: what waits, where the stream stands, the sign-in, and with the
   * option `webPush` the subscription.
   */
  async signOut() {
    if (this.#options.webPush) await this.disableWebPush().catch(report);
    this.#connection.forget();
    this.#forget();
  }

  /** Tries at once instead of waiting for the back-off. */
  retryNow() {
    this.#connection.retryNow();
  }

  /**
   * Sends an event; resolves when the server has stored it (across reconnects, exactly once). What is not stored before
   * the page is left is sent by the next one.
   * @param {ShopEvent<Own>} event @returns {Promise<Accepted>}
   */
  send(event) {
    const event_id = String(event.event_id ?? randomId());
    // The server's clock dates what arrives at once; what has to wait carries its own time.
    const when = this.#connection.loggedIn ? {} : { occurred_at: new Date(this.#platform.now()).toISOString() };
    return this.#keep(event_id, { type: "event", ...when, ...event, event_id });
  }

  /**
   * What came of a message, and about which of its items. Kept and sent later when offline; false if it can't be kept.
   * @param {string} notification_id @param {Outcome} outcome @param {Id} [item_id] @returns {boolean}
   */
  feedback(notification_id, outcome, item_id) {
    const frame = { type: "feedback", notification_id, outcome, item_id };
    // The same about the same message is the same feedback.
    const refused = this.#outbox.add(`${notification_id}/${outcome}/${item_id ?? ""}`, frame);
    this.#sender.flush();
    return !refused;
  }

  /** Marks messages as opened, on every device; resolves when that is stored. @param {string[]} notification_ids @returns {Promise<void>} */
  read(notification_ids) {
    closeShown(this.#platform, (id) => notification_ids.includes(id));
    const stored = notification_ids.map((notification_id) => this.#keepQuietly({ type: "read", notification_id }));
    return quietly(Promise.all(stored).then(() => {}));
  }

  /** Marks all messages that there are now as opened, on every device. @returns {Promise<void>} */
  readAll() {
    closeShown(this.#platform, () => true);
    const { position } = this.#stream;
    if (position) return this.#keepQuietly({ type: "read", all: true, up_to: position.offset, epoch: position.epoch });
    // Before the first connection: kept, it would be of all that comes until then.
    return quietly(this.#counted(this.#http("POST", "inbox/read", { all: true })).then(() => {}));
  }

  /** The list was looked at, up to where the stream stands. @returns {Promise<void>} */
  async seen() {
    const { position } = this.#stream;
    if (position) await this.#keepQuietly({ type: "seen", up_to: position.offset, epoch: position.epoch });
  }

  /** No more of something: of a category, an item, a brand. With `now` over HTTP or not at all. @param {MuteWish} wish @param {boolean} [now] @returns {Promise<void>} */
  mute(wish, now) {
    return now ? this.#http("POST", "mute", wish) : this.#keepQuietly({ type: "mute", ...wish });
  }

  /**
   * Another standing of messages in the inbox, on every device: `snooze` needs `until`, `delete` is for good.
   * @param {InboxChange} change @param {string[]} notification_ids @param {{ until?: string }} [more]
   * @returns {Promise<{ unread: number, unseen: number, changed: number, not_found: string[] }>}
   */
  async mark(change, notification_ids, more) {
    return this.#counted(this.#http("POST", `inbox/${change}`, { notification_ids, ...more }));
  }

  /** The stored messages, newest first, with what was read. @param {InboxQuery} [query] @returns {Promise<{ messages: any[], unread: number, unseen: number, next_before?: number | string | null }>} */
  async inbox(query = {}) {
    const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return this.#counted(this.#http("GET", `inbox?${search}`));
  }

  /** An answer with counts; those that came while it was on its way are newer, and stand in it too. @param {Promise<any>} answered */
  async #counted(answered) {
    const before = this.counts;
    const answer = await answered;
    if (this.counts === before) this.counts = { unread: answer.unread, unseen: answer.unseen };
    return { ...answer, ...this.counts };
  }

  /** Preferences of the user; those given are changed. @param {Record<string, unknown>} [change] @returns {Promise<any>} */
  preferences(change) {
    return this.#http(change ? "PATCH" : "GET", "preferences", change);
  }

  /**
   * Asks for notifications of the browser itself, for when no page is looked at. Call it in a click. Rejects with a
   * sentence for a person. @param {import("./webpush.js").PushOptions} [options] over those of `webPush`
   */
  async enableWebPush(options = {}) {
    const { enableWebPush } = await import("./webpush.js");
    return enableWebPush({ ...(await this.#pushOptions()), ...options });
  }

  /** Ends them again: do it at each sign-out. */
  async disableWebPush() {
    const { disableWebPush } = await import("./webpush.js");
    return disableWebPush(await this.#pushOptions());
  }

  async #pushOptions() {
    const { userId, webPush } = this.#options;
    if (this.#credentials.stale) await this.#credentials.renew();
    const given = typeof webPush === "object" ? webPush : {};
    return { userId, token: this.#credentials.token, server: this.#server.href, ...given };
  }

  /** @param {string} key @param {any} frame @returns {Promise<any>} */
  async #keep(key, frame) {
    const refused = this.#outbox.add(key, frame);
    if (refused) throw refused;
    return new Promise((resolve, reject) => {
      this.#waiters.set(key, { sentAt: this.#platform.now(), resolve, reject });
      this.#sender.flush();
    });
  }

  /** @param {ClientFrame} frame @returns {Promise<void>} */
  #keepQuietly(frame) {
    return quietly(this.#keep(JSON.stringify(frame), frame));
  }

  /** Nothing more comes of it. @param {string} key @param {string} code @param {string} message */
  #giveUp(key, code, message) {
    this.#settle(key)?.reject(new TidingsError(code, message));
    this.#sender.settled(key);
  }

  /**
   * Who it is by a welcome of the server, else by a token, which is a hint. False if it was somebody else until now, and the stream
   * was not `moved`. @param {string} user @param {Welcome} [welcome] @param {boolean} [moved]
   */
  #identified(user, welcome, moved) {
    const before = welcome ? this.#user : this.#hint;
    const other = before !== undefined && before !== user && this.#user !== user;
    if (other && !moved && (!welcome || this.#sure)) return false;
    if (!welcome) this.#hint = user;
    if (other || this.#user === undefined) {
      this.#outbox.bind((this.#user = user), !this.#sure);
      this.#sure = this.#options.userId !== undefined;
      for (const key of this.#waiters.keys()) if (!this.#outbox.has(key)) this.#giveUp(key, "another_user", "It is another user now.");
      this.#stream.forget();
      if (this.#options.resume) this.#stream.adopt(this.#outbox.recall());
      // The login did not say where this user's stream was left.
      if (welcome) welcome.recovered = false;
    }
    if (welcome) this.#sure = true;
    return true;
  }

  /** @param {any} frame */
  #receive(frame) {
    switch (frame.type) {
      case "recommendation":
      case "notification":
        return this.#deliver(frame);
      case "accepted":
        return this.#accepted(frame);
      case "error":
        return this.#refused(frame);
      case "withdraw":
        return this.#withdrawn(frame);
      case "pong":
        return this.#sender.ponged().forEach((key) => this.#settle(key)?.resolve());
      case "inbox":
        this.counts = { unread: frame.unread, unseen: frame.unseen };
    }
    this.#emit(frame.type, frame);
  }

  /** @param {Welcome} frame */
  #welcome(frame) {
    this.#acknowledged = -1;
    // The server tells the counts right after this, unless there are none: what was read elsewhere meanwhile is told by nobody.
    this.counts = this.#none = { unread: 0, unseen: 0 };
    const lost = this.#stream.welcome(frame, this.#credentials.skew);
    this.#acknowledgeSoon();
    for (const key of this.#outbox.outdated(frame.epoch)) this.#giveUp(key, "stream_lost", CLOSE_REASONS[3010]);
    this.#sender.start((kept) => this.#connection.write(kept));
    if (lost) this.#emit("gap", frame);
  }

  /** @param {Welcome} frame */
  #online(frame) {
    if (this.#options.webPush && !this.#pushRenewed) {
      this.#pushRenewed = true;
      const renew = async () => (await import("./webpush.js")).renewWebPush(await this.#pushOptions());
      // Without it, messages wait in the inbox; the next visit tries again.
      renew().catch(() => {});
      this.#platform.navigator?.serviceWorker?.addEventListener("message", ({ data }) => {
        if (data?.type === "tidings-subscription") renew().catch(() => {});
      });
    }
    this.#emit("welcome", frame);
  }

  /** @param {Message} message */
  #deliver(message) {
    const isNew = this.#stream.receive(message);
    if (this.#stream.position && message.offset !== undefined) {
      if (this.#options.resume) this.#outbox.remember(this.#stream.position, this.#stream.seen);
      this.#acknowledgeSoon();
    }
    if (!isNew) return;
    this.#emit(message.type, message);
    this.#emit("message", message);
  }

  /** @param {any} frame */
  #accepted(frame) {
    const event_id = String(frame.event_id);
    // Of another tab, if it is not known here.
    if (!this.#outbox.has(event_id)) return;
    const waiter = this.#settle(event_id);
    const took_ms = waiter ? this.#platform.now() - waiter.sentAt : 0;
    const accepted = { event_id, duplicate: Boolean(frame.duplicate), took_ms };
    this.#sender.settled(event_id);
    waiter?.resolve(accepted);
    this.#emit("accepted", accepted);
  }

  /** @param {ErrorFrame} frame */
  #refused(frame) {
    const { code, message, temporary } = frame;
    const id = frame.reply_to ?? null;
    const key = id !== null ? String(id) : temporary ? null : this.#sender.oldest(code);
    if (key !== null && !this.#outbox.has(key)) return;
    if (temporary) this.#sender.busy(key);
    else if (key !== null) this.#giveUp(key, code, message);
    this.#emit("error", frame);
  }

  /** @param {Withdraw} frame */
  #withdrawn(frame) {
    const { notification_id, reason } = frame;
    if (!this.#stream.end(notification_id, reason)) return;
    closeShown(this.#platform, (id) => id === notification_id);
    this.#emit("withdraw", frame);
  }

  /** @param {string} key */
  #settle(key) {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    return waiter;
  }

  /** One cumulative acknowledgement for all that arrives within a moment. */
  #acknowledgeSoon() {
    this.#ackTimer ||= this.#platform.setTimeout(() => {
      this.#ackTimer = 0;
      if (this.counts && this.counts === this.#none) this.#emit("inbox", { type: "inbox", ...this.counts });
      this.#none = null;
      const { position } = this.#stream;
      if (!this.#connection.loggedIn || !position || position.offset <= this.#acknowledged) return;
      this.#acknowledged = position.offset;
      this.#connection.write({ type: "ack", offset: position.offset });
    }, ACK_DELAY_MS);
  }

  /** @param {number | null} code */
  #dropped(code) {
    const { sent } = this.#sender;
    this.#sender.stop();
    // It would be as bad after each reload.
    if (code === 3501) for (const key of sent) this.#giveUp(key, "bad_frame", CLOSE_REASONS[code]);
    this.#platform.clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
  }

  /** Whoever waits is told. @param {TidingsError} error */
  #ended(error) {
    this.#stream.stop();
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }

  #forget() {
    this.#connection.disconnect("Signed out.");
    this.#outbox.forget();
    this.#stream.forget();
    this.#credentials.token = this.#user = this.#hint = undefined;
    this.#sure = false;
    this.counts = null;
  }

  /** About the user: below `/v1/users/{id}/`. @param {string} method @param {string} path @param {unknown} [body] */
  async #http(method, path, body) {
    const credentials = this.#credentials;
    if (credentials.stale) await credentials.renew();
    const user = this.#user ?? credentials.user;
    if (user === undefined) throw new TidingsError("not_identified", "Give userId or a token, or connect first.");
    const address = new URL(`v1/users/${encodeURIComponent(user)}/${path}`, this.#server);
    return requestAs(this.#platform, address, credentials, { method, body });
  }

  /** A handler that throws hurts nobody else. @param {string} name @param {any} detail */
  #emit(name, detail) {
    for (const handler of [...(this.#listeners.get(name) ?? [])]) {
      try {
        /** @type {any} */ (handler(detail))?.catch?.(report);
      } catch (error) {
        report(error);
      }
    }
  }
}
