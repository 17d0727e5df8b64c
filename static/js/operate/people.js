// Accounts of people: add, give another role, disable, and links to set a password.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { ago } from "../format.js";
import { toast } from "../toast.js";

const ROLES = {
  viewer: "Viewer",
  marketer: "Marketer",
  operator: "Operator",
  privacy_officer: "Privacy officer",
  developer: "Developer",
  admin: "Administrator",
};
const PAGE = 500;

const choice = (properties, chosen) =>
  h("select", properties, Object.entries(ROLES).map(([value, name]) => h("option", { value, selected: value === chosen }, name)));

export function startPeople() {
  const body = $("#people-body");
  const role = choice({ id: "people-role" }, "viewer");
  put($("#people-role-field"), h("label", { for: "people-role" }, "Role"), role);

  async function load() {
    try {
      const people = [];
      let after = null;
      do {
        const answer = await api.get("v1/people", { after, limit: PAGE });
        people.push(...api.list(answer?.people));
        after = answer.next;
      } while (after !== null);
      show(people);
    } catch (error) {
      put(body, unavailable("People can't be shown", error));
    }
  }

  function show(people) {
    if (!people.length) {
      put(body, empty("Nobody has an account", "Add somebody: the link that you get sets the password, once."));
      return;
    }
    const heads = ["Name", "Role", "Last signed in", "State", "Actions"];
    const head = h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name))));
    put(body, tableBox("Accounts", h("table", {}, head, h("tbody", {}, people.map(row)))));
  }

  function row(person) {
    const path = api.path("v1/people", person.person_id);
    const disabled = person.disabled_at !== null;
    const other = choice({ "aria-label": `Role of ${person.name}`, onchange: () => change(path, { role: other.value }) }, person.role);
    const toggle = h("button", { type: "button", class: "quiet small", "aria-label": `${disabled ? "Enable" : "Disable"} ${person.name}`, onclick: () => change(path, { disabled: !disabled }) }, disabled ? "Enable" : "Disable");
    const again = h("button", { type: "button", class: "quiet small", "aria-label": `New link for ${person.name}`, onclick: () => link(path, person.name) }, "New link");
    return h(
      "tr",
      { dataset: { name: person.name } },
      h("th", { scope: "row" }, person.name, person.issuer && h("span", { class: "note block" }, person.issuer)),
      h("td", {}, other),
      h("td", {}, person.signed_in_at ? ago(person.signed_in_at) : "never"),
      h("td", {}, h("span", { class: disabled ? "chip stop" : "chip" }, disabled ? "disabled" : person.has_password || person.issuer ? "active" : "no password yet")),
      h("td", {}, h("div", { class: "actions" }, toggle, !person.issuer && again)),
    );
  }

  async function change(path, body) {
    try {
      await api.patch(path, body);
    } catch (error) {
      toast({ title: "Not changed", body: api.sentence(error), kind: "wrong" });
    }
    load();
  }

  async function link(path, name) {
    try {
      give(name, await api.post(`${path}/link`));
    } catch (error) {
      toast({ title: "No link", body: api.sentence(error), kind: "wrong" });
    }
  }

  /** The link is shown once, to be passed on. */
  function give(name, { link: page }) {
    const place = $("#people-link");
    const address = new URL(page, document.baseURI).href;
    const field = h("input", { id: "people-link-address", readonly: true, value: address, onfocus: () => field.select() });
    put(place, h("label", { for: "people-link-address" }, `Link for ${name}: good once, and not shown again`), field);
    place.hidden = false;
    field.focus();
  }

  $("#people-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = $("#people-name");
    const problem = $("#people-problem");
    problem.hidden = true;
    try {
      const made = await api.post("v1/people", { name: name.value, role: role.value });
      name.value = "";
      give(made.name, made);
      load();
    } catch (error) {
      text(problem, api.sentence(error));
      problem.hidden = false;
    }
  });

  return { refresh: load };
}
