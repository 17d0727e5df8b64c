/** Frames over a WebSocket. @module */

/** @import { ClientFrame, LineEvents, Platform } from "./types.js" */
import { parse } from "./platform.js";

export class SocketLine {
  #platform;
  /** @type {"websocket"} */ name = "websocket";
  /** @type {WebSocket | null} */ #socket = null;
  #address;
  #events;

  /** @param {Platform} platform @param {string} address @param {LineEvents} events */
  constructor(platform, address, events) {
    this.#platform = platform;
    this.#address = address;
    this.#events = events;
  }

  open() {
    /** @type {WebSocket} */ let socket;
    try {
      socket = new this.#platform.WebSocket(this.#address);
    } catch (error) {
      // A page that may not open sockets (its policy) throws instead of failing later.
      queueMicrotask(() => this.#events.lost(1006, String(error)));
      return;
    }
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#events.opened();
    };
    socket.onmessage = ({ data }) => {
      const frame = parse(data);
      if (frame) this.#events.frame(frame);
    };
    // What it means comes with the close, which not every implementation sends after a failure to open.
    socket.onerror = () => opened || this.#events.lost(1006, "");
    socket.onclose = ({ code, reason }) => this.#events.lost(code, reason);
  }

  /** @param {ClientFrame} frame */
  write(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    try {
      socket.close(1000);
    } catch {
      // Never opened: some implementations object.
    }
  }
}
