/** Who is signed in: the token, when it ends, and whom it names. @module */

/** @import { Options, Platform } from "./types.js" */
import { parse } from "./platform.js";

/** A token is replaced this long before it ends, or at a tenth of what is left of it if that is less. */
const LEAD_MS = 60_000;
/** Never asked more often than this while a connection stands. */
const MIN_REFRESH_MS = 10_000;
/** Timers hold 2^31 ms at most; once a day is no burden. */
const MAX_TIMER_MS = 86_400_000;
/** A token with less left is not worth a login. */
const SPENT_MS = 2_000;

export class Credentials {
  #platform;
  #options;
  #ask;
  #refused = false;
  /** @type {string | undefined} */ token;
  /** The server's clock minus this one's. */
  skew = 0;

  /** @param {Options} options @param {Platform} platform */
  constructor(options, platform) {
    this.token = options.token;
    this.#ask = options.getToken;
    this.#options = options;
    this.#platform = platform;
  }

  /** Is there somebody to ask for another token? */
  get renewable() {
    return Boolean(this.#ask);
  }

  /** The user by name as far as it is known without the server. @returns {string | undefined} */
  get user() {
    const { sub, role = "user" } = claims(this.token);
    const id = this.#options.userId ?? (role === "user" ? sub : undefined);
    return id === undefined ? undefined : String(id);
  }

  /** Milliseconds until the token ends; endless if it does not say. */
  get #left() {
    const { exp } = claims(this.token);
    return exp === undefined ? Infinity : exp * 1_000 - (this.#platform.now() + this.skew);
  }

  /** Should `renew` be called before the next login? */
  get stale() {
    return this.renewable && (!this.token || this.#refused || this.#left < SPENT_MS);
  }

  /** The server would not have it. */
  refused() {
    this.#refused = true;
  }

  /** Asks for another token; false if nobody is signed in any more. Rejects as the callback does. */
  async renew() {
    const token = await this.#ask?.();
    if (!token) return false;
    this.#refused = false;
    this.token = token;
    return true;
  }

  /** Milliseconds until another token should be asked for; null = never. */
  get renewAfter() {
    const left = this.#left;
    if (!this.renewable || left === Infinity) return null;
    const due = left - Math.min(LEAD_MS, left / 10);
    return Math.min(MAX_TIMER_MS, Math.max(MIN_REFRESH_MS, due));
  }
}

/** What a JWT says, unverified: the server does that. @param {string | undefined} token @returns {{ sub?: string | number, exp?: number, role?: string }} */
function claims(token) {
  try {
    const body = atob((token ?? "").split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
    return parse(new TextDecoder().decode(bytes)) ?? {};
  } catch {
    return {};
  }
}
