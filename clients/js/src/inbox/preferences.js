/** The user's preferences: quiet hours, channels, what is muted; each change is stored at once. @module */

/** @import { Tidings } from "../tidings.js" */
/** @import { Language } from "./words.js" */
import { h, put, textButton } from "./dom.js";
import { readable } from "./words.js";

/** @typedef {{ of: string, name: string }} Mute */
/**
 * @typedef {{ time_zone?: string | null, locale?: string | null, quiet_hours?: { from: string, to: string } | null,
 *   muted?: string[], mutes?: Mute[], blocked_channels?: Record<string, string[]> }} Preferences
 */
/** `say` tells of a change, `failed` of one that was refused, with a way to try again. @typedef {{ language: Language, saved: () => void, failed: (error: unknown, again: () => void) => void }} PanelContext */

/** Channels that can be turned off for all categories. */
const CHANNELS = /** @type {const} */ (["socket", "push"]);
const EVERYTHING = "*";
const FIRST_QUIET = { from: "22:00", to: "07:00" };

/** The document; that of a user nobody has stored anything of is empty. @param {Tidings} client @returns {Promise<Preferences>} */
export async function readPreferences(client) {
  try {
    return await client.preferences();
  } catch (error) {
    if (/** @type {any} */ (error).status === 404) return {};
    throw error;
  }
}

/** One after the other: taking back writes what was read before it. @type {Promise<unknown>} */
let last = Promise.resolve();

/**
 * Mutes a category, or takes that back. Over HTTP, which is answered once it is stored: what undoes it comes after it.
 * @param {Tidings} client @param {string} category @param {boolean} wanted
 */
export function mute(client, category, wanted) {
  const change = async () => {
    if (wanted) return client.mute({ of: "category", name: category }, true);
    const { muted = [], mutes = [] } = await readPreferences(client);
    return client.preferences({ muted: muted.filter((name) => name !== category), mutes: mutes.filter(({ of, name }) => of !== "category" || name !== category) });
  };
  return (last = last.then(change, change));
}

export class PreferencesPanel {
  #client;
  #context;
  /** @type {Preferences} */ #now;
  #turn = 0;
  #quietOn;
  #from;
  #to;
  #times;
  #muted = h("ul", { class: "line" });
  #region = h("p", { class: "soft" });
  /** @type {Map<string, HTMLInputElement>} */ #channels = new Map();
  /** @type {HTMLFormElement} */ element;

  /** @param {Tidings} client @param {Preferences} preferences @param {PanelContext} context */
  constructor(client, preferences, context) {
    this.#client = client;
    this.#context = context;
    this.#now = preferences;
    const say = context.language.say.bind(context.language);
    const store = () => this.#storeQuiet();
    this.#quietOn = h("input", { type: "checkbox", name: "quiet", onchange: store });
    this.#from = h("input", { type: "time", name: "from", required: true, onchange: store });
    this.#to = h("input", { type: "time", name: "to", required: true, onchange: store });
    this.#times = h("div", { class: "line" }, h("label", {}, say("from"), this.#from), h("label", {}, say("to"), this.#to));
    for (const name of CHANNELS) this.#channels.set(name, h("input", { type: "checkbox", name, onchange: () => this.#storeChannels() }));
    const channels = [...this.#channels].map(([name, box]) => h("label", {}, box, say(/** @type {"socket" | "push"} */ (name))));
    const part = (/** @type {"quiet" | "channels" | "muted" | "region"} */ name, /** @type {Node[]} */ ...inside) =>
      h("fieldset", {}, h("legend", {}, say(name)), ...inside);
    this.element = h(
      "form",
      { part: "preferences", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      part("quiet", h("label", {}, this.#quietOn, say("quietOn")), this.#times),
      part("channels", ...channels),
      part("muted", this.#muted),
      part("region", this.#region),
    );
    this.#show();
  }

  #show() {
    const { quiet_hours, blocked_channels = {}, locale, time_zone } = this.#now;
    const { language } = this.#context;
    this.#quietOn.checked = Boolean(quiet_hours);
    this.#times.hidden = !quiet_hours;
    this.#from.value = (quiet_hours ?? FIRST_QUIET).from;
    this.#to.value = (quiet_hours ?? FIRST_QUIET).to;
    for (const [name, box] of this.#channels) box.checked = !blocked_channels[EVERYTHING]?.includes(name);
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const of = (/** @type {string | null | undefined} */ value, /** @type {string} */ browser) => value ?? language.say("ofBrowser", { value: browser });
    const names = new Intl.DisplayNames(language.locale, { type: "language" });
    const tongue = (/** @type {string} */ tag) => named(names, tag);
    put(this.#region, of(locale && tongue(locale), tongue(navigator.language)), " · ", of(time_zone, own).replaceAll("_", " "));
    this.#showMuted();
  }

  #showMuted() {
    const { muted = [], mutes = [] } = this.#now;
    const { language } = this.#context;
    const chip = (/** @type {string} */ name, /** @type {Record<string, unknown>} */ change) => {
      const label = language.say("unmute", { name });
      return h("li", {}, textButton(`${name} ×`, { "aria-label": label, title: label, onclick: () => this.#unmute(change) }));
    };
    const chips = [
      ...muted.map((name) => chip(readable(name), { muted: muted.filter((other) => other !== name) })),
      ...mutes.map((mute) => chip(readable(mute.name), { mutes: mutes.filter((other) => other !== mute) })),
    ];
    put(this.#muted, chips.length ? chips : h("li", { class: "soft" }, language.say("mutedNone")));
  }

  /** Focus goes to the next one, or back to the first field. @param {Record<string, unknown>} change */
  async #unmute(change) {
    await this.#store(change);
    (this.#muted.querySelector("button") ?? this.#quietOn).focus();
  }

  #storeQuiet() {
    const from = this.#from.value;
    const to = this.#to.value;
    if (!this.#quietOn.checked) return this.#store({ quiet_hours: null });
    if (from && to) return this.#store({ quiet_hours: { from, to } });
  }

  #storeChannels() {
    // What else was blocked stays blocked.
    const others = (this.#now.blocked_channels?.[EVERYTHING] ?? []).filter((name) => !this.#channels.has(name));
    const off = [...this.#channels].filter(([, box]) => !box.checked).map(([name]) => name);
    const blocked = [...others, ...off];
    return this.#store({ blocked_channels: { [EVERYTHING]: blocked.length ? blocked : null } });
  }

  /** @param {Record<string, unknown>} change @returns {Promise<void>} */
  async #store(change) {
    const turn = (this.#turn += 1);
    try {
      const now = await this.#client.preferences(change);
      this.#context.saved();
      // An answer to an earlier change knows nothing of a later one.
      if (turn < this.#turn) return;
      this.#now = now;
    } catch (error) {
      this.#context.failed(error, () => this.#store(change));
    }
    this.#show();
  }
}

/** @param {Intl.DisplayNames} names @param {string} tag */
function named(names, tag) {
  try {
    return names.of(tag) ?? tag;
  } catch {
    return tag;
  }
}
