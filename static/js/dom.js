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
  element.append(
    ...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false),
  );
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
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false),
  );
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

/** A sentence where something can't be shown, by the error; what may be right again by itself is tried again. */
export function unavailable(title, { status, message }) {
  return empty(title, status === 0 || status >= 500 || status === 429 ? `${message} Trying again.` : message);
}

/** A table that may be wider than its place: scrolled by keyboard as well. */
export function tableBox(label, table) {
  return h("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": label }, table);
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
  bag: "M4.4 6.6h11.2l.9 10.2H3.5L4.4 6.6ZM7.2 8.8V5.6a2.8 2.8 0 0 1 5.6 0v3.2",
  heart: "M10 16.5S3 12.6 3 7.7a3.6 3.6 0 0 1 7-1.2 3.6 3.6 0 0 1 7 1.2c0 4.9-7 8.8-7 8.8Z",
  bell: "M5 8.6a5 5 0 0 1 10 0c0 4.4 1.7 5.3 1.7 5.3H3.3S5 13 5 8.6M8.3 16.6a1.9 1.9 0 0 0 3.4 0",
  close: "M5 5l10 10M15 5L5 15",
  back: "M16 10H4M9 5l-5 5 5 5",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11M13 13l4 4",
  mute: "M5.4 6.7A5 5 0 0 1 15 8.6c0 1 .1 1.9.3 2.6M3.3 13.9S5 13 5 8.6M3.3 13.9h9M8.3 16.6a1.9 1.9 0 0 0 3.4 0M3 3l14 14",
  sun: "M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M10 1.7v1.6M10 16.7v1.6M1.7 10h1.6M16.7 10h1.6M4.1 4.1l1.2 1.2M14.7 14.7l1.2 1.2M4.1 15.9l1.2-1.2M14.7 5.3l1.2-1.2",
  moon: "M16.5 12A7 7 0 0 1 8 3.5 7 7 0 1 0 16.5 12Z",
  auto: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14M10 3v14M10 6h4.5M10 10h6.5M10 14h4.5",
  user: "M10 9.6a3.3 3.3 0 1 0 0-6.6 3.3 3.3 0 0 0 0 6.6M3.6 17c.7-3.4 3.2-5 6.4-5s5.7 1.6 6.4 5",
};

/** A decorative icon. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 20 20", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}
