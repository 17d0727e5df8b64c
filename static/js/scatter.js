// The segments as a picture: purchases against browsing, one mark a user, colour and shape by segment, and the
// segment's letter at its mean.

import { h, put, s } from "./dom.js";
import { niceTicks, tickText } from "./chart.js";
import { number } from "./format.js";
import { mark } from "./segment.js";

const HEIGHT = 316;
const MARGIN = { top: 12, right: 16, bottom: 42, left: 52 };
/** Behaviour is skewed: when the largest is this many times the median, a square-root axis shows more of it. */
const SKEWED = 6;

function scaleFor(values, from, to) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const largest = sorted.at(-1) || 1;
  const middle = sorted[Math.floor(sorted.length / 2)] || 0;
  const skewed = middle > 0 && largest / middle > SKEWED;
  const shape = skewed ? Math.sqrt : (value) => value;
  let ticks = niceTicks(largest, 5);
  if (skewed)
    ticks = [
      ...new Set([
        0,
        ...niceTicks(largest / 16, 2).slice(1, 2),
        ...niceTicks(largest / 4, 2).slice(1, 2),
        ...niceTicks(largest, 2),
      ]),
    ].sort((a, b) => a - b);
  const top = shape(ticks.at(-1));
  return { skewed, ticks, at: (value) => from + (shape(Math.max(0, value)) / top) * (to - from) };
}

/** `update({ segments, sample })` as /admin/segments says. */
export function scatterPlot(place) {
  let data = { segments: [], sample: [] };
  let width = 520;
  const off = new Set();
  const legend = h("div", { class: "legend" });
  const svg = s("svg", { class: "chart-svg", role: "img", height: HEIGHT });
  const box = h("div", { class: "chart" }, svg);
  put(place, legend, box);
  new ResizeObserver(([entry]) => {
    const next = Math.round(entry.contentRect.width);
    if (next > 0 && next !== width) {
      width = next;
      draw();
    }
  }).observe(box);

  function draw() {
    const { segments, sample } = data;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const bottom = HEIGHT - MARGIN.bottom;
    const all = [...sample, ...segments];
    const x = scaleFor(
      all.map((user) => user.browsing_minutes_per_month),
      MARGIN.left,
      width - MARGIN.right,
    );
    const y = scaleFor(
      all.map((user) => user.purchases_per_month),
      bottom,
      MARGIN.top,
    );
    const parts = [];
    for (const tick of y.ticks) {
      parts.push(
        s("line", { class: "grid-line", x1: MARGIN.left, x2: width - MARGIN.right, y1: y.at(tick), y2: y.at(tick) }),
      );
      parts.push(
        s(
          "text",
          { class: "axis-text", x: MARGIN.left - 8, y: y.at(tick) + 4, "text-anchor": "end" },
          y.skewed ? number(tick, tick % 1 ? 1 : 0) : tickText(tick, y.ticks),
        ),
      );
    }
    for (const tick of x.ticks) {
      parts.push(s("line", { class: "grid-line", x1: x.at(tick), x2: x.at(tick), y1: MARGIN.top, y2: bottom }));
      parts.push(
        s(
          "text",
          { class: "axis-text", x: x.at(tick), y: bottom + 17, "text-anchor": "middle" },
          x.skewed ? number(tick, tick % 1 ? 1 : 0) : tickText(tick, x.ticks),
        ),
      );
    }
    const note = (scale) => (scale.skewed ? " (square-root scale)" : "");
    const middle = (MARGIN.top + bottom) / 2;
    parts.push(
      s(
        "text",
        { class: "axis-text", x: (MARGIN.left + width - MARGIN.right) / 2, y: HEIGHT - 5, "text-anchor": "middle" },
        `browsing, minutes a month${note(x)}`,
      ),
    );
    parts.push(
      s(
        "text",
        { class: "axis-text", x: 0, y: 0, "text-anchor": "middle", transform: `translate(11 ${middle}) rotate(-90)` },
        `purchases a month${note(y)}`,
      ),
    );
    for (const user of sample) {
      if (!off.has(user.segment))
        parts.push(mark(user.segment, x.at(user.browsing_minutes_per_month), y.at(user.purchases_per_month), 3.6));
    }
    for (const segment of segments) {
      if (off.has(segment.segment)) continue;
      const [cx, cy] = [x.at(segment.browsing_minutes_per_month), y.at(segment.purchases_per_month)];
      parts.push(
        mark(segment.segment, cx, cy, 11, { class: "mark centre" }),
        s("text", { class: "centre-text", x: cx, y: cy + 4 }, segment.segment),
      );
    }
    put(svg, parts);
  }

  return {
    update(next) {
      data = next;
      svg.setAttribute(
        "aria-label",
        `Users by browsing minutes and purchases a month, ${next.sample.length} of them, in ${next.segments.length} segments; the table has the means.`,
      );
      put(
        legend,
        next.segments.map(({ segment }) => {
          const toggle = h(
            "button",
            { type: "button", "aria-pressed": String(!off.has(segment)) },
            s(
              "svg",
              { class: "key", viewBox: "0 0 18 10", "aria-hidden": "true" },
              mark(segment, 9, 5, 5, { class: "mark solid" }),
            ),
            `Segment ${segment}`,
          );
          toggle.addEventListener("click", () => {
            if (off.has(segment)) off.delete(segment);
            else off.add(segment);
            toggle.setAttribute("aria-pressed", String(!off.has(segment)));
            draw();
          });
          return toggle;
        }),
      );
      draw();
    },
  };
}
