/** What waits for the server, in memory and, once it is known whose it is, in storage. @module */

/** @import { Platform, Position } from "./types.js" */
import { TidingsError, parse, randomId, withStorage } from "./platform.js";

/** Frames that wait; more are refused rather than kept without bound. */
const MAX_PENDING = 1_000;
/** Most bytes of a frame: those of the server, less the time that a late one gets. */
const MAX_FRAME_BYTES = (64 << 10) - 64;
const UUID = /^[\da-f-]{36}$/i;
/** Of those, what storage takes: characters of JSON. */
const MAX_STORED_CHARS = 256 << 10;
/** What waited longer says nothing any more, and the server would refuse its date. */
const MAX_STORED_AGE_MS = 7 * 86_400_000;
/** An event that waited longer says when it was. */
const LATE_MS = 1_000;
/** Ids of shown messages that are kept beside the position. */
const MAX_SEEN = 100;
const KEPT = new Set(["event", "feedback", "read", "mute"]);

/**
 * By key, bounded. Each page has a place of its own in storage and takes over what others left: twice sent is harmless, the
 * keys are the same.
 */
export class Outbox {
  #platform;
  /** `left`: by an earlier page. @type {Map<string, { frame: any, at: number, left?: boolean }>} */ #entries = new Map();
  /** The start of every key of the user; empty until it is known who that is. */
  #prefix = "";
  #id = randomId();
  #scheduled = false;

  /** @param {Platform} platform */
  constructor(platform) {
    this.#platform = platform;
  }

  /**
   * It is this user's from here on: adopts what was left of earlier pages. What was another's until now stays in that one's place;
   * what this page itself has added goes along if `guessed`, when it was not known who that is.
   * @param {string} user @param {boolean} guessed
   */
  bind(user, guessed) {
    const [own, others] = [new Map(), new Map()];
    for (const [key, entry] of this.#entries) (guessed && !entry.left ? own : others).set(key, entry);
    this.#entries = others;
    if (this.#prefix) this.#save();
    this.#entries = own;
    // A dot in a name must not lead into somebody else's place.
    this.#prefix = `tidings.${encodeURIComponent(user).replace(/\./g, "%2E")}.`;
    this.#guard((storage) => {
      for (const key of this.#keys(storage, "outbox.")) {
        for (const [id, frame, at] of parse(storage.getItem(key)) ?? []) {
          const fresh = this.#platform.now() - at < MAX_STORED_AGE_MS && this.#entries.size < MAX_PENDING;
          if (fresh && KEPT.has(frame?.type) && !this.#entries.has(id)) this.#entries.set(id, { frame, at, left: true });
        }
        storage.removeItem(key);
      }
    });
    if (this.#entries.size > 0) this.#save();
  }

  get size() {
    return this.#entries.size;
  }

  /** Why it is not kept, if so: a server that can't read a frame ends the connection. @param {string} key @param {any} frame */
  add(key, frame) {
    const { type, notification_id: id } = frame;
    if (type !== "event" && id !== undefined && !UUID.test(id)) return new TidingsError("bad_id", `No notification_id: ${id}`);
    const bytes = new TextEncoder().encode(JSON.stringify(frame)).length;
    if (bytes > MAX_FRAME_BYTES) return new TidingsError("too_large", `${bytes} bytes are too many.`);
    if (this.#entries.size >= MAX_PENDING && !this.#entries.has(key)) {
      return new TidingsError("too_many_pending", "Too much waits for the server.", true);
    }
    this.#entries.set(key, { frame, at: this.#platform.now() });
    this.#saveSoon();
    return null;
  }

  /** @param {string} key */
  get(key) {
    return this.#entries.get(key)?.frame;
  }

  /** @param {string} key */
  has(key) {
    return this.#entries.has(key);
  }

  /** @param {string} key */
  remove(key) {
    if (this.#entries.delete(key)) this.#saveSoon();
  }

  /** Gives up what waits. */
  clear() {
    this.#entries.clear();
    this.#save();
  }

  /** Forgets all there is of the user, other pages' as well. */
  forget() {
    this.#entries.clear();
    this.#guard((storage) => this.#keys(storage, "").forEach((key) => storage.removeItem(key)));
    this.#prefix = "";
  }

  /** Oldest first; what was meant to be dated by its arrival is dated now. @returns {Generator<[string, any]>} */
  *entries() {
    for (const [key, { frame, at }] of this.#entries) {
      const late = frame.type === "event" && this.#platform.now() - at > LATE_MS;
      const { epoch, ...said } = frame;
      yield [key, late ? { occurred_at: new Date(at).toISOString(), ...said } : said];
    }
  }

  /** Keys of what counts by offsets of another stream than this one. @param {string} epoch */
  outdated(epoch) {
    const counts = (/** @type {any} */ { all, up_to }) => all || up_to !== undefined;
    return [...this.#entries].filter(([, { frame }]) => counts(frame) && frame.epoch !== epoch).map(([key]) => key);
  }

  /** Where an earlier page of the user left off. @returns {{ position?: Position, seen?: string[] }} */
  recall() {
    return this.#guard((storage) => parse(storage.getItem(`${this.#prefix}position`))) ?? {};
  }

  /** @param {Position} position @param {Set<string>} seen */
  remember(position, seen) {
    const text = JSON.stringify({ position, seen: [...seen].slice(-MAX_SEEN) });
    this.#guard((storage) => storage.setItem(`${this.#prefix}position`, text));
  }

  /** @param {Storage | import("./types.js").KeyValue} storage @param {string} below */
  #keys(storage, below) {
    const keys = Array.from({ length: storage.length }, (_, n) => storage.key(n) ?? "");
    return keys.filter((key) => key.startsWith(this.#prefix + below));
  }

  /** Many changes in one turn are written once. */
  #saveSoon() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#save();
    });
  }

  #save() {
    const place = `${this.#prefix}outbox.${this.#id}`;
    this.#guard((storage) => {
      if (this.#entries.size === 0) return storage.removeItem(place);
      let chars = 0;
      const kept = [];
      for (const [key, { frame, at }] of this.#entries) {
        const text = JSON.stringify([key, frame, at]);
        chars += text.length;
        if (chars > MAX_STORED_CHARS) break;
        kept.push(text);
      }
      storage.setItem(place, `[${kept.join(",")}]`);
    });
  }

  /** @template T @param {(storage: import("./types.js").KeyValue) => T} act @returns {T | undefined} */
  #guard(act) {
    return this.#prefix ? withStorage(this.#platform, act) : undefined;
  }
}
