/** What a person does with messages: shown at once, stored, and taken back if it is refused or undone. @module */

/** @import { Tidings } from "../tidings.js" */
/** @import { InboxMessage } from "../client/types.js" */
/** @import { List } from "./list.js" */
/** @import { Action } from "./row.js" */
/** @import { Language, WordName } from "./words.js" */
import { mute } from "./preferences.js";
import { readable } from "./words.js";

/** @typedef {{ unread: number, unseen: number }} Counts */
/**
 * @typedef {{ list: () => List, language: () => Language, counted: (counts: Counts) => void,
 *   changed: (change: Change, ids: string[]) => void,
 *   say: (text: string, undo?: (() => Promise<void>) | null) => void, refused: (error: any, revert?: () => void) => void }} ChangeContext
 */
/** @typedef {"archive" | "unarchive" | "delete" | "snooze"} Leave */
/** @typedef {Leave | "read" | "unread" | "mute"} Change */

const HOUR_MS = 3_600_000;
/** Tomorrow begins at this hour. */
const MORNING = 8;
/** @type {Record<Leave, WordName>} */
const DONE = { archive: "didArchive", unarchive: "didUnarchive", delete: "didRemove", snooze: "didSnooze" };

export class Changes {
  /** @type {Tidings | null} */ client = null;
  #context;
  /** Reads on their way: counts that the server tells meanwhile are from before them. */
  pending = 0;

  /** @param {ChangeContext} context */
  constructor(context) {
    this.#context = context;
  }

  get #list() {
    return this.#context.list();
  }

  /** @param {Action} action @param {string} id */
  act(action, id) {
    const message = this.#list.entries.get(id);
    const { client } = this;
    if (!message || !client) return;
    const was = { ...message };
    if (action === "read") this.read(message);
    else if (action === "mute") this.#mute(client, message);
    else if (action === "unread") this.#unread(client, was);
    else if (action === "snoozeHour") this.#leave(client, was, "snooze", Date.now() + HOUR_MS);
    else if (action === "snoozeDay") this.#leave(client, was, "snooze", tomorrow());
    else this.#leave(client, was, action);
  }

  /** @param {InboxMessage} message */
  read(message) {
    const { client } = this;
    if (message.read || !client) return;
    const { notification_id: id } = message;
    this.#mark(client, id, true);
    this.#context.changed("read", [id]);
    this.#await(client, client.read([id])).then(
      () => this.#list.entries.mark(id, true, performance.now()),
      (error) => this.#context.refused(error, () => this.#mark(client, id, false)),
    );
  }

  async readAll() {
    const { client } = this;
    if (!client) return;
    const unread = this.#list.entries.all.filter((message) => !message.read);
    const marked = (/** @type {boolean} */ read, /** @type {number} */ at) => {
      for (const { notification_id: id } of unread) this.#list.entries.mark(id, read, at);
      this.#list.draw();
    };
    const { counts } = client;
    marked(true, Infinity);
    this.#count(client, { unread: 0, unseen: 0 });
    this.#context.changed("read", unread.map((message) => message.notification_id));
    try {
      await this.#await(client, client.readAll());
      marked(true, performance.now());
      this.#context.say(this.#context.language().say("didRead"));
    } catch (error) {
      if (counts) this.#count(client, counts);
      this.#context.refused(error, () => marked(false, performance.now()));
    }
  }

  /** @template T @param {Tidings} client @param {Promise<T>} stored */
  async #await(client, stored) {
    this.pending += 1;
    try {
      return await stored;
    } finally {
      this.pending -= 1;
      if (client.counts && client === this.client) this.#context.counted(client.counts);
    }
  }

  /** @param {Tidings} client @param {Counts} counts */
  #count(client, { unread, unseen }) {
    client.counts = { unread, unseen };
    this.#context.counted(client.counts);
  }

  /** @param {Tidings} client @param {string} id @param {boolean} read */
  #mark(client, id, read) {
    const was = this.#list.entries.get(id)?.read;
    this.#list.entries.mark(id, read, Infinity);
    const { counts } = client;
    if (counts && was !== read) this.#count(client, { ...counts, unread: Math.max(0, counts.unread + (read ? -1 : 1)) });
    this.#list.draw();
  }

  /** Out of this list at once. @param {Tidings} client @param {InboxMessage} was @param {Leave} change @param {number} [until] */
  async #leave(client, was, change, until) {
    const { notification_id: id } = was;
    const { entries } = this.#list;
    const language = this.#context.language();
    const back = () => {
      entries.restore(was, performance.now());
      this.#list.draw();
    };
    entries.remove(id, Infinity);
    this.#list.draw();
    try {
      this.#context.counted(await client.mark(change, [id], until === undefined ? {} : { until: new Date(until).toISOString() }));
      entries.remove(id, performance.now());
      this.#context.changed(change, [id]);
      const undo = change === "delete" ? null : () => this.#takeBack(client, was, change, back);
      this.#context.say(language.say(DONE[change], { time: until === undefined ? "" : language.moment(until) }), undo);
    } catch (error) {
      this.#context.refused(error, back);
    }
  }

  /** As it was before: in the archive or not, read or not. @param {Tidings} client @param {InboxMessage} was @param {Leave} change @param {() => void} back */
  async #takeBack(client, was, change, back) {
    const ids = [was.notification_id];
    const opposite = change === "unarchive" ? "archive" : change === "archive" && was.read ? "unarchive" : "unread";
    const counts = await client.mark(opposite, ids);
    if (opposite === "unread" && was.read) await client.read(ids);
    else this.#context.counted(counts);
    back();
  }

  /** @param {Tidings} client @param {InboxMessage} was */
  async #unread(client, { notification_id: id }) {
    const { view, entries } = this.#list;
    this.#mark(client, id, false);
    try {
      this.#context.counted(await client.mark("unread", [id]));
      this.#context.changed("unread", [id]);
      if (view === "archived" || view === "snoozed") entries.remove(id, performance.now());
      else entries.mark(id, false, performance.now());
      this.#list.draw();
    } catch (error) {
      this.#context.refused(error, () => this.#mark(client, id, true));
    }
  }

  /** @param {Tidings} client @param {InboxMessage} message */
  async #mute(client, { notification_id: id, category }) {
    try {
      await mute(client, category, true);
      client.feedback(id, "muted");
      this.#context.changed("mute", [id]);
      const text = this.#context.language().say("didMute", { name: readable(category) });
      this.#context.say(text, () => mute(client, category, false));
    } catch (error) {
      this.#context.refused(error);
    }
  }
}

/** Tomorrow morning, by this browser's clock. */
function tomorrow() {
  const date = new Date();
  date.setDate(date.getDate() + 1);
  return date.setHours(MORNING, 0, 0, 0);
}
