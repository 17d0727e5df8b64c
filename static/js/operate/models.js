// The models: versions with their metrics and the gate's verdict, activation, and retraining with its progress.

import * as api from "../api.js";
import { $, empty, h, put, tableBox, text, unavailable } from "../dom.js";
import { ago, compact, count, duration, number, percent, title, words } from "../format.js";
import { toast } from "../toast.js";

const JOB_POLL_MS = 300;
const RUNNING = new Set(["queued", "running"]);
const STAGES = {
  read: "Reading the events",
  clean: "Cleaning",
  profiles: "Building profiles",
  segments: "Finding segments",
  popularity: "Counting what is popular",
  item_knn: "Finding neighbours of items",
  rules: "Finding what is bought together",
  content: "Reading the catalogue",
  evaluate: "Evaluating on later events that it had not seen",
  save: "Saving",
};
const COLUMNS = [
  ["ndcg@10", "nDCG@10"],
  ["served.ndcg@10", "As shown"],
  ["recall@10", "Recall@10"],
  ["hit_rate@10", "Hit rate@10"],
  ["coverage@10", "Coverage"],
];

// Lists of a segment are measured bare.
const OF_SEGMENT = COLUMNS.filter(([key]) => !key.startsWith("served."));

export function startModels({ active, refresh }) {
  const body = $("#models-body");
  const button = $("#retrain");
  const cancel = $("#retrain-cancel");
  let job = null;
  let version;
  let state = {};
  let wide = false;
  let card = null;
  put(body, empty("One moment", "Loading the models."));

  const poll = api.poll(10_000, load, {
    active,
    failed: (error) =>
      !body.querySelector("table") && put(body, unavailable("Models can't be shown", error)),
  });

  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      follow((await api.post("admin/retrain")).job);
    } catch (error) {
      button.disabled = false;
      toast({ title: "Training did not start", body: api.sentence(error), kind: "wrong" });
    }
  });
  cancel.addEventListener("click", async () => {
    if (!job) return;
    cancel.disabled = true;
    try {
      await api.remove(api.path("admin/jobs", job));
      text($("#retrain-stage"), "Stopping…");
    } catch (error) {
      cancel.disabled = false;
      toast({ title: "Could not cancel", body: api.sentence(error), kind: "wrong" });
    }
  });

  function follow(id) {
    if (job === id) return;
    job = id;
    $("#retrain-status").hidden = false;
    button.disabled = true;
    cancel.disabled = false;
    cancel.hidden = false;
    progress({ state: "queued", stage: null, progress: 0 });
    turn(id);
  }

  async function turn(id) {
    if (job !== id) return;
    let state = null;
    try {
      state = await api.get(api.path("admin/jobs", id));
    } catch (error) {
      // Gone from the server, or the server is: training may go on, so keep asking unless it is unknown.
      if (error.status === 404) {
        finish({ state: "failed", message: "The server no longer knows this job." });
        return;
      }
    }
    if (state) progress(state);
    if (state && !RUNNING.has(state.state)) finish(state);
    else setTimeout(() => turn(id), state ? JOB_POLL_MS : 2_000);
  }

  function progress(state) {
    const percentage = Math.round(100 * Math.min(1, Math.max(0, state.progress ?? 0)));
    const bar = $("#retrain-progress");
    const stage =
      state.state === "queued" ? "Waiting to start" : (STAGES[state.stage] ?? title(state.stage ?? "starting"));
    bar.setAttribute("aria-valuenow", String(percentage));
    bar.setAttribute("aria-valuetext", `${percentage} %, ${stage}`);
    bar.dataset.state = state.state;
    bar.firstElementChild.style.width = `${percentage}%`;
    if (!cancel.disabled || !RUNNING.has(state.state))
      text($("#retrain-stage"), RUNNING.has(state.state) ? `${stage} · ${percentage} %` : verdict(state));
  }

  function verdict({ state, message }) {
    const start =
      { succeeded: "Done", failed: "Training failed", cancelled: "Cancelled; the model in use is unchanged" }[state] ??
      title(state);
    return message ? `${start}: ${message}` : `${start}.`;
  }

  function finish(state) {
    progress({ progress: state.state === "succeeded" ? 1 : 0, ...state });
    job = null;
    button.disabled = false;
    cancel.hidden = true;
    poll.now();
    refresh();
  }

  async function load() {
    const answer = await api.get("admin/models");
    const models = api.list(answer?.models);
    state = answer;
    show(models, answer.active);
  }

  function show(models, current) {
    if (!models.length) {
      put(
        body,
        empty(
          "No model yet",
          "Until the first training, lists follow the catalogue's order and the items' texts. Press “Retrain now”.",
        ),
      );
      return;
    }
    const focused = document.activeElement?.dataset?.activate;
    const shown = wide ? models : models.slice(0, 6);
    put(
      body,
      tableBox(
        "Model versions",
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, "Version"),
              h("th", { scope: "col" }, "Trained"),
              h("th", { scope: "col", class: "n" }, "Events"),
              COLUMNS.map(([, name]) => h("th", { scope: "col", class: "n" }, name)),
              h("th", { scope: "col" }, "Gate"),
              h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Action")),
            ),
          ),
          h(
            "tbody",
            {},
            shown.map((model) => row(model, current)),
          ),
        ),
      ),
      card &&
        h(
          "div",
          { class: "model-card" },
          h("h3", {}, `Card of version ${card.version}`),
          h("pre", { tabindex: "0" }, card.text),
        ),
      health(models.find((model) => model.version === current)),
      parts(models.find((model) => model.version === current)),
      segments(models.find((model) => model.version === current)),
      models.length > 6 &&
        h(
          "button",
          { type: "button", class: "quiet small", onclick: () => ((wide = !wide), show(models, current)) },
          wide ? "Fewer" : `All ${models.length} versions`,
        ),
    );
    if (focused) body.querySelector(`[data-activate="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(model, current) {
    const inUse = model.version === current;
    const metrics = model.metrics ?? {};
    const gate = model.gate;
    return h(
      "tr",
      { class: inUse ? "in-use" : null },
      h(
        "th",
        { scope: "row" },
        h(
          "button",
          {
            type: "button",
            class: "quiet small",
            dataset: { card: String(model.version) },
            "aria-label": `Card of version ${model.version}`,
            onclick: () => openCard(model.version),
          },
          String(model.version),
        ),
      ),
      h("td", {}, ago(model.created_at), h("span", { class: "note block" }, `in ${duration(model.took_ms)}`)),
      h("td", { class: "n" }, compact(model.events)),
      COLUMNS.map(([key]) => h("td", { class: "n" }, figure(key, metrics[key]))),
      h(
        "td",
        { class: "gate" },
        gate
          ? h(
              "details",
              {},
              h(
                "summary",
                {},
                h("span", { class: gate.passed ? "chip good" : "chip stop" }, gate.passed ? "passed" : "held back"),
              ),
              h("p", { class: "note" }, gate.reason),
              gate.current !== null &&
                Number.isFinite(gate.new) &&
                h("p", { class: "note" }, `new ${number(gate.new, 4)} · current ${number(gate.current, 4)}`),
            )
          : h("span", { class: "note" }, words(model.state)),
      ),
      h(
        "td",
        { class: "n" },
        inUse
          ? h("span", { class: "chip good" }, "in use")
          : h(
              "button",
              {
                type: "button",
                class: "quiet small",
                dataset: { activate: String(model.version) },
                "aria-label": `Activate version ${model.version}`,
                onclick: (event) => activate(event.currentTarget, model.version),
              },
              "Activate",
            ),
      ),
    );
  }

  /** Shows what a version was made of and how good it is; again, closes it. */
  async function openCard(version) {
    if (card?.version === version) {
      card = null;
    } else {
      try {
        const answer = await api.get(api.path("admin/models", version, "card"));
        card = { version, text: answer.text ?? JSON.stringify(answer.card, null, 2) };
      } catch (error) {
        toast({ title: "No card", body: api.sentence(error), kind: "wrong" });
        return;
      }
    }
    show(api.list(state?.models), state?.active);
  }

  /** How old the model in use is, how far the world has moved since, and how its shadow compares. */
  function health(model) {
    if (!model) return null;
    const drift = state.drift ?? {};
    const moved = (index) => (index > 0.25 ? "moved" : index > 0.1 ? "moving" : "stable");
    const chip = (what, index, detail) =>
      h(
        "span",
        {
          class: `chip ${{ moved: "stop", moving: "wait", stable: "good" }[moved(index)]}`,
          title: `Population stability index ${number(index, 2)}: below 0.1 stable, above 0.25 moved`,
        },
        `${what} ${moved(index)}${detail ? ` (${detail})` : ""}`,
      );
    const features = (drift.features ?? []).filter(([, index]) => Number.isFinite(index));
    features.sort((a, b) => b[1] - a[1]);
    const facts = [
      `${compact(drift.events_since ?? 0)} ${drift.events_since === 1 ? "event" : "events"} since it began to serve`,
      state.shadow &&
        `shadow version ${state.shadow.version}, ${count(state.shadow.decisions, "list")} compared: ` +
          `${percent(state.shadow.overlap_at_10 ?? NaN, 0)} of the same items, rank agreement ${number(state.shadow.rank_agreement ?? NaN, 2)}`,
    ];
    return h(
      "div",
      { class: "model-health chips" },
      Number.isFinite(drift.items) && chip("Viewed items:", drift.items),
      features.length > 0 && chip("User behaviour:", features[0][1], words(features[0][0])),
      h("p", { class: "note" }, "Trained ", ago(model.created_at), " · ", facts.filter(Boolean).join(" · ")),
    );
  }

  /** The recommenders inside the model in use, against each other. */
  function parts(model) {
    const metrics = model?.metrics ?? {};
    const names = Object.keys(metrics)
      .filter((key) => key.endsWith(".ndcg@10") && !/^(current|segment|served)\./.test(key))
      .sort((a, b) => metrics[b] - metrics[a]);
    if (!names.length || !Number.isFinite(metrics["ndcg@10"])) return null;
    const all = [
      ["Together", metrics["ndcg@10"]],
      ...(Number.isFinite(metrics["served.ndcg@10"]) ? [["As shown", metrics["served.ndcg@10"]]] : []),
      ...names.map((key) => [title(key.split(".")[0].replace("item_knn", "neighbours")), metrics[key]]),
    ];
    const largest = Math.max(...all.map(([, value]) => value), 1e-9);
    return h(
      "div",
      { class: "model-parts" },
      h(
        "h3",
        {},
        "nDCG@10 of the parts, on later events that it had not seen",
        Number.isFinite(metrics.users) && h("span", { class: "note" }, ` · ${count(metrics.users, "user")}`),
      ),
      h(
        "ul",
        { class: "bars inline" },
        all.map(([name, value], index) => {
          const fill = h("span", { class: index ? "other" : null });
          fill.style.width = `${(100 * value) / largest}%`;
          return h(
            "li",
            {},
            h("span", { class: "bar-label" }, name),
            h("span", { class: "meter", "aria-hidden": "true" }, fill),
            h("span", { class: "n" }, number(value, 3)),
          );
        }),
      ),
    );
  }

  /** The same figures for the users of each segment: a mean can hide that one of them is served badly. */
  function segments(model) {
    const metrics = model?.metrics ?? {};
    const names = Object.keys(metrics)
      .map((key) => /^segment\.(\w)\.users$/.exec(key)?.[1])
      .filter((name) => name && metrics[`segment.${name}.users`] > 0)
      .sort();
    if (!names.length) return null;
    return h(
      "div",
      { class: "model-segments" },
      h("h3", {}, "By segment, on later events that it had not seen"),
      tableBox(
        "Metrics by segment",
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, "Segment"),
              h("th", { scope: "col", class: "n" }, "Users"),
              OF_SEGMENT.map(([, name]) => h("th", { scope: "col", class: "n" }, name)),
            ),
          ),
          h(
            "tbody",
            {},
            names.map((name) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, name),
                h("td", { class: "n" }, number(metrics[`segment.${name}.users`])),
                OF_SEGMENT.map(([key]) => h("td", { class: "n" }, figure(key, metrics[`segment.${name}.${key}`]))),
              ),
            ),
          ),
        ),
      ),
    );
  }

  function figure(key, value) {
    return key.startsWith("coverage") ? percent(value, 0) : number(value, 3);
  }

  async function activate(pressed, which) {
    pressed.disabled = true;
    try {
      await api.post(`${api.path("admin/models", which)}/activate`);
      toast({ title: `Model ${which} is in use` });
      poll.now();
      refresh();
    } catch (error) {
      pressed.disabled = false;
      toast({ title: `Could not activate model ${which}`, body: api.sentence(error), kind: "wrong" });
    }
  }

  return {
    refresh: poll.now,
    metrics(metrics) {
      // Someone else (or the schedule) may have started a training.
      if (metrics.job && RUNNING.has(metrics.job.state)) follow(metrics.job.job);
      const now = metrics.model?.version ?? null;
      if (version !== undefined && version !== now) poll.now();
      version = now;
    },
  };
}
