//! Connections and the stream: logins, frames of clients, messages on their way through the store, presence.

use super::effect::{Counter, Effect, Outgoing};
use super::in_flight::{InFlight, LoginAnswer, Placed, entry};
use super::proposal::Origin;
use super::record::{Acknowledged, Fired, HandOver, Mark, Record};
use super::user_state::{Step, UserState};
use crate::deliver::channel::{self, Situation};
use crate::deliver::standing::Change;
use crate::deliver::stream::Class;
use crate::deliver::{self, Frame, Inbound, Login, frames};
use crate::notify::content::is_language_tag;
use crate::notify::policy::{PreferenceChange, Purpose};
use crate::notify::{Channel, Channels, Trigger};
use tidings_core::base::{ConnectionId, Millis, NotificationId, Timestamp};

/// A login this soon after another gets the same answer; a tab beside an open one gets it until it expires.
const SAME_LOGIN: Millis = Millis::seconds(60);
/// The hand-over comes a little later than the grace ends, never earlier.
const MARGIN: Millis = Millis(20);
/// An expiry or a return this near is awaited by the user's timer. More than the time between two ticks, so that none is missed; most are days
/// away, and idle users have no timer.
const NEAR: Millis = Millis::seconds(60);

impl UserState {
    /// Stores a message; it is sent when that is confirmed. While the stream is lost nothing is placed.
    pub(super) fn store(&mut self, placed: Placed, step: &mut Step<'_>) {
        let Placed { decision, notification, is_of_api, welcome_after, releases, fired } = placed;
        let entry = entry(&notification);
        let welcome_after = Vec::from_iter(welcome_after);
        if self.stream_lost {
            self.may_fire_again(fired);
            self.policy.refund(entry.id);
            return self.not_placed(entry.id, welcome_after, is_of_api, step);
        }
        let offset = entry.offset;
        self.in_flight.push_back(InFlight {
            entry,
            changes: Vec::new(),
            stored: None,
            welcome_after,
            is_of_api,
            fired,
        });
        step.push(Effect::Store(Outgoing { offset, decision, notification, releases }));
    }

    /// The message of a trigger that fires once was not stored.
    fn may_fire_again(&mut self, fired: Option<Fired>) {
        if let Some(fired) = fired {
            self.met.retain(|name| *name != fired.trigger);
        }
    }

    fn not_placed(
        &mut self,
        id: NotificationId,
        welcome_after: Vec<ConnectionId>,
        is_of_api: bool,
        step: &mut Step<'_>,
    ) {
        if is_of_api {
            step.push(Effect::Return(id));
        }
        for connection in welcome_after {
            self.late_welcome(connection, step);
        }
    }

    /// The store has answered: acts on this answer and those that waited for it, in the order of the stream.
    pub(super) fn answered(&mut self, offset: i64, stored: bool, step: &mut Step<'_>) {
        if let Some(one) = self.in_flight.iter_mut().find(|one| one.entry.offset == offset) {
            one.stored = Some(stored);
        }
        while let Some(stored) = self.in_flight.front().and_then(|front| front.stored) {
            let Some(one) = self.in_flight.pop_front() else { break };
            if stored && !self.stream_lost {
                self.stored(one, step);
                continue;
            }
            let InFlight { entry, welcome_after, is_of_api, fired, .. } = one;
            if stored {
                // An earlier message was not confirmed: reading again delivers both, in order.
                if is_of_api {
                    step.push(Effect::Settle(entry.id));
                }
                if let Some(fired) = fired {
                    self.note_fired(fired, step);
                }
                self.not_placed(entry.id, welcome_after, false, step);
            } else {
                // Perhaps stored, perhaps not: only the store knows. It keeps its place in the caps until the user is read again.
                if !self.stream_lost {
                    step.count(Counter::NotConfirmed);
                }
                self.stream_lost = true;
                self.may_fire_again(fired);
                self.not_placed(entry.id, welcome_after, is_of_api, step);
            }
        }
        if self.in_flight.is_empty() {
            self.in_flight.shrink_to_fit(); // Most users have nothing under way.
            if self.stream_lost || std::mem::take(&mut self.reads_more) {
                step.push(Effect::Reload);
            }
        }
    }

