//! A user who has been read: state, and what changes it. Whatever needs the actor's context is put into [`Wants`].

use std::time::Instant;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::hold::Held;
use super::learning;
use super::messages::Snapshot;
use crate::actors::journal::Record;
use crate::actors::loader::{Loaded, parse_preferences};
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, ExternalId, ItemId, Timestamp, UserId};
use crate::deliver::channel::Away;
use crate::deliver::{CloseCode, Effect, Entry, Frame, Input, Resume, Session, frames};
use crate::event::Event;
use crate::event::robots::RobotMeter;
use crate::feedback::learner::UserLearning;
use crate::notify::policy::Purpose;
use crate::notify::triggers::Views;
use crate::notify::{PolicyState, Preferences};
use crate::profile::Profile;
use crate::profile::SegmentId;
use crate::store::acknowledgements::Acknowledged;
use crate::store::decisions::DecisionRow;
use crate::store::inbox::Mark;
use crate::store::notifications::NewNotification;
use crate::store::preferences;
use crate::telemetry::{Count, Gauge};
use crate::transport::{Outbound, PipeEnd, PipeHandle};

/// A message on its way through the journal.
pub(super) struct Pending {
    pub decision: Box<DecisionRow>,
    pub notification: Box<NewNotification>,
    pub entry: Entry,
    /// When the event that caused it was read.
    pub at: Option<Instant>,
    /// Minimal clients that get their welcome right after it.
    pub welcome_after: Option<(ConnectionId, Instant)>,
}

/// What the state wants from the actor.
#[derive(Default)]
pub(super) struct Wants {
    /// Store, then send.
    pub pending: Vec<Pending>,
    /// Let go then.
    pub timers: Vec<(Uuid, Timestamp)>,
    /// Waited, and was judged again.
    pub released: Vec<Uuid>,
}

pub(super) struct Ready {
    pub user: UserId,
    pub external_id: ExternalId,
    pub is_robot: bool,
    pub profile: Profile,
    pub segment: Option<SegmentId>,
    pub session: Session,
    pub policy: PolicyState,
    /// What the user's own messages have taught.
    pub learning: UserLearning,
    pub preferences: Preferences,
    pub stored_preferences: preferences::Preferences,
    pub pipes: Vec<PipeHandle>,
    /// Offset of the next message; ahead of the session's while commits are under way.
    pub next_offset: i64,
    /// The list of the last general recommendation.
    pub last_list: Box<[ItemId]>,
    /// The last answer to a login, for tabs that open right after.
    pub last_login: Option<(Instant, Frame)>,
    /// Time zone of the device that logged in last; before the user's own.
    pub device_zone: Option<TimeZone>,
    /// What waits.
    pub held: Vec<Held>,
    /// Timers are set for what waits.
    pub is_armed: bool,
    /// Looks at the same item.
    pub views: Views,
    /// Names of the triggers whose rule the user meets: each goes off once, when it comes to be met.
    pub met: Vec<String>,
    pub meter: RobotMeter,
    /// When the first of the present connections came.
    pub connected_at: Timestamp,
    /// Since when nobody looks.
    pub away: Away,
    /// What came up to here was acknowledged by a page that somebody looked at, or is history.
    pub seen_up_to: i64,
}

impl Ready {
    pub fn new(external_id: &ExternalId, loaded: Loaded, shared: &Shared) -> Self {
        let max = shared.config.socket.max_connections_per_user;
        let now = Timestamp::now();
        let next_offset = loaded.stream.last_offset() + 1;
        let seen_up_to = loaded.stream.last_offset();
        let mut session = Session::new(&shared.epoch, loaded.stream, now, max);
        session.on(Input::Tick, now); // Lets go of what is history.
        let mut ready = Self {
            user: loaded.user,
            external_id: external_id.clone(),
            is_robot: loaded.is_robot,
            profile: loaded.profile,
            segment: None,
            session,
            learning: learning::recall(
                &loaded.policy,
                &loaded.preferences,
                &shared.rules.load(),
                &shared.learner.lock(),
            ),
            policy: loaded.policy,
            preferences: loaded.preferences,
            stored_preferences: loaded.stored_preferences,
            pipes: Vec::new(),
            next_offset,
            last_list: Box::default(),
            last_login: None,
            device_zone: None,
            held: loaded.held.iter().filter_map(|row| Held::from_row(row, shared)).collect(),
            is_armed: false,
            views: loaded.views,
            met: Vec::new(),
            meter: RobotMeter::default(),
            connected_at: Timestamp::now(),
            away: Away::default(),
            seen_up_to,
        };
        ready.place(shared);
        if !ready.is_robot {
            shared.monitor.note_features(&ready.profile.features(ready.connected_at));
        }
        ready
    }

