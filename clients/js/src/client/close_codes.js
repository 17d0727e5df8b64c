/** Close codes of the protocol, and what the server says beside them. @module */

/** What a close code means, for a person. */
export const CLOSE_REASONS = /** @type {Record<number, string>} */ ({
  3001: "The server is shutting down.",
  3005: "The sign-in has expired.",
  3008: "This browser read too slowly.",
  3010: "The message stream was lost.",
  3012: "The connection stopped answering.",
  3013: "Too many requests at once.",
  3500: "The token was refused.",
  3501: "The server could not read what was sent.",
  3503: "An administrator signed this user out.",
  3504: "This user has too many connections open.",
  3505: "This user was erased.",
  3507: "This is not permitted for this user.",
});

/**
 * May a client come back after this code? 3500–3999 and 4500–4999 are final, except that a place among too many connections
 * (3504) becomes free. @param {number} code
 */
export function mayReconnect(code) {
  return code === 3504 || !/^[34][5-9]..$/.test(String(code));
}

/** `retry_ms=` in what the server said, e.g. when it restarts; at most a minute. @param {string} detail */
export function retryHint(detail) {
  const hint = Number(/(?:^|[\s;,])retry_ms=(\d+)/.exec(detail)?.[1] ?? 0);
  return Math.min(hint, 60_000);
}
