/** Stays connected: chooses the way, logs in, notices silence, comes back with patience. @module */

/** @import { ClientFrame, ConnectionEvents, Line, Options, Platform, State, Status, Welcome } from "./types.js" */
/** @import { Credentials } from "./credentials.js" */
/** @import { Tabs } from "./tabs.js" */
import { identity, socketUrl } from "./address.js";
import { CLOSE_REASONS, mayReconnect, retryHint } from "./close_codes.js";
import { backoff, rememberBlocked, rememberedBlocked } from "./platform.js";
import { SocketLine } from "./socket_line.js";

const CONNECT_TIMEOUT_MS = 10_000;
const PONG_TIMEOUT_MS = 8_000;
const DEFAULT_PING_MS = 25_000;
/** How long a line may take to prove itself after a change of network or a sleep, and how fresh it is beyond doubt. */
const CHECK_MS = 5_000;
const FRESH_MS = 3_000;
/** A server that is silent this long on Server-Sent Events (it comments every 20 s) is gone. */
const SSE_SILENCE_MS = 45_000;
/** WebSockets that never opened before Server-Sent Events are tried. */
const BLOCKED_AFTER = 2;
/** On Server-Sent Events: when a WebSocket is tried first (the server may only have been down), and how often after that. */
const PROBE_FIRST_MS = 3_000;
const PROBE_MS = 300_000;
/** A browser whose WebSockets are blocked or silent is remembered for this long, over a reload. */
const REMEMBER_MS = 3_600_000;
/** Only a connection that stood this long ends a row of failures. */
const STABLE_MS = 10_000;
/** Events of the platform (online, visible) bring an attempt forward this often at most. */
const HASTE_MS = 5_000;
/** Tokens that were refused in a row stretch the wait by their number, up to this. */
const MAX_PATIENCE = 15;

export class Connection {
  #platform;
  #options;
  #credentials;
  #server;
  #on;
  /** @type {Line | null} */ #line = null;
  /** @type {Tabs | null} */ #tabs = null;
  /** @type {SocketLine | null} */ #probe = null;
  /** @type {typeof import("./event_line.js").EventLine | undefined} */ #EventLine;
  #wanted = false;
  #suspended = false;
  #loggedIn = false;
  /** The server has ended the stream: the next welcome may name the user that this one was merged into. */
  #moved = false;
  /** Counts what was opened: what an earlier one still has to say is void. */
  #turn = 0;
  #attempt = 0;
  #refusals = 0;
  /** WebSockets in a row that never opened or were silent. */
  #blocked = 0;
  #onlineAt = Infinity;
  #heardAt = 0;
  #hastenedAt = -Infinity;
  #pingMs = DEFAULT_PING_MS;
  /** Of `retry`, `connect`, `ping`, `pong`, `probe`, `renew`. @type {Record<string, any>} */ #timers = {};
  /** @type {[EventTarget | undefined, string, (event: any) => void][]} */ #listeners;
  /** @type {Status} */
  status = { state: "offline", reason: "Not connected.", code: null, retryAt: null, attempt: 0 };

