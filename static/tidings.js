// @ts-check
/**
 * The Tidings client for browsers and Node ≥ 20: one connection that logs in, stays up, resumes where it left off, shows
 * each notification once and sends what the user does. A WebSocket, or Server-Sent Events where WebSockets are
 * blocked. What can't be sent yet is kept, over a reload too. One ES module, no dependency.
 *
 *   import { Tidings } from "/tidings.js";
 *   const tidings = new Tidings({ userId: 1 });
 *   tidings.on("recommendation", (message) => show(message.items));
 *   tidings.connect();
 *   await tidings.send({ kind: "view", item_id: 101 });   // resolves once the event is durably stored
 *
 * Node: `url` is needed (`ws://host:port/ws`), and below Node 22 a `WebSocket` class too (`ws` from npm); without one
 * it speaks Server-Sent Events.
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
 * `userId` may be absent when the token says who; `url` is `/ws` beside the page by default, `/v1/…` is looked for
 * beside it. `transport`: `auto` takes Server-Sent Events after two WebSockets that never opened. `storage` keeps
 * what was not sent (`localStorage` by default, null = memory only). `resume`: go on after a reload where the page
 * left off, instead of from now. `WebSocket` and `fetch` replace the platform's; `random` (uniform in 0…1) spreads
 * the back-off.
 * @typedef {{ userId?: Id, token?: string, url?: string, device?: string, locale?: string, timeZone?: string,
 *   transport?: "auto" | "websocket" | "sse", storage?: KeyValue | null, resume?: boolean, WebSocket?: any,
 *   fetch?: typeof fetch, random?: () => number }} Options
 */
/** @typedef {{ getItem(key: string): string | null, setItem(key: string, value: string): void,
 *   removeItem(key: string): void, key(index: number): string | null, readonly length: number }} KeyValue */
/** @typedef {{ sentAt: number, resolve: (accepted: Accepted) => void, reject: (error: Error) => void }} Waiter */

const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const CONNECT_TIMEOUT_MS = 10_000;
const PONG_TIMEOUT_MS = 8_000;
const DEFAULT_PING_MS = 25_000;
const ACK_DELAY_MS = 40;
/** A server that is silent this long on Server-Sent Events (it comments every 20 s) is gone. */
const SSE_SILENCE_MS = 45_000;
/** WebSockets that never opened before Server-Sent Events are tried. */
const BLOCKED_AFTER = 2;
/** On Server-Sent Events: when a WebSocket is tried first (the server may only have been down), and how often after that. */
const PROBE_FIRST_MS = 3_000;
const PROBE_MS = 300_000;
/** Notification ids remembered against showing one twice. */
const MAX_REMEMBERED = 2_000;
/** Events and feedback that wait; more are refused rather than kept without bound. */
const MAX_PENDING = 1_000;
/** Of those, what storage takes: bytes of JSON. */
const MAX_STORED_BYTES = 256 << 10;
/** What waited longer says nothing any more, and the server would refuse its date. */
const MAX_STORED_AGE_MS = 7 * 86_400_000;
/** An event that waited longer says when it was. */
const LATE_MS = 1_000;
/** Most events of one request. */
const MAX_BATCH = 200;

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
 * (messages were missed that the server no longer holds: reload what is shown, {@link Tidings.inbox}).
 */
