/** Hands the outbox to the server: so much at a time, again when it was refused for the moment. @module */

/** @import { ClientFrame, Platform } from "./types.js" */
/** @import { Outbox } from "./outbox.js" */
import { backoff } from "./platform.js";

/** Most frames without an answer. */
const MAX_WINDOW = 64;
/** Most frames of a pace: below what a server takes from one connection (50 a second over ten). */
const PACE_FRAMES = 150;
const PACE_MS = 4_000;

/** Errors that name no frame: which kind they are about. @type {Record<string, string>} */
const ABOUT = { nothing_to_mute: "mute", unknown_notification: "feedback", bad_outcome: "feedback" };

/**
 * Events have an answer of their own. What has none (feedback, read, mute) is followed by a ping, and is stored once that
 * is answered.
 */
export class Sender {
  #platform;
  #outbox;
  /** @type {((frame: ClientFrame) => void) | null} */ #write = null;
  /** Of those without an answer of their own, the number of the ping behind them; 0 for events. @type {Map<string, number>} */
  #inFlight = new Map();
  #pings = 0;
  #pongs = 0;
  #window = MAX_WINDOW;
  #failures = 0;
  /** Frames since the pace began, and when that was. */
  #spent = 0;
  #paceAt = 0;
  /** @type {any} */ #pause = null;

  /** @param {Outbox} outbox @param {Platform} platform */
  constructor(outbox, platform) {
    this.#outbox = outbox;
    this.#platform = platform;
  }

  /** A login has succeeded: everything that waits goes out by `write`. @param {(frame: ClientFrame) => void} write */
  start(write) {
    this.stop();
    this.#write = write;
    this.flush();
  }

  stop() {
    this.#platform.clearTimeout(this.#pause);
    this.#write = this.#pause = null;
    this.#pings = this.#pongs = 0;
    this.#inFlight.clear();
  }

  flush() {
    if (!this.#write || this.#pause) return;
    let ping = false;
    for (const [key, frame] of this.#outbox.entries()) {
      if (this.#inFlight.size >= this.#window) break;
      if (this.#inFlight.has(key)) continue;
      if (!this.#mayWrite()) break;
      const answered = frame.type === "event";
      this.#inFlight.set(key, answered ? 0 : this.#pings + 1);
      this.#write(frame);
      ping ||= !answered;
    }
    if (ping) this.ping();
  }

  ping() {
    if (!this.#write) return;
    this.#pings += 1;
    this.#write({ type: "ping" });
  }

  /** What is under way. @returns {string[]} keys */
  get sent() {
    return [...this.#inFlight.keys()];
  }

  /** What an error that names no frame is about: the oldest under way that has no answer of its own. @param {string} code @returns {string | null} key */
  oldest(code) {
    const type = ABOUT[code];
    for (const [key, ping] of this.#inFlight) if (ping > 0 && (!type || this.#outbox.get(key)?.type === type)) return key;
    return null;
  }

  /** A ping was answered. @returns {string[]} keys of what is stored by that */
  ponged() {
    this.#pongs += 1;
    const stored = [...this.#inFlight].filter(([, ping]) => ping > 0 && ping <= this.#pongs).map(([key]) => key);
    for (const key of stored) this.settled(key);
    return stored;
  }

  /** The server has it, or will never take it. @param {string} key */
  settled(key) {
    this.#inFlight.delete(key);
    this.#outbox.remove(key);
    if (this.#window < MAX_WINDOW) this.#window = Math.min(MAX_WINDOW, this.#window * 2);
    this.#failures = 0;
    this.flush();
  }

  /** The server is busy: the same again later, one at first. @param {string | null} key null = it does not say of which */
  busy(key) {
    if (key === null) this.#inFlight.clear();
    else this.#inFlight.delete(key);
    if (this.#pause) return;
    this.#window = 1;
    this.#rest(200 + backoff(this.#failures++, this.#platform.random));
  }

  /** @param {number} ms */
  #rest(ms) {
    this.#pause = this.#platform.setTimeout(() => {
      this.#pause = null;
      this.flush();
    }, ms);
  }

  /** Is there room in the pace? If not, it goes on with the next. */
  #mayWrite() {
    const now = this.#platform.now();
    if (now - this.#paceAt >= PACE_MS) {
      this.#paceAt = now;
      this.#spent = 0;
    }
    if (this.#spent++ < PACE_FRAMES) return true;
    this.#rest(PACE_MS);
    return false;
  }
}
