// Why this item: its place in the user's list with the cause the server gives, and the association rules that name it.

import * as api from "../api.js";
import { h } from "../dom.js";
import { number, percent } from "../format.js";

/** How far down the user's list it is looked for. */
const LOOKED_FOR = 50;
const RULES = 4;

/** The section of an item's page; it says so where there is no reason. Never fails. */
export async function why(item, user) {
  const [list, rules] = await Promise.allSettled([
    user === null ? null : api.get(api.path("v1/users", user, "recommendations"), { n: LOOKED_FOR }),
    // Rules are the administrator's to see; whoever is not one sees none.
    api.get("admin/rules", { item: item.item_id, limit: RULES }),
  ]);
  return h(
    "section",
    { class: "why", "aria-label": "Why this" },
    h("h3", {}, "Why this"),
    reason(item, Array.isArray(list.value?.items) ? list.value.items : null, user),
    together(item, Array.isArray(rules.value?.rules) ? rules.value.rules : []),
  );
}

function reason(item, items, user) {
  // What came with a notification or a list is what was true when it was chosen.
  if (item.reason) return h("p", { class: "rec-reason" }, item.reason);
  if (user === null) return h("p", { class: "note" }, "Choose a user to see why it is recommended to them.");
  if (!items) return h("p", { class: "note" }, "The reasons can't be loaded right now.");
  const place = items.findIndex((other) => String(other.item_id) === String(item.item_id));
  if (place < 0)
    return h(
      "p",
      { class: "note" },
      `Not recommended: it is not among the first ${number(LOOKED_FOR)}, or was bought or put into the cart already.`,
    );
  const { reason, score } = items[place];
  return h(
    "p",
    { class: "rec-reason" },
    reason,
    h("span", { class: "note" }, `Number ${number(place + 1)} of the list, score ${number(score, 2)}`),
  );
}

function together(item, rules) {
  if (!rules.length) return h("p", { class: "note" }, "Nothing was bought together with it often enough.");
  return h("ul", { class: "rules" }, rules.map((rule) => h("li", {}, ...sentence(item, rule))));
}

function sentence(item, rule) {
  const here = (other) => String(other.item_id) === String(item.item_id);
  const name = (other) => (here(other) ? "this" : other.title);
  const lift = number(rule.lift, rule.lift < 10 ? 1 : 0);
  const figures = `${percent(rule.confidence, 0)} of them, ${lift}× as often as by chance`;
  const [left, right] = [rule.antecedent, rule.consequent].map((items) => items.map(name).join(" and "));
  return [`Who buys ${left} also buys ${right}`, h("span", { class: "note" }, figures)];
}
