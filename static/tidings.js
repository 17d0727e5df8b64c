// @ts-check
/**
 * The Tidings client for browsers: one WebSocket that logs in, stays connected, resumes where it left off, shows
 * each notification once and sends what the user does. One ES module, no dependency.
 *
 *   import { Tidings } from "/tidings.js";
 *   const tidings = new Tidings({ userId: 1 });
 *   tidings.on("recommendation", (message) => show(message.items));
 *   tidings.connect();
 *   await tidings.send({ kind: "view", item_id: 101 });   // resolves once the event is durably stored
 */

/** @typedef {number | string} Id An integer or a string of 1…128 bytes. */
/** @typedef {"connecting" | "online" | "offline"} State */
/**
 * `reason` is a sentence for a person; `code` the WebSocket close code that led here; `retryAt` (ms since 1970) when
 * the next attempt starts, null if none will by itself; `attempt` counts failures in a row.
 * @typedef {{ state: State, reason: string, code: number | null, retryAt: number | null, attempt: number }} Status
 */
/**
 * `score` is 0…1, `reason` says why this item, for a person.
 * @typedef {{ item_id: Id, score: number, title: string, url?: string | null, image_url?: string | null,
 *   price?: number | null, currency?: string | null, reason?: string }} Item
 */
/**
 * `recommendations` repeats the ids of `items`, best first.
 * @typedef {{ type: "recommendation" | "notification", notification_id: string, epoch: string, offset: number,
 *   user_id: Id, recommendations?: Id[], items?: Item[], kind?: string, title: string, body: string, category: string,
 *   trigger?: string, sent_at: string, expires_at?: string | null, model?: number | null }} Message
 */
/** @typedef {"view" | "search" | "add_to_cart" | "remove_from_cart" | "purchase" | "return" | "like" | "rate"} Kind */
/**
 * `event_id` is made up if absent: sending the same again is harmless.
 * @typedef {{ kind: Kind, item_id?: Id, query?: string, dwell_ms?: number, quantity?: number, value?: number,
 *   currency?: string, occurred_at?: string, event_id?: string }} ShopEvent
 */
/** @typedef {{ event_id: string, duplicate: boolean, took_ms: number }} Accepted */
/** @typedef {"displayed" | "clicked" | "dismissed" | "converted" | "muted" | "liked" | "disliked"} Outcome */
/**
 * `userId` may be absent when the token says who; `url` is `/ws` beside the page by default; `random` (uniform in
 * 0…1) spreads the back-off.
 * @typedef {{ userId?: Id, token?: string, url?: string, device?: string, locale?: string, timeZone?: string,
 *   random?: () => number }} Options
 */

const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
const PONG_TIMEOUT_MS = 8_000;
const DEFAULT_PING_MS = 25_000;
const ACK_DELAY_MS = 40;
/** Notification ids remembered against showing one twice. */
const MAX_REMEMBERED = 2_000;
/** Events waiting for their `accepted`; more are refused rather than kept without bound. */
const MAX_PENDING = 1_000;

/** What a close code means, for a person. */
const CLOSE_REASONS = /** @type {Record<number, string>} */ ({
  1000: "The connection was closed.",
  1001: "The server went away.",
  3001: "The server is shutting down.",
  3005: "The sign-in has expired.",
  3008: "This browser read too slowly.",
  3010: "The message stream was lost.",
  3012: "The connection stopped answering.",
  3013: "Too many requests at once.",
  3500: "The token was refused.",
  3501: "The server did not understand a message of this page.",
  3502: "The sign-in took too long.",
  3503: "An administrator signed this user out.",
  3504: "This user has too many connections open.",
  3507: "This is not permitted for this user.",
});

/** May a client come back after this code? 3500–3999 and 4500–4999 are final. @param {number} code */
export function mayReconnect(code) {
  return !((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999));
}

/** Full jitter: uniform in 0…min(20 s, 0.5 s · 2^attempt). @param {number} attempt @param {() => number} random */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16));
}

/** A random id (UUIDv4 form); `crypto.randomUUID` exists in secure contexts only. */
function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** An event the server refused, or gave up by `disconnect`. */
export class TidingsError extends Error {
  /** @param {string} code @param {string} message @param {boolean} temporary */
  constructor(code, message, temporary = false) {
    super(message);
    this.code = code;
    this.temporary = temporary;
  }
}

/**
 * Listen with `on(name, handler)`: `status` ({@link Status}), `welcome`, `recommendation` and `notification`
 * ({@link Message}, each notification_id once), `inbox`, `withdraw`, `accepted` ({@link Accepted}), `error`, `gap`
 * (messages were missed that the server no longer holds: reload what is shown).
 */
