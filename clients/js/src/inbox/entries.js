/** Messages that the inbox shows: pages of the server, what arrives meanwhile, and what was changed here. No DOM. @module */

/** @import { InboxMessage } from "../client/types.js" */

/** Changes remembered against a page that was read before them. */
const MAX_CHANGES = 500;

/**
 * Newest first, by offset. A page that was asked for before a change does not take the change back.
 */
export class Entries {
  /** @type {InboxMessage[]} */ all = [];
  /** Where the next page begins; null = there is none, undefined = no page was read yet. @type {number | string | null | undefined} */
  next;
  /** What was changed since: `at` is when that was stored, infinite until then. @type {Map<string, { read?: boolean, gone?: boolean, at: number }>} */
  #changes = new Map();
  /** Ids that came by the connection, not by a page. @type {Set<string>} */ #live = new Set();

  clear() {
    this.all = [];
    this.next = undefined;
    this.#changes.clear();
    this.#live.clear();
  }

  /** @param {string} id */
  get(id) {
    return this.all.find((message) => message.notification_id === id);
  }

  /**
   * Takes a page in. One that is the first replaces everything but what has arrived since; a later one is added.
   * @param {{ messages: InboxMessage[], next_before?: number | string | null }} page
   * @param {{ first: boolean, askedAt: number }} asked @returns {string[]} ids that are new
   */
  page({ messages, next_before }, { first, askedAt }) {
    const top = messages[0]?.offset ?? -1;
    const kept = first ? this.all.filter((one) => this.#live.has(one.notification_id) && (one.offset ?? Infinity) > top) : this.all;
    const known = new Set(kept.map((one) => one.notification_id));
    const added = [];
    for (const message of messages) {
      const id = message.notification_id;
      const change = this.#changes.get(id);
      const newer = change && change.at >= askedAt ? change : null;
      if (known.has(id) || newer?.gone) continue;
      kept.push({ ...message, read: newer?.read ?? message.read });
      added.push(id);
    }
    this.all = kept;
    this.#sort();
    this.next = next_before ?? null;
    return added;
  }

  /** True unless it is there already. @param {InboxMessage} message */
  arrive(message) {
    const id = message.notification_id;
    if (this.get(id)) return false;
    this.#live.add(id);
    this.all.push({ ...message, read: message.read ?? false });
    this.#sort();
    return true;
  }

  /** The message, if it was there. @param {string} id @param {number} at when it was stored @returns {InboxMessage | undefined} */
  remove(id, at) {
    const message = this.get(id);
    this.#change(id, { gone: true, at });
    this.all = this.all.filter((one) => one !== message);
    return message;
  }

  /** Back, as it was. @param {InboxMessage} message @param {number} at */
  restore(message, at) {
    this.#change(message.notification_id, { gone: false, read: message.read, at });
    return this.arrive(message);
  }

  /** @param {string} id @param {boolean} read @param {number} at */
  mark(id, read, at) {
    this.#change(id, { read, at });
    const message = this.get(id);
    if (message) message.read = read;
    return message;
  }

  /** @param {string} id @param {{ read?: boolean, gone?: boolean, at: number }} change */
  #change(id, change) {
    const changed = { ...this.#changes.get(id), ...change };
    this.#changes.delete(id);
    this.#changes.set(id, changed);
    if (this.#changes.size > MAX_CHANGES) this.#changes.delete(this.#changes.keys().next().value ?? "");
  }

  #sort() {
    this.all.sort((a, b) => (b.offset ?? Infinity) - (a.offset ?? Infinity) || 0);
  }
}

/** An address that a page may lead to or load: http, https, or relative to the page. @param {unknown} url @returns {string | null} */
export function safeUrl(url) {
  if (typeof url !== "string" || url === "") return null;
  try {
    const { protocol } = new URL(url, globalThis.document?.baseURI ?? "https://shop.invalid/");
    return protocol === "https:" || protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}
