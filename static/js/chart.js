// Line charts over time: a legend that hides lines, a read-out under the pointer or by arrow keys, and the same figures
// as a table. Sparklines.

import { h, put, s, text } from "./dom.js";
import { number } from "./format.js";
import { axis, below, colour, fromZero, line, plot } from "./plot.js";

const HEIGHT = 238;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

/** A tick of an axis with as many digits as the steps between the ticks need. */
export const tickText = (tick, step) => number(tick, (String(Number(step.toPrecision(6))).split(".")[1] ?? "").length);

const seriesColour = (index) => `var(--series-${index + 1})`;
const secondsAgo = (t) => (Math.round(t) === 0 ? "now" : `${-Math.round(t)} s ago`);

/**
 * `lineChart(place, { label, series: [{ name, key, dashed }], format, unit, seconds })` (`unit` goes behind the axis' figures) →
 * `update(rows)` with rows `{ t: ms, [key]: number | null }`, oldest first. The right edge is the newest row.
 */
export function lineChart(
  place,
  { label, series, format, unit = "", seconds = 120, emptyText = "Nothing in the last two minutes." },
) {
  let rows = [];
  const values = series.map(() => h("strong", {}, "–"));
  const toggles = series.map(({ name, dashed }, index) => {
    const toggle = () => show(index, toggles[index].getAttribute("aria-pressed") === "false");
    const properties = { type: "button", "aria-pressed": "true", onclick: toggle };
    return h("button", properties, key(index, dashed), name, values[index]);
  });
  const tableToggle = h("button", { type: "button", class: "as-table", onclick: toggleTable }, "As table");
  const figure = h("div", {
    class: "plot",
    role: "img",
    tabindex: "0",
    "aria-label": `${label}. Left and right arrow keys read it out.`,
    onkeydown: step,
    onblur: () => moveTo(null),
  });
  const readout = h("div", { class: "readout", hidden: true });
  const announce = h("p", { class: "visually-hidden", "aria-live": "polite" });
  const nothing = h("p", { class: "chart-empty" }, emptyText);
  const table = h("div", {
    class: "table-wrap chart-table",
    tabindex: "0",
    role: "region",
    "aria-label": `${label}, as a table`,
    hidden: true,
  });
  const chart = h("div", { class: "chart" }, figure, readout, nothing, table, announce);
  put(place, h("div", { class: "legend" }, toggles, tableToggle), chart);

  const drawn = plot(
    figure,
    {
      height: HEIGHT,
      padding: [10, 18, 0, 0],
      scales: { x: { time: false, range: [-seconds, 0] }, y: { range: fromZero } },
      axes: [
        axis({
          size: 30,
          grid: { show: false },
          splits: ({ width }) => (width < 440 ? [-1, -0.5, 0] : [-1, -0.75, -0.5, -0.25, 0]).map((at) => at * seconds),
          values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "now" : `−${-tick} s`)),
        }),
        axis({
          size: (_, ticks) => 14 + 7 * Math.max(3, ...(ticks ?? []).map((tick) => tick.length)),
          values: (_, ticks, index, space, step) => ticks.map((tick) => `${tickText(tick, step)}${unit}`),
        }),
      ],
      series: [
        {},
        ...series.map(({ dashed }, index) =>
          line(seriesColour(index), { dashed, fill: index === 0 ? below(seriesColour(0)) : null }),
        ),
      ],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        // To the row that is read out.
        move: (u, left, top) => [left < 0 || !rows.length ? left : u.valToPos(u.data[0][u.posToIdx(left)], "x"), top],
        points: {
          size: 9,
          width: 2,
          stroke: () => colour("var(--surface)"),
          fill: (_, index) => colour(seriesColour(index - 1)),
        },
      },
      hooks: { setCursor: [readOut] },
    },
    [[], ...series.map(() => [])],
  );
  // The library listens to mice only.
  drawn.over.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") return;
    drawn.setCursor({ left: event.clientX - drawn.over.getBoundingClientRect().left, top: 0 });
  });

  function show(index, shown) {
    toggles[index].setAttribute("aria-pressed", String(shown));
    drawn.setSeries(index + 1, { show: shown });
    sayWhenEmpty();
  }

  function toggleTable() {
    table.hidden = !table.hidden;
    figure.hidden = !table.hidden;
    text(tableToggle, table.hidden ? "As table" : "As chart");
    moveTo(null);
    sayWhenEmpty();
    drawTable();
  }

  const shown = () => series.filter((_, index) => drawn.series[index + 1].show);

  function sayWhenEmpty() {
    nothing.hidden = !table.hidden || shown().some((one) => rows.some((row) => row[one.key] > 0));
  }

  function moveTo(index) {
    drawn.setCursor({ left: index === null ? -10 : drawn.valToPos(drawn.data[0][index], "x"), top: 0 });
  }

  function step(event) {
    if (event.key !== "Escape" && !STEPS[event.key]) return;
    event.preventDefault();
    if (event.key === "Escape" || !rows.length) {
      moveTo(null);
      return;
    }
    const at = drawn.cursor.idx ?? rows.length;
    const to = Math.min(rows.length - 1, Math.max(0, at + STEPS[event.key]));
    moveTo(to);
    const figures = shown().map((one) => `${one.name} ${format(rows[to][one.key])}`);
    text(announce, `${secondsAgo(drawn.data[0][to])}: ${figures.join(", ")}`);
  }

  function readOut(u) {
    const row = rows[u.cursor.idx];
    readout.hidden = !row;
    if (!row) return;
    put(
      readout,
      h("p", {}, secondsAgo(u.data[0][u.cursor.idx])),
      shown().map((one) =>
        h("div", {}, key(series.indexOf(one), one.dashed), one.name, h("strong", {}, format(row[one.key]))),
      ),
    );
    const at = u.over.offsetLeft + u.cursor.left;
    const left = at + 14 + readout.offsetWidth > u.width ? at - readout.offsetWidth - 14 : at + 14;
    readout.style.transform = `translate(${Math.max(0, left)}px, ${u.over.offsetTop}px)`;
  }

  function drawTable() {
    if (table.hidden) return;
    // Every ten seconds is enough to read.
    const some = rows.map((row, index) => [row, drawn.data[0][index]]).reverse();
    const cells = (row) => series.map((one) => h("td", { class: "n" }, format(row[one.key])));
    const body = some
      .filter((_, index) => index % 10 === 0)
      .map(([row, t]) => h("tr", {}, h("th", { scope: "row" }, secondsAgo(t)), cells(row)));
    const heads = series.map((one) => h("th", { scope: "col", class: "n" }, one.name));
    const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "When"), heads));
    put(table, h("table", {}, head, h("tbody", {}, body)));
  }

  return {
    update(next) {
      rows = next;
      const newest = rows.at(-1)?.t ?? 0;
      series.forEach((one, index) => text(values[index], format(rows.at(-1)?.[one.key])));
      drawn.setData([
        rows.map((row) => (row.t - newest) / 1000),
        ...series.map((one) => rows.map((row) => row[one.key] ?? null)),
      ]);
      sayWhenEmpty();
      drawTable();
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
  const element = h("div", { class: "spark", "aria-hidden": "true" });
  const drawn = plot(
    element,
    {
      height: 34,
      padding: [2, 0, 1, 0],
      scales: { x: { time: false }, y: { range: (_, smallest, largest) => [0, Math.max(largest, 0.0001) * 1.08] } },
      axes: [{ show: false }, { show: false }],
      series: [{}, line("var(--tide)", { width: 1.6, fill: below("var(--tide)") })],
      cursor: { show: false },
    },
    [[], []],
  );
  return {
    element,
    update(values) {
      drawn.setData([values.map((_, index) => index), values.map((value) => value ?? null)]);
    },
  };
}