    fn stored(&mut self, one: InFlight, step: &mut Step<'_>) {
        let InFlight { entry, changes, welcome_after, is_of_api, fired, .. } = one;
        let (id, offset, frame) = (entry.id, entry.offset, entry.frame.clone());
        let answers_login = entry.class == Class::Answer && !entry.withdrawn;
        let expires_at = entry.expires_at;
        self.run(deliver::Input::Stored(entry), step);
        if answers_login {
            self.last_login = frame.map(|frame| LoginAnswer { at: step.now(), id, expires_at, frame });
        }
        for change in changes {
            self.run(change, step);
        }
        step.count(Counter::Delivered(offset));
        if let Some(fired) = fired {
            self.note_fired(fired, step);
        }
        if is_of_api {
            step.push(Effect::Settle(id));
        }
        for connection in welcome_after {
            self.late_welcome(connection, step);
        }
    }

    /// Passes an input to the session and carries out what it asks for.
    pub(super) fn run(&mut self, input: deliver::Input, step: &mut Step<'_>) {
        if let deliver::Input::Change { ids, change, .. } = &input
            && matches!(change, Change::Archive | Change::Snooze(_) | Change::Delete)
        {
            // Put away on one device: the next login is not answered with it again.
            self.last_login.take_if(|answer| ids.contains(&answer.id));
        }
        let effects = self.session.on(input, step.now());
        self.carry_out(effects, step);
    }

    fn carry_out(&mut self, effects: Vec<deliver::Effect>, step: &mut Step<'_>) {
        self.note_given(step);
        let (user, at) = (self.user, step.now());
        for effect in effects {
            match effect {
                deliver::Effect::Send(connection, frame) => step.push(Effect::Send(connection, frame)),
                deliver::Effect::Replay(connection, frame) => step.push(Effect::Replay(connection, frame)),
                deliver::Effect::Welcome { connection, recovered } => {
                    let frame = self.welcome(connection, recovered, step);
                    step.push(Effect::Welcome(connection, frame));
                }
                deliver::Effect::RecordAcknowledged(up_to) => {
                    step.record(Record::Acknowledged(Acknowledged { user, up_to, at }));
                }
                deliver::Effect::RecordChange(ids, change) => {
                    for id in &ids {
                        self.policy.note_given(*id); // It may be older than what the session holds.
                    }
                    step.mark(Mark::Change { user, ids, change, at });
                }
                deliver::Effect::RecordReadAll(up_to) => step.mark(Mark::ReadAll { user, up_to, at }),
                deliver::Effect::RecordSeen(up_to) => step.mark(Mark::Seen { user, up_to, at }),
                deliver::Effect::RecordSuperseded(id) => step.mark(Mark::Superseded { id, at }),
                deliver::Effect::Close(connection, code) => step.push(Effect::Close(connection, code)),
            }
        }
    }

    /// A message handed to a visible page keeps its place in the caps. One that was decided for such a page is stored so.
    fn note_given(&mut self, step: &mut Step<'_>) {
        let given = self.session.take_given();
        let ids: Vec<_> = given.into_iter().filter(|id| self.policy.note_given(*id)).collect();
        if !ids.is_empty() {
            step.mark(Mark::Given { ids, at: step.now() });
        }
    }

    fn welcome(&self, connection: ConnectionId, recovered: bool, step: &Step<'_>) -> Frame {
        frames::welcome(&frames::Welcome {
            kind: "welcome",
            session_id: connection.to_string(),
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset: self.session.last_offset(),
            recovered,
            segment: self.segment.map(|segment| segment.to_string()),
            ping_ms: step.world.config.socket.ping_ms,
            server_time: step.now(),
            connection_id: None,
        })
    }

    /// The welcome of a minimal client, which gets its recommendation first.
    pub(super) fn late_welcome(&mut self, connection: ConnectionId, step: &mut Step<'_>) {
        let frame = self.welcome(connection, true, step);
        step.push(Effect::Welcome(connection, frame));
        self.run(deliver::Input::CatchUp(connection), step);
    }

