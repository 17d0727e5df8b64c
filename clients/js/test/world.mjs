// A world in virtual time: a clock, a network that changes, a server that keeps streams, and pages in browsers. The server
// keeps the protocol's promises (docs/api.md) and believes nothing: what it counts is what the tests look at.

import { lockManager, memoryStorage, token } from "./support.mjs";

/** What settles without time has settled. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Virtual time. A timer of a machine that sleeps waits until it wakes. */
export class Clock {
  now = Date.UTC(2030, 0, 1);
  #timers = [];
  #count = 0;

  /** Timers of one machine; `awake()` says whether they run. */
  timers(awake = () => true) {
    return {
      now: () => this.now,
      setTimeout: (act, ms) => {
        const timer = { at: this.now + Math.max(0, ms), order: (this.#count += 1), act, awake };
        this.#timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  #next() {
    let next = null;
    for (const timer of this.#timers) {
      if (timer.awake() && (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order))) next = timer;
    }
    return next;
  }

  async advance(ms) {
    const end = this.now + ms;
    await settle();
    for (let next = this.#next(); next && next.at <= end; next = this.#next()) {
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.act();
      await settle();
    }
    this.now = end;
  }
}

/** The id of a user's message at an offset. */
export function messageId(user, offset) {
  const head = Buffer.from(String(user)).toString("hex").slice(0, 8).padStart(8, "0");
  return `${head}-0000-7000-8000-${String(offset).padStart(12, "0")}`;
}

/** A server: streams of users, at most `places` connections of each, tokens that end. */
export class Server {
  users = new Map();
  connections = new Set();
  /** Handshakes, logins and frames of clients. */
  attempts = 0;
  logins = 0;
  frames = [];
  full = false;
  places = 16;
  pingMs = 25_000;
  swallows = false;

  constructor(clock) {
    this.clock = clock;
    this.timers = clock.timers();
  }

  user(id) {
    if (!this.users.has(id)) this.users.set(id, { epoch: `e${id}`, offset: 0, messages: [], events: new Map() });
    return this.users.get(id);
  }

  publish(id, fields = {}) {
    const user = this.user(id);
    const offset = (user.offset += 1);
    const message = { type: "notification", notification_id: messageId(id, offset), epoch: user.epoch, offset, user_id: id,
      kind: "announcement", category: "news", title: `No. ${offset}`, body: "", sent_at: new Date(this.clock.now).toISOString(), ...fields };
    user.messages.push(message);
    for (const connection of this.connections) if (connection.user === id) connection.send(message);
    return message;
  }

  /** A socket has come through. */
  accept(socket) {
    this.attempts += 1;
    const connection = {
      user: null,
      send: (frame) => socket.deliver(JSON.stringify(frame)),
      close: (code, reason = "") => {
        this.connections.delete(connection);
        this.timers.clearTimeout(connection.ending);
        this.timers.clearTimeout(connection.silence);
        connection.closed = true;
        socket.closedByServer(code, reason);
      },
      heard: () => {
        this.timers.clearTimeout(connection.silence);
        connection.silence = this.timers.setTimeout(() => {
          // The browser answers pings itself for as long as the path is whole.
          if (socket.whole()) connection.heard();
          else connection.close(3012);
        }, 33_000);
      },
    };
    connection.heard();
    return connection;
  }

  receive(connection, text) {
    // What comes to a connection that has ended is answered by nobody.
    if (this.swallows || connection.closed) return;
    connection.heard();
    const frame = JSON.parse(text);
    this.frames.push({ at: this.clock.now, user: connection.user, ...frame });
    if (connection.user === null && frame.type !== "login") return connection.send({ type: "error", code: "not_logged_in", message: "", temporary: false });
    const answer = this[frame.type];
    answer?.call(this, connection, frame);
  }

  login(connection, { user_id, token: given, resume }) {
    const claims = given ? JSON.parse(Buffer.from(given.split(".")[1], "base64url")) : {};
    if (claims.exp * 1_000 <= this.clock.now) return connection.close(3005, "token expired");
    if (claims.bad) return connection.close(3500, "bad token");
    const id = String(user_id ?? claims.sub);
    const mine = [...this.connections].filter((one) => one.user === id);
    if (mine.length >= this.places) return connection.close(3504, "too many connections");
    if (claims.exp) connection.ending = this.timers.setTimeout(() => connection.close(3005, "token expired"), claims.exp * 1_000 - this.clock.now);
    const user = this.user(id);
    this.logins += 1;
    connection.user = id;
    this.connections.add(connection);
    const oldest = user.messages.at(-128)?.offset ?? 0;
    const recovered = !resume || (resume.epoch === user.epoch && resume.offset >= oldest - 1);
    connection.send({ type: "welcome", session_id: "s", user_id: /^\d+$/.test(id) ? Number(id) : id, epoch: user.epoch, offset: user.offset,
      recovered, ping_ms: this.pingMs, server_time: new Date(this.clock.now).toISOString() });
    if (resume && recovered) for (const message of user.messages) if (message.offset > resume.offset) connection.send(message);
  }

  event(connection, { event_id, kind }) {
    if (this.full) return connection.send({ type: "error", code: "overloaded", message: "later", temporary: true, reply_to: event_id });
    if (kind === "nonsense") return connection.send({ type: "error", code: "unknown_kind", message: "no", temporary: false, reply_to: event_id });
    const { events } = this.user(connection.user);
    const times = (events.get(event_id) ?? 0) + 1;
    events.set(event_id, times);
    connection.send({ type: "accepted", event_id, duplicate: times > 1 });
  }

  ping(connection) {
    connection.send({ type: "pong" });
  }
}

/** A machine with a network: it sleeps, it changes the network, it has a browser with pages. */
export class Machine {
  asleep = false;
  online = true;
  locks = lockManager();
  storage = memoryStorage();
  sockets = new Set();
  #channels = new Map();

  constructor(clock, server) {
    this.clock = clock;
    this.server = server;
    this.timers = clock.timers(() => !this.asleep);
  }

  /** Every connection is dead, without a word. */
  changeNetwork(online = true) {
    for (const socket of this.sockets) socket.path = false;
    this.online = online;
  }

  /** What the client takes of the platform, for one page. */
  page() {
    const machine = this;
    const targets = { document: new EventTarget(), window: new EventTarget() };
    const page = {
      visibility: "visible",
      frozen: false,
      tell: (target, name, fields = {}) => targets[target].dispatchEvent(Object.assign(new Event(name), fields)),
      show: (visible) => {
        page.visibility = visible ? "visible" : "hidden";
        page.tell("document", "visibilitychange");
      },
    };
    const timers = this.clock.timers(() => !machine.asleep && !page.frozen);
    Object.defineProperty(targets.document, "visibilityState", { get: () => page.visibility });
    class Socket {
      readyState = 0;
      path = true;
      constructor() {
        machine.sockets.add(this);
        if (!machine.online) return void timers.setTimeout(() => this.end(1006, ""), 50);
        timers.setTimeout(() => {
          if (this.readyState !== 0 || !this.path) return;
          this.connection = machine.server.accept(this);
          this.readyState = 1;
          this.onopen?.();
        }, 20);
      }
      whole = () => this.path && !machine.asleep && this.readyState === 1;
      send(text) {
        if (this.path) machine.server.timers.setTimeout(() => this.path && this.readyState === 1 && machine.server.receive(this.connection, text), 15);
      }
      deliver(data) {
        machine.server.timers.setTimeout(() => {
          // What arrives at a machine that sleeps is lost with the connection.
          if (machine.asleep) this.path = false;
          if (this.path && this.readyState === 1) timers.setTimeout(() => this.path && this.onmessage?.({ data }), 0);
        }, 15);
      }
      closedByServer(code, reason) {
        if (this.path && !machine.asleep) timers.setTimeout(() => this.end(code, reason), 15);
      }
      end(code, reason) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        machine.sockets.delete(this);
        this.onclose?.({ code, reason });
      }
      close() {
        if (this.readyState === 3) return;
        this.readyState = 3;
        machine.sockets.delete(this);
        if (this.connection && this.path) machine.server.timers.setTimeout(() => this.connection.close(1000), 15);
      }
    }
    class Channel {
      constructor(name) {
        this.peers = machine.#channels.get(name) ?? new Set();
        machine.#channels.set(name, this.peers.add(this));
      }
      postMessage(data) {
        for (const peer of this.peers) {
          if (peer !== this) peer.timers.setTimeout(() => this.peers.has(peer) && peer.onmessage?.({ data: structuredClone(data) }), 1);
        }
      }
      close() {
        this.peers.delete(this);
      }
      timers = timers;
    }
    const navigator = { get onLine() { return machine.online; } };
    // No way but the socket, unless a test brings one.
    const fetch = async () => { throw new TypeError("Failed to fetch"); };
    const platform = { ...timers, fetch, ...targets, WebSocket: Socket, BroadcastChannel: Channel, locks: this.locks, storage: this.storage, navigator };
    return Object.assign(page, { platform });
  }
}

/** A seeded generator, uniform in 0…1 (mulberry32). */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A token of a user that ends so many seconds from now. */
export const tokenFor = (clock, sub, seconds, more = {}) => token({ sub, exp: clock.now / 1_000 + seconds, ...more });
