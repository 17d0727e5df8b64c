// How a segment looks: the letter with its colour; in plots a shape as well, for those who don't see the colour.

import { h } from "./dom.js";

const SHAPES = { A: "circle", B: "square", C: "triangle", D: "diamond", E: "cross" };

/** A small square with the segment's letter; a dash for none yet. */
export function segmentBadge(segment) {
  const label = segment ? `Segment ${segment}` : "No segment yet";
  return h(
    "span",
    { class: "segment", dataset: { segment: segment ?? "" }, title: label },
    h("span", { class: "visually-hidden" }, segment ? "Segment " : "No segment yet"),
    segment ?? "–",
  );
}

/** The colour of a segment's marks. */
export const segmentColour = (segment) => `var(--seg-${Object.hasOwn(SHAPES, segment) ? segment.toLowerCase() : "none"})`;

/** The outline of a mark at x, y of about `r` pixels radius, as path data: for `<path>` and for canvas. */
export function markPath(segment, x, y, r) {
  switch (Object.hasOwn(SHAPES, segment) ? SHAPES[segment] : "circle") {
    case "square":
      return `M${x - r * 0.9} ${y - r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`;
    case "triangle":
      return `M${x} ${y - r * 1.15}L${x + r * 1.1} ${y + r * 0.85}H${x - r * 1.1}Z`;
    case "diamond":
      return `M${x} ${y - r * 1.25}L${x + r * 1.25} ${y}L${x} ${y + r * 1.25}L${x - r * 1.25} ${y}Z`;
    case "cross": {
      const a = r * 1.15;
      const b = r * 0.4;
      return `M${x - b} ${y - a}h${2 * b}v${a - b}h${a - b}v${2 * b}h${b - a}v${a - b}h${-2 * b}v${b - a}h${b - a}v${-2 * b}h${a - b}Z`;
    }
    default:
      return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
}
