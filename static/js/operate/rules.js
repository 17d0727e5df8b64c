// Association rules of the model in use: "A + B → C", sorted by a click on a column, filtered by a word.

import * as api from "../api.js";
import { $, debounce, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { count, number, percent } from "../format.js";

/** As many as are fetched and sorted here; the API pages through the rest. */
const FETCHED = 500;
const SHOWN = 12;
const COLUMNS = [
  ["support", "Support", (value) => percent(value, 1)],
  ["confidence", "Confidence", (value) => percent(value, 0)],
  ["lift", "Lift", (value) => `${number(value, value < 10 ? 1 : 0)}×`],
];

export function startRules({ active }) {
  const body = $("#rules-body");
  const note = $("#rules-note");
  const place = h("div", {});
  let rules = [];
  let version;
  let wanted = "";
  let sort = "lift";
  let wide = false;
  put(body, empty("One moment", "Loading the rules."));

  const filter = h("input", {
    type: "search",
    placeholder: "Filter by product",
    "aria-label": "Filter rules by product",
    maxlength: "100",
    autocomplete: "off",
    oninput: debounce(() => {
      wanted = filter.value.trim().toLowerCase();
      show();
    }, 150),
  });

  const poll = api.poll(30_000, load, {
    active,
    failed: (error) => !rules.length && put(body, unavailable("Rules can't be shown", error)),
  });

  async function load() {
    const answer = await api.get("admin/rules", { limit: FETCHED });
    rules = api.list(answer?.rules);
    const total = answer.total ?? rules.length;
    text(
      note,
      rules.length
        ? [
            count(total, "rule"),
            Number.isFinite(answer.baskets) && `from ${count(answer.baskets, "basket")}`,
            total > rules.length && `the ${number(rules.length)} with the greatest lift are here`,
            ...(answer.notes ?? []),
          ]
            .filter(Boolean)
            .join(" · ")
        : "",
    );
    if (!rules.length) {
      put(
        body,
        empty("No rules yet", "Rules need several baskets that hold the same items; train once there are some."),
      );
      return;
    }
    if (!place.isConnected) put(body, h("div", { class: "filters" }, filter), place);
    show();
  }

  function side(items) {
    return items.map((item) => item.title).join(" + ");
  }

  function show() {
    const fits = (rule) => `${side(rule.antecedent)} ${side(rule.consequent)}`.toLowerCase().includes(wanted);
    const found = rules.filter((rule) => !wanted || fits(rule));
    found.sort((a, b) => b[sort] - a[sort] || a.place - b.place);
    if (!found.length) {
      put(place, empty("No rule names that", "Try another word."));
      return;
    }
    const focused = document.activeElement?.dataset?.sort;
    put(
      place,
      tableBox(
        "Association rules",
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Who buys … also buys"), COLUMNS.map(head))),
          h("tbody", {}, (wide ? found : found.slice(0, SHOWN)).map(row)),
        ),
      ),
      found.length > SHOWN &&
        h(
          "button",
          { type: "button", class: "quiet small", onclick: () => ((wide = !wide), show()) },
          wide ? "Fewer" : `All ${number(found.length)}`,
        ),
    );
    if (focused) place.querySelector(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
  }

  function head([key, name]) {
    return h(
      "th",
      { scope: "col", class: "n", "aria-sort": sort === key ? "descending" : "none" },
      h(
        "button",
        {
          type: "button",
          class: "quiet small",
          dataset: { sort: key },
          onclick: () => {
            sort = key;
            show();
          },
        },
        sort === key ? `${name} ↓` : name,
      ),
    );
  }

  function row(rule) {
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, `${side(rule.antecedent)} → ${side(rule.consequent)}`),
      COLUMNS.map(([key, , format]) => h("td", { class: "n" }, format(rule[key]))),
    );
  }

  return {
    refresh: poll.now,
    metrics(metrics) {
      const now = metrics.model?.version ?? null;
      if (version !== undefined && version !== now) poll.now();
      version = now;
    },
  };
}
