//! One way for every message: candidate → prediction → policy → content → record. [`UserState::judge`] changes nothing, so a
//! dry run asks the very same question. A granted message goes on in `send.rs`.

use uuid::Uuid;

use super::effect::{Counter, Effect};
use super::input::Announcement;
use super::proposal::{Judgement, Origin, Proposal, Subject};
use super::recommend::Recommendations;
use super::record::{API, DecisionRow, Fired, Record, Trace, steps};
use super::user_state::{Step, UserState};
use super::world::World;
use crate::deliver::Frame;
use crate::feedback::experiments::Slice;
use crate::notify::policy::Trial;
use crate::notify::triggers::Trigger;
use crate::notify::{Candidate, Channel, Channels, Message, Moment, Outcome, Priority, Rules, Sent, decide};

impl UserState {
    /// Decides about a proposal and changes nothing. `channels`: those that are open.
    pub fn judge<'a>(
        &self,
        proposal: &'a Proposal<'a>,
        channels: Channels,
        sent: u64,
        world: &'a World<'a>,
    ) -> Judgement<'a> {
        let now = world.now;
        let rules = self.rules(world);
        let candidate = self.candidate(proposal, &rules, world);
        let own = match proposal.subject {
            Subject::Trigger(trigger) if !trigger.is_said_by_shop() => Some(trigger),
            _ => None,
        };
        let prediction = own.map(|trigger| self.predict(trigger, &proposal.list.items, &rules, world));
        let time = own.and_then(|trigger| self.chosen_time(trigger, &rules, world));
        let used = world.sent_this_hour + sent;
        let moment = Moment {
            now,
            device_zone: self.device_zone.as_ref(),
            seed: u64::from(self.user.0),
            expected: prediction.as_ref().filter(|one| one.is_learned).map(|one| one.expected),
            uplift: prediction.as_ref().and_then(|one| one.uplift).map(f64::from),
            attention_price: prediction
                .as_ref()
                .map_or(0.0, |one| self.attention_price(one.last_week, &rules, world.learner)),
            budget_left: rules.budget_per_hour.map(|budget| budget.saturating_sub(used)),
            channels,
            best_time: time.and_then(|time| time.at),
            trial: own.map_or(Trial::None, |_| self.trial(&rules, now)),
        };
        let decision = decide(&candidate, &moment, &self.policy, &rules, &self.preferences);
        let timed = time.filter(|time| time.decided(&decision)).map_or(1.0, |time| time.propensity);
        let propensity = decision.propensity() * timed;
        Judgement { candidate, decision, prediction, propensity, rules }
    }

    /// The candidate of a proposal, with whether it still holds.
    fn candidate<'a>(
        &self,
        proposal: &'a Proposal<'a>,
        rules: &Rules,
        world: &'a World<'a>,
    ) -> Candidate<'a> {
        match proposal.subject {
            Subject::Trigger(trigger) => {
                let catalogue = world.catalogue;
                let subject = trigger.item.and_then(|item| catalogue.get(item)).map(AsRef::as_ref);
                // A digest that mentions what the shop says carries it to everybody it was meant for.
                let said_by_shop = trigger.is_said_by_shop() || !proposal.mentions.is_empty();
                let lifetime = trigger.definition.expires_after(rules.expires_after);
                Candidate {
                    category: trigger.category(),
                    campaign: trigger.name(),
                    priority: trigger.definition.priority,
                    items: &proposal.items,
                    subject,
                    needs_items: !said_by_shop,
                    solicited: trigger.is_asked_for(),
                    said_by_shop,
                    from_profile: !said_by_shop,
                    is_digest: trigger.is_digest(),
                    truth: trigger.truth(
                        &self.profile,
                        self.segment,
                        &self.attributes,
                        self.last_connected,
                        catalogue,
                        world.now,
                        world.feature_context(),
                    ),
                    dedupe_key: trigger.dedupe_key(world.catalogue, world.now),
                    expires_at: trigger.expires_at.unwrap_or(world.now + lifetime),
                }
            }
            // Repeated requests were told apart when the message was accepted.
            Subject::Message { message, occasion, .. } => {
                let Message { category, kind, priority, expires_at, .. } = message;
                Candidate {
                    dedupe_key: occasion,
                    ..Candidate::of_shop(category, kind, *priority, *expires_at)
                }
            }
        }
    }

    /// Decides about a trigger's message and carries the decision out. `origin`: who waits for the answer, or which deferred
    /// trigger it is.
    pub(super) fn decide_trigger(
        &mut self,
        trigger: Trigger,
        list: Recommendations,
        origin: Origin,
        step: &mut Step<'_>,
    ) {
        let proposal = Proposal::of_trigger(&trigger, list);
        let judgement = self.judge(&proposal, self.channels(trigger.name(), step), step.sent, step.world);
        // What is told has fired when its message is stored.
        let is_settled = trigger.is_settled_by(&judgement.decision);
        match judgement.decision.outcome {
            Outcome::Send | Outcome::InboxOnly => {
                self.send_trigger(&trigger, &proposal, judgement, origin, step);
                return;
            }
            Outcome::Digest if trigger.is_said_by_shop() => {
                self.collect(&trigger, &[], step);
                self.send_trigger(&trigger, &proposal, judgement, origin, step);
                return;
            }
            Outcome::Defer(until) => {
                self.explain(&proposal, &judgement, Vec::new(), step);
                self.defer(trigger.clone(), until, origin.deferred, step);
            }
            Outcome::Digest => {
                self.explain(&proposal, &judgement, origin.releases(), step);
                self.collect(&trigger, &proposal.items, step);
            }
            Outcome::Drop => self.explain(&proposal, &judgement, origin.releases(), step),
        }
        if is_settled {
            self.note_fired(self.firing(&trigger, step), step);
        }
        if let Some(connection) = origin.welcome_after {
            self.late_welcome(connection, step);
        }
    }

    pub(super) fn firing(&self, trigger: &Trigger, step: &Step<'_>) -> Fired {
        Fired { user: self.user, trigger: trigger.name().to_owned(), at: step.now() }
    }

    /// Notes that a trigger which fires once has fired.
    pub(super) fn note_fired(&mut self, fired: Fired, step: &mut Step<'_>) {
        self.fired_once.note(&fired.trigger, fired.at);
        step.record(Record::FiredOnce(fired));
    }

    /// Records a decision that sends nothing now, and ends the deferred triggers `releases`.
    pub(super) fn explain(
        &mut self,
        proposal: &Proposal<'_>,
        judgement: &Judgement<'_>,
        releases: Vec<Uuid>,
        step: &mut Step<'_>,
    ) {
        step.count(match judgement.decision.outcome {
            Outcome::Drop => Counter::Dropped,
            _ => Counter::Deferred,
        });
        let row = self.decision_row(proposal, judgement, step);
        step.record(Record::Decision(row, releases));
    }

    /// Shows an ephemeral message to the user's open connections, if it is for this user and the policy agrees.
    pub(super) fn show(&mut self, announcement: &Announcement, step: &mut Step<'_>) {
        let elsewhere =
            announcement.segment.is_some_and(|asked| self.segment.is_none_or(|own| own.0 != asked));
        if !self.is_connected() || elsewhere {
            return;
        }
        let proposal = Proposal::of_message(&announcement.message, None, None);
        let judgement = self.judge(&proposal, self.channels(API, step), step.sent, step.world);
        if judgement.decision.outcome != Outcome::Send || judgement.decision.channel != Channel::Socket {
            return step.count(Counter::Dropped);
        }
        let message = &announcement.message;
        self.policy.note_sent(Sent {
            campaign: message.kind.clone(),
            passes_caps: message.priority == Priority::Transactional,
            is_ephemeral: true,
            ..Sent::plain(announcement.id, step.now(), &message.category, Channel::Socket)
        });
        step.sent += 1;
        step.count(Counter::Sent);
        for connection in self.session.connections() {
            step.push(Effect::Send(connection, Frame::clone(&announcement.frame)));
        }
    }

    /// Row of a decision, without a message.
    pub(super) fn decision_row(
        &self,
        proposal: &Proposal<'_>,
        judgement: &Judgement<'_>,
        step: &mut Step<'_>,
    ) -> Box<DecisionRow> {
        let Judgement { candidate, decision, prediction, propensity, rules } = judgement;
        let world = step.world;
        let slice = self.slice(rules);
        let collected = decision.outcome == Outcome::Digest;
        Box::new(DecisionRow {
            decision_id: step.new_id(),
            decided_at: world.now,
            user: self.user,
            trigger: proposal.subject.trigger().to_owned(),
            category: candidate.category.to_owned(),
            outcome: decision.outcome.name().to_owned(),
            reasons: decision.reasons(),
            notification_id: None,
            model_version: proposal.list.model,
            segment: self.segment.map(|segment| segment.0),
            items: candidate.items.to_vec(),
            propensity: *propensity,
            until: decision.outcome.until(),
            expected: prediction.as_ref().map(|prediction| prediction.expected),
            features: match prediction {
                Some(prediction) if decision.outcome == Outcome::Send || decision.is_drawn() => {
                    prediction.features.to_vec()
                }
                _ => Vec::new(),
            },
            trace: Trace {
                channel: decision.channel.name().to_owned(),
                campaign: candidate.campaign.to_owned(),
                dedupe_key: candidate.dedupe_key.map(u64::cast_signed),
                policy_version: rules.version,
                holdout: slice == Slice::Holdout,
                counted: !candidate.passes_caps() && !collected,
                alternatives: Vec::new(),
                steps: steps(decision),
                slice: slice.name().to_owned(),
                variant: None,
                variant_propensity: None,
                arms: self.arms_by_name(world.definitions),
                inputs: world.inputs(),
            },
            call: proposal.subject.call(),
        })
    }
}
