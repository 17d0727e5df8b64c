// A forest plot: a line for each interval on one scale, a mark at the value, and nought as a line through all.

import { h, s } from "../dom.js";
import { percent } from "../format.js";

const WIDTH = 300;
const HEIGHT = 22;
const EDGE = 6;
/** An interval may be far wider than what matters; beyond this it is drawn to the edge. */
const FURTHEST = 2;

/**
 * `forest([{ label, mark, interval: [value, low, high] | null, missing, sure, detail }])`. Each row says its figures in words beside
 * the line; `sure` ones leave 0 out and are drawn solid. A null end is open. What can't be told is not drawn: `missing` says why.
 */
export function forest(rows) {
  const ends = rows.flatMap(({ interval }) => interval ?? []).filter((end) => end !== null).map(Math.abs);
  const reach = Math.min(FURTHEST, Math.max(...ends, 0.01)) * 1.05;
  const x = (value) => WIDTH / 2 + (Math.max(-reach, Math.min(reach, value)) / reach) * (WIDTH / 2 - EDGE);
  return h(
    "ul",
    { class: "forest" },
    rows.map(({ label, mark, interval, missing, sure, detail }) =>
      h(
        "li",
        { "data-sure": String(Boolean(sure)) },
        h("span", { class: "forest-label" }, mark ?? label),
        interval ? line(interval, x) : h("span", { class: "note" }, missing),
        h(
          "span",
          { class: "forest-said" },
          interval && h("strong", {}, signed(interval[0])),
          interval && h("span", {}, ` ${interval[1] === null ? "" : signed(interval[1])} to ${interval[2] === null ? "any" : signed(interval[2])}`),
          detail && h("span", { class: "note" }, detail),
        ),
      ),
    ),
  );
}

function line([value, low, high], x) {
  const middle = HEIGHT / 2;
  return s(
    "svg",
    { class: "forest-line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "forest-nought", d: `M${x(0)} 0V${HEIGHT}` }),
    s("path", { class: "forest-interval", d: `M${x(low ?? -Infinity)} ${middle}H${x(high ?? Infinity)}` }),
    s("rect", { class: "forest-value", x: x(value) - 3, y: middle - 5, width: 6, height: 10, rx: 1.5 }),
  );
}

/** +12.3 %, −4.0 %. */
function signed(value) {
  const words = percent(Math.abs(value));
  return value > 0 ? `+${words}` : value < 0 ? `−${words}` : words;
}
