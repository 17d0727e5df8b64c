// Experiments: the control group and the random test, and every experiment, each lift drawn with its interval.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, unavailable } from "../dom.js";
import { count, number, percent, title } from "../format.js";
import { LEAST_USERS, missing } from "../enough.js";
import { forest } from "./forest.js";
import { segmentBadge } from "../segment.js";

const METRICS = {
  click_through: ["Click-through", percent],
  conversion: ["Conversion", percent],
  revenue: ["Revenue per user", (value) => number(value, 2)],
  opt_out: ["Opt-out", percent],
};

/** What is added to a comparison that shows nothing either way. */
const VERDICTS = { not_told_apart: ", no difference shown" };

export function startExperiments({ active, days }) {
  const body = $("#experiments-body");
  let shown = false;
  let drawn = "";
  const poll = api.poll(20_000, load, {
    active,
    failed: (error) => !shown && put(body, unavailable("Experiments can't be shown", error)),
  });

  async function load() {
    const asked = days();
    const all = await api.get("admin/experiments/readings", { days: asked });
    const readings = await Promise.all(
      all.experiments.map(({ name }) => api.get(`${api.path("admin/experiments", name)}/reading`, { days: asked })),
    );
    if (asked !== days()) return;
    shown = true;
    const now = JSON.stringify([all, readings]);
    if (now === drawn) return;
    drawn = now;
    put(body, slices(all.slices), named(readings), offPolicy(all.off_policy));
  }

  return { refresh: poll.now };
}

function slices({ note, reading, attribution, uplift }) {
  if (!reading) return part("Control group", "", empty("Nobody is in the control group yet", note));
  return part(
    "Control group",
    "The effect of messages as a whole: users who get order updates only, against all others.",
    note && h("p", { class: "note" }, note),
    compared(reading, "the control group comparison"),
    attribution && credited(attribution),
    uplift?.length > 0 && gains(uplift),
  );
}

function part(heading, note, ...children) {
  return h("section", { class: "experiment" }, h("h3", {}, heading), note && h("p", { class: "note" }, note), children);
}

function named(readings) {
  if (!readings.length) {
    return part(
      "Experiments",
      "",
      empty("No experiment in this time", "Once decisions are part of one, its arms are compared here, with intervals."),
    );
  }
  return readings.map(({ name, note, reading }) => part(title(name), note && `Note: ${note}.`, compared(reading, title(name))));
}

/** Arms, then either the warning or the lifts. */
function compared(reading, name) {
  return [
    arms(reading, name),
    reading.blocked && h("p", { class: "warning", role: "note" }, reading.blocked),
    reading.lifts.map(({ arm, metrics }) =>
      h(
        "div",
        { class: "lifts" },
        h("h4", {}, `${armName(arm)} against ${armName(reading.control)}`),
        forest(
          metrics.map((metric) => ({
            label: METRICS[metric.metric][0],
            interval: metric.lift,
            missing: metric.too_few ?? "the control has none to compare with",
            sure: metric.significant,
            detail:
              !metric.too_few &&
              `${shown(metric, metric.treated)} against ${shown(metric, metric.control)}${VERDICTS[metric.verdict] ?? ""}`,
          })),
        ),
      ),
    ),
  ];
}

function shown({ metric }, { value }) {
  return value === null ? "none" : METRICS[metric][1](value);
}

function arms(reading, name) {
  const head = ["Arm", "Users", "Target share", ...Object.values(METRICS).map(([label]) => label)];
  const users = reading.arms.reduce((sum, arm) => sum + arm.users, 0);
  const few = (arm) => missing(arm.users, LEAST_USERS, "user");
  const lacking = reading.arms.filter(few).map((arm) => `${armName(arm.name)}: ${few(arm)}`);
  const cell = (arm, key, format) => {
    const value = arm.metrics[key]?.value ?? null;
    const compares = key !== "click_through" || arm.name !== "holdout";
    return h("td", { class: "n" }, value === null || few(arm) || !compares ? "–" : format(value));
  };
  const box = tableBox(
    `Arms of ${name}`,
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, head.map((label, index) => h("th", { scope: "col", class: index ? "n" : null }, label)))),
      h(
        "tbody",
        {},
        reading.arms.map((arm) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, armName(arm.name), arm.name === reading.control && h("span", { class: "note" }, " control")),
            h("td", { class: "n" }, number(arm.users), h("span", { class: "note" }, ` ${percent(users ? arm.users / users : 0)}`)),
            h("td", { class: "n" }, percent(arm.share)),
            Object.entries(METRICS).map(([key, [, format]]) => cell(arm, key, format)),
          ),
        ),
      ),
    ),
  );
  const note = `Shares are shown from ${number(LEAST_USERS)} users on. ${lacking.join("; ")}.`;
  return [box, lacking.length > 0 && h("p", { class: "note too-few" }, note)];
}

/** The arms of the control group have names of their own. */
const ARMS = { holdout: "Control group", ordinary: "All others", random: "Random test" };
const armName = (name) => ARMS[name] ?? title(name);

function credited({ last_touch, incremental, too_few, verdict, correction }) {
  const added = too_few
    ? [`how many of them messages added is not known yet (${too_few}).`]
    : [
        "messages added ",
        h("strong", {}, number(incremental[0])),
        ` (${number(incremental[1])} to ${number(incremental[2])})`,
        verdict === "not_told_apart" ? ": no effect shown." : correction === null ? "." : `: ${number(correction, 2)} for each credited purchase.`,
      ];
  return h(
    "p",
    { class: "said" },
    `${count(last_touch, "buyer is", "buyers are")} credited to messages by last touch. Against the control group, `,
    added,
  );
}

function gains(rows) {
  return h(
    "div",
    { class: "lifts" },
    h("h4", {}, "Buyers added by messages, by segment"),
    forest(
      rows.map((row) => ({
        mark: segmentBadge(row.segment),
        label: row.segment ? `Segment ${row.segment}` : "No segment",
        interval: row.difference,
        missing: row.too_few ?? "no user in one of the groups",
        sure: row.difference ? row.difference[1] > 0 || row.difference[2] < 0 : false,
        detail: `${count(row.messaged, "user")} with messages, ${number(row.held_out)} in the control group`,
      })),
    ),
  );
}

function offPolicy(triggers) {
  const rows = triggers.flatMap(({ trigger, policies }) => policies.map((policy) => ({ trigger, ...policy })));
  if (!rows.length) {
    return part(
      "Before you switch",
      "",
      empty("No random choice yet", "Give a template a second variant: the clicks of each are then estimated from the log."),
    );
  }
  return part(
    "Before you switch",
    "Estimated clicks per message if one variant were always taken, from the logged probabilities (doubly robust).",
    tableBox(
      "Estimates from the log",
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["Trigger", "Always", "Effective sample", "Clicks per message"].map((label, index) => h("th", { scope: "col", class: index === 2 ? "n" : null }, label)))),
        h("tbody", {}, rows.map(estimate)),
      ),
    ),
  );
}

function estimate({ trigger, always, report, refused }) {
  const answer = report?.estimates?.dr;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, title(trigger)),
    h("td", {}, always),
    h("td", { class: "n" }, number(report?.effective_sample_size)),
    h(
      "td",
      {},
      answer
        ? [h("strong", {}, percent(answer.value)), h("span", { class: "note" }, ` ${percent(answer.low)} to ${percent(answer.high)}`)]
        : h("span", { class: "note refusal" }, `No estimate: ${refused}`),
    ),
  );
}