    pub(super) fn logged_in(&mut self, connection: ConnectionId, login: &Login, step: &mut Step<'_>) {
        let is_another_tab = self.is_connected();
        if is_another_tab {
            // Here all the time since the first connection came.
            self.last_connected = Some(step.now());
        } else {
            self.connected_at = step.now();
            self.learn_visit(step);
        }
        self.learn_login(login, step);
        let now = step.now();
        let input = deliver::Input::Connected { connection, resume: login.resume.clone() };
        let mut effects = self.session.on(input, now);
        let recovered = effects.contains(&deliver::Effect::Welcome { connection, recovered: true });
        if login.is_bare() {
            effects.retain(|effect| !matches!(effect, deliver::Effect::Welcome { .. }));
        } else {
            effects.extend(self.session.on(deliver::Input::CatchUp(connection), now));
        }
        self.carry_out(effects, step);
        if !self.session.has(connection) {
            return; // Refused.
        }
        if login.resume.is_none() || !recovered {
            self.greet(connection, login, is_another_tab, step);
        } else {
            self.returned(self.last_here(), step); // Everything else is there already.
        }
        self.note_connected(step);
    }

    /// Answers a login: one visit, in however many tabs, gets one answer.
    fn greet(&mut self, connection: ConnectionId, login: &Login, is_another_tab: bool, step: &mut Step<'_>) {
        let now = step.now();
        let welcome_after = login.is_bare().then_some(connection);
        let holds = |answer: &&LoginAnswer| {
            answer.expires_at > now && (is_another_tab || now.millis_since(answer.at) < SAME_LOGIN)
        };
        if let Some(LoginAnswer { frame, .. }) = self.last_login.as_ref().filter(holds) {
            step.push(Effect::Send(connection, frame.clone()));
        } else if let Some(under_way) = self.answer_in_flight() {
            // It goes to every connection once it is stored, so to this one too.
            under_way.welcome_after.extend(welcome_after);
            return;
        } else {
            let last_here = self.last_here();
            let trigger = step.world.definitions.login.clone();
            self.consider(trigger, Origin { welcome_after, ..Origin::default() }, step);
            self.returned(last_here, step);
            return;
        }
        if welcome_after.is_some() {
            self.late_welcome(connection, step);
        }
    }

    /// The answer to a login that is being stored.
    fn answer_in_flight(&mut self) -> Option<&mut InFlight> {
        let is_answer = |one: &&mut InFlight| one.entry.class == Class::Answer && !one.entry.withdrawn;
        self.in_flight.iter_mut().find(is_answer).filter(|_| !self.stream_lost)
    }

    /// Time zone and locale of a login, as far as they can be read.
    fn learn_login(&mut self, login: &Login, step: &mut Step<'_>) {
        let zone =
            login.time_zone.as_ref().and_then(|name| Some((name, jiff::tz::TimeZone::get(name).ok()?)));
        let time_zone = zone.map(|(name, zone)| {
            self.device_zone = Some(zone);
            name.clone()
        });
        let locale = login.locale.as_ref().filter(|tag| is_language_tag(tag)).cloned();
        let last_login = self.last_login.take();
        self.change_preferences(PreferenceChange { at: step.now(), time_zone, locale, mute: None }, step);
        self.last_login = last_login;
    }

    pub(super) fn disconnected(&mut self, connection: ConnectionId, step: &mut Step<'_>) {
        let was_connected = self.is_connected();
        self.run(deliver::Input::Disconnected(connection), step);
        if was_connected && !self.is_connected() {
            self.note_connected(step);
        }
    }

    /// Notes that the user is here, or was until now.
    fn note_connected(&mut self, step: &mut Step<'_>) {
        self.last_connected = Some(step.now());
        step.record(Record::Connected(self.user, step.now()));
    }

    pub(super) fn frame(&mut self, connection: ConnectionId, inbound: Inbound, step: &mut Step<'_>) {
        match inbound {
            Inbound::Ack(offset) => {
                self.note_acknowledged(connection, offset);
                self.run(deliver::Input::Acknowledged { offset }, step);
            }
            Inbound::Change(id, change) => self.change(connection, id, change, step),
            Inbound::ReadAll(up_to) => self.read_all(connection, up_to, step),
            Inbound::Seen(up_to) => {
                self.run(deliver::Input::Seen { up_to, at: step.now(), by: Some(connection) }, step);
            }
            Inbound::Presence(visible) => self.run(deliver::Input::Visible(connection, visible), step),
            Inbound::Ping => self.answer(connection, frames::pong(step.now()), step),
            Inbound::Feedback { notification_id, outcome, item_id } => {
                self.feedback(connection, notification_id, outcome, item_id.as_ref(), step);
            }
            Inbound::Mute(wish) => self.mute(connection, &wish, step),
            Inbound::Login(_) => {
                let frame = frames::error("already_logged_in", "this connection is logged in", false, None);
                self.answer(connection, frame, step);
            }
            // Stored first: events come back as `Input::EventsStored`, topics are read when a message is due.
            Inbound::Events(_) | Inbound::Follow { .. } => {}
        }
    }

