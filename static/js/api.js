// HTTP to the server: the token, errors as sentences, and how the line is doing.

/** @typedef {"ok" | "down" | "unauthorized"} Health */

const TOKEN_KEY = "tidings.token";
const TIMEOUT_MS = 10_000;
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

/** Calls with "ok", "down" or "unauthorized", now and whenever that changes. */
export function onHealth(listener) {
  listeners.add(listener);
  listener(health);
}

function report(next) {
  if (next === health) return;
  health = next;
  for (const listener of listeners) listener(health);
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
  } catch (error) {
    if (signal?.aborted) throw new ApiError(0, "aborted", "Cancelled.");
    failures += 1;
    // One lost packet is not news; two in a row are.
    if (failures > 1 || navigator.onLine === false) report("down");
    throw new ApiError(0, "unreachable", "The server can't be reached.");
  }
  failures = 0;
  const answer = await response.json().catch(() => null);
  if (response.ok) {
    report("ok");
    return answer;
  }
  if (response.status === 401) report("unauthorized");
  else if (response.status >= 502 && response.status <= 504) report("down");
  else report("ok");
  const problem = answer?.error ?? {};
  throw new ApiError(
    response.status,
    problem.code ?? `http_${response.status}`,
    problem.message ?? fallback(response.status),
  );
}

function fallback(status) {
  if (status === 401) return "This needs a sign-in.";
  if (status === 403) return "This token may not do that.";
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
 * only a `probe` goes on asking a server that is down. Errors go to `failed` and polling goes on: that is how the
 * page recovers by itself. `now()` runs it at once.
 */
export function poll(ms, load, { active = () => true, failed = () => {}, probe = false } = {}) {
  let timer = 0;
  let running = false;
  let again = false;
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
      } catch (error) {
        failed(error);
      }
      running = false;
      if (again) {
        again = false;
        turn();
        return;
      }
    }
    timer = setTimeout(turn, ms);
  }
  document.addEventListener("visibilitychange", () => due() && turn());
  listeners.add((now) => now === "ok" && turn());
  turn();
  return { now: turn };
}
