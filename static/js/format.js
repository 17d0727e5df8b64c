// Numbers, money and times for people, in the browser's own language.

const cached = new Map();

function formatter(options) {
  const key = JSON.stringify(options);
  if (!cached.has(key)) cached.set(key, new Intl.NumberFormat(undefined, options));
  return cached.get(key);
}

const missing = (value) => value === null || value === undefined || !Number.isFinite(Number(value));

/** 12,345 or 3.4; a dash for what is not known. */
export function number(value, digits = 0) {
  return missing(value)
    ? "–"
    : formatter({ maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

/** 12.3K: for narrow places. */
export function compact(value) {
  if (missing(value)) return "–";
  return Math.abs(value) < 10_000
    ? number(value)
    : formatter({ notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** A rate: one digit below 10, none above. */
export function rate(value) {
  return missing(value) ? "–" : number(value, value > 0 && value < 10 ? 1 : 0);
}

/** 0.123 as 12.3 %. */
export function percent(value, digits = 1) {
  return missing(value)
    ? "–"
    : formatter({ style: "percent", maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

/** 4.2 ms, 1.3 s, 4 min: the unit that reads best. */
export function duration(ms) {
  if (missing(ms)) return "–";
  if (ms < 1) return `${number(ms, 2)} ms`;
  if (ms < 100) return `${number(ms, 1)} ms`;
  if (ms < 1000) return `${number(ms)} ms`;
  if (ms < 60_000) return `${number(ms / 1000, 1)} s`;
  if (ms < 3_600_000) return `${number(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${formatter({ maximumFractionDigits: 1 }).format(ms / 3_600_000)} h`;
  return `${number(ms / 86_400_000)} days`;
}

/** Days since the last purchase, counted until the newest event of the data, which may itself be long ago. */
export function recency(days) {
  if (missing(days)) return "none yet";
  return days < 1 / 1440 ? "at the end of the data" : `${duration(days * 86_400_000)} before the end of the data`;
}

/** 9.50 EUR in the reader's form; an unknown currency falls back to the plain number. */
export function money(value, currency) {
  if (missing(value)) return "";
  try {
    return currency ? formatter({ style: "currency", currency }).format(value) : number(value, 2);
  } catch {
    return `${number(value, 2)} ${currency}`;
  }
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const STEPS = [
  ["year", 365.25 * 86_400_000],
  ["month", 30.4375 * 86_400_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];

function relativeText(time) {
  const difference = time - Date.now();
  if (Math.abs(difference) < 1_500) return "now";
  for (const [unit, ms] of STEPS) {
    if (Math.abs(difference) >= ms) return relative.format(Math.round(difference / ms), unit);
  }
  return "now";
}

/** A `<time>` that says how long ago and keeps saying so; the whole moment is its title. */
export function ago(value) {
  const element = document.createElement("time");
  const time = Date.parse(value);
  if (Number.isNaN(time)) {
    element.textContent = "–";
    return element;
  }
  element.dateTime = new Date(time).toISOString();
  element.title = absolute.format(time);
  element.dataset.ago = String(time);
  element.textContent = relativeText(time);
  return element;
}

/** Called once a second by the page. */
export function refreshTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const next = relativeText(Number(element.dataset.ago));
    if (element.textContent !== next) element.textContent = next;
  }
}

/** `add_to_cart` as "add to cart". */
export const words = (name) => String(name ?? "").replaceAll("_", " ");

/** The same with a capital. */
export function title(name) {
  const plain = words(name);
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** "1 item", "2 items". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
