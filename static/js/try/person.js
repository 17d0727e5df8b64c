// Who the visitor is: the connection as that user, and what is sent in their name. The other panels listen here.

import { Tidings } from "../../tidings.js";
import * as api from "../api.js";
import { toast } from "../toast.js";
import { words } from "../format.js";

/** A trigger is put down to the last event of its kind, if that was at most this long ago. */
const CAUSE_WINDOW_MS = 5_000;
const CAUSES = {
  view: ["view"],
  cart: ["add_to_cart", "remove_from_cart"],
  add_to_cart: ["add_to_cart"],
  purchase: ["purchase"],
  search: ["search"],
  like: ["like"],
  login: ["login"],
};
const LABELS = {
  view: "your view",
  add_to_cart: "your cart",
  remove_from_cart: "your cart",
  purchase: "your purchase",
  search: "your search",
  like: "your like",
  login: "your login",
};

/** `17850` and "17850" name the same user; everything else is a string. */
export function parseId(textual) {
  const value = textual.trim();
  return /^(0|[1-9]\d{0,15})$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

export function createPerson() {
  const listeners = new Map();
  /** Last event of each kind: when it was sent, and how long its commit took. */
  let sent = new Map();
  let client = null;

  const person = {
    id: null,
    status: null,
    get client() {
      return client;
    },
    on(name, handler) {
      listeners.set(name, [...(listeners.get(name) ?? []), handler]);
    },
    become,
    reconnect: () => person.id !== null && become(person.id),
    retry: () => (client?.status.retryAt ? client.retryNow() : person.id !== null && become(person.id)),
    send,
    feedback: (notification_id, outcome, item_id) => client?.feedback(notification_id, outcome, item_id),
    // Not worth a word when it fails: the click itself is kept until the server has it.
    read: (notification_ids) => client?.read(notification_ids).catch(() => null),
  };
  const emit = (name, detail) => (listeners.get(name) ?? []).forEach((handler) => handler(detail));

  function become(id) {
    client?.disconnect();
    const changed = person.id !== id;
    person.id = id;
    sent = new Map();
    const mine = new Tidings({
      userId: id,
      token: api.token() || undefined,
      device: "dashboard",
      fetch: api.fetchSigned,
    });
    client = mine;
    // A client that was replaced has nothing to say any more.
    const listen = (name, handler) => mine.on(name, (detail) => client === mine && handler(detail));
    listen("status", (status) => {
      if (status.state === "connecting") sent.set("login", { at: performance.now(), took_ms: null });
      person.status = status;
      emit("status", status);
    });
    listen("welcome", (welcome) => emit("welcome", welcome));
    listen("recommendation", (message) => emit("message", { message, arrival: arrival(message) }));
    listen("notification", (message) => emit("message", { message, arrival: arrival(message) }));
    listen("withdraw", (message) => emit("withdraw", message));
    listen("gap", () => emit("gap"));
    listen("error", (problem) => {
      if (!problem.temporary && !problem.reply_to)
        toast({ title: "The server refused something", body: problem.message, kind: "wrong" });
    });
    emit("become", { id, changed });
    mine.connect();
  }

  /** Sends an event; `false` when there is nobody to send it for or the server refused it. */
  async function send(event) {
    if (!client || person.id === null) {
      toast({
        title: "Choose a user first",
        body: "Type a user id and press “View as”; then everything you do here is an event of that user.",
      });
      document.querySelector("#user-id").focus();
      return false;
    }
    const record = { at: performance.now(), took_ms: null };
    sent.set(event.kind, record);
    try {
      const accepted = await client.send(event);
      record.took_ms = accepted.took_ms;
      emit("accepted", { event, accepted });
      return true;
    } catch (error) {
      if (error.code !== "disconnected")
        toast({ title: `Could not record the ${words(event.kind)}`, body: api.sentence(error), kind: "wrong" });
      return false;
    }
  }

  /** How long a message took, from the event that caused it if that is known. */
  function arrival(message) {
    const now = performance.now();
    let cause = null;
    for (const kind of CAUSES[message.trigger] ?? []) {
      const record = sent.get(kind);
      if (record && now - record.at <= CAUSE_WINDOW_MS && (!cause || record.at > cause.at)) cause = { ...record, kind };
    }
    return {
      received: Date.now(),
      total_ms: cause ? now - cause.at : null,
      commit_ms: cause?.took_ms ?? null,
      cause: cause ? LABELS[cause.kind] : null,
    };
  }

  return person;
}
