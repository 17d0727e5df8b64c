// The segments: who shops how, as a table and a plot.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, unavailable } from "../dom.js";
import { money, number, percent } from "../format.js";
import { scatterPlot } from "../scatter.js";
import { segmentBadge } from "../segment.js";

export function startSegments({ active }) {
  const body = $("#segments-body");
  let version;
  let plot = null;
  put(body, empty("One moment", "Loading the segments."));

  const poll = api.poll(15_000, load, {
    active,
    failed: (error) => !plot && put(body, unavailable("Segments can't be shown", error)),
  });

  async function load() {
    const answer = await api.get("admin/segments");
    if (!api.list(answer?.segments).length) {
      plot = null;
      put(
        body,
        empty("No segments yet", "They appear with the first trained model: it needs some users with some behaviour."),
      );
      return;
    }
    if (!plot) {
      const place = h("div", { class: "segments-plot" });
      put(body, h("div", { class: "segments-table" }), place);
      plot = scatterPlot(place);
    }
    put($(".segments-table", body), table(answer));
    plot.update({ segments: answer.segments, sample: answer.sample ?? [] });
  }

  function table({ segments, model_version }) {
    const columns = ["Segment", "Users", "Purchases", "Browsing", "Searches", "Recency", "Spent"];
    const units = ["", "", "per month", "min per month", "per month", "days", "per user"];
    const largest = Math.max(...segments.map((segment) => segment.size), 1);
    return tableBox(
      "Means of the segments",
      h(
        "table",
        {},
        h(
          "caption",
          {},
          `Means of each segment, by falling purchase frequency${model_version ? `, from model ${model_version}` : ""}.`,
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name, index) =>
              h(
                "th",
                { scope: "col", class: index > 1 ? "n" : null },
                name,
                units[index] && h("span", { class: "unit" }, units[index]),
              ),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          segments.map((segment) => row(segment, largest)),
        ),
      ),
    );
  }

  function row(segment, largest) {
    const fill = h("span", { dataset: { segment: segment.segment } });
    fill.style.width = `${(100 * segment.size) / largest}%`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, segmentBadge(segment.segment)),
      h(
        "td",
        { class: "with-bar" },
        h("span", { class: "meter by-segment", "aria-hidden": "true" }, fill),
        h("span", {}, `${number(segment.size)} `, h("span", { class: "note" }, percent(segment.share, 0))),
      ),
      h("td", { class: "n" }, number(segment.purchases_per_month, 1)),
      h("td", { class: "n" }, number(segment.browsing_minutes_per_month, 1)),
      h("td", { class: "n" }, number(segment.searches_per_month, 1)),
      h("td", { class: "n" }, number(segment.recency_days, 1)),
      h("td", { class: "n" }, money(segment.monetary)),
    );
  }

  return {
    refresh: poll.now,
    metrics({ model }) {
      const now = model?.version ?? null;
      if (version !== undefined && version !== now) poll.now();
      version = now;
    },
  };
}
