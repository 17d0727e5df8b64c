/** Server-Sent Events in, HTTP out: `fetch` instead of `EventSource`, so that a token goes in a header, and Node can. @module */

/** @import { ClientFrame, Identity, LineEvents, Platform, Position } from "./types.js" */
import { refusal, request } from "./address.js";
import { backoff, parse } from "./platform.js";

/** Most frames of one request. */
const MAX_BATCH = 100;
/** An acknowledgement waits this long for company: each is a request. */
const ACK_DELAY_MS = 1_000;

export class EventLine {
  #platform;
  /** @type {"sse"} */ name = "sse";
  #ended = new AbortController();
  /** @type {ClientFrame[]} */ #waiting = [];
  #posting = false;
  /** The stream as the server calls it. @type {string | undefined} */ #id;
  #server;
  #identity;
  #events;

  /** @param {Platform} platform @param {URL} server @param {Identity} identity @param {LineEvents} events */
  constructor(platform, server, identity, events) {
    this.#platform = platform;
    this.#server = server;
    this.#identity = identity;
    this.#events = events;
  }

  /** @param {Position | null} position */
  async open(position) {
    let code = 1006;
    let detail = "";
    try {
      const answer = await this.#request(position);
      if (answer.ok && answer.body) {
        this.#events.opened();
        for await (const { name, data } of eventStream(answer.body, this.#events.heard)) {
          const frame = parse(data);
          if (name === "close") {
            code = frame?.code ?? 1006;
            detail = `${frame?.reason ?? ""} retry_ms=${frame?.retry_ms ?? 0}`;
          } else if (frame) this.#receive(frame);
        }
      } else {
        const error = refusal(answer, await answer.json().catch(() => null));
        code = closeCode(error) ?? 1006;
        detail = `retry_ms=${error.retryMs}`;
      }
    } catch (error) {
      detail = String(error);
    }
    if (!this.#ended.signal.aborted) this.#events.lost(code, detail);
  }

  /** @param {Position | null} position @returns {Promise<Response>} */
  #request(position) {
    const { token, ...said } = this.#identity;
    const address = new URL("v1/sse", this.#server);
    for (const [name, value] of Object.entries(said)) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    /** @type {Record<string, string>} */ const headers = { accept: "text/event-stream" };
    if (token) headers.authorization = `Bearer ${token}`;
    if (position) headers["last-event-id"] = `${position.epoch}:${position.offset}`;
    return this.#platform.fetch(address, { headers, cache: "no-store", signal: this.#ended.signal });
  }

  /** @param {any} frame */
  #receive(frame) {
    if (frame.type === "welcome") this.#id = frame.connection_id ?? frame.session_id;
    this.#events.frame(frame);
  }

  /** @param {ClientFrame} frame */
  write(frame) {
    // One acknowledgement covers those before it.
    if (frame.type === "ack") this.#waiting = this.#waiting.filter(({ type }) => type !== "ack");
    this.#waiting.push(frame);
    const urgent = this.#waiting.some(({ type }) => type !== "ack");
    if (urgent) queueMicrotask(() => this.#post());
    else this.#platform.setTimeout(() => this.#post(), ACK_DELAY_MS);
  }

  /** One request at a time, with all that came meanwhile; what did not get through goes again. */
  async #post() {
    if (this.#posting) return;
    this.#posting = true;
    let most = MAX_BATCH;
    for (let failures = 0; this.#waiting.length > 0 && !this.#ended.signal.aborted; ) {
      const batch = this.#waiting.slice(0, most);
      try {
        const { replies = [] } = (await this.#send(batch)) ?? {};
        failures = 0;
        most = MAX_BATCH;
        this.#waiting = this.#waiting.filter((frame) => !batch.includes(frame));
        for (const reply of replies) if (!this.#ended.signal.aborted) this.#events.frame(reply);
      } catch (error) {
        const { status = 0, code, message, retryMs = 0 } = /** @type {any} */ (error);
        const { aborted } = this.#ended.signal;
        const gone = status === 404 ? 3010 : closeCode({ status, code });
        if (gone && !aborted) this.#events.lost(gone, message);
        // Together, or one of them.
        else if (status === 413 && batch.length > 1) most = batch.length >> 1;
        else if (status >= 400 && status < 500 && status !== 429) this.#refused(batch, code, message);
        else if (!aborted) await this.#pause(retryMs + backoff(failures++, this.#platform.random));
      }
    }
    this.#posting = false;
  }

  /** @param {ClientFrame[]} batch */
  #send(batch) {
    const address = new URL(`v1/connections/${encodeURIComponent(this.#id ?? "")}/frames`, this.#server);
    const { token } = this.#identity;
    return request(this.#platform, address, { method: "POST", token, body: batch, signal: this.#ended.signal });
  }

  /** The server will never take this. @param {ClientFrame[]} batch @param {string} code @param {string} message */
  #refused(batch, code, message) {
    this.#waiting = this.#waiting.filter((frame) => !batch.includes(frame));
    for (const frame of batch) {
      const reply_to = frame.type === "event" ? frame.event_id : undefined;
      if (frame.type === "ping") this.#events.frame({ type: "pong" });
      else this.#events.frame({ type: "error", code, message, temporary: false, reply_to });
    }
  }

  /** @param {number} ms @returns {Promise<void>} */
  #pause(ms) {
    return new Promise((resolve) => this.#platform.setTimeout(resolve, ms));
  }

  close() {
    this.#ended.abort();
  }
}

/** What a refusal of ours means as a close code; one of a proxy only means that the way is blocked. @param {{ status: number, code: string }} refusal */
function closeCode({ status, code }) {
  if (!code || /^http_/.test(code)) return undefined;
  if (status === 401) return code === "token_expired" ? 3005 : 3500;
  return status === 403 ? 3507 : undefined;
}

/** The events of a stream (WHATWG HTML §9.2); anything that comes counts as heard. @param {ReadableStream<Uint8Array>} body @param {() => void} heard */
async function* eventStream(body, heard) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      let name = "message";
      const data = [];
      for (const line of block.split(/\r?\n/)) {
        const [, field, said] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
        if (field === "event") name = said;
        else if (field === "data") data.push(said);
      }
      if (data.length > 0) yield { name, data: data.join("\n") };
    }
  }
}
