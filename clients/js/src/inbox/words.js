/** Words of the inbox in English and German, plurals and times. @module */

/** @typedef {string | { zero?: string, one?: string, two?: string, few?: string, many?: string, other: string }} Word By plural category of `n` where it counts. */
/** @typedef {keyof typeof EN} WordName */
/** @typedef {Partial<Record<WordName, Word>>} Words */

const EN = {
  title: "Notifications",
  bell: /** @type {Word} */ ({ one: "Notifications, {n} unread", other: "Notifications, {n} unread" }),
  close: "Close",
  back: "Back to the messages",
  readAll: "Mark all as read",
  preferences: "Preferences",
  view: "Show",
  inbox: "Inbox",
  unread: "Unread",
  archived: "Archived",
  snoozed: "Snoozed",
  keys: "Up and down arrow keys move between messages, left and right within one.",
  loading: "Loading…",
  empty: "No messages yet",
  emptyMore: "New ones appear here by themselves.",
  emptyView: "Nothing here",
  signedOut: "Nobody is signed in.",
  failed: "The messages can't be shown.",
  retry: "Try again",
  offline: "Offline. Changes are sent once the connection is back.",
  older: "Older messages",
  loaded: /** @type {Word} */ ({ one: "{n} older message", other: "{n} older messages" }),
  arrived: "New: {title}",
  isUnread: "unread",
  until: "until {time}",
  archive: "Archive",
  unarchive: "Move to the inbox",
  more: "More actions",
  markRead: "Mark as read",
  markUnread: "Mark as unread",
  snoozeHour: "Remind me in an hour",
  snoozeDay: "Remind me tomorrow",
  mute: "Mute “{name}”",
  remove: "Delete",
  removeSure: "Delete for good?",
  undo: "Undo",
  didArchive: "Archived.",
  didUnarchive: "Moved to the inbox.",
  didSnooze: "Comes back {time}.",
  didMute: "You will not get any more of “{name}”.",
  didUndo: "Undone.",
  didRead: "All marked as read.",
  didRemove: "Deleted.",
  refused: "That did not work: {reason}",
  saved: "Saved.",
  preferencesFailed: "The preferences can't be shown.",
  quiet: "Quiet hours",
  quietOn: "No messages during quiet hours",
  from: "From",
  to: "To",
  channels: "Channels",
  socket: "In open pages",
  push: "By the browser, when no page is open",
  muted: "Muted",
  mutedNone: "Nothing is muted.",
  unmute: "Hear about “{name}” again",
  region: "Language and time zone",
  ofBrowser: "{value} (of this browser)",
};

/** @type {typeof EN} */
const DE = {
  title: "Mitteilungen",
  bell: { one: "Mitteilungen, {n} ungelesene", other: "Mitteilungen, {n} ungelesene" },
  close: "Schließen",
  back: "Zurück zu den Mitteilungen",
  readAll: "Alle als gelesen markieren",
  preferences: "Einstellungen",
  view: "Anzeigen",
  inbox: "Posteingang",
  unread: "Ungelesen",
  archived: "Archiv",
  snoozed: "Zurückgestellt",
  keys: "Die Pfeiltasten nach oben und unten wechseln die Mitteilung, links und rechts die Schaltfläche.",
  loading: "Wird geladen …",
  empty: "Noch keine Mitteilungen",
  emptyMore: "Neue erscheinen hier von selbst.",
  emptyView: "Hier ist nichts",
  signedOut: "Niemand ist angemeldet.",
  failed: "Die Mitteilungen können nicht angezeigt werden.",
  retry: "Noch einmal versuchen",
  offline: "Offline. Änderungen werden gesendet, sobald die Verbindung wieder besteht.",
  older: "Ältere Mitteilungen",
  loaded: { one: "{n} ältere Mitteilung", other: "{n} ältere Mitteilungen" },
  arrived: "Neu: {title}",
  isUnread: "ungelesen",
  until: "bis {time}",
  archive: "Archivieren",
  unarchive: "In den Posteingang",
  more: "Weitere Aktionen",
  markRead: "Als gelesen markieren",
  markUnread: "Als ungelesen markieren",
  snoozeHour: "In einer Stunde erinnern",
  snoozeDay: "Morgen erinnern",
  mute: "„{name}“ stummschalten",
  remove: "Löschen",
  removeSure: "Endgültig löschen?",
  undo: "Rückgängig",
  didArchive: "Archiviert.",
  didUnarchive: "In den Posteingang verschoben.",
  didSnooze: "Kommt wieder {time}.",
  didMute: "Zu „{name}“ kommt nichts mehr.",
  didUndo: "Rückgängig gemacht.",
  didRead: "Alle als gelesen markiert.",
  didRemove: "Gelöscht.",
  refused: "Das hat nicht geklappt: {reason}",
  saved: "Gespeichert.",
  preferencesFailed: "Die Einstellungen können nicht angezeigt werden.",
  quiet: "Ruhezeiten",
  quietOn: "Keine Mitteilungen während der Ruhezeiten",
  from: "Von",
  to: "Bis",
  channels: "Kanäle",
  socket: "In offenen Seiten",
  push: "Über den Browser, wenn keine Seite offen ist",
  muted: "Stummgeschaltet",
  mutedNone: "Nichts ist stummgeschaltet.",
  unmute: "Wieder Mitteilungen zu „{name}“",
  region: "Sprache und Zeitzone",
  ofBrowser: "{value} (dieses Browsers)",
};