    /// Takes over connections after everything was read again, and what was stored meanwhile.
    pub fn adopt(&mut self, before: Self) {
        let now = Timestamp::now();
        let seen = before.session.last_offset();
        for pipe in &before.pipes {
            let resume = Resume { epoch: before.session.epoch().to_owned(), offset: seen };
            let input = Input::Connected { connection: pipe.connection, resume: Some(resume) };
            for effect in self.session.on(input, now) {
                match effect {
                    Effect::Send(_, frame) => {
                        let _ = pipe.send(frame);
                    }
                    Effect::Replay(_, frame) => {
                        let _ = pipe.replay(frame);
                    }
                    Effect::Welcome { recovered: false, .. } => {
                        let _ = pipe.offer(Outbound::Close(CloseCode::StreamLost));
                    }
                    _ => {}
                }
            }
        }
        self.pipes = before.pipes;
        for sent in before.policy.newest_first().filter(|sent| sent.given) {
            self.policy.note_given(sent.id);
        }
        // What was said a moment ago may still be on its way to the database.
        self.is_robot |= before.is_robot;
        self.preferences.muted.extend(before.preferences.muted);
        self.device_zone = before.device_zone;
        // Answers to what was said before are still to come.
        self.learning = before.learning;
        for held in before.held {
            if !self.held.iter().any(|known| known.id == held.id) {
                self.held.push(held);
            }
        }
        self.met = before.met;
        self.meter = before.meter;
        self.connected_at = before.connected_at;
        self.away = before.away;
        self.seen_up_to = before.seen_up_to;
    }

    /// The segment by the current model.
    pub fn place(&mut self, shared: &Shared) {
        let models = shared.models.load();
        let now = Timestamp::now();
        self.segment = models.segment(&self.profile.features(now));
    }

    /// Folds committed events in and considers what each sets off. Only the last view and cart of a batch trigger:
    /// the earlier ones are history by now.
    pub fn fold(&mut self, events: &[Event], at: Option<Instant>, shared: &Shared, wants: &mut Wants) {
        let catalogue = shared.catalogue.load();
        for event in events {
            self.profile.apply(event, &catalogue);
            self.views.apply(event);
        }
        drop(catalogue);
        self.watch_rate(events, shared);
        self.place(shared);
        for event in events {
            self.credit(event, shared);
        }
        self.set_off(events, at, shared, wants);
    }

    /// Carries out what the session asks for.
    pub fn run(&mut self, effects: Vec<Effect>, shared: &Shared) {
        self.note_given(shared);
        for effect in effects {
            match effect {
                Effect::Send(connection, frame) => self.send(connection, frame, shared),
                Effect::Replay(connection, frame) => {
                    let taken = self.pipe(connection).map(|pipe| pipe.replay(frame));
                    self.note_sent(connection, taken, shared);
                }
                Effect::Welcome { connection, recovered } => {
                    let frame = self.welcome(connection, recovered, shared);
                    self.send(connection, frame, shared);
                }
                Effect::RecordAcknowledged(up_to) => {
                    let acknowledged = Acknowledged { user: self.user, up_to, at: Timestamp::now() };
                    self.record(Record::Acknowledged(acknowledged), shared);
                }
                Effect::RecordRead(ids) => {
                    for id in &ids {
                        self.policy.note_given(*id); // It may be older than what the session holds.
                    }
                    self.mark(Mark::Read { user: self.user, ids, at: Timestamp::now() }, shared);
                }
                Effect::RecordSeen(up_to) => {
                    self.mark(Mark::Seen { user: self.user, up_to, at: Timestamp::now() }, shared);
                }
                Effect::RecordSuperseded(id) => {
                    self.mark(Mark::Superseded { id, at: Timestamp::now() }, shared);
                }
                Effect::Close(connection, code) => {
                    if let Some(pipe) = self.pipe(connection) {
                        let _ = pipe.offer(Outbound::Close(code));
                    }
                    self.detach(connection, shared);
                }
            }
        }
    }

