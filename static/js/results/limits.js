// Where messages end on their way through the policy, and how much of caps and budget is used.

import * as api from "../api.js";
import { $, empty, h, put, text, unavailable } from "../dom.js";
import { count, number, percent, title } from "../format.js";
import { outcomeWords, per, STEPS } from "../outcome.js";

export function startLimits({ active }) {
  const funnel = $("#suppressed-body");
  const caps = $("#caps-body");
  let shown = false;
  const poll = api.poll(5_000, load, {
    active,
    failed: (error) => !shown && put(funnel, unavailable("This can't be shown", error)),
  });

  async function load() {
    const answer = await api.get("admin/limits");
    shown = true;
    const all = api.list(answer?.endings).reduce((sum, ending) => sum + ending.decisions, 0);
    text($("#suppressed-note"), all ? `${count(all, "decision")} in ${count(answer.hours, "hour")}` : "");
    put(funnel, all ? branches(answer.endings, all) : empty("No decisions yet", "Decisions are counted here by the step that decided them."));
    put(caps, budget(answer.budget), answer.caps.length ? capList(answer.caps) : empty("No frequency caps", "Add caps to the policy to limit how many messages one user gets."));
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
      .map((ending) => `${number(ending.decisions)} ${outcomeWords(ending.outcome)}`)
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
    row("Sent", sum(""), became(""), "sent"),
  );
}

function budget({ per_hour, left }) {
  if (!per_hour) return h("p", { class: "note" }, "No budget is set: the number of messages per hour is not limited.");
  const used = per_hour - left;
  return h(
    "div",
    { class: "cap" },
    h("p", {}, h("strong", {}, "Budget of this hour"), h("span", { class: "note" }, ` ${number(used)} of ${count(per_hour, "message")} per hour`)),
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
      h("span", { class: "note" }, ` at most ${count(max, "message")} ${per(window_min)}`),
    ),
    bar(share, share ? "full" : "sent"),
    h("p", { class: "note" }, users ? `${number(at_limit)} of ${count(users, "user")} with messages ${at_limit === 1 ? "has" : "have"} reached it` : "not used yet"),
  );
}
