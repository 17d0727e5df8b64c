//! A message that could be sent, and the policy's decision about it. Triggers and messages of the API differ in their
//! [`Subject`] only.

use std::sync::Arc;

use uuid::Uuid;

use super::predict::Prediction;
use super::recommend::Recommendations;
use super::record::API;
use crate::notify::triggers::Trigger;
use crate::notify::{Candidate, Decision, Message, Rules};
use tidings_core::base::{ConnectionId, ItemId};

/// Subject of a message.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A trigger that fired.
    Trigger(&'a Trigger),
    /// A message of the API, in words of the shop.
    Message {
        /// The message.
        message: &'a Message,
        /// The id that its call was answered with.
        call: Option<Uuid>,
        /// Key of what its call tells each person once.
        occasion: Option<u64>,
    },
}

impl<'a> Subject<'a> {
    /// Name of the trigger.
    pub fn trigger(self) -> &'a str {
        match self {
            Self::Trigger(trigger) => trigger.name(),
            Self::Message { .. } => API,
        }
    }

    /// The call of the shop, by the id it was answered with.
    pub(super) fn call(self) -> Option<Uuid> {
        match self {
            Self::Trigger(trigger) => trigger.call,
            Self::Message { call, .. } => call,
        }
    }
}

/// A message that could be sent.
#[derive(Clone, Debug)]
pub struct Proposal<'a> {
    /// Subject of the message.
    pub subject: Subject<'a>,
    /// Items it names, best first.
    pub list: Recommendations,
    /// Ids of the items.
    pub(super) items: Vec<ItemId>,
    /// Titles of collected messages without an item.
    pub(super) mentions: Vec<String>,
}

impl<'a> Proposal<'a> {
    /// Of a trigger, with its items.
    pub fn of_trigger(trigger: &'a Trigger, list: Recommendations) -> Self {
        let items = list.ids().collect();
        Self { subject: Subject::Trigger(trigger), list, items, mentions: Vec::new() }
    }

    /// Of a message of the API. `occasion`: what its call tells each person once.
    pub fn of_message(message: &'a Message, call: Option<Uuid>, occasion: Option<u64>) -> Self {
        Self {
            subject: Subject::Message { message, call, occasion },
            list: Recommendations::default(),
            items: Vec::new(),
            mentions: Vec::new(),
        }
    }

    pub(super) fn mentioning(self, mentions: Vec<String>) -> Self {
        Self { mentions, ..self }
    }
}

/// Source of a trigger, and who waits for its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// A minimal client that gets its welcome right after the message.
    pub welcome_after: Option<ConnectionId>,
    /// The deferred trigger that is decided again.
    pub deferred: Option<Uuid>,
    /// Entries of a digest that it tells.
    pub collected: Vec<Uuid>,
}

impl Origin {
    /// Of a deferred trigger.
    pub fn deferred(id: Uuid) -> Self {
        Self { deferred: Some(id), ..Self::default() }
    }

    /// Deferred triggers that end with the decision.
    pub fn releases(&self) -> Vec<Uuid> {
        self.deferred.iter().chain(&self.collected).copied().collect()
    }
}

/// The policy's decision about a proposal, with all it was made from.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// As the policy saw it.
    pub candidate: Candidate<'a>,
    /// The decision.
    pub decision: Decision,
    /// The predicted response; `None` for what the shop says itself.
    pub prediction: Option<Prediction>,
    /// Probability of the outcome, in (0, 1].
    pub propensity: f32,
    /// The rules that held for the user.
    pub rules: Arc<Rules>,
}