export class Tidings {
  /** @type {Options} */ #options;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {WebSocket | null} */ #socket = null;
  #wanted = false;
  #loggedIn = false;
  #attempt = 0;
  #timers = { retry: 0, connect: 0, ping: 0, pong: 0, ack: 0 };
  #pingMs = DEFAULT_PING_MS;
  /** Where the stream stands: everything up to `offset` was received. @type {{ epoch: string, offset: number } | null} */
  #position = null;
  #acknowledged = -1;
  /** @type {Set<string>} */ #seen = new Set();
  /** @type {Map<string, { frame: object, sentAt: number, resolve: (a: Accepted) => void, reject: (e: Error) => void }>} */
  #pending = new Map();
  /** @type {object[]} */ #queue = [];
  /** @type {Status} */
  status = { state: "offline", reason: "Not connected.", code: null, retryAt: null, attempt: 0 };

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.onVisibility = this.onVisibility.bind(this);
    this.retryNow = this.retryNow.bind(this);
  }

  /** @param {string} name @param {(detail: any) => void} handler @returns {() => void} stops listening */
  on(name, handler) {
    const handlers = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  /** Connects and keeps connected until {@link disconnect}. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    document.addEventListener("visibilitychange", this.onVisibility);
    window.addEventListener("online", this.retryNow);
    this.#open();
  }

  /** Closes for good; events not yet accepted are rejected. */
  disconnect() {
    this.#wanted = false;
    document.removeEventListener("visibilitychange", this.onVisibility);
    window.removeEventListener("online", this.retryNow);
    this.#drop();
    for (const { reject } of this.#pending.values()) reject(new TidingsError("disconnected", "Disconnected."));
    this.#pending.clear();
    this.#queue = [];
    this.#report("offline", "Not connected.");
  }

  /** Tries at once instead of waiting for the back-off. */
  retryNow() {
    if (!this.#wanted || this.#socket) return;
    clearTimeout(this.#timers.retry);
    this.#open();
  }

  /**
   * Sends an event; resolves when the server has stored it (across reconnects, exactly once).
   * @param {ShopEvent} event @returns {Promise<Accepted>}
   */
  send(event) {
    const event_id = event.event_id ?? randomId();
    // The server's clock dates what arrives at once; what has to wait carries its own time.
    const when = this.#loggedIn ? {} : { occurred_at: new Date().toISOString() };
    const frame = { type: "event", ...when, ...event, event_id };
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new TidingsError("too_many_pending", "Too many events wait for the server.", true));
    }
    return new Promise((resolve, reject) => {
      this.#pending.set(event_id, { frame, sentAt: performance.now(), resolve, reject });
      if (this.#loggedIn) this.#write(frame);
    });
  }

  /**
   * What came of a message, and about which of its items. Kept and sent later when offline.
   * @param {string} notification_id @param {Outcome} outcome @param {Id} [item_id]
   */
  feedback(notification_id, outcome, item_id) {
    this.#writeOrQueue({ type: "feedback", notification_id, outcome, ...(item_id === undefined ? {} : { item_id }) });
  }

  #open() {
    this.#drop();
    this.#report("connecting", this.#attempt ? "Connecting again…" : "Connecting…");
    const socket = new WebSocket(this.#options.url ?? defaultUrl());
    this.#socket = socket;
    this.#timers.connect = window.setTimeout(
      () => this.#lost(1006, "The server did not answer in time."),
      CONNECT_TIMEOUT_MS,
    );
    socket.onopen = () => this.#login();
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = (close) => this.#lost(close.code, CLOSE_REASONS[close.code] ?? null, close.reason);
  }

  #login() {
    const { userId, token, device, locale, timeZone } = this.#options;
    /** @type {Record<string, unknown>} */
    const frame = {
      type: "login",
      locale: locale ?? navigator.language,
      time_zone: timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
    if (userId !== undefined) frame.user_id = userId;
    if (token) frame.token = token;
    if (device) frame.device = device;
    if (this.#position) frame.resume = this.#position;
    this.#write(frame);
  }

  /** @param {unknown} data */
  #receive(data) {
    let frame;
    try {
      frame = JSON.parse(String(data));
    } catch {
      return;
    }
    this.#heard();
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame);
      case "recommendation":
      case "notification":
        return this.#deliver(frame);
      case "accepted":
        return this.#accepted(frame);
      case "error":
        return this.#refused(frame);
      case "pong":
        return undefined;
      default:
        return this.#emit(frame.type, frame);
    }
  }

  /** @param {any} frame */
  #welcome(frame) {
    clearTimeout(this.#timers.connect);
    const resumed = this.#position;
    if (resumed && (frame.recovered === false || resumed.epoch !== frame.epoch)) {
      // What was missed is no longer held: go on from where the stream is now.
      this.#position = { epoch: frame.epoch, offset: frame.offset };
      this.#emit("gap", frame);
    }
    this.#loggedIn = true;
    this.#attempt = 0;
    this.#acknowledged = -1;
    if (frame.ping_ms > 0) this.#pingMs = frame.ping_ms;
    this.#heard();
    this.#write({ type: "presence", visible: document.visibilityState === "visible" });
    for (const { frame: event } of this.#pending.values()) this.#write(event);
    for (const queued of this.#queue.splice(0)) this.#write(queued);
    this.#report("online", "Connected.");
    this.#emit("welcome", frame);
    this.#acknowledgeSoon();
  }

  /** @param {Message} message */
  #deliver(message) {
    if (message.epoch !== undefined && message.offset !== undefined) {
      const same = this.#position?.epoch === message.epoch;
      const offset = same && this.#position ? Math.max(this.#position.offset, message.offset) : message.offset;
      this.#position = { epoch: message.epoch, offset };
      this.#acknowledgeSoon();
    }
    const id = message.notification_id;
    if (id !== undefined) {
      if (this.#seen.has(id)) return;
      this.#seen.add(id);
      if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(this.#seen.values().next().value ?? "");
    }
    this.#emit(message.type, message);
  }

  /** @param {any} frame */
  #accepted(frame) {
    const id = String(frame.event_id);
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const took_ms = pending ? performance.now() - pending.sentAt : 0;
    const accepted = { event_id: id, duplicate: Boolean(frame.duplicate), took_ms };
    pending?.resolve(accepted);
    this.#emit("accepted", accepted);
  }

  /** @param {any} frame */
  #refused(frame) {
    const id = String(frame.reply_to ?? frame.event_id ?? "");
    const pending = this.#pending.get(id);
    if (pending && frame.temporary) {
      window.setTimeout(
        () => this.#loggedIn && this.#pending.has(id) && this.#write(pending.frame),
        200 + backoff(2, this.#options.random),
      );
    } else if (pending) {
      this.#pending.delete(id);
      pending.reject(new TidingsError(frame.code, frame.message, false));
    }
    this.#emit("error", frame);
  }

  /** One cumulative acknowledgement for all that arrives within a moment. */
  #acknowledgeSoon() {
    if (this.#timers.ack) return;
    this.#timers.ack = window.setTimeout(() => {
      this.#timers.ack = 0;
      if (!this.#loggedIn || !this.#position || this.#position.offset <= this.#acknowledged) return;
      this.#acknowledged = this.#position.offset;
      this.#write({ type: "ack", offset: this.#acknowledged });
    }, ACK_DELAY_MS);
  }

  /** Anything heard proves that the line is alive; silence for `ping_ms` asks. */
  #heard() {
    clearTimeout(this.#timers.ping);
    clearTimeout(this.#timers.pong);
    this.#timers.ping = window.setTimeout(() => {
      this.#write({ type: "ping" });
      this.#timers.pong = window.setTimeout(() => this.#lost(3012, CLOSE_REASONS[3012]), PONG_TIMEOUT_MS);
    }, this.#pingMs);
  }

  /** @param {number} code @param {string | null} reason @param {string} [detail] */
  #lost(code, reason, detail) {
    this.#drop();
    if (!this.#wanted) return;
    if (!mayReconnect(code)) {
      this.#wanted = false;
      for (const { reject } of this.#pending.values()) reject(new TidingsError("closed", reason ?? "Closed."));
      this.#pending.clear();
      this.#report("offline", reason ?? (detail || "The server closed the connection."), code, null);
      return;
    }
    const wait = backoff(this.#attempt, this.#options.random);
    this.#attempt += 1;
    const fallback = navigator.onLine === false ? "This device has no network." : "The server can't be reached.";
    this.#report("offline", reason ?? fallback, code, Date.now() + wait);
    this.#timers.retry = window.setTimeout(() => this.#open(), wait);
  }

  #drop() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers.ack = 0;
    this.#loggedIn = false;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  /** @param {object} frame */
  #write(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** @param {object} frame */
  #writeOrQueue(frame) {
    if (this.#loggedIn) this.#write(frame);
    else if (this.#queue.length < MAX_PENDING) this.#queue.push(frame);
  }

  onVisibility() {
    const visible = document.visibilityState === "visible";
    if (this.#loggedIn) this.#write({ type: "presence", visible });
    else if (visible) this.retryNow();
  }

  /** @param {State} state @param {string} reason @param {number | null} code @param {number | null} retryAt */
  #report(state, reason, code = null, retryAt = null) {
    this.status = { state, reason, code, retryAt, attempt: this.#attempt };
    this.#emit("status", this.status);
  }

  /** @param {string} name @param {unknown} detail */
  #emit(name, detail) {
    for (const handler of this.#listeners.get(name) ?? []) handler(detail);
  }
}

/** `/ws` beside this page; ws: or wss: as the page is. */
const defaultUrl = () => new URL("ws", document.baseURI).href.replace(/^http/, "ws");