/** @type {Record<string, typeof EN>} */
const BUILT_IN = { en: EN, de: DE };
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Words and times of one language. */
export class Language {
  #words;
  #plurals;
  #numbers;
  #relative;
  /** BCP 47. @type {string} */ locale;

  /**
   * A language without words of its own, built in or given, is English as a whole: no mixture of words of one with dates
   * of another.
   * @param {string} wanted @param {Words | null} [own]
   */
  constructor(wanted, own) {
    const locale = canonical(wanted);
    const base = BUILT_IN[locale.split("-")[0]];
    this.locale = base || own ? locale : "en";
    this.#words = { ...(base ?? EN), ...own };
    this.#plurals = new Intl.PluralRules(this.locale);
    this.#numbers = new Intl.NumberFormat(this.locale);
    this.#relative = new Intl.RelativeTimeFormat(this.locale, { numeric: "auto" });
  }

  /** @param {WordName} name @param {Record<string, string | number>} [values] */
  say(name, values = {}) {
    const word = /** @type {Word} */ (this.#words[name]);
    const text = typeof word === "string" ? word : (word[this.#plurals.select(Number(values.n))] ?? word.other);
    return text.replace(/\{(\w+)\}/g, (hole, key) => {
      const value = values[key];
      return value === undefined ? hole : typeof value === "number" ? this.#numbers.format(value) : value;
    });
  }

  /** "5 minutes ago", "yesterday"; beyond a week the date. @param {number} at @param {number} now ms since 1970 */
  ago(at, now) {
    const ms = at - now;
    const size = Math.abs(ms);
    if (size < MINUTE_MS) return this.#relative.format(0, "second");
    if (size < HOUR_MS) return this.#relative.format(Math.trunc(ms / MINUTE_MS), "minute");
    if (size < DAY_MS) return this.#relative.format(Math.trunc(ms / HOUR_MS), "hour");
    if (size < 7 * DAY_MS) return this.#relative.format(Math.trunc(ms / DAY_MS), "day");
    return new Intl.DateTimeFormat(this.locale, { dateStyle: "medium" }).format(at);
  }

  /** The moment in full. @param {number} at */
  moment(at) {
    return new Intl.DateTimeFormat(this.locale, { dateStyle: "medium", timeStyle: "short" }).format(at);
  }

  /** @param {number} price @param {string | null} [currency] */
  money(price, currency) {
    try {
      return new Intl.NumberFormat(this.locale, currency ? { style: "currency", currency } : {}).format(price);
    } catch {
      return `${price} ${currency}`;
    }
  }
}

/** @param {string} tag */
function canonical(tag) {
  try {
    return Intl.getCanonicalLocales(tag)[0] ?? "en";
  } catch {
    return "en";
  }
}

/** `price_drop` as "Price drop". @param {string} name */
export const readable = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");
