// HTTP to the server: the token, errors as sentences, and how the line is doing.

/** @typedef {"ok" | "down" | "unauthorized"} Health */

const TOKEN_KEY = "tidings.token";
const TIMEOUT_MS = 10_000;
const UNREACHABLE = "The server can't be reached.";
const NOT_UNDERSTOOD = "The server can't be reached: its answer could not be read.";
/** Longest wait between two tries. */
const MOST_WAIT_MS = 8_000;
/** Token of the session of who is signed in, for requests that change something. */
let csrf = "";
/** What anybody is answered, so that an answer says nothing of whether a sign-in is needed. */
const OF_ANYBODY = new Set(["v1/people/sign-in", "v1/people/link", "v1/people/join"]);
const listeners = new Set();
let health = "ok";
let failures = 0;

/** An answer that was not a success; `status` is 0 when there was none at all. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What went wrong as a sentence for a person; never the text of a mistake in a script. */
export function sentence(error) {
  const isMistake = [TypeError, ReferenceError, RangeError, SyntaxError].some((kind) => error instanceof kind);
  return isMistake || !error?.message ? NOT_UNDERSTOOD : error.message;
}

/** Any error as an {@link ApiError}: an answer that is not as expected fails in the code that reads it. */
function understood(error) {
  if (error instanceof ApiError) return error;
  console.warn(error);
  return new ApiError(0, "unreadable", NOT_UNDERSTOOD);
}

/** Time to wait after so many failures in a row: doubled each time, with a random part so that many pages don't come at once. */
export const backOff = (ms, failed) =>
  Math.min(MOST_WAIT_MS, ms * 2 ** Math.min(failed, 10)) * (failed ? 0.75 + Math.random() / 2 : 1);

export function token() {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? "";
  } catch {
    return "";
  }
}

export function setToken(value) {
  try {
    if (value) sessionStorage.setItem(TOKEN_KEY, value);
    else sessionStorage.removeItem(TOKEN_KEY);
  } catch {
    // Without storage nothing is kept; nothing better can be done.
  }
  report("ok");
}

/** Takes over the token of a session; empty = there is none. */
export function setCsrf(value) {
  csrf = value;
}

/** `fetch` for the client library: a session's changes carry its token, as those of the dashboard do. */
export function fetchSigned(address, options = {}) {
  const method = options.method ?? "GET";
  const headers = new Headers(options.headers);
  if (csrf && method !== "GET" && !headers.has("authorization")) headers.set("x-csrf-token", csrf);
  return fetch(address, { ...options, headers });
}

/** Calls with "ok", "down" or "unauthorized", now and whenever that changes. */
export function onHealth(listener) {
  listeners.add(listener);
  listener(health);
}

/** Notes how the server answers. */
export function report(next) {
  if (next === health) return;
  health = next;
  for (const listener of listeners) listener(health);
}

/** A list out of an answer; an answer that has none could not be read. */
export function list(value) {
  if (!Array.isArray(value)) throw new ApiError(0, "unreadable", NOT_UNDERSTOOD);
  return value;
}

/** What waits to be tried again: woken when the server answers as it should after it did not. */
const waiting = new Set();

function wake() {
  for (const again of [...waiting]) again();
}

/** Runs `load` at once and, while it fails, again after longer and longer waits, until `wanted()` is false. */
export async function persist(load, { wanted = () => true, failed = () => {} } = {}) {
  for (let tries = 0; wanted(); tries += 1) {
    try {
      return await load();
    } catch (error) {
      const problem = understood(error);
      if (wanted()) failed(problem);
      // What the server refuses it refuses again.
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) return undefined;
    }
    await new Promise((resolve) => {
      const again = () => {
        waiting.delete(again);
        resolve();
      };
      waiting.add(again);
      setTimeout(again, backOff(1_000, tries));
    });
  }
  return undefined;
}

const encode = (part) => encodeURIComponent(String(part));

/** `path("v1/users", 17, "profile")` with every part encoded. */
export const path = (base, ...parts) => [base, ...parts.map(encode)].join("/");

