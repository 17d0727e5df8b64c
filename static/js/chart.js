// Line charts over time, drawn as SVG: axes, legend, a read-out under the pointer or by arrow keys, and the same
// figures as a table. Redrawn whole on new data: a hundred points cost well under a millisecond.

import { h, put, s, text } from "./dom.js";
import { number } from "./format.js";

const HEIGHT = 238;
const MARGIN = { top: 10, right: 14, bottom: 24, left: 46 };

/** About `wanted` round steps that cover 0…largest. */
export function niceTicks(largest, wanted = 4) {
  if (!(largest > 0 && Number.isFinite(largest))) return [0, 1];
  const top = largest;
  const rough = top / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step =
    [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999) ?? 10 * power;
  const ticks = [];
  for (let value = 0; value < top + step * 0.999; value += step) ticks.push(Number(value.toPrecision(12)));
  return ticks;
}

/** As many digits as the steps between the ticks need. */
export function tickText(tick, ticks) {
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  return number(tick, (String(Number(step.toPrecision(6))).split(".")[1] ?? "").length);
}

/** A path through the points; a missing one breaks the line. */
export function linePath(points, x, y) {
  let path = "";
  let drawing = false;
  for (const point of points) {
    if (point.value === null || point.value === undefined) {
      drawing = false;
      continue;
    }
    path += `${drawing ? "L" : "M"}${x(point.t).toFixed(1)} ${y(point.value).toFixed(1)}`;
    drawing = true;
  }
  return path;
}

/**
 * `lineChart(place, { label, series: [{ name, key, dashed }], format, unit, spanMs })` (`unit` goes behind the axis' figures) → `update(rows)` with rows
 * `{ t: ms, [key]: number | null }`, oldest first. The right edge is the newest row.
 */
