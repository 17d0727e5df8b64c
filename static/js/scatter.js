// The segments as a picture: purchases against browsing, one mark a user, colour and shape by segment, and the
// segment's letter at its mean.

import { h, put, s } from "./dom.js";
import { tickText } from "./chart.js";
import { axis, colour, font, fromZero, plot, uPlot } from "./plot.js";
import { markPath, segmentColour } from "./segment.js";

const HEIGHT = 316;
/** Behaviour is skewed: when the largest is this many times the median, a square-root axis shows more of it. */
const SKEWED = 6;

function isSkewed(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return middle > 0 && sorted.at(-1) / middle > SKEWED;
}

/** The first of 1, 2, 5, 10, 20, … that is not less. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value * 0.999);
}

/** Options of a scale and of its axis. */
function dimension(skewed, name, options) {
  const values = (_, ticks, index, space, step) => ticks.map((tick) => tickText(tick, skewed ? tick : step));
  if (!skewed) return [{ time: false, range: fromZero }, axis({ ...options, values, label: name })];
  const range = (_, smallest, largest) => [0, round(largest)];
  const splits = (u, index, smallest, largest) => [0, round(largest / 16), round(largest / 4), largest];
  return [
    { time: false, range, distr: 100, fwd: (value) => Math.sqrt(Math.max(0, value)), bwd: (value) => value ** 2 },
    // Every tick has its figure: the library leaves some out, as on a logarithmic axis.
    axis({ ...options, values, splits, filter: (_, ticks) => ticks, label: `${name} (square-root scale)` }),
  ];
}

/** `update({ segments, sample })` as /admin/segments says. */
export function scatterPlot(place) {
  let data = { segments: [], sample: [] };
  let drawn = null;
  let shape = "";
  const off = new Set();
  const legend = h("div", { class: "legend" });
  const figure = h("div", { class: "plot", role: "img" });
  put(place, legend, h("div", { class: "chart" }, figure));

  /** Draws a mark where a user or a segment's mean is; its outline and its place. */
  function mark(u, one, radius, alpha) {
    const x = u.valToPos(one.browsing_minutes_per_month, "x", true);
    const y = u.valToPos(one.purchases_per_month, "y", true);
    const path = new Path2D(markPath(one.segment, x, y, radius * uPlot.pxRatio));
    u.ctx.globalAlpha = alpha;
    u.ctx.fillStyle = colour(segmentColour(one.segment));
    u.ctx.fill(path);
    return { path, x, y };
  }

  function draw(u) {
    const { ctx } = u;
    const isShown = ({ segment }) => !off.has(segment);
    ctx.save();
    for (const user of data.sample.filter(isShown)) mark(u, user, 3.6, 0.55);
    for (const mean of data.segments.filter(isShown)) {
      const { path, x, y } = mark(u, mean, 11, 1);
      ctx.strokeStyle = ctx.fillStyle = colour("var(--surface)");
      ctx.lineWidth = 2.5 * uPlot.pxRatio;
      ctx.font = font(`700 ${11 * uPlot.pxRatio}px`);
      ctx.textAlign = "center";
      ctx.textBaseline = "alphabetic";
      ctx.stroke(path);
      ctx.fillText(mean.segment, x, y + 4 * uPlot.pxRatio);
    }
    ctx.restore();
  }

  function make([skewedX, skewedY], values) {
    const [x, xAxis] = dimension(skewedX, "browsing, minutes per month", { size: 28, labelSize: 18 });
    const [y, yAxis] = dimension(skewedY, "purchases per month", { size: 38, labelSize: 18 });
    const facets = ["x", "y"].map((scale) => ({ scale, auto: true }));
    drawn?.destroy();
    drawn = plot(
      figure,
      {
        mode: 2,
        height: HEIGHT,
        padding: [12, 16, 0, 0],
        scales: { x, y },
        axes: [xAxis, yAxis],
        series: [{}, { facets, paths: draw }],
        cursor: { show: false },
      },
      [null, values],
    );
  }

  function toggle(segment) {
    const key = s("path", { class: "mark", "data-segment": segment, d: markPath(segment, 9, 5, 5) });
    const onclick = () => {
      if (!off.delete(segment)) off.add(segment);
      element.setAttribute("aria-pressed", String(!off.has(segment)));
      drawn.redraw();
    };
    const element = h(
      "button",
      { type: "button", "aria-pressed": String(!off.has(segment)), onclick },
      s("svg", { class: "key", viewBox: "0 0 18 10", "aria-hidden": "true" }, key),
      `Segment ${segment}`,
    );
    return element;
  }

  return {
    update(next) {
      data = next;
      const all = [...data.sample, ...data.segments];
      const values = [all.map((one) => one.browsing_minutes_per_month), all.map((one) => one.purchases_per_month)];
      const skewed = values.map(isSkewed);
      if (shape === String(skewed)) drawn.setData([null, values]);
      else make(skewed, values);
      shape = String(skewed);
      const words = `${data.sample.length} of them, in ${data.segments.length} segments; the table has the means.`;
      figure.setAttribute("aria-label", `Users by browsing minutes and purchases per month, ${words}`);
      put(
        legend,
        data.segments.map(({ segment }) => toggle(segment)),
      );
    },
  };
}
