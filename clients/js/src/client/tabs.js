/**
 * One connection for all tabs of a browser. A Web Lock elects the tab that holds it; the others are its clients over a
 * BroadcastChannel, and speak the server's own protocol with it. When that tab goes, freezes or hangs, another takes over and
 * resumes: every tab knows where the stream stands and keeps what it has sent until it is stored.
 *
 * @module
 */

/** @import { ClientFrame, Line, LineEvents, Platform, Position, Status, Welcome } from "./types.js" */
import { randomId } from "./platform.js";

/** Messages that the holder keeps for tabs that were frozen. */
const MAX_KEPT = 128;
/** A holder that does not answer within this is frozen or hangs: its lock is taken. */
const ANSWER_MS = 5_000;

/**
 * What tabs say to each other. To everybody (`to` absent) or to one; `hello` to whoever holds the connection.
 * @typedef {{ from: string, to?: string, hello?: { position: Position | null, visible: boolean }, write?: ClientFrame,
 *   frame?: any, status?: Status, ended?: { code: number, reason: string }, forget?: boolean }} Said
 */

/**
 * `lead`: this tab holds the connection from now on. `depose`: no longer. `write`: another tab's frame for the server.
 * `presence`: somebody else began or ceased to look. `ended`, `forget`: by another tab, for all.
 * @typedef {{ lead(): void, depose(): void, write(frame: ClientFrame): void, presence(): void,
 *   ended(code: number, reason: string): void, forget(): void }} TabEvents
 */

export class Tabs {
  #platform;
  #id = randomId();
  #name;
  #events;
  /** @type {LockManager} */ #locks;
  /** @type {BroadcastChannel} */ #channel;
  /** Ends everything that waits for a lock. */
  #left = new AbortController();
  #leaving = () => {};
  /** Gives the connection to another tab. @type {(() => void) | null} */ #yield = null;
  /** What the line of a tab without the connection listens to. @type {((said: Said) => void) | null} */ #hear = null;
  /** Tabs without the connection, and whether somebody looks at them. @type {Map<string, boolean>} */ #others = new Map();
  /** Whose pings the server is about to answer; null = this tab's. @type {(string | null)[]} */ #pings = [];
  /** Messages since `#since`. @type {any[]} */ #kept = [];
  /** @type {Position | null} */ #since = null;
  /** @type {Welcome | null} */ #welcome = null;
  /** The counts of the inbox; the server tells none where there is nothing unread. @type {any} */ #inbox = null;
  /** @type {Status | null} */ #status = null;

