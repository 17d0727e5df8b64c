// Pullers: what each reads, how fast, how far behind, what it refused.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, unavailable } from "../dom.js";
import { ago, duration, number, rate } from "../format.js";

export function startSources({ active }) {
  const body = $("#sources-body");
  let drawn = false;
  const poll = api.poll(5_000, load, {
    active,
    failed: (error) => !drawn && put(body, unavailable("Sources can't be shown", error)),
  });

  async function load() {
    const sources = api.list((await api.get("v1/sources"))?.sources);
    drawn = true;
    if (!sources.length) {
      put(body, empty("Nothing is pulled", "`tidings pull` reads Kafka, NATS, Redis, PostgreSQL and MySQL."));
      return;
    }
    put(body, tableBox("Sources", table(sources)));
  }

  function table(sources) {
    const heads = ["Source", "State", "Records/s", "Waiting", "Behind", "Stored", "Known already", "Refused"];
    return h(
      "table",
      {},
      h("thead", {}, h("tr", {}, heads.map((head, index) => h("th", { scope: "col", class: index > 1 ? "n" : null }, head)))),
      h("tbody", {}, sources.map(row)),
    );
  }

  function row(source) {
    const n = (value) => h("td", { class: "n" }, value);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, source.name, h("span", { class: "note block" }, source.reads)),
      h("td", {}, state(source)),
      n(source.records_per_s == null ? "–" : rate(source.records_per_s)),
      n(source.lag_records == null ? "–" : number(source.lag_records)),
      n(duration(source.lag_s * 1000)),
      n(number(source.stored + source.items)),
      n(number(source.duplicates)),
      n(number(source.refused)),
    );
  }

  function state(source) {
    if (source.silent) return h("span", {}, "silent since ", ago(source.reported_at));
    return source.fault ?? "reading";
  }

  return { refresh: poll.now };
}
