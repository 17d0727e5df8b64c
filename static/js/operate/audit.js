// The audit log: who changed or read what, and what was refused; searched, page by page, and taken away as JSON lines.

import * as api from "../api.js";
import { $, debounce, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { count } from "../format.js";

const PAGE = 50;
/** Entries of one request of an export, and the most requests: what is longer is a task for `tidings audit list`. */
const EXPORT_PAGE = 500;
const EXPORT_PAGES = 200;
const OUTCOMES = [
  ["", "Any outcome"],
  ["401", "Refused: nobody known (401)"],
  ["403", "Refused: not permitted (403)"],
];

export function startAudit() {
  const body = $("#audit-body");
  const note = $("#audit-note");
  const list = h("tbody", { id: "audit-entries" });
  const more = h("button", { type: "button", class: "quiet", id: "audit-more", onclick: () => load(next) }, "Earlier entries");
  let next = null;
  /** The latest request: an answer to an earlier one is of no interest. */
  let turn = 0;
  const fields = {
    actor: field("Who", "search"),
    action: field("Action", "search"),
    object: field("Subject", "search"),
    status: h("select", { id: "audit-status", onchange: () => load() }, OUTCOMES.map(([value, name]) => h("option", { value }, name))),
    since: field("From", "datetime-local"),
    until: field("To", "datetime-local"),
  };
  const labels = { status: "Outcome" };
  const save = h("button", { type: "button", class: "quiet", id: "audit-export", onclick: exportAll }, "Export as JSON lines");
  put(
    $("#audit-filter"),
    Object.entries(fields).map(([key, input]) => h("div", { class: "field" }, h("label", { for: input.id }, labels[key] ?? input.dataset.label), input)),
    save,
  );

  $("#audit-filter").addEventListener("submit", (event) => event.preventDefault());

  function field(label, type) {
    const id = `audit-${label.toLowerCase()}`;
    return h("input", { id, type, maxlength: "200", autocomplete: "off", spellcheck: "false", dataset: { label }, oninput: debounce(() => load(), 250) });
  }

  const time = (input) => (input.value ? new Date(input.value).toISOString() : null);
  function query() {
    return {
      actor: fields.actor.value.trim(),
      action: fields.action.value.trim(),
      object: fields.object.value.trim(),
      status: fields.status.value,
      since: time(fields.since),
      until: time(fields.until),
    };
  }

  async function load(after = null) {
    const own = ++turn;
    try {
      const answer = await api.get("v1/admin/audit", { ...query(), after, limit: PAGE });
      if (own !== turn) return;
      const rows = api.list(answer?.entries).map(row);
      next = answer.next;
      if (after === null) put(list, rows);
      else list.append(...rows);
      show();
    } catch (error) {
      if (own === turn) put(body, unavailable("The audit log can't be shown", error));
    }
  }

  function show() {
    const shown = list.children.length;
    text(note, shown ? `${count(shown, "entry", "entries")}${next === null ? "" : ", and earlier ones"}` : "");
    if (!shown) {
      put(body, empty("No entries", "Nothing that fits was changed, read or refused."));
      return;
    }
    const heads = ["Time", "Who", "Role", "Action", "Subject", "Outcome", "Change"];
    if (!list.isConnected) {
      const head = h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name))));
      put(body, tableBox("Entries of the audit log", h("table", { class: "audit" }, head, list)), more);
    }
    more.hidden = next === null;
  }

  function row(entry) {
    const refused = entry.status === 401 || entry.status === 403;
    const at = new Date(entry.occurred_at);
    return h(
      "tr",
      { dataset: { seq: entry.seq } },
      h("td", {}, h("time", { datetime: entry.occurred_at }, at.toLocaleString())),
      h("th", { scope: "row" }, entry.actor ?? "nobody", entry.address && h("span", { class: "note block" }, entry.address)),
      h("td", {}, entry.role),
      h("td", { class: "mono" }, entry.action),
      h("td", { class: "mono" }, entry.object),
      h("td", {}, h("span", { class: refused ? "chip stop" : "chip" }, refused ? `refused ${entry.status}` : entry.status === 0 ? "command" : String(entry.status))),
      h("td", {}, change(entry)),
    );
  }

  function change({ before, after }) {
    if (before === null && after === null) return "–";
    const value = (name, json) => json !== null && [h("h3", {}, name), h("pre", { tabindex: "0", "aria-label": name }, JSON.stringify(json, null, 2))];
    return h("details", {}, h("summary", {}, "Show"), value("Before", before), value("After", after));
  }

  async function exportAll() {
    save.disabled = true;
    const lines = [];
    try {
      let after = null;
      for (let page = 0; page < EXPORT_PAGES; page += 1) {
        const answer = await api.get("v1/admin/audit", { ...query(), after, limit: EXPORT_PAGE });
        for (const entry of api.list(answer?.entries)) lines.push(JSON.stringify(entry));
        after = answer.next;
        text(note, `${count(lines.length, "entry", "entries")} fetched`);
        if (after === null) break;
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines.map((line) => `${line}\n`).join("")], { type: "application/x-ndjson" }));
      link.download = "audit.ndjson";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      text(note, `${count(lines.length, "entry", "entries")} exported`);
    } catch (error) {
      text(note, `Not exported: ${api.sentence(error)}`);
    } finally {
      save.disabled = false;
    }
  }

  return { refresh: () => load() };
}