    /// What somebody was given keeps its place in the caps. What was decided for a page that is looked at is stored so.
    fn note_given(&mut self, shared: &Shared) {
        let given = self.session.take_given();
        let ids: Vec<_> = given.into_iter().filter(|id| self.policy.note_given(*id)).collect();
        if !ids.is_empty() {
            self.mark(Mark::Given { ids, at: Timestamp::now() }, shared);
        }
    }

    pub fn welcome(&self, connection: ConnectionId, recovered: bool, shared: &Shared) -> Frame {
        frames::welcome(&frames::Welcome {
            kind: "welcome",
            session_id: connection.to_string(),
            user_id: &self.external_id,
            epoch: self.session.epoch(),
            offset: self.session.last_offset(),
            recovered,
            segment: self.segment.map(|segment| segment.to_string()),
            ping_ms: shared.config.socket.ping_ms,
            server_time: Timestamp::now(),
        })
    }

    pub fn pipe(&self, connection: ConnectionId) -> Option<&PipeHandle> {
        self.pipes.iter().find(|pipe| pipe.connection == connection)
    }

    /// Writes a frame; a client that fell behind is let go and resumes later.
    pub fn send(&mut self, connection: ConnectionId, frame: Frame, shared: &Shared) {
        let taken = self.pipe(connection).map(|pipe| pipe.send(frame));
        self.note_sent(connection, taken, shared);
    }

    fn note_sent(&mut self, connection: ConnectionId, taken: Option<Result<(), PipeEnd>>, shared: &Shared) {
        match taken {
            None => {}
            Some(Ok(())) => shared.metrics.add(Count::Frames, 1),
            Some(Err(end)) => {
                if end == PipeEnd::TooSlow {
                    shared.metrics.add(Count::SlowClients, 1);
                    log::info!("slow client let go user_id={} connection={connection}", self.external_id);
                }
                self.detach(connection, shared);
            }
        }
    }

    pub fn attach(&mut self, pipe: PipeHandle, shared: &Shared) {
        if self.pipes.is_empty() {
            self.connected_at = Timestamp::now();
            shared.metrics.shift(Gauge::ConnectedUsers, 1);
            self.learn_visit(shared);
        }
        self.pipes.push(pipe);
        shared.metrics.shift(Gauge::Connections, 1);
    }

    /// Forgets a connection; one that is not there is no error.
    pub fn detach(&mut self, connection: ConnectionId, shared: &Shared) {
        let before = self.pipes.len();
        self.pipes.retain(|pipe| pipe.connection != connection);
        if self.pipes.len() < before {
            shared.metrics.shift(Gauge::Connections, -1);
            if self.pipes.is_empty() {
                shared.metrics.shift(Gauge::ConnectedUsers, -1);
            }
        }
        self.session.on(Input::Disconnected(connection), Timestamp(0));
    }

    pub fn drain(&self, retry_ms: u32) {
        for pipe in &self.pipes {
            let _ = pipe.offer(Outbound::ComeBack { retry_ms });
        }
    }

    pub fn close_all(&self, code: CloseCode) {
        for pipe in &self.pipes {
            let _ = pipe.offer(Outbound::Close(code));
        }
    }

    /// Prunes pipes that are gone; returns how many are left.
    pub fn housekeeping(&mut self, now: Timestamp, shared: &Shared) -> usize {
        let gone: Vec<ConnectionId> =
            self.pipes.iter().filter(|pipe| !pipe.is_open()).map(|pipe| pipe.connection).collect();
        for connection in gone {
            self.detach(connection, shared);
        }
        self.policy.forget(now);
        let effects = self.session.on(Input::Tick, now);
        self.run(effects, shared);
        self.pipes.len()
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            user: self.user,
            profile: self.profile.clone(),
            segment: self.segment,
            connections: self.pipes.len(),
            preferences: self.stored_preferences.clone(),
            connected_at: self.connected_at,
        }
    }

    pub fn set_preferences(&mut self, stored: preferences::Preferences) {
        self.preferences = parse_preferences(&stored, self.preferences.consent.clone());
        self.stored_preferences = stored;
        self.last_login = None;
    }

    pub fn set_consent(&mut self, said: Vec<(Purpose, bool)>) {
        for (purpose, granted) in said {
            self.preferences.consent.note(purpose, granted);
        }
        self.last_login = None;
    }
}
