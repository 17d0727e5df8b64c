// The "Results" area: outcomes of messages, the steps that decided them, the hours, experiments, and one user's
// timeline.

import { $, h, put } from "../dom.js";
import { startOutcomes } from "./outcomes.js";
import { startHeat } from "./heat.js";
import { startExperiments } from "./experiments.js";
import { startLimits } from "./limits.js";
import { startTimeline } from "./timeline.js";

/** Days looked back. */
const SPANS = { 1: "A day", 7: "A week", 30: "30 days", 90: "90 days" };

export function startResults({ active, navigate }) {
  let span = 7;
  const days = () => span;
  const panels = [startOutcomes, startLimits, startHeat, startExperiments].map((start) => start({ active, days }));
  const timeline = startTimeline({ active, navigate });

  const chips = Object.entries(SPANS).map(([value, label]) =>
    h(
      "button",
      {
        type: "button",
        class: "choice",
        "aria-pressed": String(Number(value) === span),
        dataset: { days: value },
        onclick: () => choose(Number(value)),
      },
      label,
    ),
  );
  put($("#results-span"), chips);

  function choose(value) {
    span = value;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(Number(chip.dataset.days) === span));
    for (const panel of panels) panel.refresh();
  }

  return {
    shown(user) {
      timeline.show(user);
      for (const panel of panels) panel.refresh();
    },
  };
}
