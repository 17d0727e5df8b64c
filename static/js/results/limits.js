// Where messages end on their way through the policy, and how much of caps and budget is used.

import * as api from "../api.js";
import { $, empty, h, put, text } from "../dom.js";
import { count, duration, number, percent, title } from "../format.js";

/** The policy's steps in order, as one says what happened there. */
const STEPS = {
  consent: "No consent",
  preference: "Muted, paused or unwanted",
  still_true: "No longer true",
  duplicate: "Said before",
  frequency_caps: "Cap used up",
  quiet_hours: "Quiet hours",
  budget: "Budget spent",
  experiment: "Held out, or the coin said no",
  worth: "Not worth it",
  channel: "No channel open",
  time: "Better hour",
};
const BECAME = { send: "sent", defer: "put off", digest: "collected", inbox_only: "kept quiet", drop: "dropped" };

export function startLimits({ active }) {
  const funnel = $("#suppressed-body");
  const caps = $("#caps-body");
  let shown = false;
  const poll = api.poll(5_000, load, {
    active,
    failed: (error) => !shown && error.status > 0 && put(funnel, empty("This can't be shown", error.message)),
  });

  async function load() {
    const answer = await api.get("admin/limits");
    shown = true;
    const all = answer.endings.reduce((sum, ending) => sum + ending.decisions, 0);
    text($("#suppressed-note"), all ? `${count(all, "decision")} in ${number(answer.hours)} hours` : "");
    put(funnel, all ? branches(answer.endings, all) : empty("No decisions yet", "Each is counted here by the step that ended it."));
    put(caps, budget(answer.budget), answer.caps.length ? capList(answer.caps) : empty("No caps", "Add caps to the policy to bound how much one user gets."));
  }

  return { refresh: poll.now };
}

function bar(share, kind) {
  const fill = h("span", { class: kind });
  fill.style.width = `${100 * Math.min(1, share)}%`;
  return h("span", { class: "meter", "aria-hidden": "true" }, fill);
}

/** A bar a step, in the policy's order: how many went no further. The last one is what was sent. */
function branches(endings, all) {
  const sum = (step) => endings.filter((ending) => ending.step === step).reduce((n, ending) => n + ending.decisions, 0);
  const became = (step) =>
    endings
      .filter((ending) => ending.step === step)
      .map((ending) => `${number(ending.decisions)} ${BECAME[ending.outcome] ?? ending.outcome}`)
      .join(", ");
  const row = (label, n, note, kind) =>
    h(
      "li",
      { dataset: { step: kind ?? "" } },
      h("span", { class: "branch-label" }, label),
      bar(n / all, kind === "sent" ? "sent" : "held"),
      h("strong", {}, number(n)),
      h("span", { class: "note" }, n ? `${percent(n / all)}${note ? `: ${note}` : ""}` : ""),
    );
  return h(
    "ol",
    { class: "branches", "aria-label": "Where decisions ended" },
    Object.entries(STEPS).map(([step, label]) => row(label, sum(step), became(step), step)),
    row("Nothing in the way", sum(""), became(""), "sent"),
  );
}

function budget({ per_hour, left }) {
  if (!per_hour) return h("p", { class: "note" }, "No budget is set: as many messages an hour as there are reasons for.");
  const used = per_hour - left;
  return h(
    "div",
    { class: "cap" },
    h("p", {}, h("strong", {}, "This hour’s budget"), h("span", { class: "note" }, ` ${number(used)} of ${number(per_hour)} messages`)),
    bar(used / per_hour, left ? "sent" : "full"),
  );
}

function capList(caps) {
  return h("ul", { class: "caps" }, caps.map(cap));
}

function cap({ category, channel, campaign, window_min, max, users, at_limit }) {
  const named = [category, channel, campaign].filter((name) => name !== "*").map(title);
  const share = users ? at_limit / users : 0;
  return h(
    "li",
    { class: "cap" },
    h(
      "p",
      {},
      h("strong", {}, named.length ? named.join(", ") : "Everything"),
      h("span", { class: "note" }, ` at most ${number(max)} in ${duration(window_min * 60_000)}`),
    ),
    bar(share, share ? "full" : "sent"),
    h("p", { class: "note" }, users ? `${number(at_limit)} of ${count(users, "user")} with messages can get no more for now` : "nobody has used it"),
  );
}
