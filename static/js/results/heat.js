// When messages are opened: hour × weekday in the server's time zone, as a grid to walk through by arrow keys, or a table.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { LEAST_MESSAGES_AN_HOUR, missing } from "../enough.js";
import { number, percent } from "../format.js";

const MONDAY = Date.UTC(2024, 0, 1);
const day = (style) => (weekday) =>
  new Intl.DateTimeFormat(undefined, { weekday: style, timeZone: "UTC" }).format(MONDAY + (weekday - 1) * 86_400_000);
const short = day("short");
const long = day("long");
const WEEKDAYS = [1, 2, 3, 4, 5, 6, 7];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const MEASURES = { click_through: "Click-through", sent: "Messages sent" };
/** Steps of the scale: told apart by eye, and named in the legend. */
const STEPS = 5;

export function startHeat({ active, days }) {
  const body = $("#heat-body");
  let measure = "click_through";
  let asTable = false;
  let cells = new Map();
  let drawn = "";

  const poll = api.poll(15_000, load, {
    active,
    failed: (error) => !drawn && put(body, unavailable("The hours can't be shown", error)),
  });

  async function load() {
    const answer = await api.get("admin/outcomes", { by: "hour", days: days() });
    api.list(answer?.cells);
    text($("#heat-note"), `time zone ${answer.time_zone.replaceAll("_", " ")}`);
    const now = JSON.stringify(answer.cells);
    if (now === drawn) return;
    drawn = now;
    cells = new Map(api.list(answer.cells).map((cell) => [`${cell.weekday}-${cell.hour}`, cell]));
    show();
  }

  /** What is missing before an hour's click-through is shown, or null. */
  const tooFew = (cell) => missing(cell.delivered ?? 0, LEAST_MESSAGES_AN_HOUR, "delivered message");
  const valueOf = (cell) => {
    if (measure === "sent") return cell?.sent ?? null;
    return cell && !tooFew(cell) ? (cell.click_through?.value ?? null) : null;
  };
  const format = (value) => (value === null ? "–" : measure === "sent" ? number(value) : percent(value));

  function show() {
    if (!cells.size) {
      put(body, empty("No messages in this time", "Each message sent colours its hour."));
      return;
    }
    const fullest = Math.max(...[...cells.values()].map((cell) => cell.delivered ?? 0));
    const none = measure === "click_through" && missing(fullest, LEAST_MESSAGES_AN_HOUR, "delivered message");
    put(
      body,
      controls(),
      none && h("p", { class: "note" }, `No hour has enough messages yet: ${none} in the fullest one.`),
      asTable ? table() : grid(),
    );
  }

  function controls() {
    const choose = (key) => ((measure = key), show());
    return h(
      "div",
      { class: "chips heat-controls", role: "group", "aria-label": "Shown in the grid" },
      Object.entries(MEASURES).map(([key, label]) =>
        h("button", { type: "button", class: "choice", "aria-pressed": String(key === measure), onclick: () => choose(key) }, label),
      ),
      h(
        "button",
        { type: "button", class: "choice", id: "heat-table", "aria-pressed": String(asTable), onclick: () => ((asTable = !asTable), show()) },
        "As a table",
      ),
    );
  }

  function sentence(weekday, hour) {
    const cell = cells.get(`${weekday}-${hour}`);
    const when = `${long(weekday)} ${String(hour).padStart(2, "0")}:00`;
    if (!cell) return `${when}: nothing sent`;
    const share = cell.click_through;
    const few = tooFew(cell);
    const clicks = few
      ? `${few} for a click-through`
      : share
      ? `${percent(share.value)} clicked (${percent(share.low)} to ${percent(share.high)})`
      : "none confirmed as delivered";
    return `${when}: ${number(cell.sent)} sent, ${clicks}`;
  }

  /** One tab stop; arrow keys move, what is under the pointer or the focus is said below. */
  function grid() {
    const top = Math.max(...[...cells.values()].map((cell) => valueOf(cell) ?? 0), 1e-9);
    const said = h("p", { class: "heat-said", "aria-live": "polite" }, "Point at an hour, or walk with the arrow keys.");
    const level = (value) => (value === null ? "none" : String(Math.min(STEPS - 1, Math.floor((value / top) * STEPS))));
    const box = (weekday, hour) =>
      h("span", {
        role: "gridcell",
        class: "heat-cell",
        tabindex: weekday === 1 && hour === 0 ? "0" : "-1",
        dataset: { weekday: String(weekday), hour: String(hour), level: level(valueOf(cells.get(`${weekday}-${hour}`))) },
        "aria-label": sentence(weekday, hour),
      });
    const rows = WEEKDAYS.map((weekday) =>
      h(
        "div",
        { role: "row", class: "heat-row" },
        h("span", { role: "rowheader", class: "heat-day" }, short(weekday)),
        HOURS.map((hour) => box(weekday, hour)),
      ),
    );
    const hours = h(
      "div",
      { class: "heat-row", "aria-hidden": "true" },
      h("span", {}),
      HOURS.map((hour) => h("span", { class: "heat-hour" }, hour % 3 ? "" : String(hour))),
    );
    const place = h("div", { role: "grid", class: "heat", "aria-label": `${MEASURES[measure]} by weekday and hour` }, rows, hours);
    const tell = (cell) => text(said, sentence(Number(cell.dataset.weekday), Number(cell.dataset.hour)));
    place.addEventListener("pointerover", ({ target }) => target.matches?.(".heat-cell") && tell(target));
    place.addEventListener("focusin", ({ target }) => target.matches?.(".heat-cell") && tell(target));
    place.addEventListener("keydown", (event) => walk(event, place));
    return h("div", {}, place, said, legend(top));
  }

  function walk(event, place) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const from = event.target;
    if (!step || !from.matches(".heat-cell")) return;
    const weekday = Number(from.dataset.weekday) + step[0];
    const hour = Number(from.dataset.hour) + step[1];
    const to = place.querySelector(`[data-weekday="${weekday}"][data-hour="${hour}"]`);
    if (!to) return;
    event.preventDefault();
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  function legend(top) {
    if (top <= 1e-9) {
      const known = [...cells.values()].some((cell) => valueOf(cell) !== null);
      return h("p", { class: "heat-legend note" }, known ? `${format(0)} everywhere so far` : "");
    }
    const steps = Array.from({ length: STEPS }, (_, step) => h("span", { class: "heat-cell", dataset: { level: String(step) } }));
    return h("p", { class: "heat-legend note" }, format(0), steps, format(top), h("span", { class: "heat-cell", dataset: { level: "none" } }), measure === "sent" ? "none" : "none, or too few messages");
  }

  function table() {
    return tableBox(
      `${MEASURES[measure]} by weekday and hour`,
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Hour"), WEEKDAYS.map((weekday) => h("th", { scope: "col", class: "n" }, short(weekday))))),
        h(
          "tbody",
          {},
          HOURS.map((hour) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, `${String(hour).padStart(2, "0")}:00`),
              WEEKDAYS.map((weekday) => h("td", { class: "n" }, format(valueOf(cells.get(`${weekday}-${hour}`))))),
            ),
          ),
        ),
      ),
    );
  }

  return { refresh: poll.now };
}