/**
 * JSON from the server. Throws {@link ApiError} with a sentence for a person.
 * `query` values that are null or empty are left out.
 */
export async function request(method, where, { query = {}, body, signal } = {}) {
  const url = new URL(where, document.baseURI);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (token()) headers.authorization = `Bearer ${token()}`;
  else if (csrf && method !== "GET") headers["x-csrf-token"] = csrf;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      cache: "no-store",
    });
  } catch {
    throw unreachable(signal);
  }
  let received;
  try {
    received = await response.text();
  } catch {
    throw unreachable(signal); // Cut off.
  }
  failures = 0;
  const answer = parsed(received);
  const isOfAnybody = OF_ANYBODY.has(where);
  const answered = () => report(isOfAnybody && health === "unauthorized" ? health : "ok");
  if (response.ok) {
    answered();
    if (answer === undefined) throw new ApiError(0, "unreadable", NOT_UNDERSTOOD);
    return answer;
  }
  if (response.status === 401 && !isOfAnybody) report("unauthorized");
  else if (response.status >= 502 && response.status <= 504) report("down");
  else answered();
  const problem = answer?.error ?? {};
  throw new ApiError(
    response.status,
    problem.code ?? `http_${response.status}`,
    problem.message ?? fallback(response.status),
  );
}

function unreachable(signal) {
  if (signal?.aborted) return new ApiError(0, "aborted", "Cancelled.");
  failures += 1;
  // One lost packet is not news; two in a row are.
  if (failures > 1 || navigator.onLine === false) report("down");
  return new ApiError(0, "unreachable", UNREACHABLE);
}

/** JSON; null for an empty body, undefined for what is no JSON. */
function parsed(body) {
  if (body === "") return null;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function fallback(status) {
  if (status >= 502 && status <= 504) return UNREACHABLE;
  if (status === 401) return "This needs a sign-in.";
  if (status === 403) return "Your role may not do that.";
  if (status === 404) return "The server does not have this.";
  if (status === 429) return "Too many requests; a moment, please.";
  return `The server answered with status ${status}.`;
}

export const get = (where, query, signal) => request("GET", where, { query, signal });
export const post = (where, body) => request("POST", where, { body });
export const put = (where, body) => request("PUT", where, { body });
export const patch = (where, body) => request("PATCH", where, { body });
export const remove = (where) => request("DELETE", where);

/**
 * Runs `load` now and `ms` after each answer, only while the page is visible, `active()` says so and the server answers;
 * only a `probe` goes on asking a server that is down. Errors go to `failed` as {@link ApiError},
 * and polling goes on, after longer and longer waits: that is how the page recovers by itself. `now()` runs it at once.
 */
export function poll(ms, load, { active = () => true, failed = () => {}, probe = false } = {}) {
  let timer = 0;
  let running = false;
  let again = false;
  let failuresInARow = 0;
  const answered = () => health === "ok" || (probe && health === "down");
  const due = () => document.visibilityState === "visible" && active() && answered();
  async function turn() {
    clearTimeout(timer);
    if (running) {
      again = true;
      return;
    }
    if (due()) {
      running = true;
      try {
        await load();
        waiting.delete(turn);
        const isBack = probe && failuresInARow > 0;
        failuresInARow = 0;
        if (isBack) wake();
      } catch (error) {
        failuresInARow += 1;
        waiting.add(turn);
        const problem = understood(error);
        if (problem.code !== "aborted") failed(problem);
      }
      running = false;
      if (again) {
        again = false;
        turn();
        return;
      }
    }
    // A panel that is polled seldom comes back sooner than it would be due.
    timer = setTimeout(turn, failuresInARow ? backOff(Math.min(ms, 1_000), failuresInARow - 1) : ms);
  }
  document.addEventListener("visibilitychange", () => due() && turn());
  window.addEventListener("online", () => active() && turn());
  listeners.add((now) => now === "ok" && turn());
  turn();
  return { now: turn };
}
