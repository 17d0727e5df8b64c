//! Unit tests of decisions: inputs in, effects out; no database, no runtime, no clock. One file a topic.

mod api_messages;
mod consent_and_mutes;
mod deferred;
mod delivery;
mod digest;
mod dry_run;
mod ephemeral;
mod events;
mod experiments;
mod feedback;
mod fixture;
mod in_flight;
mod login;
mod nothing_is_lost;
mod one_person;
mod recommend;
mod render;
mod returned;
mod robots;
