// When and about what the user wants to hear: quiet hours and muted categories.

import * as api from "../api.js";
import { $, h, put } from "../dom.js";
import { title } from "../format.js";
import { toast } from "../toast.js";

const DAY_MS = 86_400_000;

export function startPreferences({ person }) {
  const card = $("#preferences");
  const body = $("#preferences-body");
  let current = null;

  person.on("become", reload);

  async function reload() {
    const id = person.id;
    if (id === null) return;
    try {
      const answer = await api.get(api.path("v1/users", id, "preferences"));
      if (id !== person.id) return;
      current = answer;
    } catch (error) {
      if (error.status !== 404 || id !== person.id) {
        card.hidden = true;
        return;
      }
      current = { time_zone: null, locale: null, quiet_hours: null, muted: [] };
    }
    show();
  }

  async function save(change) {
    const id = person.id;
    try {
      const answer = await api.patch(api.path("v1/users", id, "preferences"), change);
      if (id !== person.id) return;
      current = answer;
      show();
    } catch (error) {
      toast({ title: "Could not save this", body: error.message, kind: "wrong" });
    }
  }

  function show() {
    card.hidden = false;
    const muted = current.muted ?? [];
    const mutes = current.mutes ?? [];
    const paused = current.paused_until && Date.parse(current.paused_until) > Date.now();
    const quiet = current.quiet_hours;
    const from = h("input", {
      type: "time",
      id: "quiet-from",
      value: quiet?.from ?? "22:00",
      "aria-label": "Quiet from",
    });
    const to = h("input", { type: "time", id: "quiet-to", value: quiet?.to ?? "07:00", "aria-label": "Quiet until" });
    const store = () => from.value && to.value && save({ quiet_hours: { from: from.value, to: to.value } });
    put(
      body,
      h(
        "div",
        { class: "quiet-hours" },
        h(
          "label",
          { class: "check" },
          h("input", {
            type: "checkbox",
            id: "quiet-on",
            checked: Boolean(quiet),
            onchange: (event) => (event.target.checked ? store() : save({ quiet_hours: null })),
          }),
          "Quiet hours",
        ),
        quiet && [
          from,
          h("span", {}, "to"),
          to,
          h("button", { type: "button", class: "quiet small", onclick: store }, "Save"),
        ],
      ),
      h(
        "p",
        { class: "note" },
        current.time_zone
          ? `In the time of ${current.time_zone.replaceAll("_", " ")}`
          : "In the time zone of this browser",
      ),
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          id: "opted-out",
          checked: Boolean(current.opted_out),
          onchange: (event) => save({ opted_out: event.target.checked }),
        }),
        "Nothing but what I am owed",
      ),
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          id: "paused",
          checked: Boolean(paused),
          onchange: (event) =>
            save({ paused_until: event.target.checked ? new Date(Date.now() + DAY_MS).toISOString() : null }),
        }),
        "Pause for a day",
      ),
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          id: "digest-all",
          checked: (current.digest ?? []).includes("*"),
          onchange: (event) => save({ digest: event.target.checked ? ["*"] : [] }),
        }),
        "One digest a day instead",
      ),
      muted.length + mutes.length > 0 &&
        h(
          "div",
          { class: "muted" },
          h("span", { class: "note" }, "Muted:"),
          muted.map((category) =>
            h(
              "button",
              {
                type: "button",
                class: "quiet small",
                onclick: () => save({ muted: muted.filter((name) => name !== category) }),
                title: "Hear about this again",
              },
              `${title(category)} ×`,
            ),
          ),
          mutes.map((mute) =>
            h(
              "button",
              {
                type: "button",
                class: "quiet small",
                dataset: { muteOf: mute.of },
                onclick: () => save({ mutes: mutes.filter((other) => other !== mute) }),
                title: "Hear about this again",
              },
              `${mute.of === "item" ? "product" : title(mute.of)} ${mute.name} ×`,
            ),
          ),
        ),
    );
  }

  return { reload };
}