export function lineChart(
  place,
  { label, series, format, unit = "", spanMs = 120_000, emptyText = "Nothing in the last two minutes." },
) {
  let rows = [];
  let cursor = null;
  let asTable = false;
  let width = 600;
  const off = new Set();

  const legend = h("div", { class: "legend" });
  const values = new Map();
  series.forEach((line, index) => {
    const value = h("strong", {}, "–");
    values.set(line.key, value);
    const toggle = h("button", { type: "button", "aria-pressed": "true" }, key(index, line.dashed), line.name, value);
    toggle.addEventListener("click", () => {
      if (off.has(line.key)) off.delete(line.key);
      else off.add(line.key);
      toggle.setAttribute("aria-pressed", String(!off.has(line.key)));
      draw();
    });
    legend.append(toggle);
  });
  const tableToggle = h("button", { type: "button", class: "as-table" }, "As table");
  tableToggle.addEventListener("click", () => {
    asTable = !asTable;
    text(tableToggle, asTable ? "As chart" : "As table");
    draw();
  });
  legend.append(tableToggle);

  const svg = s("svg", {
    class: "chart-svg",
    role: "img",
    tabindex: "0",
    "aria-label": `${label}. Left and right arrow keys read it out.`,
  });
  const readout = h("div", { class: "readout", hidden: true });
  const announce = h("p", { class: "visually-hidden", "aria-live": "polite" });
  const nothing = h("p", { class: "chart-empty", hidden: true }, emptyText);
  const table = h("div", {
    class: "table-wrap chart-table",
    tabindex: "0",
    role: "region",
    "aria-label": `${label}, as a table`,
    hidden: true,
  });
  const chart = h("div", { class: "chart" }, svg, readout, nothing, table, announce);
  put(place, legend, chart);

  new ResizeObserver(([entry]) => {
    const next = Math.round(entry.contentRect.width);
    if (next > 0 && next !== width) {
      width = next;
      draw();
    }
  }).observe(chart);

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    cursor = nearest(((event.clientX - box.left) / box.width) * width);
    draw();
  });
  svg.addEventListener("pointerleave", () => {
    cursor = null;
    draw();
  });
  svg.addEventListener("blur", () => {
    cursor = null;
    draw();
  });
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    if (event.key === "Escape") cursor = null;
    else if (event.key === "Home") cursor = rows[0]?.t ?? null;
    else if (event.key === "End") cursor = rows.at(-1)?.t ?? null;
    else if (steps[event.key]) {
      const at = cursor === null ? rows.length : rows.findIndex((row) => row.t >= cursor);
      cursor = rows[Math.min(rows.length - 1, Math.max(0, at + steps[event.key]))]?.t ?? null;
    } else return;
    event.preventDefault();
    draw();
    const row = rowAtCursor();
    if (row)
      text(
        announce,
        `${secondsAgo(row.t)}: ${shown()
          .map((line) => `${line.name} ${format(row[line.key])}`)
          .join(", ")}`,
      );
  });

  const shown = () => series.filter((line) => !off.has(line.key));
  const newest = () => rows.at(-1)?.t ?? 0;
  const x = (t) => MARGIN.left + (1 - (newest() - t) / spanMs) * (width - MARGIN.left - MARGIN.right);
  const secondsAgo = (t) => {
    const seconds = Math.round((newest() - t) / 1000);
    return seconds === 0 ? "now" : `${seconds} s ago`;
  };
  function nearest(pixel) {
    let best = null;
    for (const row of rows) if (best === null || Math.abs(x(row.t) - pixel) < Math.abs(x(best) - pixel)) best = row.t;
    return best;
  }
  const rowAtCursor = () => (cursor === null ? null : (rows.find((row) => row.t >= cursor) ?? null));

  function draw() {
    table.hidden = !asTable;
    svg.toggleAttribute("hidden", asTable);
    svg.style.display = asTable ? "none" : "";
    for (const line of series) text(values.get(line.key), format(rows.at(-1)?.[line.key]));
    const all = shown().flatMap((line) => rows.map((row) => row[line.key]).filter((value) => Number.isFinite(value)));
    nothing.hidden = asTable || all.some((value) => value > 0);
    if (asTable) {
      readout.hidden = true;
      drawTable();
      return;
    }
    const ticks = niceTicks(Math.max(0, ...all));
    const top = ticks.at(-1);
    const bottom = HEIGHT - MARGIN.bottom;
    const y = (value) => bottom - (value / top) * (bottom - MARGIN.top);
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute("height", HEIGHT);
    const parts = ticks.map((tick) => [
      s("line", { class: "grid-line", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick) }),
      s(
        "text",
        { class: "axis-text", x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" },
        `${tickText(tick, ticks)}${unit}`,
      ),
    ]);
    const step = spanMs / (width < 440 ? 2 : 4);
    for (let back = spanMs; back >= 0; back -= step) {
      const anchor = back === spanMs ? "start" : back === 0 ? "end" : "middle";
      const label = back === 0 ? "now" : `−${Math.round(back / 1000)} s`;
      parts.push(s("text", { class: "axis-text", x: x(newest() - back), y: HEIGHT - 5, "text-anchor": anchor }, label));
    }
    shown().forEach((line) => {
      const index = series.indexOf(line) + 1;
      const points = rows.map((row) => ({ t: row.t, value: row[line.key] }));
      const path = linePath(points, x, y);
      if (index === 1 && path && points.every((point) => Number.isFinite(point.value))) {
        parts.push(s("path", { class: "area-1", d: `${path}L${x(newest())} ${y(0)}L${x(rows[0].t)} ${y(0)}Z` }));
      }
      parts.push(s("path", { class: `series series-${index}${line.dashed ? " dashed" : ""}`, d: path }));
    });
    drawCursor(parts, y, bottom);
    put(svg, parts);
  }

  function drawCursor(parts, y, bottom) {
    const row = rowAtCursor();
    readout.hidden = !row;
    if (!row) return;
    const at = x(row.t);
    parts.push(s("line", { class: "cursor-line", x1: at, x2: at, y1: MARGIN.top, y2: bottom }));
    for (const line of shown()) {
      if (!Number.isFinite(row[line.key])) continue;
      parts.push(
        s("circle", { class: `cursor-dot series-${series.indexOf(line) + 1}`, cx: at, cy: y(row[line.key]), r: 4.5 }),
      );
    }
    put(
      readout,
      h("p", {}, secondsAgo(row.t)),
      shown().map((line) =>
        h("div", {}, key(series.indexOf(line), line.dashed), line.name, h("strong", {}, format(row[line.key]))),
      ),
    );
    const left = at + 14 + readout.offsetWidth > width ? at - readout.offsetWidth - 14 : at + 14;
    readout.style.transform = `translate(${Math.max(0, left)}px, ${MARGIN.top}px)`;
  }

  function drawTable() {
    // Every ten seconds is enough to read.
    const some = [...rows].reverse().filter((_, index) => index % 10 === 0);
    put(
      table,
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "When"),
            series.map((line) => h("th", { scope: "col", class: "n" }, line.name)),
          ),
        ),
        h(
          "tbody",
          {},
          some.map((row) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, secondsAgo(row.t)),
              series.map((line) => h("td", { class: "n" }, format(row[line.key]))),
            ),
          ),
        ),
      ),
    );
  }

  draw();
  return {
    update(next) {
      rows = next;
      if (cursor !== null && rows.length && cursor < rows[0].t) cursor = rows[0].t;
      draw();
    },
  };
}

function key(index, dashed) {
  return s(
    "svg",
    { class: "key", viewBox: "0 0 18 10", "aria-hidden": "true" },
    s("path", { class: `series series-${index + 1}${dashed ? " dashed" : ""}`, d: "M1 5h16" }),
  );
}

/** A small line without axes; decorative, its figure stands beside it. `update(values)`, oldest first, null = missing. */
export function sparkline() {
  const area = s("path", { class: "spark-area" });
  const line = s("path", {});
  const svg = s(
    "svg",
    { class: "spark", viewBox: "0 0 120 34", preserveAspectRatio: "none", "aria-hidden": "true" },
    area,
    line,
  );
  return {
    svg,
    update(values) {
      const known = values.filter((value) => Number.isFinite(value));
      const top = Math.max(...known, 0.0001) * 1.08;
      const points = values.map((value, index) => ({ t: index, value: Number.isFinite(value) ? value : null }));
      const x = (index) => (index / Math.max(1, values.length - 1)) * 120;
      const y = (value) => 33 - (value / top) * 31;
      const path = known.length > 1 ? linePath(points, x, y) : "";
      line.setAttribute("d", path);
      area.setAttribute("d", path && known.length === values.length ? `${path}L120 34L0 34Z` : "");
    },
  };
}