    /// Takes over the connections of the state before this one.
    pub(super) fn adopt_connections(&mut self, before: &Self, step: &mut Step<'_>) {
        let effects = self.session.take_over(&before.session, step.now());
        self.carry_out(effects, step);
    }

    /// The channel that is open to a message decided now; preferences and consent may close it.
    pub(super) fn channels(&self, trigger: &str, step: &Step<'_>) -> Channels {
        channel::open(Situation {
            visible: self.session.is_visible(),
            subscribed: step.world.is_subscribed,
            pushable: step.world.is_pushable(trigger),
        })
    }

    /// Returns whether there is a page, or a browser that may be pushed to.
    pub(super) fn is_reachable(&self, step: &Step<'_>) -> bool {
        self.is_connected() || step.world.is_subscribed
    }

    /// The same for one trigger. Otherwise a recommendation would grow old unseen.
    pub(super) fn can_be_told(&self, trigger: &Trigger, step: &Step<'_>) -> bool {
        self.is_connected() || (step.world.is_subscribed && step.world.is_pushable(trigger.name()))
    }

    /// A hidden page acknowledges too, but nobody saw what it got.
    fn note_acknowledged(&mut self, connection: ConnectionId, offset: i64) {
        if self.session.is_seen_by(connection) {
            self.seen_up_to = self.seen_up_to.max(offset.min(self.session.last_offset()));
        }
    }

    fn grace(step: &Step<'_>) -> Millis {
        Millis(step.world.config.webpush.grace_ms)
    }

    /// Notes whether a page is visible.
    pub(super) fn watch_presence(&mut self, step: &mut Step<'_>) {
        self.away.note(self.session.is_visible(), step.now());
    }

    fn hand_over(&self, due_at: Timestamp, step: &mut Step<'_>) {
        let wanted = self.preferences.allows("*", Channel::Push);
        if wanted && step.world.is_subscribed && self.preferences.consent.has(Purpose::Push, true) {
            let hand_over = HandOver { user: self.user, seen_up_to: self.seen_up_to, due_at };
            step.record(Record::HandOver(hand_over));
        }
    }

    pub(super) fn hand_over_if_due(&mut self, step: &mut Step<'_>) {
        let now = step.now();
        if self.away.is_due(now, Self::grace(step)) {
            self.hand_over(now, step);
        }
    }

    /// The state ends before the grace does: unseen messages are pushed when they would have been.
    pub(super) fn hand_over_at_end(&mut self, step: &mut Step<'_>) {
        let grace = Self::grace(step);
        if self.away.is_due(Timestamp(i64::MAX), grace) {
            self.hand_over(step.now() + grace, step);
        }
    }

    /// The next moment at which something is to be done without being asked.
    pub(super) fn next_due(&self, step: &Step<'_>) -> Option<Timestamp> {
        let now = step.now();
        let away = self.away.pending().filter(|_| step.world.is_subscribed);
        let hand_over = away.map(|since| since + Self::grace(step) + MARGIN);
        let deferred = self.next_release();
        let change = self.session.next_change().filter(|at| *at < now + NEAR);
        let connected = deferred.into_iter().chain(change).filter(|_| self.is_connected()).min();
        let next = hand_over.into_iter().chain(connected).min()?;
        if next > now {
            return Some(next);
        }
        // A moment that has passed is looked at each second. A timer that runs is left alone: frames that come more often would put
        // it off for ever.
        const SECOND: Millis = Millis::seconds(1);
        let runs = self.timer.filter(|at| *at > now - SECOND && *at <= now + SECOND);
        Some(runs.unwrap_or(now + SECOND))
    }
}
