// When and about what the user wants to hear: quiet hours and muted categories.

import * as api from "../api.js";
import { $, h, put, unavailable } from "../dom.js";
import { title, words } from "../format.js";
import { toast } from "../toast.js";

const DAY_MS = 86_400_000;

/** `changed` is called when what the user wants to hear of is another. */
export function startPreferences({ person, changed }) {
  const card = $("#preferences");
  const body = $("#preferences-body");
  let current = null;

  person.on("become", reload);

  async function reload() {
    const id = person.id;
    if (id === null) return;
    const read = async () => {
      let answer = null;
      try {
        answer = await api.get(api.path("v1/users", id, "preferences"));
      } catch (error) {
        if (error.status !== 404) throw error;
        answer = { time_zone: null, locale: null, quiet_hours: null, muted: [] };
      }
      if (id !== person.id) return;
      api.list(answer?.muted);
      current = answer;
      show();
    };
    const failed = (error) => {
      card.hidden = false;
      put(body, unavailable("The delivery settings can't be shown", error));
    };
    await api.persist(read, { wanted: () => id === person.id, failed });
  }

  async function save(change) {
    const id = person.id;
    try {
      const answer = await api.patch(api.path("v1/users", id, "preferences"), change);
      if (id !== person.id) return;
      current = answer;
      show();
      changed();
    } catch (error) {
      toast({ title: "Could not save this", body: api.sentence(error), kind: "wrong" });
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
        "Order updates only",
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
                title: "Unmute",
              },
              h("span", { class: "visually-hidden" }, "Unmute "),
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
                title: "Unmute",
              },
              h("span", { class: "visually-hidden" }, "Unmute "),
              `${mute.of === "item" ? "product" : words(mute.of)} ${mute.name} ×`,
            ),
          ),
        ),
    );
  }

  /** Takes a mute back: `{ category }` of messages or `{ of, name }`, as it was given. */
  async function unmute(wish) {
    const id = person.id;
    const now = await api.get(api.path("v1/users", id, "preferences"));
    const change = wish.category
      ? { muted: (now.muted ?? []).filter((name) => name !== wish.category) }
      : { mutes: (now.mutes ?? []).filter(({ of, name }) => of !== wish.of || name !== wish.name) };
    const answer = await api.patch(api.path("v1/users", id, "preferences"), change);
    if (id !== person.id) return;
    current = answer;
    show();
    changed();
  }

  return { reload, unmute };
}
