//! In-memory state of one user and its transitions: an [`Input`] in, [`Effect`]s out. No clock, lock, socket or database: the
//! moment and everything else a decision reads come with the [`World`]. The state is a value: it can be cloned, compared and
//! moved to another server.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use rand::Rng;
use uuid::Uuid;

use super::deferred_trigger::Deferred;
use super::effect::{Counter, Effect};
use super::in_flight::{InFlight, LoginAnswer};
use super::input::Input;
use super::load::Loaded;
use super::recall::recall;
use super::record::{Mark, Record};
use super::world::World;
use crate::deliver::channel::Away;
use crate::deliver::{self, Frame, Session};
use crate::feedback::learner::UserLearning;
use crate::notify::policy::{Muted, PreferenceChange, PreferenceDocument, Purpose};
use crate::notify::triggers::{FiredOnce, Views};
use crate::notify::{PolicyState, Preferences, Rules, Trigger};
use tidings_core::base::{ConnectionId, ExternalId, ItemId, Timestamp, UserId, random};
use tidings_core::event::Event;
use tidings_core::event::robots::RobotMeter;
use tidings_core::profile::{Attributes, Profile, SegmentId};

/// State of one user.
#[derive(Clone, Debug)]
pub struct UserState {
    /// Inner id.
    pub user: UserId,
    /// The shop's id.
    pub external_id: ExternalId,
    /// Moment at which the user was last found to act faster than a person; `None` = taken for a person.
    pub robot_since: Option<Timestamp>,
    /// The live profile.
    pub profile: Profile,
    /// Segment by the current model.
    pub segment: Option<SegmentId>,
    /// Attributes that the shop has set.
    pub attributes: Attributes,
    /// The stream and the open connections.
    pub session: Session,
    /// Messages sent lately and what came of them.
    pub policy: PolicyState,
    /// Knowledge learned from the user's own messages.
    pub(super) learning: UserLearning,
    /// Preferences and consent, parsed.
    pub preferences: Preferences,
    /// Preferences as stored.
    pub document: PreferenceDocument,
    /// Offset of the next message; ahead of the session's while messages are being stored.
    pub(super) next_offset: i64,
    /// Messages that are being stored, in the order of the stream.
    pub(super) in_flight: VecDeque<InFlight>,
    /// A message was not confirmed: no offset given before the stream is read again would hold.
    pub(super) stream_lost: bool,
    /// Items of the last general recommendation.
    pub(super) last_list: Box<[ItemId]>,
    /// The last answer to a login, for tabs that open while it holds.
    pub(super) last_login: Option<LoginAnswer>,
    /// Time zone of the device that logged in last; takes precedence over the user's own.
    pub(super) device_zone: Option<TimeZone>,
    /// Deferred triggers.
    pub(super) deferred: Vec<Deferred>,
    /// The store holds more deferred triggers than were read.
    pub(super) has_more_deferred: bool,
    /// They are to be read when nothing is being stored.
    pub(super) reads_more: bool,
    /// Moment of the running timer.
    pub(super) timer: Option<Timestamp>,
    /// Moment at which the user last had a connection; before the present visit while it is greeted.
    pub(super) last_connected: Option<Timestamp>,
    /// Triggers that fire once and have fired.
    pub(super) fired_once: FiredOnce,
    /// Views of the same item.
    pub(super) views: Views,
    /// Names of the segment triggers whose rule the user meets: each fires when the rule comes to be met.
    pub(super) met: Vec<String>,
    /// Rate of the user's events.
    pub(super) meter: RobotMeter,
    /// Moment at which the first of the present connections came.
    pub connected_at: Timestamp,
    /// Moment since when no page is visible.
    pub(super) away: Away,
    /// Last offset that was acknowledged by a visible page, or is history.
    pub(super) seen_up_to: i64,
}

/// One transition: the world it reads and the effects it has so far.
pub(super) struct Step<'w> {
    pub world: &'w World<'w>,
    pub effects: Vec<Effect>,
    /// Messages sent by this transition, for the budget.
    pub sent: u64,
    ids: Option<random::ChaCha8Rng>,
    /// Ids made so far.
    n_ids: u16,
}

