// What the tests of the client share: a storage in memory, a proxy that cuts, refuses or swallows, and waiting.

import { randomUUID } from "node:crypto";
import http from "node:http";
import net from "node:net";
import test from "node:test";

/** The WebSocket of the real server, where there is one (tests/it/client.rs starts it). */
export const target = new URL(process.env.TIDINGS_URL ?? "ws://127.0.0.1:8080/ws");
export const base = new URL(".", target.href.replace(/^ws/, "http"));

/** What a test leaves open would keep the process alive. */
export const opened = [];
test.afterEach(() => opened.splice(0).forEach((end) => end()));

let next = 1_000 + Math.floor(Math.random() * 1_000_000_000);
export const freshUser = () => next++;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** localStorage's shape, in memory. */
export function memoryStorage() {
  const map = new Map();
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, String(value)),
    removeItem: (key) => void map.delete(key),
    key: (index) => [...map.keys()][index] ?? null,
    get length() {
      return map.size;
    },
  };
}

/**
 * Passes bytes on; `cut` ends what is open, `down` refuses what comes, `upgrades: false` answers WebSockets with 403,
 * `swallows` lets their handshake through and nothing after it.
 */
export async function proxy(options = {}) {
  const open = new Set();
  const state = { down: false, upgrades: true, swallows: false, refused: 0, sockets: 0, ...options };
  const server = net.createServer((near) => {
    if (state.down) return near.destroy();
    /** @type {net.Socket | null} */ let far = null;
    let silent = false;
    // Each request, not the first alone: a WebSocket may begin on a connection that is there from a request before.
    near.on("data", (head) => {
      const upgrade = /^GET .*\r\nupgrade: websocket/is.test(head.toString("latin1"));
      if (!state.upgrades && upgrade) {
        state.refused += 1;
        return near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
      }
      state.sockets += upgrade ? 1 : 0;
      if (far) {
        if (!silent) far.write(head);
      } else {
        const to = upgrade ? target : (options.to ?? target);
        far = net.connect(Number(to.port), to.hostname);
        far.write(head);
        far.on("data", (answer) => silent || near.write(answer));
        for (const [socket, other] of [[near, far], [far, near]]) {
          open.add(socket);
          socket.on("error", () => {});
          socket.on("close", () => (open.delete(socket), other.destroy()));
        }
      }
      if (state.swallows && upgrade) far.once("data", () => (silent = true));
    });
    near.on("error", () => {});
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.url = `ws://127.0.0.1:${server.address().port}/ws`;
  state.cut = () => open.forEach((socket) => socket.destroy());
  state.close = () => (state.cut(), server.close());
  opened.push(state.close);
  return state;
}

/** Resolves with the first detail of `name` that `wanted` takes. */
export function once(client, name, wanted = () => true, within = 20_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} came; ${JSON.stringify(client.status)}`)), within);
    const stop = client.on(name, (detail) => {
      if (!wanted(detail)) return;
      clearTimeout(timer);
      stop();
      resolve(detail);
    });
  });
}

/** Until it holds. */
export async function until(what, holds, within = 20_000) {
  const end = Date.now() + within;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(20);
  }
}

export async function call(method, path, body) {
  const init = { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const answer = await fetch(new URL(path, base), init);
  return { status: answer.status, json: await answer.json().catch(() => null) };
}

/** How many events of a user are stored. */
export async function stored(user) {
  const answer = await fetch(new URL(`v1/users/${user}/profile`, base));
  return answer.ok ? (await answer.json()).events : 0;
}

/** An unsigned token that says this; the client only reads it. */
export function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part(claims)}.none`;
}

/** A Web Lock manager of one browser, as far as the client uses it. */
export function lockManager() {
  const held = new Map();
  const queues = new Map();
  function grant(name) {
    const queue = queues.get(name) ?? [];
    while (!held.has(name) && queue.length > 0) begin(name, queue.shift());
  }
  function begin(name, { act, resolve, reject, cancel }) {
    cancel?.();
    const lock = { reject, name };
    held.set(name, lock);
    Promise.resolve(act({ name })).then(resolve, reject).finally(() => {
      if (held.get(name) === lock) held.delete(name);
      grant(name);
    });
  }
  return {
    request(name, options, act) {
      return new Promise((resolve, reject) => {
        const abort = () => reject(new DOMException("aborted", "AbortError"));
        if (options.signal?.aborted) return abort();
        const one = { act, resolve, reject };
        if (options.steal) {
          held.get(name)?.reject(new DOMException("stolen", "AbortError"));
          held.delete(name);
          return queueMicrotask(() => begin(name, one));
        }
        const taken = held.has(name) || queues.get(name)?.length > 0;
        if (options.ifAvailable && taken) return queueMicrotask(() => resolve(act(null)));
        const queue = queues.get(name) ?? [];
        queues.set(name, queue);
        queue.push(one);
        const dequeue = () => (queue.splice(queue.indexOf(one), 1), abort());
        options.signal?.addEventListener("abort", dequeue);
        one.cancel = () => options.signal?.removeEventListener("abort", dequeue);
        queueMicrotask(() => grant(name));
      });
    },
  };
}

/**
 * In front of the real server, for tests that look at requests or have them fail: a stream here is a WebSocket there, whose
 * frames are passed on as events, and the answers to what is posted are those up to a pong. TO BE REPLACED as the way of every
 * other test by the server's own `POST /v1/connections/{connection_id}/frames`, which they take where it is there.
 */
export async function framesOverHttp(options = {}) {
  const lines = new Map();
  const state = { posts: 0, bodies: [], status: 200, to: target, ...options };
  const http_ = new URL(".", state.to.href.replace(/^ws/, "http"));
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, http_);
    // The proxy before this looks at the first bytes of a connection.
    response.setHeader("connection", "close");
    if (url.pathname === "/v1/sse") return stream(request, url, response);
    const line = /^\/v1\/connections\/([^/]+)\/frames$/.exec(url.pathname)?.[1];
    if (line !== undefined) return frames(line, request, response);
    const far = http.request(url, { method: request.method, headers: request.headers });
    request.pipe(far).on("response", (answer) => (response.writeHead(answer.statusCode, answer.headers), answer.pipe(response)));
    far.on("error", () => response.destroy());
  });
  function stream(request, url, response) {
    const id = randomUUID();
    const socket = new WebSocket(state.to);
    const line = { socket, reply: null, alive: true };
    const [epoch, offset] = (request.headers["last-event-id"] ?? "").split(":");
    socket.onopen = () => {
      const { user_id, device = "sse", locale, time_zone } = Object.fromEntries(url.searchParams);
      const resume = epoch ? { epoch, offset: Number(offset) } : undefined;
      const token = request.headers.authorization?.slice("Bearer ".length);
      socket.send(JSON.stringify({ type: "login", user_id, token, device, locale, time_zone, resume }));
    };
    response.writeHead(200, { "content-type": "text/event-stream" });
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (line.reply && ["accepted", "error", "pong", "muted"].includes(frame.type)) return line.reply(frame);
      if (frame.type === "welcome") lines.set((frame.connection_id = id), line);
      response.write(`event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`);
    };
    response.on("close", () => (lines.delete(id), socket.close()));
    socket.onclose = ({ code, reason }) => response.end(`event: close\ndata: ${JSON.stringify({ type: "close", code, reason, retry_ms: 100 })}\n\n`);
  }
  async function frames(id, request, response) {
    let body = "";
    for await (const piece of request) body += piece;
    const line = lines.get(id);
    const answer = (status, json) => (response.writeHead(status, { "content-type": "application/json" }), response.end(JSON.stringify(json)));
    if (state.status !== 200) return answer(state.status, { error: { code: "unavailable", message: "later" } });
    if (!line) return answer(404, { error: { code: "unknown_connection", message: "gone" } });
    const sent = [JSON.parse(body)].flat();
    state.posts += 1;
    state.bodies.push(...sent);
    const replies = [];
    let pongs = sent.filter(({ type }) => type === "ping").length + 1;
    let events = sent.filter(({ type }) => type === "event").length;
    await new Promise((resolve) => {
      line.reply = (frame) => {
        if (frame.type === "pong") pongs -= 1;
        if (frame.type === "accepted" || frame.type === "error") events -= 1;
        if (frame.type !== "pong" || pongs > 0) replies.push(frame);
        if (pongs <= 0 && events <= 0) resolve();
      };
      for (const frame of [...sent, { type: "ping" }]) line.socket.send(JSON.stringify(frame));
    });
    line.reply = null;
    answer(200, { replies });
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.address = new URL(`http://127.0.0.1:${server.address().port}/`);
  opened.push(() => (server.closeAllConnections(), server.close()));
  return state;
}
