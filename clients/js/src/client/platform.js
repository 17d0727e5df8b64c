/** The platform as the client sees it, and small pieces that every part uses. @module */

/** @import { KeyValue, Options, Platform } from "./types.js" */

const BLOCKED_UNTIL = "tidings.sse-until";
const BACKOFF_BASE_MS = 500;
const BACKOFF_MAX_MS = 20_000;

/** What the surroundings offer, with what the options replace. @param {Options} options @returns {Platform} */
export function platformOf(options) {
  const { document, window, navigator, BroadcastChannel, WebSocket } = globalThis;
  const { storage = pageStorage(), random = Math.random, platform } = options;
  return {
    now: () => Date.now(),
    setTimeout: (act, ms) => setTimeout(act, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    random,
    WebSocket: options.WebSocket ?? WebSocket,
    fetch: options.fetch ?? ((...call) => fetch(...call)),
    storage,
    document,
    window,
    navigator,
    locks: navigator?.locks,
    BroadcastChannel,
    ...platform,
  };
}

/** `localStorage`, where there is one and it may be used. @returns {KeyValue | null} */
function pageStorage() {
  try {
    return globalThis.document ? globalThis.localStorage : null;
  } catch {
    return null;
  }
}

/**
 * Storage may be absent, full or forbidden: then nothing is kept beyond the page.
 * @template T @param {Platform} platform @param {(storage: KeyValue) => T} act @returns {T | undefined}
 */
export function withStorage({ storage }, act) {
  try {
    return storage ? act(storage) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether WebSockets were found blocked or silent a while ago, by this page or an earlier one. @param {Platform} platform */
export function rememberedBlocked(platform) {
  return platform.now() < (withStorage(platform, (storage) => Number(storage.getItem(BLOCKED_UNTIL))) ?? 0);
}

/** @param {Platform} platform @param {number | null} until ms since 1970 */
export function rememberBlocked(platform, until) {
  withStorage(platform, (storage) => (until === null ? storage.removeItem(BLOCKED_UNTIL) : storage.setItem(BLOCKED_UNTIL, String(until))));
}

/** Full jitter: uniform in 0…min(20 s, 0.5 s · 2^attempt). @param {number} attempt @param {() => number} random */
export function backoff(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16));
}

/** 128 random bits; `crypto.randomUUID` exists in secure contexts only. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** JSON, or null. @param {unknown} text */
export function parse(text) {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}

/** A fault of the page's own code: as loud as if it were not caught, and nobody else's problem. @param {unknown} error */
export function report(error) {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

/** Nobody has to look at the promise. @template T @param {Promise<T>} promise */
export function quietly(promise) {
  promise.catch(() => {});
  return promise;
}

/** Takes back what the browser itself shows on this device. @param {Platform} platform @param {(id: string) => boolean} which */
export async function closeShown({ navigator }, which) {
  const registrations = (await navigator?.serviceWorker?.getRegistrations().catch(() => [])) ?? [];
  for (const registration of registrations) {
    for (const shown of (await registration.getNotifications?.().catch(() => [])) ?? []) {
      const id = shown.data?.notification_id;
      if (id !== undefined && which(id)) shown.close();
    }
  }
}

/** An event the server refused, a request that failed, or what was given up by `disconnect`. */
export class TidingsError extends Error {
  /** @param {string} code @param {string} message @param {boolean} temporary */
  constructor(code, message, temporary = false) {
    super(message);
    this.name = "TidingsError";
    this.code = code;
    this.temporary = temporary;
  }
}