impl<'w> Step<'w> {
    pub fn new(world: &'w World<'w>) -> Self {
        Self { world, effects: Vec::new(), sent: 0, ids: None, n_ids: 0 }
    }

    pub fn now(&self) -> Timestamp {
        self.world.now
    }

    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn record(&mut self, record: Record) {
        self.effects.push(Effect::Record(record));
    }

    pub fn mark(&mut self, mark: Mark) {
        self.record(Record::Mark(mark));
    }

    pub fn count(&mut self, counter: Counter) {
        self.effects.push(Effect::Count(counter));
    }

    /// A new UUIDv7: the moment of the transition, a counter (RFC 9562, section 6.2, method 1) so that the ids of one transition
    /// sort as they were made, and random bits of its draw.
    pub fn new_id(&mut self) -> Uuid {
        let ids = self.ids.get_or_insert_with(|| random::rng(self.world.draw, "ids"));
        let mut bytes = [0; 10];
        ids.fill_bytes(&mut bytes);
        [bytes[0], bytes[1]] = self.n_ids.to_be_bytes();
        self.n_ids = self.n_ids.saturating_add(1);
        let millis = u64::try_from(self.world.now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}

impl UserState {
    /// From what the store holds. The session has no connection yet.
    pub fn new(external_id: &ExternalId, loaded: Loaded, epoch: &str, world: &World<'_>) -> Self {
        let now = world.now;
        let last_offset = loaded.stream.last_offset();
        let mut session =
            Session::new(epoch, loaded.stream, now, world.config.socket.max_connections_per_user);
        session.on(deliver::Input::Tick, now); // Drops what has expired.
        let learning = recall(&loaded.policy, &loaded.preferences, world.rules(), world.learner);
        // One without a definition stays in the store: the definition may come back before it expires.
        let deferred = loaded.deferred.iter();
        let deferred = deferred.filter_map(|row| Deferred::from_row(row, world.definitions)).collect();
        let mut state = Self {
            user: loaded.user,
            external_id: external_id.clone(),
            robot_since: loaded.robot_since,
            profile: loaded.profile,
            segment: None,
            attributes: loaded.attributes,
            session,
            policy: loaded.policy,
            learning,
            preferences: loaded.preferences,
            document: loaded.document,
            next_offset: last_offset + 1,
            in_flight: VecDeque::new(),
            stream_lost: false,
            last_list: Box::default(),
            last_login: None,
            device_zone: None,
            deferred,
            has_more_deferred: loaded.has_more_deferred,
            reads_more: false,
            timer: None,
            last_connected: loaded.last_connected,
            fired_once: loaded.fired_once,
            views: loaded.views,
            met: Vec::new(),
            meter: RobotMeter::default(),
            connected_at: now,
            away: Away::default(),
            seen_up_to: last_offset,
        };
        state.place(world);
        state
    }

    /// The transition function. O(messages in memory + deferred triggers), and a ranking for each message that names a list.
    pub fn on(&mut self, input: Input, world: &World<'_>) -> Vec<Effect> {
        let mut step = Step::new(world);
        self.take(input, &mut step);
        self.watch_presence(&mut step);
        self.set_timer(&mut step);
        step.effects
    }

    fn take(&mut self, input: Input, step: &mut Step<'_>) {
        match input {
            Input::Loaded => self.loaded(step),
            Input::LoggedIn { connection, login } => self.logged_in(connection, &login, step),
            Input::Disconnected(connection) => self.disconnected(connection, step),
            Input::Frame(connection, inbound) => self.frame(connection, inbound, step),
            Input::EventsStored(events) => self.fold(&events, step),
            Input::Reported(id, outcome) => self.reported(id, outcome, step),
            Input::Pushed(id) => drop(self.policy.note_given(id)),
            Input::InboxChanged(change) => self.inbox_changed(change, step),
            Input::PreferencesChanged { before, after } => self.preferences_replaced(&before, *after),
            Input::AttributesChanged(attributes) => self.attributes_changed(*attributes, step),
            Input::ConsentChanged(purposes) => self.set_consent(&purposes),
            Input::TriggerFired(row) => self.trigger_fired(&row, step),
            Input::CallWithdrawn(call) => self.call_withdrawn(call),
            Input::MessageOfApi(message) => self.message_of_api(&message, step),
            Input::Ephemeral(announcement) => self.show(&announcement, step),
            Input::RobotLifted => self.robot_lifted(),
            Input::CatalogueChanged(changes) => self.catalogue_changed(&changes, step),
            Input::ModelChanged => self.model_changed(step),
            Input::DefinitionsChanged => self.definitions_changed(step),
            Input::Due => self.due(step),
            Input::DueInStore(id) => self.due_in_store(id, step),
            Input::SnoozeEnded(message) => self.snooze_ended(&message, step),
            Input::Stored(offset) => self.answered(offset, true, step),
            Input::NotStored(offset) => self.answered(offset, false, step),
            Input::Ending => self.hand_over_at_end(step),
            Input::Tick => self.tick(step),
        }
    }

    fn loaded(&mut self, step: &mut Step<'_>) {
        if !self.is_connected() {
            self.release_due(step);
        }
    }

    fn tick(&mut self, step: &mut Step<'_>) {
        self.policy.forget(step.now());
        self.rest(step);
        if self.timer.is_some_and(|at| at <= step.now()) {
            return self.due(step); // The clock was set forward while the timer ran.
        }
        self.run(deliver::Input::Tick, step);
    }

    fn due(&mut self, step: &mut Step<'_>) {
        self.timer = None;
        self.run(deliver::Input::Tick, step);
        self.hand_over_if_due(step);
        self.release_due(step);
    }

    /// Takes what came while the user was read and may have been stored too late to be seen: [`Input::is_lasting`]. Before any
    /// connection or decision.
    pub fn changed_meanwhile(&mut self, changes: Vec<Input>, world: &World<'_>) -> Vec<Effect> {
        let mut step = Step::new(world);
        for change in changes {
            self.take(change, &mut step);
        }
        step.effects
    }

    /// Takes over connections after everything was read again, and everything stored meanwhile.
    pub fn adopt(&mut self, before: Self, world: &World<'_>) -> Vec<Effect> {
        let mut step = Step::new(world);
        self.adopt_connections(&before, &mut step);
        // Records of a moment ago may still be on their way to the store.
        self.policy.note_responses_of(&before.policy);
        self.policy.note_ephemeral_of(&before.policy);
        self.robot_since = self.robot_since.max(before.robot_since);
        self.keep_mutes(&before.document, &PreferenceDocument::default());
        self.device_zone = before.device_zone;
        // Answers to earlier messages are still to come.
        self.learning = before.learning;
        for deferred in before.deferred {
            if !self.deferred.iter().any(|known| known.id == deferred.id) {
                self.deferred.push(deferred);
            }
        }
        self.last_list = before.last_list;
        self.met = before.met;
        self.last_connected = self.last_connected.max(before.last_connected);
        self.fired_once.join(before.fired_once);
        self.meter = before.meter;
        self.connected_at = before.connected_at;
        self.away = before.away;
        self.seen_up_to = before.seen_up_to;
        self.timer = before.timer;
        step.effects
    }

    /// Returns whether nothing is being stored: only then does the store know the last offset of the stream.
    pub fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// No offset given from now on would hold: the user is about to be read again.
    pub fn stall(&mut self) {
        self.stream_lost = true;
    }

    /// Returns whether messages of the API have to wait until the stream was read again.
    pub fn is_stalled(&self) -> bool {
        self.stream_lost
    }

    /// Returns whether a connection is open.
    pub fn is_connected(&self) -> bool {
        self.session.n_connections() > 0
    }

    /// Moment at which the user was last here: the latest event or connection.
    pub(super) fn last_here(&self) -> Option<Timestamp> {
        self.profile.last_seen().max(self.last_connected)
    }

    /// Returns whether a deferred trigger is known here.
    pub fn has_deferred(&self, id: Uuid) -> bool {
        self.deferred.iter().any(|deferred| deferred.id == id)
    }

    /// The earliest moment at which a deferred trigger is decided again.
    pub fn next_release(&self) -> Option<Timestamp> {
        self.deferred.iter().filter(|deferred| !deferred.is_paused).map(|deferred| deferred.until).min()
    }

    /// The segment by the current model.
    pub(super) fn place(&mut self, world: &World<'_>) {
        self.segment = world.models.segment(&self.profile.features(world.feature_context()));
    }

    /// Folds stored events into the profile and fires the triggers they meet.
    fn fold(&mut self, events: &[Event], step: &mut Step<'_>) {
        let triggers = &step.world.definitions.triggers;
        let mut fired: Vec<Trigger> = Vec::new();
        for event in events {
            self.profile.apply(event, step.world.catalogue);
            self.views.apply(event);
            // Asked at each event: by the end of the batch an item may have been viewed more often than its trigger says.
            let at_once = triggers.of_event(event, &self.views, event.occurred_at);
            if !at_once.is_empty() {
                // Only the last event is answered with a list: the earlier ones are history by now.
                fired.retain(Trigger::is_about_item);
                fired.extend(at_once);
            }
        }
        self.rest(step);
        self.watch_rate(events, step);
        self.place(step.world);
        self.fire_events(events, fired, step);
    }

    pub(super) fn set_preferences(&mut self, document: PreferenceDocument) {
        self.preferences = document.parse(self.preferences.consent.clone());
        self.document = document;
        // A tab that opens now is to see what the user asked for.
        self.last_login = None;
    }

    /// Changes the preferences and stores the change, unless it is none.
    pub(super) fn change_preferences(&mut self, change: PreferenceChange, step: &mut Step<'_>) {
        let mut document = self.document.clone();
        change.apply(&mut document, None);
        if document != self.document {
            self.set_preferences(document);
            step.record(Record::Preferences(self.user, Box::new(change)));
        }
    }

    /// Another document is stored. What a client muted is kept though the one before did not have it: it is on its way to the store.
    fn preferences_replaced(&mut self, before: &PreferenceDocument, after: PreferenceDocument) {
        let own = std::mem::replace(&mut self.document, after);
        self.set_preferences(self.document.clone());
        self.keep_mutes(&own, before);
    }

    /// Adds the mutes of a document that may be newer in this than the one that was read, but for those that `known` had. A mute too
    /// much is better than a message that was not wanted.
    fn keep_mutes(&mut self, newer: &PreferenceDocument, known: &PreferenceDocument) {
        let mut document = self.document.clone();
        for name in newer.muted.iter().filter(|name| !known.muted.contains(name)) {
            document.keep_muted(Muted::Category(name.clone()));
        }
        let known = known.settings().mutes;
        for mute in newer.settings().mutes.into_iter().filter(|mute| !known.contains(mute)) {
            document.keep_muted(Muted::Subject(mute));
        }
        if document != self.document {
            self.set_preferences(document);
        }
    }

    fn set_consent(&mut self, purposes: &[(Purpose, bool)]) {
        for (purpose, granted) in purposes {
            self.preferences.consent.note(*purpose, *granted);
        }
        self.last_login = None;
    }

    /// The device's time zone, else the user's, else the server's.
    pub(super) fn zone<'a>(&'a self, rules: &'a Rules) -> &'a TimeZone {
        self.device_zone.as_ref().or(self.preferences.time_zone.as_ref()).unwrap_or(&rules.time_zone)
    }

    /// The profile that decisions may use: an empty one without consent to profiling.
    pub(super) fn consented<'a>(
        &'a self,
        rules: &Rules,
        stranger: &'a Profile,
    ) -> (&'a Profile, Option<SegmentId>) {
        let known = (&self.profile, self.segment);
        if has_profiling(&self.preferences, rules.profiling_by_default) { known } else { (stranger, None) }
    }

    /// Asks for a timer at the next moment something is due, if that changed.
    fn set_timer(&mut self, step: &mut Step<'_>) {
        let next = self.next_due(step);
        if next != self.timer {
            self.timer = next;
            step.push(Effect::SetTimer(next));
        }
    }

    /// Answers a frame of a connection.
    pub(super) fn answer(&self, connection: ConnectionId, frame: Frame, step: &mut Step<'_>) {
        step.push(Effect::Answer(connection, frame));
    }
}

/// Returns whether the user's behaviour may choose what they are shown.
pub(super) fn has_profiling(preferences: &Preferences, by_default: bool) -> bool {
    preferences.consent.has(Purpose::Profiling, by_default)
}
