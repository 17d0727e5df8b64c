/** The user's stream as this page has received it: where it stands, what was shown, what has ended. @module */

/** @import { Message, Platform, Position, Welcome, Withdraw } from "./types.js" */

/** Notification ids remembered against showing one twice. */
const MAX_REMEMBERED = 2_000;
/** Timers hold 2^31 ms at most. */
const MAX_TIMER_MS = 86_400_000;

export class Stream {
  #platform;
  /** Everything up to here was received. @type {Position | null} */ position = null;
  /** @type {Set<string>} */ seen = new Set();
  /** When each message that is shown expires, by the server's clock. @type {Map<string, number>} */ #expires = new Map();
  /** Expired, and the page has been told. @type {Set<string>} */ #ended = new Set();
  /** @type {any} */ #timer = null;
  #expired;
  /** The server's clock minus this one's. */
  #skew = 0;

  /** @param {Platform} platform @param {(withdraw: Withdraw) => void} expired */
  constructor(platform, expired) {
    this.#platform = platform;
    this.#expired = expired;
  }

  /** Goes on where an earlier page left off. @param {{ position?: Position, seen?: string[] }} left */
  adopt({ position, seen = [] }) {
    this.position ??= position ?? null;
    for (const id of seen) this.seen.add(id);
  }

  forget() {
    this.position = null;
    for (const kept of [this.seen, this.#ended, this.#expires]) kept.clear();
    this.stop();
  }

  /** No timer is left behind. */
  stop() {
    this.#platform.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** True if messages were missed that the server no longer holds. @param {Welcome} welcome @param {number} skew */
  welcome(welcome, skew) {
    this.#skew = skew;
    const resumed = this.position;
    const lost = resumed !== null && (welcome.recovered === false || resumed.epoch !== welcome.epoch);
    // What was missed is no longer held, or nothing was seen yet: go on from where the stream is now.
    if (lost || !resumed) this.position = { epoch: welcome.epoch, offset: welcome.offset };
    this.#watch();
    return lost;
  }

  /** True the first time. @param {Message} message */
  receive(message) {
    const { notification_id: id, epoch, offset, expires_at } = message;
    if (epoch !== undefined && offset !== undefined) {
      const { position } = this;
      const ahead = position?.epoch === epoch && position.offset > offset;
      this.position = { epoch, offset: ahead ? position.offset : offset };
    }
    if (id === undefined) return true;
    if (this.seen.has(id)) return false;
    bound(this.seen.add(id));
    const at = Date.parse(expires_at ?? "");
    if (at > 0) {
      this.#expires.set(id, at);
      bound(this.#expires);
      this.#watch();
    }
    return true;
  }

  /** True unless the page was told of this end before. @param {string} id @param {string} reason */
  end(id, reason) {
    if (reason !== "read_elsewhere") this.#expires.delete(id);
    if (reason !== "expired") return true;
    if (this.#ended.has(id)) return false;
    bound(this.#ended.add(id));
    return true;
  }

  /** Says of each message that expires that it has, at once. */
  #watch() {
    this.stop();
    const now = this.#platform.now() + this.#skew;
    let next = Infinity;
    const due = [];
    for (const [notification_id, at] of this.#expires) {
      if (at > now) next = Math.min(next, at);
      else due.push(notification_id);
    }
    if (next < Infinity) this.#timer = this.#platform.setTimeout(() => this.#watch(), Math.min(MAX_TIMER_MS, next - now));
    this.#timer?.unref?.();
    for (const notification_id of due) {
      this.#expires.delete(notification_id);
      this.#expired({ type: "withdraw", notification_id, reason: "expired" });
    }
  }
}

/** The oldest goes. @param {Set<string> | Map<string, number>} kept */
function bound(kept) {
  if (kept.size > MAX_REMEMBERED) kept.delete(kept.keys().next().value ?? "");
}
