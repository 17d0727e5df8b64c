/** Where the server is, and requests to it. @module */

/** @import { Identity, Options, Platform } from "./types.js" */
import { TidingsError } from "./platform.js";

/** The folder that `tidings.js` was loaded from; in a bundle it is gone. */
const LOADED_FROM = /^(https?:.*\/)client\/address\.js$/.exec((import.meta.url ?? "").split(/[?#]/)[0])?.[1];

/**
 * The server's folder, such as `https://push.example/`. Takes its address with or without `/ws`, by any of http, https, ws
 * and wss; what is relative is so to the page.
 * @param {Options} options @returns {URL}
 */
export function serverOf({ url }) {
  const given = url ?? LOADED_FROM;
  if (given === undefined) {
    throw new TypeError('A bundle, and Node, needs to be told where Tidings is: { url: "https://push.example/" }');
  }
  const address = new URL(given, globalThis.document?.baseURI);
  address.search = address.hash = "";
  address.pathname = address.pathname.replace(/\/(ws)?$/, "") + "/";
  return new URL(address.href.replace(/^ws/, "http"));
}

/** @param {URL} server */
export const socketUrl = (server) => new URL("ws", server).href.replace(/^http/, "ws");

/** Who logs in and from where; what is undefined is not sent. @param {Options} options @param {string | undefined} token @returns {Identity} */
export function identity({ userId, device, locale, timeZone, anonymousId, anonymousToken }, token) {
  return {
    locale: locale ?? globalThis.navigator?.language ?? "en",
    time_zone: timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    user_id: userId,
    token,
    device,
    anonymous_id: anonymousId,
    anonymous_token: anonymousToken,
  };
}

/**
 * Sends a request and reads its JSON; throws a {@link TidingsError} for anything but a success.
 * @param {Platform} platform @param {URL} address @param {{ method?: string, token?: string, body?: unknown, signal?: AbortSignal }} request
 */
export async function request(platform, address, { method = "GET", token, body, signal }) {
  /** @type {Record<string, string>} */ const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await platform.fetch(address, { method, headers, signal, body: body === undefined ? body : JSON.stringify(body) });
  const json = await answer.json().catch(() => null);
  if (!answer.ok) throw refusal(answer, json);
  return json;
}

/**
 * The same with a token, and with another one where that has expired.
 * @param {Platform} platform @param {URL} address @param {import("./credentials.js").Credentials} credentials @param {{ method?: string, body?: unknown }} asked
 */
export async function requestAs(platform, address, credentials, asked) {
  const ask = () => request(platform, address, { ...asked, token: credentials.token });
  try {
    return await ask();
  } catch (error) {
    if (/** @type {any} */ (error).code !== "token_expired" || !credentials.renewable) throw error;
    await credentials.renew();
    return ask();
  }
}

/** What an answer says that is no success. @param {Response} answer @param {any} json */
export function refusal(answer, json) {
  const { code = `http_${answer.status}`, message = `The server answered ${answer.status}.` } = json?.error ?? {};
  const error = new TidingsError(code, message, answer.status === 429 || answer.status >= 500);
  const wait = Number(answer.headers.get("retry-after"));
  return Object.assign(error, { status: answer.status, retryMs: wait > 0 ? Math.min(wait, 60) * 1_000 : 0 });
}
