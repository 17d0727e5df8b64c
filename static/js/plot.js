// uPlot in the page's colours and typeface: what the line charts, the sparklines and the scatter plot share.

import { h } from "./dom.js";

/** The library, a classic script of `index.html`. */
export const { uPlot } = window;

const colours = new Map();
const plots = new Set();

/** A colour as the page writes it, `var(--line)` or a mix of such, as a canvas takes it. */
export function colour(css) {
  if (!colours.has(css)) {
    const probe = h("span", { hidden: true });
    probe.style.color = css;
    document.body.append(probe);
    colours.set(css, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(css);
}

/** The font of the page at a size, e.g. `500 12px`. */
export const font = (size) => `${size} ${getComputedStyle(document.body).fontFamily}`;

/** A plot in `place`, as wide as it; `options` and `data` as uPlot's. */
export function plot(place, options, data) {
  const made = new uPlot({ width: 600, legend: { show: false }, ...options }, data, place);
  const resized = new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width > 0 && width !== made.width) made.setSize({ width, height: options.height });
  });
  resized.observe(place);
  made.hooks.destroy = [
    () => {
      plots.delete(made);
      resized.disconnect();
    },
  ];
  plots.add(made);
  return made;
}

// A canvas does not follow the theme by itself.
function themeChanged() {
  colours.clear();
  for (const made of plots) {
    if (made.root.isConnected) made.redraw();
    else made.destroy();
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);
new MutationObserver(themeChanged).observe(document.documentElement, { attributeFilter: ["data-theme"] });

/** An axis in the page's style. */
export const axis = (options) => ({
  stroke: () => colour("var(--ink-faint)"),
  font: font("500 12px"),
  labelFont: font("500 12px"),
  ticks: { show: false },
  gap: 8,
  space: 44,
  ...options,
  grid: { stroke: () => colour("var(--line)"), width: 1, ...options.grid },
});

/** A line of a colour, broken where values are missing; a value between two missing ones is a point. */
export function line(css, { width = 2, dashed = false, fill = null } = {}) {
  const stroke = () => colour(css);
  const dash = dashed ? [5, 4].map((length) => length * uPlot.pxRatio) : null;
  const isMissing = (value) => value === null || value === undefined;
  const alone = ({ data }, index) =>
    [...data[index].keys()].filter((at) => {
      const [before, value, after] = [-1, 0, 1].map((step) => data[index][at + step]);
      return !isMissing(value) && isMissing(before) && isMissing(after);
    });
  return { stroke, width, dash, fill, points: { show: false, size: 4, stroke, fill: stroke, filter: alone } };
}

/** The fill below a line of a colour. */
export const below = (css) => () => colour(`color-mix(in srgb, ${css} 10%, transparent)`);

/** A range from zero to a round number above the largest value; `[0, 1]` where there is none. */
export const fromZero = (_, smallest, largest) => [0, uPlot.rangeNum(0, largest > 0 ? largest : 1, 0.1, true)[1]];
