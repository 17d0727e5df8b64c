// From how many messages or users on a share is shown: below, chance alone makes it anything, and what is missing is said instead.

import { count } from "./format.js";

/** Messages of a group before a share of them is shown: with 30, none of them clicked still leaves up to 11 % possible. */
export const LEAST_MESSAGES = 30;
/** The same in one hour of a week. */
export const LEAST_MESSAGES_AN_HOUR = 10;
/** Users of an arm before a share of them is shown. */
export const LEAST_USERS = 30;

/** "12 more messages needed", or null when there are enough. */
export function missing(have, least, one) {
  return have >= least ? null : `${count(least - have, `more ${one}`)} needed`;
}
