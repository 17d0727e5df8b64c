// Outcomes of the messages, by any property of theirs: shares with their 95 % intervals on one common scale.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { compact, count, number, percent, title } from "../format.js";
import { LEAST_MESSAGES, missing } from "../enough.js";
import { segmentBadge } from "../segment.js";

const SIDES = {
  template: "Template",
  variant: "Variant",
  trigger: "Trigger",
  kind: "Kind",
  segment: "Segment",
  channel: "Channel",
  model: "Model",
  policy: "Policy",
};

export function startOutcomes({ active, days }) {
  const body = $("#outcomes-body");
  let side = "template";
  let shown = false;

  const chips = Object.entries(SIDES).map(([key, label]) =>
    h(
      "button",
      { type: "button", class: "choice", "aria-pressed": String(key === side), dataset: { by: key }, onclick: () => choose(key) },
      label,
    ),
  );
  put($("#outcomes-sides"), chips);

  const poll = api.poll(10_000, load, {
    active,
    failed: (error) => !shown && put(body, unavailable("Outcomes can't be shown", error)),
  });

  function choose(key) {
    side = key;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.by === key));
    poll.now();
  }

  async function load() {
    const asked = side;
    const answer = await api.get("admin/outcomes", { by: asked, days: days() });
    if (asked !== side) return;
    shown = true;
    const { overall } = answer;
    const groups = api.list(answer.groups);
    if (!overall?.sent) {
      text($("#outcomes-note"), "");
      put(body, empty("Nothing sent in this time", "View products under “Try it”, or choose a longer time above."));
      return;
    }
    text($("#outcomes-note"), `${count(overall.sent, "message")}, ${number(overall.delivered)} confirmed as delivered`);
    put(body, table(groups));
  }

  function table(groups) {
    const enough = groups.filter((group) => !tooFew(group));
    const top = (key) => Math.max(...enough.map((group) => group[key]?.high ?? 0), 1e-9);
    const scales = { click_through: top("click_through"), conversion: top("conversion") };
    const heads = [
      [SIDES[side]],
      ["Sent", "n"],
      ["Delivered", "n"],
      ["Click-through"],
      ["Conversion"],
      ["Revenue", "n"],
      ["Liked", "n"],
      ["Dismissed", "n"],
      ["Muted", "n", "per 1,000"],
      ["Opted out", "n", "per 1,000"],
    ];
    return tableBox(
      "Outcomes",
      h(
        "table",
        { class: "outcomes" },
        h("caption", {}, `Shares are of messages confirmed as delivered, from ${LEAST_MESSAGES} on; the bar is their 95 % interval.`),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map(([label, kind, unit]) =>
              h("th", { scope: "col", class: kind }, label, unit && h("span", { class: "unit" }, unit)),
            ),
          ),
        ),
        h("tbody", {}, groups.map((group) => row(group, scales))),
      ),
    );
  }

  function row(group, scales) {
    const few = tooFew(group);
    const thousand = (share) => (share && !few ? number(share.value, 1) : "–");
    return h(
      "tr",
      { dataset: { group: group.name } },
      h("th", { scope: "row" }, name(group.name)),
      h("td", { class: "n" }, compact(group.sent)),
      h("td", { class: "n" }, compact(group.delivered)),
      few ? h("td", { colspan: "2", class: "note too-few" }, few) : [
        share(group.click_through, scales.click_through),
        share(group.conversion, scales.conversion),
      ],
      h("td", { class: "n" }, group.revenue ? number(group.revenue, 2) : "–"),
      h("td", { class: "n" }, group.liked && !few ? percent(group.liked.value, 0) : "–"),
      h("td", { class: "n" }, number(group.dismissed)),
      h("td", { class: "n" }, thousand(group.muted_per_thousand)),
      h("td", { class: "n" }, thousand(group.unsubscribed_per_thousand)),
    );
  }

  function name(value) {
    if (side === "segment") return segmentBadge(/^[A-Z]$/.test(value) ? value : null);
    if (side === "model") return value === "none" ? "No model" : `Model ${value}`;
    if (side === "policy" && /^\d+$/.test(value)) return `Policy ${value}`;
    return title(value);
  }

  return { refresh: poll.now };
}

/** What is missing before the shares of a group are shown, or null. */
const tooFew = (group) => missing(group.delivered, LEAST_MESSAGES, "delivered message");

/** A value with its interval as a bar between low and high, the value as a tick. */
function share(value, top) {
  if (!value) return h("td", {}, "–");
  const range = h("span", { class: "range" });
  range.style.left = `${(100 * value.low) / top}%`;
  range.style.width = `${(100 * (value.high - value.low)) / top}%`;
  const tick = h("span", { class: "tick" });
  tick.style.left = `${(100 * value.value) / top}%`;
  return h(
    "td",
    { class: "with-interval" },
    h("span", { class: "interval", "aria-hidden": "true" }, range, tick),
    h("strong", {}, percent(value.value)),
    h("span", { class: "note" }, ` ${percent(value.low)} to ${percent(value.high)}`),
  );
}