  /** @param {Platform} platform @param {string} name @param {TabEvents} events */
  constructor(platform, name, events) {
    this.#platform = platform;
    this.#name = name;
    this.#events = events;
    this.#locks = /** @type {LockManager} */ (platform.locks);
    this.#channel = new /** @type {typeof BroadcastChannel} */ (platform.BroadcastChannel)(name);
    this.#channel.onmessage = ({ data }) => this.#heard(data);
    // Held for as long as the tab is there: that is how the others learn that it has gone.
    const gone = new Promise((/** @type {(nothing: void) => void} */ resolve) => (this.#leaving = resolve));
    this.#hold(`${name}/${this.#id}`, {}, () => gone);
  }

  get leading() {
    return this.#yield !== null;
  }

  /** Is somebody looking at another tab? */
  get visible() {
    return [...this.#others.values()].includes(true);
  }

  /** Resolves once it is known whether this tab holds the connection. @returns {Promise<void>} */
  join() {
    return new Promise((resolve) => {
      this.#hold(this.#name, { ifAvailable: true }, (lock) => {
        if (lock && !this.#left.signal.aborted) return this.#lead(resolve);
        resolve();
        this.#queue({ signal: this.#left.signal });
        return undefined;
      });
    });
  }

  /** Takes the connection from a tab that does not answer. */
  steal() {
    if (!this.leading && !this.#left.signal.aborted) this.#queue({ steal: true });
  }

  leave() {
    this.#left.abort();
    this.#leaving();
    this.#yield?.();
    this.#yield = null;
    this.#channel.close();
  }

  /** @param {LockOptions} options */
  #queue(options) {
    this.#hold(this.#name, options, () => (this.#left.signal.aborted ? undefined : this.#lead(this.#events.lead)));
  }

  /** @param {() => void} led @returns {Promise<void>} until another tab shall have the connection */
  #lead(led) {
    // What was kept when it held the connection before has a hole by now.
    this.#since = null;
    const until = new Promise((/** @type {(nothing: void) => void} */ resolve) => (this.#yield = resolve));
    led();
    return until;
  }

  /** @param {string} name @param {LockOptions} options @param {(lock: Lock | null) => Promise<void> | void} act */
  #hold(name, options, act) {
    this.#locks.request(name, options, act).catch(() => {
      // Left, or another tab has taken the lock.
      if (name !== this.#name || !this.leading || this.#left.signal.aborted) return;
      this.#yield = null;
      this.#queue({ signal: this.#left.signal });
      this.#events.depose();
    });
  }

  /** @param {Omit<Said, "from">} said */
  say(said) {
    if (!this.#left.signal.aborted) this.#channel.postMessage({ from: this.#id, ...said });
  }

  /** @param {Said} said */
  #heard(said) {
    if (this.#left.signal.aborted || (said.to ?? this.#id) !== this.#id) return;
    if (said.forget) return this.#events.forget();
    // Of the tab that had the connection; this one may have got it a moment ago.
    if (said.ended) return this.#events.ended(said.ended.code, said.ended.reason);
    if (!this.leading) return this.#hear?.(said);
    if (said.hello || said.write) this.#known(said.from);
    if (said.hello) this.#answer(said.from, said.hello);
    if (said.write) this.#pass(said.from, said.write);
  }

  // Of the tab that holds the connection.

  /** A frame for the server from this tab itself. @param {ClientFrame} frame */
  writing(frame) {
    if (frame.type === "ping") this.#pings.push(null);
  }

  /** A frame of the server; false if it is none of this tab's business. @param {any} frame */
  receive(frame) {
    // An error that names no frame is about what was written before the next ping that is answered.
    const nameless = frame.type === "error" && !frame.temporary && (frame.reply_to ?? null) === null && this.#pings.length > 0;
    if (frame.type === "pong" || nameless) {
      const to = (nameless ? this.#pings[0] : this.#pings.shift()) ?? null;
      if (to !== null) this.say({ to, frame });
      return to === null;
    }
    if (frame.type === "welcome") {
      this.#welcome = frame;
      this.#inbox = { type: "inbox", unread: 0, unseen: 0 };
    } else if (frame.type === "inbox") this.#inbox = frame;
    if (frame.offset !== undefined && frame.type !== "welcome") this.#keep(frame);
    this.say({ frame });
    return true;
  }

  /** A new connection stands, with the stream at `position`; what is kept counts on if nothing was missed. @param {Position | null} position @param {boolean} continued */
  loggedIn(position, continued) {
    if (this.#since && continued) return;
    this.#since = position;
    this.#kept = [];
  }

  /** The connection has changed. @param {Status} status */
  changed(status) {
    this.#status = status;
    if (status.state !== "online") {
      this.#welcome = null;
      this.#pings = [];
    }
    this.say({ status });
  }

  /** @param {any} frame */
  #keep(frame) {
    this.#kept.push(frame);
    if (this.#kept.length > MAX_KEPT) {
      const { epoch, offset } = this.#kept.shift();
      this.#since = { epoch, offset };
    }
  }

  /** @param {string} id */
  #known(id) {
    if (this.#others.has(id)) return;
    this.#others.set(id, false);
    this.#hold(`${this.#name}/${id}`, { signal: this.#left.signal }, () => {
      const looked = this.#others.get(id);
      this.#others.delete(id);
      if (looked) this.#events.presence();
    });
  }

  /** As the server would: the missed messages, or that they are no longer held. @param {string} to @param {NonNullable<Said["hello"]>} hello */
  #answer(to, { position, visible }) {
    this.#look(to, visible);
    const [welcome, since] = [this.#welcome, this.#since];
    if (welcome && since) {
      const recovered = !position || (position.epoch === since.epoch && position.offset >= since.offset);
      const missed = position && recovered ? this.#kept.filter(({ offset }) => offset > position.offset) : [];
      const { epoch, offset } = this.#kept.at(-1) ?? since;
      this.say({ to, frame: { ...welcome, epoch, offset, recovered } });
      for (const frame of [...missed, this.#inbox]) this.say({ to, frame });
    }
    if (this.#status) this.say({ to, status: this.#status });
  }

  /** @param {string} from @param {ClientFrame} frame */
  #pass(from, frame) {
    if (frame.type === "presence") return this.#look(from, frame.visible);
    if (!this.#welcome) return this.#status && this.say({ to: from, status: this.#status });
    if (frame.type === "ping") this.#pings.push(from);
    this.#events.write(frame);
  }

  /** @param {string} id @param {boolean} visible */
  #look(id, visible) {
    if (this.#others.get(id) === visible) return;
    this.#others.set(id, visible);
    this.#events.presence();
  }

  // Of the others.

  /** The way to the server by way of the tab that has the connection. @param {LineEvents} events @param {() => boolean} visible @param {() => Position | null} position @returns {Line} */
  line(events, visible, position) {
    const { clearTimeout, setTimeout } = this.#platform;
    /** @type {any} */ let patience = null;
    /** Who has answered; nobody else's messages count, and none before: a later one would hide that earlier ones were missed. */
    let holder = "";
    const hello = () => {
      holder = "";
      this.say({ hello: { position: position(), visible: visible() } });
    };
    return {
      name: "tab",
      open: () => {
        this.#hear = ({ from, to, frame, status }) => {
          clearTimeout(patience);
          events.heard();
          if (to && frame?.type === "welcome") holder = from;
          else if (frame?.type === "welcome") return hello();
          if (frame && from === holder) events.frame(frame);
          if (status) events.status?.(status);
        };
        patience = setTimeout(() => this.steal(), ANSWER_MS);
        hello();
      },
      // What arrives here was received: the tab that has the connection acknowledges it.
      write: (write) => write.type !== "ack" && this.say({ write }),
      close: () => {
        clearTimeout(patience);
        this.#hear = null;
      },
    };
  }
}
