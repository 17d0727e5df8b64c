// Making elements. All text goes in as text nodes and all addresses through `safeUrl`, so that nothing a shop or a
// user wrote can become markup or script.

const SVG = "http://www.w3.org/2000/svg";

/**
 * `h("button", { class: "quiet", onclick: go, "aria-label": "Go" }, "Go", icon)`. `undefined`, `null` and `false` properties and
 * children are left out; `dataset` is an object; properties starting with `on` are listeners.
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG elements. */
export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "href" || name === "src") {
      const url = safeUrl(value);
      if (url) element.setAttribute(name, url);
    } else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** http(s) and relative addresses only; anything else (javascript:, data:, …) is dropped. */
export function safeUrl(value) {
  if (typeof value !== "string" || value === "") return null;
  try {
    const url = new URL(value, document.baseURI);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Replaces what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** Sets text only when it changed: screen readers and selections are left alone. */
export function text(element, value) {
  const next = String(value ?? "");
  if (element.textContent !== next) element.textContent = next;
}

export const $ = (selector, root = document) => root.querySelector(selector);

/** A friendly sentence where there is nothing to show yet. */
export function empty(title, detail) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), detail && h("p", {}, detail));
}

/** Calls `run` once things are quiet for `ms`. */
export function debounce(run, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), ms);
  };
}

/** Icons are 20×20 stroke paths. */
const ICONS = {
  eye: "M1.7 10S4.7 4.5 10 4.5 18.3 10 18.3 10 15.3 15.5 10 15.5 1.7 10 1.7 10ZM10 12.4a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8",
  cart: "M2 3.2h2.1l2 9.3h8.8l1.7-6.6H4.8M7.6 16.6h.01M13.6 16.6h.01",
  bag: "M4.4 6.6h11.2l.9 10.2H3.500L4.4 6.600ZM7.200 8.800V5.600a2.800 2.800 0 0 1 5.600 0v3.200",
  heart: "M10 16.500S3 12.600 3 7.700a3.600 3.600 0 0 1 7-1.200 3.600 3.600 0 0 1 7 1.200c0 4.900-7 8.800-7 8.800Z",
  bell: "M5 8.600a5 5 0 0 1 10 0c0 4.400 1.700 5.300 1.700 5.300H3.300S5 13 5 8.600M8.300 16.600a1.900 1.900 0 0 0 3.400 0",
  close: "M5 5l10 10M15 5L5 15",
  back: "M16 10H4M9 5l-5 5 5 5",
  search: "M9 14.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11M13 13l4 4",
  mute: "M5.400 6.700A5 5 0 0 1 15 8.600c0 1 .100 1.900.300 2.600M3.300 13.900S5 13 5 8.600M3.300 13.900h9M8.300 16.600a1.900 1.900 0 0 0 3.400 0M3 3l14 14",
  sun: "M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7M10 1.700v1.600M10 16.700v1.600M1.700 10h1.600M16.700 10h1.600M4.100 4.100l1.200 1.200M14.700 14.700l1.200 1.200M4.100 15.900l1.200-1.200M14.700 5.300l1.200-1.200",
  moon: "M16.500 12A7 7 0 0 1 8 3.500 7 7 0 1 0 16.500 12Z",
  auto: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14M10 3v14M10 6h4.500M10 10h6.500M10 14h4.500",
  user: "M10 9.600a3.300 3.300 0 1 0 0-6.600 3.300 3.300 0 0 0 0 6.600M3.600 17c.700-3.400 3.200-5 6.400-5s5.700 1.600 6.400 5",
};

/** A decorative icon. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}