export class Tidings {
  /** @type {Options} */ #options;
  /** @type {Map<string, Set<(detail: any) => void>>} */ #listeners = new Map();
  /** @type {SocketLine | EventLine | null} */ #line = null;
  #wanted = false;
  #loggedIn = false;
  #attempt = 0;
  /** WebSockets in a row that never opened. */
  #blocked = 0;
  /** @type {SocketLine | null} */ #probe = null;
  /** @type {Record<"retry" | "connect" | "ping" | "pong" | "ack" | "probe", any>} */
  #timers = { retry: 0, connect: 0, ping: 0, pong: 0, ack: 0, probe: 0 };
  #pingMs = DEFAULT_PING_MS;
  /** Where the stream stands: everything up to `offset` was received. @type {{ epoch: string, offset: number } | null} */
  #position = null;
  #acknowledged = -1;
  /** @type {Set<string>} */ #seen = new Set();
  /** @type {Outbox} */ #outbox;
  /** @type {Map<string, Waiter>} */ #waiters = new Map();
  /** Feedback on its way: the server has it once it answers the ping behind it, whose number this is. @type {Map<string, number>} */
  #unconfirmed = new Map();
  #pings = 0;
  #pongs = 0;
  /** @type {Status} */
  status = { state: "offline", reason: "Not connected.", code: null, retryAt: null, attempt: 0 };

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    const storage = options.storage === undefined ? platformStorage() : options.storage;
    this.#outbox = new Outbox(storage, String(options.userId ?? "me"));
    if (options.resume) {
      this.#position = this.#outbox.position();
      this.#seen = new Set(this.#outbox.seen());
    }
    this.onVisibility = this.onVisibility.bind(this);
    this.retryNow = this.retryNow.bind(this);
  }

  /** @param {string} name @param {(detail: any) => void} handler @returns {() => void} stops listening */
  on(name, handler) {
    const handlers = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  /** What waits for the server: events and feedback. */
  get waiting() {
    return this.#outbox.size;
  }

  /** `websocket`, `sse`, or null while there is no connection. */
  get transport() {
    return this.#line?.name ?? null;
  }

  /** Connects and keeps connected until {@link disconnect}. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    globalThis.document?.addEventListener("visibilitychange", this.onVisibility);
    globalThis.window?.addEventListener("online", this.retryNow);
    this.#open();
  }

  /** Closes for good. Events not yet accepted are rejected and given up, as is feedback. */
  disconnect() {
    this.#end(new TidingsError("disconnected", "Disconnected."));
    this.#outbox.clear();
    this.#report("offline", "Not connected.");
  }

  /** Tries at once instead of waiting for the back-off. */
  retryNow() {
    if (!this.#wanted || this.#line) return;
    clearTimeout(this.#timers.retry);
    this.#open();
  }

  /**
   * Sends an event; resolves when the server has stored it (across reconnects, exactly once). What is not stored before
   * the page is left is sent by the next one.
   * @param {ShopEvent} event @returns {Promise<Accepted>}
   */
  send(event) {
    const event_id = event.event_id ?? randomId();
    // The server's clock dates what arrives at once; what has to wait carries its own time.
    const when = this.#loggedIn ? {} : { occurred_at: new Date().toISOString() };
    const frame = { type: "event", ...when, ...event, event_id };
    if (!this.#outbox.add(event_id, frame)) {
      return Promise.reject(new TidingsError("too_many_pending", "Too many events wait for the server.", true));
    }
    return new Promise((resolve, reject) => {
      this.#waiters.set(event_id, { sentAt: performance.now(), resolve, reject });
      if (this.#loggedIn) this.#line?.write(frame);
    });
  }

  /**
   * What came of a message, and about which of its items. Kept and sent later when offline; false if too much waits.
   * @param {string} notification_id @param {Outcome} outcome @param {Id} [item_id] @returns {boolean}
   */
  feedback(notification_id, outcome, item_id) {
    const frame = { type: "feedback", notification_id, outcome, ...(item_id === undefined ? {} : { item_id }) };
    // The same about the same message is the same feedback.
    const key = `${notification_id}/${outcome}/${item_id ?? ""}`;
    if (!this.#outbox.add(key, frame)) return false;
    if (this.#loggedIn) this.#writeFeedback([[key, frame]]);
    return true;
  }

  /** The stored messages, newest first, with what was read. @param {Record<string, string | number>} [query] @returns {Promise<any>} */
  inbox(query = {}) {
    const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return this.#http("GET", `v1/users/${this.#pathId()}/inbox${search.size ? `?${search}` : ""}`);
  }

  /** Marks messages as opened, on every device. @param {string[]} notification_ids @returns {Promise<any>} */
  read(notification_ids) {
    return this.#http("POST", `v1/users/${this.#pathId()}/inbox/read`, { notification_ids });
  }

  /** The list was looked at, up to where the stream stands. @returns {Promise<any>} */
  seen() {
    if (!this.#position) return Promise.resolve(null);
    return this.#http("POST", `v1/users/${this.#pathId()}/inbox/seen`, { up_to: this.#position.offset });
  }

  /**
   * Asks for notifications of the browser itself, for when no page is looked at. Call it in a click. `serviceWorker` is
   * where the page's own origin serves `sw.js`. Rejects with a sentence for a person. @param {string} [serviceWorker]
   */
  async enableWebPush(serviceWorker) {
    const { enableWebPush } = await import("./webpush.js");
    return enableWebPush({ ...this.#pushOptions(), serviceWorker });
  }

  /** Ends them again: do it at each sign-out. */
  async disableWebPush() {
    const { disableWebPush } = await import("./webpush.js");
    return disableWebPush(this.#pushOptions());
  }

  #pushOptions() {
    const { userId, token, url } = this.#options;
    if (!url) return { userId, token };
    // Of `wss://push.example/ws` it is `https://push.example/`.
    const server = new URL(".", new URL(url, location.href)).href.replace(/^ws/, "http");
    return { userId, token, server };
  }

  #open() {
    this.#drop();
    this.#report("connecting", this.#attempt ? "Connecting again…" : "Connecting…");
    const Line = this.#choose();
    let opened = false;
    const line = new Line(this.#options, {
      opened: () => {
        opened = true;
        if (line.name === "websocket") this.#blocked = 0;
        if (line.name === "websocket") this.#login();
        else this.#probeSocket(PROBE_FIRST_MS);
      },
      frame: (frame) => this.#receive(frame),
      heard: () => this.#heard(),
      taken: (key) => this.#outbox.remove(key),
      lost: (code, detail) => {
        if (line !== this.#line) return;
        if (!opened) {
          this.#blocked = line.name === "websocket" ? this.#blocked + 1 : 0;
          // The other way at once: nobody should wait for what will not work.
          if (line.name === "websocket" && this.#wanted && this.#choose() === EventLine) return this.#open();
        }
        this.#lost(code, CLOSE_REASONS[code] ?? null, detail);
      },
    });
    this.#line = line;
    this.#timers.connect = setTimeout(() => {
      if (!opened) this.#blocked = line.name === "websocket" ? this.#blocked + 1 : 0;
      this.#lost(1006, "The server did not answer in time.");
    }, CONNECT_TIMEOUT_MS);
    line.open(this.#position);
  }

  /** WebSocket, unless it is not there or never opens. */
  #choose() {
    const { transport = "auto", WebSocket: given } = this.#options;
    if (transport !== "auto") return transport === "sse" ? EventLine : SocketLine;
    if (!(given ?? globalThis.WebSocket)) return EventLine;
    return this.#blocked >= BLOCKED_AFTER ? EventLine : SocketLine;
  }

  /** Is the WebSocket possible after all? Then everything moves there; the resume makes it seamless. @param {number} after ms */
  #probeSocket(after) {
    const { transport = "auto", WebSocket: given } = this.#options;
    if (transport !== "auto" || !(given ?? globalThis.WebSocket)) return;
    this.#timers.probe = setTimeout(() => {
      const probe = new SocketLine(this.#options, {
        opened: () => {
          this.#blocked = 0;
          if (this.#wanted) this.#open();
        },
        lost: () => {
          probe.close();
          if (this.#probe === probe) this.#probeSocket(PROBE_MS);
        },
        frame: () => {},
        heard: () => {},
        taken: () => {},
      });
      this.#probe = probe;
      probe.open();
    }, after);
  }

  #login() {
    this.#line?.write({ type: "login", ...identity(this.#options), ...(this.#position && { resume: this.#position }) });
  }

  /** @param {any} frame */
  #receive(frame) {
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
        return this.#confirmed();
      default:
        return this.#emit(frame.type, frame);
    }
  }

  /** @param {any} frame */
  #welcome(frame) {
    clearTimeout(this.#timers.connect);
    const resumed = this.#position;
    const lost = resumed && (frame.recovered === false || resumed.epoch !== frame.epoch);
    // What was missed is no longer held, or nothing was seen yet: go on from where the stream is now.
    if (lost || !resumed) this.#position = { epoch: frame.epoch, offset: frame.offset };
    this.#loggedIn = true;
    this.#attempt = 0;
    this.#acknowledged = -1;
    if (frame.ping_ms > 0) this.#pingMs = frame.ping_ms;
    this.#heard();
    this.#line?.write({ type: "presence", visible: isVisible() });
    const waiting = this.#outbox.entries();
    for (const [, kept] of waiting) if (kept.type === "event") this.#line?.write(kept);
    this.#writeFeedback(waiting.filter(([, kept]) => kept.type === "feedback"));
    this.#report("online", "Connected.");
    if (lost) this.#emit("gap", frame);
    this.#emit("welcome", frame);
    this.#acknowledgeSoon();
  }

  /** @param {Message} message */
  #deliver(message) {
    const id = message.notification_id;
    const isNew = id === undefined || !this.#seen.has(id);
    if (id !== undefined && isNew) {
      this.#seen.add(id);
      if (this.#seen.size > MAX_REMEMBERED) this.#seen.delete(this.#seen.values().next().value ?? "");
    }
    if (message.epoch !== undefined && message.offset !== undefined) {
      const same = this.#position?.epoch === message.epoch;
      const offset = same && this.#position ? Math.max(this.#position.offset, message.offset) : message.offset;
      this.#position = { epoch: message.epoch, offset };
      if (this.#options.resume) this.#outbox.remember(this.#position, this.#seen);
      this.#acknowledgeSoon();
    }
    if (isNew) this.#emit(message.type, message);
  }

  /** @param {any} frame */
  #accepted(frame) {
    if (frame.event_id === undefined || frame.event_id === null) return;
    const id = String(frame.event_id);
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    this.#outbox.remove(id);
    const took_ms = waiter ? performance.now() - waiter.sentAt : 0;
    const accepted = { event_id: id, duplicate: Boolean(frame.duplicate), took_ms };
    waiter?.resolve(accepted);
    this.#emit("accepted", accepted);
  }

  /** @param {any} frame */
  #refused(frame) {
    const id = String(frame.reply_to ?? frame.event_id ?? "");
    const kept = this.#outbox.get(id);
    if (kept && frame.temporary) {
      const again = () => this.#loggedIn && this.#outbox.get(id) && this.#line?.write(kept);
      setTimeout(again, 200 + backoff(2, this.#options.random));
    } else if (kept) {
      this.#outbox.remove(id);
      this.#waiters.get(id)?.reject(new TidingsError(frame.code, frame.message, false));
      this.#waiters.delete(id);
    }
    this.#emit("error", frame);
  }

  /** Feedback has no answer of its own; a ping behind it has. @param {[string, any][]} entries */
  #writeFeedback(entries) {
    if (entries.length === 0) return;
    for (const [key, frame] of entries) {
      this.#unconfirmed.set(key, this.#pings + 1);
      this.#line?.write(frame, key);
    }
    this.#ping();
  }

  #ping() {
    this.#pings += 1;
    this.#line?.write({ type: "ping" });
  }

  #confirmed() {
    this.#pongs += 1;
    for (const [key, ping] of this.#unconfirmed) {
      if (ping > this.#pongs) continue;
      this.#unconfirmed.delete(key);
      this.#outbox.remove(key);
    }
  }

  /** One cumulative acknowledgement for all that arrives within a moment. */
  #acknowledgeSoon() {
    if (this.#timers.ack) return;
    this.#timers.ack = setTimeout(() => {
      this.#timers.ack = 0;
      if (!this.#loggedIn || !this.#position || this.#position.offset <= this.#acknowledged) return;
      this.#acknowledged = this.#position.offset;
      this.#line?.write({ type: "ack", offset: this.#acknowledged });
    }, ACK_DELAY_MS);
  }

  /** Anything heard proves that the line is alive; silence for `ping_ms` asks. */
  #heard() {
    clearTimeout(this.#timers.ping);
    clearTimeout(this.#timers.pong);
    if (this.#line?.name !== "websocket") {
      this.#timers.ping = setTimeout(() => this.#lost(3012, CLOSE_REASONS[3012]), SSE_SILENCE_MS);
      return;
    }
    this.#timers.ping = setTimeout(() => {
      this.#ping();
      this.#timers.pong = setTimeout(() => this.#lost(3012, CLOSE_REASONS[3012]), PONG_TIMEOUT_MS);
    }, this.#pingMs);
  }

  /** @param {number} code @param {string | null} reason @param {string} [detail] what the server said */
  #lost(code, reason, detail = "") {
    this.#drop();
    if (!this.#wanted) return;
    if (!mayReconnect(code)) {
      this.#end(new TidingsError("closed", reason ?? "Closed."));
      this.#report("offline", reason ?? (detail || "The server closed the connection."), code, null);
      return;
    }
    const wait = retryHint(detail) + backoff(this.#attempt, this.#options.random);
    this.#attempt += 1;
    const offline = globalThis.navigator?.onLine === false;
    const fallback = offline ? "This device has no network." : "The server can't be reached.";
    this.#report("offline", reason ?? fallback, code, Date.now() + wait);
    this.#timers.retry = setTimeout(() => this.#open(), wait);
  }

  /** No further attempt; whoever waits is told. @param {TidingsError} error */
  #end(error) {
    this.#wanted = false;
    globalThis.document?.removeEventListener("visibilitychange", this.onVisibility);
    globalThis.window?.removeEventListener("online", this.retryNow);
    this.#drop();
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }

  #drop() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#timers.ack = 0;
    this.#loggedIn = false;
    this.#unconfirmed.clear();
    this.#pings = this.#pongs = 0;
    const [line, probe] = [this.#line, this.#probe];
    this.#line = this.#probe = null;
    line?.close();
    probe?.close();
  }

  onVisibility() {
    if (this.#loggedIn) this.#line?.write({ type: "presence", visible: isVisible() });
    else if (isVisible()) this.retryNow();
  }

  #pathId() {
    return encodeURIComponent(String(this.#options.userId));
  }

  /** @param {string} method @param {string} path @param {unknown} [body] */
  #http(method, path, body) {
    return request(this.#options, method, path, body).then(({ json }) => json);
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

/**
 * What a line tells: it is open, a frame came, anything came, feedback was taken, it is gone (with the server's words).
 * @typedef {{ opened: () => void, frame: (frame: any) => void, heard: () => void, taken: (key: string) => void,
 *   lost: (code: number, detail: string) => void }} LineEvents
 */

/** Frames over a WebSocket. */
class SocketLine {
  name = "websocket";
  /** @type {WebSocket | null} */ #socket = null;
  /** @param {Options} options @param {LineEvents} events */
  constructor(options, events) {
    this.options = options;
    this.events = events;
  }

  open() {
    const Socket = this.options.WebSocket ?? globalThis.WebSocket;
    /** @type {WebSocket} */ let socket;
    try {
      socket = new Socket(socketUrl(this.options));
    } catch (error) {
      // A page that may not open sockets (its policy) throws instead of failing later.
      queueMicrotask(() => this.events.lost(1006, String(error)));
      return;
    }
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.events.opened();
    };
    socket.onmessage = (message) => {
      const frame = parse(message.data);
      if (frame) this.events.frame(frame);
    };
    // What it means comes with the close, which not every implementation sends after a failure to open.
    socket.onerror = () => opened || this.events.lost(1006, "");
    socket.onclose = (close) => this.events.lost(close.code, close.reason);
  }

  /** @param {object} frame @param {string} [_key] */
  write(frame, _key) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    try {
      socket.close(1000);
    } catch {
      // Never opened: some implementations object.
    }
  }
}

/** Server-Sent Events in, HTTP out: `fetch` instead of `EventSource`, so that a token goes in a header, and Node can. */
class EventLine {
  name = "sse";
  #ended = new AbortController();
  /** @type {any[]} */ #events = [];
  #posting = false;
  /** @param {Options} options @param {LineEvents} events */
  constructor(options, events) {
    this.options = options;
    this.events = events;
  }

  /** @param {{ epoch: string, offset: number } | null} position */
  async open(position) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(identity(this.options))) {
      if (name !== "token") query.set(name, String(value));
    }
    /** @type {Record<string, string>} */ const headers = { accept: "text/event-stream" };
    if (position) headers["last-event-id"] = `${position.epoch}:${position.offset}`;
    let detail = "";
    let code = 1006;
    try {
      const answer = await fetchFrom(this.options, `v1/sse?${query}`, { headers, signal: this.#ended.signal });
      if (!answer.ok || !answer.body) {
        code = { 401: 3500, 403: 3507, 404: 1006, 429: 3013 }[answer.status] ?? 1006;
        detail = `retry_ms=${1000 * Number(answer.headers.get("retry-after") ?? 0) || 0}`;
      } else {
        this.events.opened();
        for await (const { name, data } of eventStream(answer.body, () => this.events.heard())) {
          const frame = name === "close" ? null : parse(data);
          if (frame) this.events.frame(frame);
          if (name === "close") ({ code = 1006, reason: detail = "" } = parse(data) ?? {});
        }
      }
    } catch (error) {
      detail = String(error);
    }
    if (!this.#ended.signal.aborted) this.events.lost(code, detail);
  }

  /** @param {any} frame @param {string} [key] of feedback */
  write(frame, key = "") {
    if (frame.type === "event") {
      this.#events.push(frame);
      queueMicrotask(() => this.#post());
    } else if (frame.type === "feedback") {
      const { type: _, ...said } = frame;
      const body = { ...who(this.options), ...said };
      request(this.options, "POST", "v1/feedback", body).then(
        () => this.events.taken(key),
        () => {}, // kept, and said again with the next connection
      );
    }
    // Acknowledged by the next `Last-Event-ID`; presence and pings have no meaning here.
  }

  /** One request at a time, with all that came meanwhile. */
  async #post() {
    if (this.#posting) return;
    this.#posting = true;
    while (this.#events.length > 0 && !this.#ended.signal.aborted) {
      const batch = this.#events.splice(0, MAX_BATCH);
      const body = batch.map(({ type: _, ...event }) => ({ ...who(this.options), ...event }));
      try {
        const { json } = await request(this.options, "POST", "v1/events", body);
        /** @type {Map<number, any>} */
        const rejected = new Map((json?.rejected ?? []).map((/** @type {any} */ one) => [one.index, one]));
        batch.forEach(({ event_id }, index) => {
          const refused = rejected.get(index);
          if (refused) this.events.frame({ type: "error", temporary: false, ...refused, reply_to: event_id });
          else this.events.frame({ type: "accepted", event_id, duplicate: false });
        });
      } catch (error) {
        const { code = "unreachable", message = String(error), temporary = true } = /** @type {any} */ (error);
        for (const { event_id } of batch) this.events.frame({ type: "error", code, message, temporary, reply_to: event_id });
      }
    }
    this.#posting = false;
  }

  close() {
    this.#ended.abort();
  }
}

/**
 * What waits for the server, by key, bounded, and where storage allows it beyond the page: each page has a place of its
 * own and takes over what others left (twice sent is harmless: the keys are the same).
 */
class Outbox {
  /** @type {Map<string, any>} */ #entries = new Map();
  #place;
  #scheduled = false;

  /** @param {KeyValue | null} storage @param {string} user */
  constructor(storage, user) {
    this.storage = storage;
    this.prefix = `tidings.${user}.`;
    this.#place = `${this.prefix}outbox.${randomId()}`;
    this.#adopt();
  }

  #adopt() {
    this.#guard((storage) => {
      const left = [];
      for (let n = 0; n < storage.length; n += 1) {
        const key = storage.key(n);
        if (key?.startsWith(`${this.prefix}outbox.`)) left.push(key);
      }
      for (const key of left) {
        for (const [id, frame, at] of parse(storage.getItem(key)) ?? []) {
          const isFresh = Date.now() - at < MAX_STORED_AGE_MS && this.#entries.size < MAX_PENDING;
          if (isFresh && (frame?.type === "event" || frame?.type === "feedback")) this.#entries.set(id, { frame, at });
        }
        storage.removeItem(key);
      }
      if (left.length > 0) this.#save(storage);
    });
  }

  get size() {
    return this.#entries.size;
  }

  /** False when full. @param {string} key @param {object} frame */
  add(key, frame) {
    if (this.#entries.size >= MAX_PENDING && !this.#entries.has(key)) return false;
    this.#entries.set(key, { frame, at: Date.now() });
    this.#saveSoon();
    return true;
  }

  /** @param {string} key */
  get(key) {
    return this.#entries.get(key)?.frame;
  }

  /** @param {string} key */
  remove(key) {
    if (this.#entries.delete(key)) this.#saveSoon();
  }

  clear() {
    this.#entries.clear();
    this.#guard((storage) => storage.removeItem(this.#place));
  }

  /** Oldest first; what was meant to be dated by its arrival is dated now. @returns {[string, any][]} */
  entries() {
    return [...this.#entries].map(([key, { frame, at }]) => {
      const late = frame.type === "event" && Date.now() - at > LATE_MS;
      return [key, late ? { occurred_at: new Date(at).toISOString(), ...frame } : frame];
    });
  }

  /** @returns {{ epoch: string, offset: number } | null} */
  position() {
    return this.#guard((storage) => parse(storage.getItem(`${this.prefix}position`)))?.position ?? null;
  }

  /** @returns {string[]} */
  seen() {
    return this.#guard((storage) => parse(storage.getItem(`${this.prefix}position`)))?.seen ?? [];
  }

  /** @param {object} position @param {Set<string>} seen */
  remember(position, seen) {
    const text = JSON.stringify({ position, seen: [...seen].slice(-100) });
    this.#guard((storage) => storage.setItem(`${this.prefix}position`, text));
  }

  /** Many changes in one turn are written once. */
  #saveSoon() {
    if (this.#scheduled || !this.storage) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#guard((storage) => this.#save(storage));
    });
  }

  /** @param {KeyValue} storage */
  #save(storage) {
    if (this.#entries.size === 0) return storage.removeItem(this.#place);
    let bytes = 0;
    const kept = [];
    for (const [key, { frame, at }] of this.#entries) {
      const text = JSON.stringify([key, frame, at]);
      bytes += text.length;
      if (bytes > MAX_STORED_BYTES) break;
      kept.push(text);
    }
    storage.setItem(this.#place, `[${kept.join(",")}]`);
  }

  /** Storage may be full, or forbidden: then the page is as long as anything is kept. @template T @param {(storage: KeyValue) => T} act */
  #guard(act) {
    try {
      return this.storage ? act(this.storage) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @param {Options} options */
const who = ({ userId }) => (userId === undefined ? {} : { user_id: userId });

/** Who logs in and from where. @param {Options} options */
function identity({ userId, token, device, locale, timeZone }) {
  return {
    locale: locale ?? globalThis.navigator?.language ?? "en",
    time_zone: timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    ...(userId === undefined ? {} : { user_id: userId }),
    ...(token ? { token } : {}),
    ...(device ? { device } : {}),
  };
}

/** `/ws` beside this page; ws: or wss: as the page is. @param {Options} options */
function socketUrl({ url }) {
  const base = url ?? new URL("ws", globalThis.document?.baseURI).href;
  return base.replace(/^http/, "ws");
}

/** @param {Options} options @param {string} path @param {RequestInit} init */
function fetchFrom(options, path, init) {
  const headers = { ...init.headers, ...(options.token ? { authorization: `Bearer ${options.token}` } : {}) };
  const base = socketUrl(options).replace(/^ws/, "http");
  return (options.fetch ?? globalThis.fetch)(new URL(path, base), { ...init, headers });
}

/** @param {Options} options @param {string} method @param {string} path @param {unknown} [body] */
async function request(options, method, path, body) {
  const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }) };
  const answer = await fetchFrom(options, path, init);
  const json = await answer.json().catch(() => null);
  if (answer.ok) return { status: answer.status, json };
  const { code = "http", message = `The server answered ${answer.status}.` } = json?.error ?? {};
  throw new TidingsError(code, message, answer.status === 429 || answer.status >= 500);
}

/** The events of a stream (WHATWG HTML §9.2); anything that comes counts as heard. @param {ReadableStream<Uint8Array>} body @param {() => void} heard */
async function* eventStream(body, heard) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split(/\r?\n/)) {
        const [, field, said] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
        if (field === "event") name = said;
        else if (field === "data") data.push(said);
      }
      if (data.length > 0) yield { name, data: data.join("\n") };
    }
  }
}

/** JSON, or null. @param {unknown} text */
function parse(text) {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}

/** `retry_ms=` in what the server said, e.g. when it restarts; at most a minute. @param {string} detail */
function retryHint(detail) {
  const hint = Number(/(?:^|[\s;,])retry_ms=(\d+)/.exec(detail)?.[1] ?? 0);
  return Math.min(hint, 60_000);
}

const isVisible = () => globalThis.document?.visibilityState !== "hidden";

/** `localStorage`, where there is one and it may be used. @returns {KeyValue | null} */
function platformStorage() {
  try {
    return globalThis.document ? globalThis.localStorage : null;
  } catch {
    return null;
  }
}
