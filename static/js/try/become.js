// Choosing the user as whom the shop is viewed, and the state of the connection.

import * as api from "../api.js";
import { $, debounce, h, put, text } from "../dom.js";
import { parseId } from "./person.js";
import { segmentBadge } from "../segment.js";

const SUGGESTIONS = 6;

export function startBecome({ person, shown, become }) {
  const field = $("#user-id");
  let known = false;

  $("#become-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const value = field.value.trim();
    if (!value) return;
    const id = parseId(value);
    // The same user again means: connect anew.
    if (id === person.id) person.reconnect();
    else become(id);
  });

  const suggestions = api.poll(15_000, loadSuggestions, { active: () => shown() && (!known || person.id === null) });

  async function loadSuggestions() {
    const { users } = await api.get("admin/users", { limit: 20 });
    known = api.list(users).length > 0;
    offer(users);
    showChoices(users.slice(0, SUGGESTIONS));
  }

  function offer(users) {
    put(
      $("#user-suggestions"),
      users.map((user) => h("option", { value: String(user.user_id) }, user.segment ? `segment ${user.segment}` : "")),
    );
  }

  function showChoices(users) {
    const place = $("#suggestions");
    if (!users.length) {
      put(place, h("p", { class: "note" }, "No users yet. Type any id: its first event creates the user."));
      return;
    }
    put(
      place,
      h("p", { class: "note" }, "Or one of these:"),
      h(
        "div",
        { class: "chips" },
        users.map((user) =>
          h(
            "button",
            {
              type: "button",
              class: "choice",
              "aria-pressed": String(user.user_id === person.id),
              dataset: { user: String(user.user_id) },
              onclick: () => become(user.user_id),
            },
            segmentBadge(user.segment),
            h("span", {}, String(user.user_id)),
          ),
        ),
      ),
    );
  }

  field.addEventListener(
    "input",
    debounce(async () => {
      try {
        offer((await api.get("admin/users", { limit: 20, q: field.value.trim() })).users);
      } catch {
        // Suggestions are a convenience: any id can be typed.
      }
    }, 200),
  );

  person.on("become", ({ id }) => {
    field.value = String(id);
    for (const choice of document.querySelectorAll("#suggestions .choice"))
      choice.setAttribute("aria-pressed", String(choice.dataset.user === String(id)));
  });

  // The connection, in a sentence.

  const box = $("#connection");
  const retry = $("#connection-retry");
  let sessions = 0;
  retry.addEventListener("click", () => person.retry());
  let missed = false;
  person.on("welcome", () => {
    sessions += 1;
    if (person.status) show(person.status);
  });
  person.on("gap", () => (missed = true));
  person.on("become", () => {
    sessions = 0;
    missed = false;
  });
  person.on("status", show);
  setInterval(() => person.status?.state === "offline" && show(person.status), 500);

  function show(status) {
    box.dataset.state = status.state;
    retry.hidden = status.state !== "offline";
    text($("#connection-text"), sentence(status));
  }

  function sentence(status) {
    if (status.state === "online") {
      if (sessions <= 1) return `Connected as ${person.id}.`;
      return `Connected again as ${person.id}; ${missed ? "some messages were missed meanwhile" : "nothing was missed"}.`;
    }
    if (status.state === "connecting") return status.attempt ? "Connecting again…" : `Connecting as ${person.id}…`;
    if (status.retryAt) {
      const seconds = Math.ceil((status.retryAt - Date.now()) / 1000);
      const when = seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again now.";
      return `${status.reason} ${when}`;
    }
    return `${status.reason} It will not be tried again by itself.`;
  }

  return { refresh: suggestions.now };
}
