//! What to say and whether, when, where: triggers, content, policy, decision with reasons.
