// What one can do with an item: into the cart, buy, like. The buttons say what was done.

import { h, icon } from "../dom.js";

const DONE_MS = 1_600;

/** Marks per user and item that the buttons show: in the cart, liked, bought. */
const marks = new Map();

function marksOf(person, item) {
  const key = JSON.stringify([person.id, item.item_id]);
  if (!marks.has(key)) marks.set(key, { cart: false, like: false });
  return marks.get(key);
}

/** Three buttons; `labelled` ones carry their text beside the icon. */
export function itemActions({ person, item, labelled = false }) {
  const state = marksOf(person, item);
  const name = item.title ?? String(item.item_id);
  const price =
    typeof item.price === "number" ? { value: item.price, ...(item.currency ? { currency: item.currency } : {}) } : {};
  const soldOut = item.stock === 0;

  const cart = button("cart", "cart", state.cart ? "Take out of the cart" : "Add to cart", async () => {
    const kind = state.cart ? "remove_from_cart" : "add_to_cart";
    if (!(await person.send({ kind, item_id: item.item_id }))) return;
    state.cart = kind === "add_to_cart";
    say(cart, state.cart ? "Take out of the cart" : "Add to cart", state.cart);
  });
  const buy = button("buy", "bag", "Buy", async () => {
    if (!(await person.send({ kind: "purchase", item_id: item.item_id, quantity: 1, ...price }))) return;
    state.cart = false;
    say(cart, "Add to cart", false);
    done(buy);
  });
  const like = button("like", "heart", "Like", async () => {
    if (!(await person.send({ kind: "like", item_id: item.item_id }))) return;
    state.like = true;
    say(like, "Like", true);
  });
  if (soldOut) cart.disabled = buy.disabled = true;
  say(cart, state.cart ? "Take out of the cart" : "Add to cart", state.cart);
  if (state.like) like.setAttribute("aria-pressed", "true");
  return [cart, buy, like];

  function button(action, picture, label, run) {
    const element = h(
      "button",
      {
        type: "button",
        class: labelled ? "quiet" : "icon-button",
        dataset: { action },
        title: label,
        "aria-label": `${label}: ${name}`,
      },
      icon(picture),
      labelled && h("span", {}, label),
    );
    element.addEventListener("click", async () => {
      element.disabled = true;
      await run();
      element.disabled = soldOut && action !== "like";
    });
    return element;
  }

  function say(element, label, pressed) {
    element.title = label;
    element.setAttribute("aria-label", `${label}: ${name}`);
    element.setAttribute("aria-pressed", String(pressed));
    const words = element.querySelector("span");
    if (words) words.textContent = label;
  }

  function done(element) {
    element.classList.add("done");
    setTimeout(() => element.classList.remove("done"), DONE_MS);
  }
}
