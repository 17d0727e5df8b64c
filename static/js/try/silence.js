// Why nothing came: when an act brings no message, the server's decision about it is looked up and shown.

import * as api from "../api.js";
import { words } from "../format.js";
import { outcomeLabel } from "../outcome.js";

/** A message that comes at all comes sooner than this. */
const PATIENCE_MS = 700;
/** Decisions older than this are about something else (clocks may differ a little). */
const RECENT_MS = 15_000;
const TRIGGERS = { view: "view", add_to_cart: "cart" };

/** Calls `tell(sentence)` for an act that the server answered with silence. */
export function watchSilence({ person, tell }) {
  const told = new Set();
  let lastMessage = 0;
  person.on("message", () => (lastMessage = performance.now()));
  person.on("accepted", ({ event }) => {
    const trigger = TRIGGERS[event.kind];
    // The end of a look (with its dwell) is no act of its own.
    if (!trigger || event.dwell_ms !== undefined) return;
    const [id, since] = [person.id, performance.now() - PATIENCE_MS];
    setTimeout(() => look(id, trigger, since), PATIENCE_MS);
  });

  async function look(id, trigger, since) {
    if (person.id !== id || lastMessage > since) return;
    let decisions;
    try {
      ({ decisions } = await api.get("admin/decisions", { limit: 5, user_id: id }));
    } catch {
      // Only those who may see decisions are told.
      return;
    }
    if (!Array.isArray(decisions)) return;
    if (person.id !== id || lastMessage > since) return;
    const recent = (decision) => Math.abs(Date.now() - Date.parse(decision.decided_at)) < RECENT_MS;
    const decision = decisions.find((candidate) => candidate.trigger === trigger && recent(candidate));
    if (!decision || decision.outcome === "send" || decision.outcome === "inbox_only" || told.has(decision.decision_id)) return;
    told.add(decision.decision_id);
    const what = decision.outcome === "drop" ? "Nothing sent" : outcomeLabel(decision.outcome);
    const why = (decision.reasons ?? []).map(words).join("; ");
    tell(`${what} after your ${trigger === "cart" ? "cart" : "view"}${why ? `: ${why}` : ""}.`);
  }
}