  /** @param {Options} options @param {Platform} platform @param {Credentials} credentials @param {URL} server @param {ConnectionEvents} on */
  constructor(options, platform, credentials, server, on) {
    this.#options = options;
    this.#platform = platform;
    this.#credentials = credentials;
    this.#server = server;
    this.#on = on;
    const { document, window } = platform;
    const page = /** @type {EventTarget | undefined} */ (window);
    this.#listeners = [
      [document, "visibilitychange", () => (this.presence(), this.#visible && this.#wake())],
      [document, "freeze", () => this.#suspend()],
      [document, "resume", () => this.#resume()],
      // A page that is kept for the back button may hold neither a socket nor a lock.
      [page, "pagehide", ({ persisted }) => persisted && this.#suspend()],
      [page, "pageshow", ({ persisted }) => persisted && this.#resume()],
      [page, "online", () => this.#wake()],
      [page, "offline", () => this.#loggedIn && this.#check()],
    ];
  }

  /** `websocket`, `sse`, `tab` (another tab's), or null while there is none. */
  get transport() {
    return this.#line?.name ?? null;
  }

  get loggedIn() {
    return this.#loggedIn;
  }

  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = this.#refusals = 0;
    this.#blocked = rememberedBlocked(this.#platform) ? BLOCKED_AFTER : 0;
    for (const [target, name, act] of this.#listeners) target?.addEventListener(name, act);
    this.#open();
  }

  /** @param {string} reason @param {number | null} code */
  disconnect(reason = "Not connected.", code = null) {
    this.#wanted = this.#suspended = false;
    for (const [target, name, act] of this.#listeners) target?.removeEventListener(name, act);
    this.#drop(code);
    this.#tabs?.leave();
    this.#tabs = null;
    this.#on.ended(reason);
    this.#report("offline", reason, code);
  }

  retryNow() {
    if (!this.#wanted || this.#line || this.#timers.connect) return;
    this.#open();
  }

  /** @param {ClientFrame} frame */
  write(frame) {
    if (this.#tabs?.leading) this.#tabs.writing(frame);
    this.#line?.write(frame);
  }

  /** Tells the other tabs that the user has signed out. */
  forget() {
    this.#tabs?.say({ forget: true });
  }

  async #open() {
    this.#drop();
    const turn = this.#turn;
    const current = () => turn === this.#turn;
    let opened = false;
    this.#timers.connect = this.#after(CONNECT_TIMEOUT_MS, () => {
      // Silent although it is open: something on the way swallows frames, and goes on doing so.
      if (this.#line?.name === "websocket") this.#blocked = opened ? BLOCKED_AFTER : this.#blocked + 1;
      else if (this.#line?.name === "sse") this.#blocked = 0;
      this.#lost(1006, "", "The server did not answer in time.");
    });
    this.#report("connecting", this.#attempt ? "Connecting again…" : "Connecting…");
    if (!current() || !(await this.#ready(current)) || !current()) return;
    const events = {
      opened: () => {
        opened = true;
        if (line.name === "websocket") this.#login();
      },
      frame: (/** @type {any} */ frame) => this.#receive(frame),
      heard: () => current() && this.#heard(),
      lost: (/** @type {number} */ code, /** @type {string} */ detail) => {
        if (!current()) return;
        if (!opened) {
          this.#blocked = line.name === "websocket" ? this.#blocked + 1 : 0;
          // The other way at once: nobody should wait for what will not work.
          if (line.name === "websocket" && this.#choosesEvents()) return void this.#open();
        }
        this.#lost(code, detail);
      },
      status: (/** @type {Status} */ status) => current() && this.#follow(status),
    };
    const line = this.#lineFor(events);
    this.#line = line;
    line.open(this.#on.position());
  }

  /** A token that holds, a user that is still the same, and a place among the tabs. @param {() => boolean} current */
  async #ready(current) {
    const credentials = this.#credentials;
    try {
      const renewed = !credentials.stale || this.#following || (await credentials.renew());
      if (!current()) return false;
      if (!renewed) return this.disconnect("Nobody is signed in any more.", 3005);
    } catch {
      if (current()) this.#lost(1006, "", "The sign-in could not be renewed.");
      return false;
    }
    if (!this.#identify(credentials.user)) return false;
    if (!this.#tabs) await this.#share(current);
    if (this.#EventLine || !this.#choosesEvents()) return true;
    // Only where it is used.
    this.#EventLine = (await import("./event_line.js").catch(() => null))?.EventLine;
    if (!this.#EventLine && current()) {
      // Some browsers never load again what they could not: the other way has to stay open.
      this.#blocked = 0;
      this.#lost(1006);
    }
    return Boolean(this.#EventLine);
  }

  /** False, and all has ended, when it has become somebody else: nothing of one is sent as another. @param {string | undefined} user @param {Welcome} [welcome] */
  #identify(user, welcome) {
    const same = user === undefined || this.#on.identified(user, welcome, this.#moved);
    if (!same) this.disconnect("Another user has signed in.");
    else if (welcome) this.#moved = false;
    return same;
  }

  /** One connection for all tabs, where that is wanted and the browser has what it takes. @param {() => boolean} current */
  async #share(current) {
    const { document, locks, BroadcastChannel } = this.#platform;
    const { share = Boolean(document), device = "" } = this.#options;
    const { user } = this.#credentials;
    if (!share || user === undefined || !locks || !BroadcastChannel) return;
    // Only where it is used; a page that can't load it has a connection of its own.
    const loaded = await import("./tabs.js").catch(() => null);
    if (!loaded || !current()) return;
    const tabs = new loaded.Tabs(this.#platform, `tidings:${this.#server}:${user}:${device}`, {
      lead: () => this.#open(),
      depose: () => this.#open(),
      write: (frame) => this.#line?.write(frame),
      presence: () => this.presence(),
      ended: (code, reason) => this.disconnect(reason, code),
      forget: () => this.#on.forget(),
    });
    this.#tabs = tabs;
    await tabs.join();
  }

  /** Does another tab hold the connection? */
  get #following() {
    return this.#tabs !== null && !this.#tabs.leading;
  }

  /** @param {import("./types.js").LineEvents} events @returns {Line} */
  #lineFor(events) {
    if (this.#tabs && this.#following) return this.#tabs.line(events, () => this.#visible, this.#on.position);
    if (!this.#EventLine || !this.#choosesEvents()) return new SocketLine(this.#platform, socketUrl(this.#server), events);
    const who = identity(this.#options, this.#credentials.token);
    return new this.#EventLine(this.#platform, this.#server, who, events);
  }

  /** Server-Sent Events where there is no WebSocket, or where one never opens or is silent. */
  #choosesEvents() {
    const { transport = "auto" } = this.#options;
    if (transport !== "auto") return transport === "sse";
    return !this.#platform.WebSocket || this.#blocked >= BLOCKED_AFTER;
  }

  #login() {
    const resume = this.#on.position();
    const who = identity(this.#options, this.#credentials.token);
    this.write({ type: "login", ...who, ...(resume && { resume }) });
  }

  /** @param {any} frame */
  #receive(frame) {
    this.#heard();
    if (frame.type === "welcome" && !this.#identify(String(frame.user_id), frame)) return;
    if (this.#tabs?.leading && !this.#tabs.receive(frame)) return;
    if (frame.type === "welcome") this.#welcome(frame);
    else this.#on.frame(frame);
  }

  /** @param {Welcome} frame */
  #welcome(frame) {
    const turn = this.#turn;
    this.#clear("connect");
    this.#loggedIn = true;
    this.#onlineAt = this.#platform.now();
    if (frame.ping_ms > 0) this.#pingMs = frame.ping_ms;
    this.#credentials.skew = (Date.parse(frame.server_time) || this.#onlineAt) - this.#onlineAt;
    this.#heard();
    const sse = this.#line?.name === "sse";
    if (this.#line?.name === "websocket") this.#blocked = 0;
    if (sse) this.#probeSocket(PROBE_FIRST_MS);
    if (sse && this.#blocked >= BLOCKED_AFTER) rememberBlocked(this.#platform, this.#onlineAt + REMEMBER_MS);
    if (!this.#following) this.#renewLater();
    this.presence();
    const epoch = this.#on.position()?.epoch;
    this.#on.welcome(frame);
    if (turn !== this.#turn) return;
    if (this.#tabs?.leading) this.#tabs.loggedIn(this.#on.position(), frame.recovered && epoch === frame.epoch);
    this.#report("online", "Connected.");
    if (turn === this.#turn) this.#on.online(frame);
  }

  /** Whether a person looks, at this tab or at one that it speaks for. */
  presence() {
    if (!this.#loggedIn) return;
    this.write({ type: "presence", visible: this.#visible || Boolean(this.#tabs?.leading && this.#tabs.visible) });
  }

  get #visible() {
    return this.#platform.document?.visibilityState !== "hidden";
  }

  /** The connection of the tab that has one. @param {Status} status */
  #follow(status) {
    this.#clear("connect");
    if (status.state === "online") return;
    this.#moved ||= status.code === 3010;
    if (this.#loggedIn) this.#on.dropped(null);
    this.#loggedIn = false;
    this.#attempt = status.attempt;
    this.#report(status.state, status.reason, status.code, status.retryAt);
  }

  /** Is the WebSocket possible after all? Then everything moves there; the resume makes it seamless. @param {number} after ms */
  #probeSocket(after) {
    const { transport = "auto" } = this.#options;
    if (transport !== "auto" || !this.#platform.WebSocket) return;
    this.#timers.probe = this.#after(after, () => {
      const again = () => {
        probe.close();
        if (this.#probe !== probe) return;
        this.#clear("probe");
        this.#probeSocket(PROBE_MS);
      };
      const probe = new SocketLine(this.#platform, socketUrl(this.#server), {
        // Any answer proves that frames pass, in both directions; that one must log in first is one.
        opened: () => probe.write({ type: "ping" }),
        frame: () => {
          if (this.#probe !== probe || !this.#wanted) return;
          this.#blocked = 0;
          rememberBlocked(this.#platform, null);
          this.#open();
        },
        heard: () => {},
        lost: again,
      });
      this.#probe = probe;
      this.#timers.probe = this.#after(CONNECT_TIMEOUT_MS, again);
      probe.open();
    });
  }

  /** A new token before the old one ends, and with it a new connection, which resumes. */
  #renewLater() {
    const wait = this.#credentials.renewAfter;
    if (wait === null) return;
    this.#timers.renew = this.#after(wait, async () => {
      const [turn, old] = [this.#turn, this.#credentials.token];
      const renewed = await this.#credentials.renew().catch(() => true);
      if (turn !== this.#turn) return;
      if (!renewed) return this.disconnect("Nobody is signed in any more.", 3005);
      if (this.#credentials.token === old) return this.#renewLater();
      this.#open();
    });
  }

  /** Anything heard proves that the line is alive; silence for `ping_ms` asks. */
  #heard() {
    this.#heardAt = this.#platform.now();
    this.#clear("ping", "pong");
    const lost = () => this.#lost(3012);
    if (this.#line?.name === "sse") this.#timers.ping = this.#after(SSE_SILENCE_MS, lost);
    else if (this.#line?.name === "websocket" && this.#loggedIn) {
      this.#timers.ping = this.#after(this.#pingMs, () => this.#check(PONG_TIMEOUT_MS));
    }
  }

  /** Asks for a sign of life. @param {number} patience ms */
  #check(patience = CHECK_MS) {
    if (this.#timers.pong) return;
    this.#on.ping();
    this.#timers.pong = this.#after(patience, () => (this.#following ? this.#tabs?.steal() : this.#lost(3012)));
  }

  /** Something has changed for the better: look after the line, or for one. */
  #wake() {
    const now = this.#platform.now();
    if (!this.#wanted || this.#suspended) return;
    if (this.#loggedIn) {
      if (now - this.#heardAt > FRESH_MS) this.#check();
    } else if (this.#timers.retry && now - this.#hastenedAt >= HASTE_MS) {
      this.#hastenedAt = now;
      this.#retryAfter(this.#platform.random() * 1_000);
    }
  }

  #suspend() {
    if (!this.#wanted || this.#suspended) return;
    this.#suspended = true;
    this.#drop();
    this.#tabs?.leave();
    this.#tabs = null;
    this.#report("offline", "The page is asleep.");
  }

  #resume() {
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#open();
  }

  /** @param {number} code @param {string} [detail] what the server said @param {string} [reason] */
  #lost(code, detail = "", reason = CLOSE_REASONS[code]) {
    if (this.#platform.now() - this.#onlineAt >= STABLE_MS) this.#attempt = this.#refusals = 0;
    this.#drop(code);
    if (!this.#wanted) return;
    this.#moved ||= code === 3010;
    const signIn = code === 3005 || code === 3500;
    if (signIn) this.#credentials.refused();
    const again = signIn ? this.#credentials.renewable : mayReconnect(code);
    if (!again) {
      const said = reason ?? (detail || "The server closed the connection.");
      this.#tabs?.say({ ended: { code, reason: said } });
      return this.disconnect(said, code);
    }
    const offline = this.#platform.navigator?.onLine === false;
    // Others must go before there is a place; without a network there is no hurry, `online` will tell.
    const patience = this.#attempt + (code === 3504 || offline ? 3 : 0);
    const slowly = signIn ? Math.min(++this.#refusals, MAX_PATIENCE) : 1;
    const wait = retryHint(detail) + slowly * backoff(patience, this.#platform.random);
    this.#attempt += 1;
    this.#retryAfter(wait);
    const said = offline && code === 1006 ? "This device has no network." : (reason ?? "The server can't be reached.");
    this.#report("offline", said, code, this.#platform.now() + wait);
  }

  /** @param {number} wait ms */
  #retryAfter(wait) {
    this.#clear("retry");
    this.#timers.retry = this.#after(wait, () => this.#open());
  }

  /** Leaves no timer, no line and no promise behind that still counts. @param {number | null} code */
  #drop(code = null) {
    this.#turn += 1;
    this.#clear(...Object.keys(this.#timers));
    if (this.#loggedIn) this.#on.dropped(code);
    this.#loggedIn = false;
    this.#onlineAt = Infinity;
    const [line, probe] = [this.#line, this.#probe];
    this.#line = this.#probe = null;
    line?.close();
    probe?.close();
  }

  /** @param {number} ms @param {() => void} act */
  #after(ms, act) {
    return this.#platform.setTimeout(act, ms);
  }

  /** @param {string[]} names */
  #clear(...names) {
    for (const name of names) {
      this.#platform.clearTimeout(this.#timers[name]);
      this.#timers[name] = 0;
    }
  }

  /** @param {State} state @param {string} reason @param {number | null} code @param {number | null} retryAt */
  #report(state, reason, code = null, retryAt = null) {
    this.status = { state, reason, code, retryAt, attempt: this.#attempt };
    if (this.#tabs?.leading) this.#tabs.changed(this.status);
    this.#on.status(this.status);
  }
}
