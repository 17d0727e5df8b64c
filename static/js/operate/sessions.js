// Who is connected now.

import * as api from "../api.js";
import { $, empty, h, put, text, unavailable } from "../dom.js";
import { ago, count, number } from "../format.js";
import { segmentBadge } from "../segment.js";

const SHOWN = 100;

export function startSessions({ active }) {
  const body = $("#sessions-body");
  put(body, empty("One moment", "Loading the sessions."));
  const poll = api.poll(5_000, load, {
    active,
    failed: (error) =>
      !body.querySelector("li") && put(body, unavailable("Sessions can't be shown", error)),
  });

  async function load() {
    const { sessions, connected } = await api.get("admin/sessions");
    api.list(sessions);
    const all = Math.max(connected ?? 0, sessions.length);
    text($("#sessions-note"), sessions.length ? count(all, "user") : "");
    if (!sessions.length) {
      put(body, empty("Nobody is connected", "Open “Try it” and choose a user."));
      return;
    }
    if (body.contains(document.activeElement) && document.activeElement !== body.firstElementChild) return;
    const list = body.querySelector("ul");
    const scrolled = list?.scrollTop ?? 0;
    const next = h(
      "ul",
      { class: "sessions", tabindex: "0", "aria-label": "Connected users" },
      sessions
        .slice(0, SHOWN)
        .map((session) =>
          h(
            "li",
            {},
            segmentBadge(session.segment),
            h(
              "a",
              { href: `#/try/${encodeURIComponent(String(session.user_id))}`, title: "View as this user" },
              String(session.user_id),
            ),
            session.connections > 1 && h("span", { class: "chip" }, count(session.connections, "connection")),
            h("span", { class: "note" }, ago(session.connected_at)),
          ),
        ),
      all > SHOWN && h("li", { class: "note" }, `and ${number(all - Math.min(SHOWN, sessions.length))} more`),
    );
    put(body, next);
    next.scrollTop = scrolled;
  }

  return { refresh: poll.now };
}
