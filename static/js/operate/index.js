// The "Operate" area: the server at work, one question a page. Figures every second, the rest slower and only while its page is
// on the screen.

import { $, h, put, tableBox } from "../dom.js";
import { lineChart, sparkline } from "../chart.js";
import { compact, count, duration, rate } from "../format.js";
import { startSegments } from "./segments.js";
import { startModels } from "./models.js";
import { startRules } from "./rules.js";
import { startDecisions } from "./decisions.js";
import { startFeedback } from "./feedback.js";
import { startSessions } from "./sessions.js";
import { startCleaning } from "./cleaning.js";
import { startSources } from "./sources.js";
import { startAudit } from "./audit.js";
import { startPeople } from "./people.js";

/** `active(page)`: whether a page (or, without one, any) is on the screen. */
export function startOperate({ onMetrics, active, refresh }) {
  const pages = [...document.querySelectorAll("#area-operate .page")].map(({ id }) => id.slice("page-".length));
  const on = (page) => ({ active: () => active(page) });
  const tiles = startTiles();
  const rates = lineChart($("#chart-rates"), {
    label: "Events and pushes per second over the last two minutes",
    series: [
      { name: "events/s", key: "events_per_s" },
      { name: "pushes/s", key: "pushes_per_s", dashed: true },
    ],
    format: rate,
    emptyText: "No events in the last two minutes.",
  });
  const latency = lineChart($("#chart-latency"), {
    label: "Time from an event's arrival to the push it caused, over the last two minutes",
    series: [
      { name: "p50", key: "p50_ms" },
      { name: "p99", key: "p99_ms", dashed: true },
    ],
    format: duration,
    unit: " ms",
    emptyText: "No pushes in the last two minutes.",
  });
  const panels = {
    decisions: startDecisions(on("decisions")),
    models: startModels({ ...on("models"), refresh }),
    rules: startRules(on("rules")),
    segments: startSegments(on("segments")),
    users: startSessions(on("users")),
    cleaning: startCleaning(on("cleaning")),
    sources: startSources(on("sources")),
    audit: startAudit(),
    people: startPeople(),
  };
  const feedback = startFeedback();

  onMetrics((metrics) => {
    if (!active()) return;
    tiles(metrics);
    const rows = (metrics.history ?? []).map((row) => ({ ...row, t: Date.parse(row.t) }));
    rates.update(rows);
    latency.update(rows);
    showWhere(metrics.latency_ms ?? {});
    feedback.update(metrics.feedback);
    for (const panel of Object.values(panels)) panel.metrics?.(metrics);
  });

  return {
    /** The page of that name, else the first. */
    page: (name) => (pages.includes(name) ? name : pages[0]),
    shown(page) {
      for (const name of pages) {
        $(`#page-${name}`).hidden = name !== page;
        const link = $(`#area-operate [data-page="${name}"]`);
        if (name === page) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      refresh();
      panels[page]?.refresh();
    },
  };
}

/** The band of figures: what comes in, what is decided, what goes out, how fast. */
function startTiles() {
  const tiles = [
    {
      label: "Connected users",
      of: (m) => compact(m.connected_users),
      note: (m) => count(m.connections, "connection"),
      line: "connected_users",
    },
    {
      label: "Events per second",
      of: (m) => rate(m.rates?.events_per_s),
      note: (m) => `${compact(m.totals?.events)} since the start`,
      line: "events_per_s",
    },
    {
      label: "Decisions per second",
      of: (m) => rate(m.rates?.decisions_per_s),
      note: (m) => `${compact(m.totals?.decisions)} since the start`,
      line: null,
    },
    {
      label: "Pushes per second",
      of: (m) => rate(m.rates?.pushes_per_s),
      note: (m) => `${compact(m.totals?.pushes)} since the start`,
      line: "pushes_per_s",
    },
    {
      label: "Event to push, p50",
      of: (m) => duration(m.latency_ms?.event_to_push?.p50),
      note: () => "half are faster",
      line: "p50_ms",
    },
    {
      label: "Event to push, p99",
      of: (m) => duration(m.latency_ms?.event_to_push?.p99),
      note: (m) => `${compact(m.latency_ms?.event_to_push?.count ?? 0)} in the last minute`,
      line: "p99_ms",
    },
  ];
  // Decisions have no history of the server's: what this page saw is drawn instead.
  const decisions = [];
  const parts = tiles.map((tile) => {
    const value = h("p", { class: "tile-value" }, "–");
    const note = h("p", { class: "note" });
    const spark = sparkline();
    return {
      tile,
      value,
      note,
      spark,
      element: h("div", { class: "tile" }, h("h2", {}, tile.label), value, note, spark.element),
    };
  });
  put(
    $("#tiles"),
    parts.map((part) => part.element),
  );
  return (metrics) => {
    decisions.push(metrics.rates?.decisions_per_s ?? null);
    if (decisions.length > 120) decisions.shift();
    for (const { tile, value, note, spark } of parts) {
      value.textContent = tile.of(metrics);
      note.textContent = tile.note(metrics);
      spark.update(tile.line ? (metrics.history ?? []).map((row) => row[tile.line]) : decisions);
    }
  };
}

function showWhere(latency) {
  const rows = [
    ["Event to push", latency.event_to_push],
    ["Durable commit", latency.commit],
    ["Recommending", latency.recommend],
  ];
  put(
    $("#where-body"),
    tableBox(
      "Latencies of the last minute",
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Last minute", "p50", "p90", "p99", "max"].map((name, index) =>
              h("th", { scope: "col", class: index ? "n" : null }, name),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map(([name, figures]) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, name),
              ["p50", "p90", "p99", "max"].map((at) =>
                h("td", { class: "n" }, figures?.count ? duration(figures[at]) : "–"),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
