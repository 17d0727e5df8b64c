// Outcomes of the messages: click-through and conversion, grouped in four ways.

import { $, empty, h, put, tableBox, text } from "../dom.js";
import { compact, count, number, percent, title } from "../format.js";
import { LEAST_MESSAGES, missing } from "../enough.js";
import { segmentBadge } from "../segment.js";

const SIDES = { by_kind: "By kind", by_trigger: "By trigger", by_model: "By model", by_segment: "By segment" };

export function startFeedback() {
  const body = $("#feedback-body");
  let side = "by_kind";
  let latest = null;
  let drawn = "";

  function update(feedback) {
    latest = feedback ?? null;
    // Every second the same: only draw what changed, so that focus and selection stay.
    const now = JSON.stringify([side, latest]);
    if (now === drawn) return;
    drawn = now;
    show();
  }

  function show() {
    if (!latest?.overall?.sent) {
      text($("#feedback-note"), "");
      put(body, empty("Nothing sent yet", "Once messages are sent, clicks and purchases after them are counted here."));
      return;
    }
    text($("#feedback-note"), `last ${count(latest.window_days, "day")}`);
    const focused = document.activeElement?.dataset?.side;
    put(body, overall(latest.overall), sides(), table(ordered(latest[side] ?? [])));
    if (focused) body.querySelector(`[data-side="${focused}"]`)?.focus();
  }

  /** Segments by letter, those without one last; the other sides as the server ranks them. */
  function ordered(rows) {
    if (side !== "by_segment") return rows;
    const key = ({ name }) => (/^[A-Z]$/.test(name) ? name : "~");
    return [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  /** From sent to bought, each as a share of the one before; who buys need not have clicked, so that is a share of what was delivered. */
  function overall(sums) {
    const steps = [
      ["Sent", sums.sent, null, ""],
      ["Delivered", sums.delivered, sums.sent, "of these"],
      ["Displayed", sums.displayed, sums.delivered, "of these"],
      ["Clicked", sums.clicked, sums.displayed, "of these"],
      ["Converted", sums.converted, sums.delivered, "of delivered"],
    ];
    return h(
      "ol",
      { class: "funnel", "aria-label": "From sent to converted" },
      steps.map(([name, value, before, of]) => {
        const fill = h("span", {});
        fill.style.width = `${sums.sent ? Math.min(100, (100 * (value ?? 0)) / sums.sent) : 0}%`;
        return h(
          "li",
          {},
          h("span", { class: "note" }, name),
          h("strong", {}, compact(value)),
          h("span", { class: "meter", "aria-hidden": "true" }, fill),
          h("span", { class: "note" }, before ? `${percent(value / before, 0)} ${of}` : " "),
        );
      }),
    );
  }

  function sides() {
    return h(
      "div",
      { class: "chips", role: "group", "aria-label": "Group by" },
      Object.entries(SIDES).map(([key, label]) =>
        h(
          "button",
          {
            type: "button",
            class: "choice",
            "aria-pressed": String(key === side),
            dataset: { side: key },
            onclick: () => ((side = key), update(latest)),
          },
          label,
        ),
      ),
    );
  }

  function table(rows) {
    if (!rows.length) return empty("None yet");
    const best = {
      click: Math.max(...rows.filter(isEnough).map((row) => row.click_through_rate ?? 0), 1e-9),
      conversion: Math.max(...rows.filter(isEnough).map((row) => row.conversion_rate ?? 0), 1e-9),
    };
    return tableBox(
      `Outcomes ${SIDES[side].toLowerCase()}`,
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h(
              "th",
              { scope: "col" },
              SIDES[side].slice(3).replace(/^./, (letter) => letter.toUpperCase()),
            ),
            h("th", { scope: "col", class: "n" }, "Sent"),
            h("th", { scope: "col", class: "n" }, "Displayed"),
            h("th", { scope: "col" }, "Click-through"),
            h("th", { scope: "col" }, "Conversion"),
            h("th", { scope: "col", class: "n" }, "Muted"),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, name(row.name)),
              h("td", { class: "n" }, number(row.sent)),
              h("td", { class: "n" }, number(row.displayed)),
              isEnough(row)
                ? [bar(row.click_through_rate, best.click), bar(row.conversion_rate, best.conversion)]
                : h("td", { colspan: "2", class: "note too-few" }, tooFew(row)),
              h("td", { class: "n" }, number(row.muted)),
            ),
          ),
        ),
      ),
    );
  }

  const tooFew = (row) => missing(row.delivered ?? 0, LEAST_MESSAGES, "delivered message");
  const isEnough = (row) => tooFew(row) === null;

  function name(value) {
    if (side === "by_segment") return segmentBadge(/^[A-Z]$/.test(String(value)) ? value : null);
    if (side === "by_model")
      return /^\d+$/.test(String(value)) && String(value) !== "0" ? `Model ${value}` : "No model";
    return title(value);
  }

  function bar(value, best) {
    const fill = h("span", {});
    fill.style.width = `${(100 * (value ?? 0)) / best}%`;
    return h(
      "td",
      { class: "with-bar" },
      h("span", { class: "meter", "aria-hidden": "true" }, fill),
      h("span", {}, percent(value)),
    );
  }

  return { update };
}
