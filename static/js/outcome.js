// The words for what became of a decision and for the step that decided it: one table for every page.

import { number } from "./format.js";

/** Outcomes in the order of the filter: as a label, and within a sentence. */
export const OUTCOMES = {
  send: ["Sent", "sent"],
  defer: ["Postponed", "postponed"],
  digest: ["In the digest", "kept for the digest"],
  inbox_only: ["Inbox only", "inbox only"],
  drop: ["Not sent", "not sent"],
};

export const outcomeLabel = (outcome) => OUTCOMES[outcome]?.[0] ?? String(outcome ?? "");
export const outcomeWords = (outcome) => OUTCOMES[outcome]?.[1] ?? String(outcome ?? "");

/** Steps of the policy in order, as the reason for which a message went no further. */
export const STEPS = {
  consent: "No consent",
  preference: "Muted, paused or opted out",
  still_true: "No longer true",
  duplicate: "Duplicate",
  frequency_caps: "Frequency cap",
  quiet_hours: "Quiet hours",
  budget: "Hourly budget spent",
  experiment: "Control group or random test",
  worth: "Low predicted value",
  channel: "No channel open",
  time: "Waiting for best time",
  content: "Nothing to show",
};

const UNITS = [
  [10_080, "week"],
  [1_440, "day"],
  [60, "hour"],
  [1, "minute"],
];

/** A window as a rate: "per hour", "per 2 days", "per 90 minutes". */
export function per(minutes) {
  const [length, unit] = UNITS.find(([length]) => minutes >= length && minutes % length === 0) ?? [1, "minute"];
  const n = minutes / length;
  return n === 1 ? `per ${unit}` : `per ${number(n)} ${unit}s`;
}
