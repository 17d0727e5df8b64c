// Experiments: the global holdout and random slice, and every experiment, each lift drawn with its interval.

import * as api from "../api.js";
import { $, empty, h, put, tableBox } from "../dom.js";
import { count, number, percent, title } from "../format.js";
import { forest } from "./forest.js";
import { segmentBadge } from "../segment.js";

const METRICS = {
  click_through: ["Click-through", percent],
  conversion: ["Conversion", percent],
  revenue: ["Revenue a user", (value) => number(value, 2)],
  opt_out: ["Opt-out", percent],
};

/** What is added to a comparison that shows nothing either way. */
const VERDICTS = { not_told_apart: ", not told apart" };

export function startExperiments({ active, days }) {
  const body = $("#experiments-body");
  let shown = false;
  let drawn = "";
  const poll = api.poll(20_000, load, {
    active,
    failed: (error) => !shown && error.status > 0 && put(body, empty("Experiments can't be shown", error.message)),
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
  if (!reading) return part("Held out or not", "", empty("Nobody is held out yet", note));
  return part(
    "Held out or not",
    "What messages do at all: users who get only what the shop says itself against those who get the rest.",
    note && h("p", { class: "note" }, note),
    compared(reading),
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
  return readings.map(({ name, note, reading }) => part(title(name), note && `Note: ${note}.`, compared(reading)));
}

/** Arms, then either the warning or the lifts. */
function compared(reading) {
  return [
    arms(reading),
    reading.blocked && h("p", { class: "warning", role: "note" }, reading.blocked),
    reading.lifts.map(({ arm, metrics }) =>
      h(
        "div",
        { class: "lifts" },
        h("h4", {}, `${title(arm)} against ${title(reading.control)}`),
        forest(
          metrics.map((metric) => ({
            label: METRICS[metric.metric][0],
            interval: metric.lift,
            missing: metric.too_few ?? "the control has none to compare with",
            sure: metric.significant,
            detail: `${shown(metric, metric.treated)} against ${shown(metric, metric.control)}${VERDICTS[metric.verdict] ?? ""}`,
          })),
        ),
      ),
    ),
  ];
}

function shown({ metric }, { value }) {
  return value === null ? "none" : METRICS[metric][1](value);
}

function arms(reading) {
  const head = ["Arm", "Users", "Should be", ...Object.values(METRICS).map(([label]) => label)];
  const users = reading.arms.reduce((sum, arm) => sum + arm.users, 0);
  return tableBox(
    "Arms",
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
            h("th", { scope: "row" }, title(arm.name), arm.name === reading.control && h("span", { class: "note" }, " control")),
            h("td", { class: "n" }, number(arm.users), h("span", { class: "note" }, ` ${percent(users ? arm.users / users : 0)}`)),
            h("td", { class: "n" }, percent(arm.share)),
            Object.entries(METRICS).map(([key, [, format]]) =>
              h("td", { class: "n" }, arm.metrics[key].value === null ? "–" : format(arm.metrics[key].value)),
            ),
          ),
        ),
      ),
    ),
  );
}

function credited({ last_touch, incremental, too_few, verdict, correction }) {
  const added = too_few
    ? [`how many of them messages added can’t be told yet: ${too_few}.`]
    : [
        "messages added ",
        h("strong", {}, number(incremental[0])),
        ` (${number(incremental[1])} to ${number(incremental[2])})`,
        verdict === "not_told_apart" ? ": not told apart from none." : correction === null ? "." : `: a credited purchase is worth ${number(correction, 2)} of one.`,
      ];
  return h(
    "p",
    { class: "said" },
    `${count(last_touch, "buyer is", "buyers are")} credited to messages by last touch. Against the holdout, `,
    added,
  );
}

function gains(rows) {
  return h(
    "div",
    { class: "lifts" },
    h("h4", {}, "Who gains from being told: buyers added, by segment"),
    forest(
      rows.map((row) => ({
        mark: segmentBadge(row.segment),
        label: row.segment ? `Segment ${row.segment}` : "No segment",
        interval: row.difference,
        missing: row.too_few ?? "nobody on one side",
        sure: row.difference ? row.difference[1] > 0 || row.difference[2] < 0 : false,
        detail: `${number(row.messaged)} told, ${number(row.held_out)} held out`,
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
      empty("No choice was left to chance", "Give a template a second variant: what each would earn alone is then told from the log."),
    );
  }
  return part(
    "Before you switch",
    "Clicks a message if one variant were always taken, told from the logged chances (doubly robust).",
    tableBox(
      "Estimates from the log",
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["Trigger", "Always", "Effective sample", "Would earn"].map((label, index) => h("th", { scope: "col", class: index === 2 ? "n" : null }, label)))),
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
