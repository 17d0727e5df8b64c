//! What connections say: logins, events, acknowledgements, feedback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::ready::Ready;
use super::{State, UserActor};
use crate::actors::ingest::{IngestError, Origin};
use crate::actors::journal::Record;
use crate::actors::shared::Shared;
use crate::base::{ConnectionId, ExternalId, NotificationId, Timestamp};
use crate::deliver::{Effect, Frame, Inbound, Input, Login, frames};
use crate::event::robots::RobotLimits;
use crate::event::{Event, EventKind, EventLimits, NewEvent, RawEvent};
use crate::feedback::FeedbackOutcome;
use crate::store::events::Appended;
use crate::store::feedback::FeedbackRow;
use crate::store::inbox::Mark;
use crate::telemetry::{Count, Timing};
use crate::transport::{Opened, Outbound, Received, ReceivedKind};

/// Refused events of one frame that are answered one by one.
const MAX_ERRORS: usize = 64;
/// A tab that opens this soon after another gets the same answer.
const SAME_LOGIN: Duration = Duration::from_secs(60);

impl UserActor {
    pub(super) fn log_in(&mut self, opened: Opened, context: &mut Context<Self>) {
        let Opened { login, at, pipe } = opened;
        if pipe.offer(Outbound::Attached(context.address().recipient())).is_err() {
            return;
        }
        let connection = pipe.connection;
        self.act(context, |ready, shared, wants| {
            ready.attach(pipe, shared);
            ready.learn(&login, shared);
            let input = Input::Connected { connection, resume: login.resume.clone() };
            let mut effects = ready.session.on(input, Timestamp::now());
            if !login.is_bare() {
                effects.extend(ready.session.on(Input::CatchUp(connection), Timestamp::now()));
            }
            let recovered = effects.contains(&Effect::Welcome { connection, recovered: true });
            if login.is_bare() {
                effects.retain(|effect| !matches!(effect, Effect::Welcome { .. }));
            } else {
                shared.metrics.time(Timing::Login, at.elapsed());
            }
            ready.run(effects, shared);
            ready.arm(wants);
            if ready.pipe(connection).is_none() || (login.resume.is_some() && recovered) {
                return; // Refused, or everything is there already.
            }
            let again = ready.last_login.clone().filter(|(when, _)| when.elapsed() < SAME_LOGIN);
            match again {
                Some((_, frame)) => {
                    ready.send(connection, frame, shared);
                    if login.is_bare() {
                        ready.late_welcome(connection, at, shared);
                    }
                }
                None if ready.is_robot => ready.late_welcome(connection, at, shared),
                None => {
                    let late = login.is_bare().then_some((connection, at));
                    let last_seen = ready.profile.last_seen();
                    let login = shared.definitions.load().login.clone();
                    ready.consider(login, None, late, shared, wants);
                    ready.returned(last_seen, shared, wants);
                }
            }
        });
    }

    pub(super) fn received(&mut self, received: Received, context: &mut Context<Self>) {
        let Received { connection, at, kind } = received;
        let inbound = match kind {
            ReceivedKind::Closed => {
                if let State::Ready(ready) = &mut self.state {
                    ready.detach(connection, &self.shared);
                    if ready.pipes.is_empty() {
                        self.idle_since = Some(Instant::now());
                    }
                }
                return;
            }
            ReceivedKind::Frame(inbound) => inbound,
        };
        match inbound {
            Inbound::Events(raws) => self.events(connection, raws, at, context),
            other => self.with_ready(context, |ready, shared, _| ready.inbound(connection, other, shared)),
        }
    }

    /// Validates, hands over for commit, and folds in what was stored.
    fn events(
        &mut self,
        connection: ConnectionId,
        raws: Vec<RawEvent>,
        at: Instant,
        context: &mut Context<Self>,
    ) {
        let limits = EventLimits::at(Timestamp::now());
        let single = raws.len() == 1;
        let mut good: Vec<NewEvent> = Vec::with_capacity(raws.len());
        let mut ids = Vec::with_capacity(raws.len());
        let mut refused = Vec::new();
        for raw in raws {
            let event_id = raw.event_id.clone();
            match raw.validate(Some(&self.user), &limits) {
                Ok(event) => {
                    good.push(event);
                    ids.push(event_id);
                }
                Err(error) => {
                    refused.push(frames::error(error.code, &error.to_string(), false, event_id.as_ref()))
                }
            }
        }
        self.shared.metrics.add(Count::RejectedEvents, refused.len() as u64);
        self.with_ready(context, |ready, shared, _| {
            ready.send_errors(connection, refused, false, shared);
        });
        if good.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let commit = async move { shared.ingest(good, at, Origin::UserActor).await };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| {
            actor.note_committed();
            actor.with_ready(context, |ready, shared, wants| match outcome {
                Ok(appended) => {
                    ready.answer(connection, &ids, &appended, single, shared);
                    let events: Vec<Event> = appended.iter().filter_map(Appended::stored).collect();
                    ready.fold(&events, Some(at), shared, wants);
                }
                Err(error) => ready.refuse(connection, &ids, error, shared),
            });
        }));
    }
}

impl Ready {
    /// What a login tells about the user.
    fn learn(&mut self, login: &Login, shared: &Shared) {
        let mut stored = self.stored_preferences.clone();
        let zone = login.time_zone.as_ref().filter(|name| jiff::tz::TimeZone::get(name).is_ok());
        if let Some(name) = zone {
            self.device_zone = jiff::tz::TimeZone::get(name).ok();
        }
        stored.time_zone = zone.cloned().or(stored.time_zone);
        let locale =
            login.locale.as_ref().filter(|tag| tag.len() <= 35 && !tag.chars().any(char::is_control));
        stored.locale = locale.cloned().or(stored.locale);
        if stored != self.stored_preferences {
            self.set_preferences(stored.clone());
            self.record(Record::Preferences(self.user, stored), shared);
        }
    }

    /// The welcome of a minimal client, which got its recommendation first.
    pub(super) fn late_welcome(&mut self, connection: ConnectionId, since: Instant, shared: &Shared) {
        let frame = self.welcome(connection, true, shared);
        self.send(connection, frame, shared);
        let effects = self.session.on(Input::CatchUp(connection), Timestamp::now());
        self.run(effects, shared);
        shared.metrics.time(Timing::Login, since.elapsed());
    }

    fn inbound(&mut self, connection: ConnectionId, inbound: Inbound, shared: &Shared) {
        let now = Timestamp::now();
        match inbound {
            Inbound::Ack(offset) => {
                self.note_acknowledged(connection, offset);
                let effects = self.session.on(Input::Acknowledged { offset }, now);
                self.run(effects, shared);
            }
            Inbound::Read(id) => {
                let by = Some(connection);
                let input = id.map_or(Input::ReadAll { by }, |id| Input::Read { id, by });
                let effects = self.session.on(input, now);
                self.run(effects, shared);
            }
            Inbound::Seen(up_to) => {
                let effects = self.session.on(Input::Seen { up_to, by: Some(connection) }, now);
                self.run(effects, shared);
            }
            Inbound::Presence(visible) => {
                let effects = self.session.on(Input::Visible(connection, visible), now);
                self.run(effects, shared);
            }
            Inbound::Ping => self.send(connection, frames::pong(now), shared),
            Inbound::Feedback { notification_id, outcome, item_id } => {
                self.feedback(connection, notification_id, outcome, item_id, shared);
            }
            Inbound::Mute(wish) => self.mute(connection, &wish, shared),
            Inbound::Login(_) => {
                let frame = frames::error("already_logged_in", "this connection is logged in", false, None);
                self.send(connection, frame, shared);
            }
            Inbound::Events(_) => {} // Taken by the actor before.
        }
    }

    pub(super) fn feedback(
        &mut self,
        connection: ConnectionId,
        id: NotificationId,
        outcome: FeedbackOutcome,
        item: Option<ExternalId>,
        shared: &Shared,
    ) {
        let now = Timestamp::now();
        let Some(sent) = self.policy.find(id) else {
            let frame = frames::error(
                "unknown_notification",
                "no such message to this user in the last week",
                false,
                None,
            );
            return self.send(connection, frame, shared);
        };
        let category = sent.category.to_string();
        let item = item.and_then(|item| shared.catalogue.load().find(&item).map(|item| item.id));
        let row = FeedbackRow {
            notification_id: id,
            outcome: outcome.code(),
            user: self.user,
            item,
            value: None,
            occurred_at: now,
        };
        self.record(Record::Feedback(row), shared);
        self.note_response(id, outcome, shared);
        if outcome == FeedbackOutcome::Clicked {
            let effects = self.session.on(Input::Read { id, by: Some(connection) }, now);
            self.run(effects, shared);
        }
        if outcome.is_rejection() {
            self.policy.note_dismissed(id, now);
        }
        if outcome == FeedbackOutcome::Muted {
            let mut stored = self.stored_preferences.clone();
            if !stored.muted.contains(&category) {
                stored.muted.push(category);
            }
            self.set_preferences(stored.clone());
            self.record(Record::Preferences(self.user, stored), shared);
        }
    }

    /// A purchase that follows a message naming the item is the message's conversion.
    pub(super) fn credit(&self, event: &Event, shared: &Shared) {
        let (EventKind::Purchase, Some(item)) = (event.kind, event.item) else { return };
        let Some(sent) = self.policy.credit(item, &shared.rules.load(), event.occurred_at) else { return };
        let row = FeedbackRow {
            notification_id: sent.id,
            outcome: FeedbackOutcome::Converted.code(),
            user: self.user,
            item: Some(item),
            value: event.value,
            occurred_at: event.occurred_at,
        };
        self.record(Record::Feedback(row), shared);
    }

    fn answer(
        &mut self,
        connection: ConnectionId,
        ids: &[Option<serde_json::Value>],
        appended: &[Appended],
        single: bool,
        shared: &Shared,
    ) {
        let duplicates = appended.iter().filter(|appended| appended.stored().is_none()).count();
        let frame = match (single, ids) {
            (true, [id]) => frames::accepted(id.as_ref(), duplicates > 0),
            _ => frames::accepted_many(appended.len() - duplicates, duplicates),
        };
        self.send(connection, frame, shared);
    }

    fn refuse(
        &mut self,
        connection: ConnectionId,
        ids: &[Option<serde_json::Value>],
        error: IngestError,
        shared: &Shared,
    ) {
        let code = match error {
            IngestError::Overloaded => "overloaded",
            IngestError::Unavailable => "unavailable",
        };
        let message = error.to_string();
        let errors = ids.iter().map(|id| frames::error(code, &message, true, id.as_ref())).collect();
        self.send_errors(connection, errors, true, shared);
    }

    /// One frame an event, up to [`MAX_ERRORS`], then one for the rest: a large batch must not fill its sender's own pipe.
    fn send_errors(
        &mut self,
        connection: ConnectionId,
        errors: Vec<Frame>,
        temporary: bool,
        shared: &Shared,
    ) {
        let more = errors.len().saturating_sub(MAX_ERRORS);
        for frame in errors.into_iter().take(MAX_ERRORS) {
            self.send(connection, frame, shared);
        }
        if more > 0 {
            let message = format!("{more} more events of this frame were refused");
            self.send(connection, frames::error("more_refused", &message, temporary, None), shared);
        }
    }

    /// A user who acts faster than a person is flagged: kept, not learned from, not answered.
    pub(super) fn watch_rate(&mut self, events: &[Event], shared: &Shared) {
        let ingest = &shared.config.ingest;
        let limits =
            RobotLimits { per_minute: ingest.robot_events_per_minute, per_day: ingest.robot_events_per_day };
        let now = Timestamp::now();
        let robot = events.iter().fold(false, |_, event| self.meter.note(event.kind, now, &limits));
        if robot && !self.is_robot {
            self.is_robot = true;
            log::warn!("robot flagged user_id={}", self.external_id);
            self.record(Record::Robot(self.user), shared);
        }
    }

    pub(super) fn mark(&self, mark: Mark, shared: &Shared) {
        self.record(Record::Mark(mark), shared);
    }

    pub(super) fn record(&self, record: Record, shared: &Shared) {
        if !shared.journal.offer(record).is_queued() {
            shared.metrics.add(Count::MailboxFull, 1);
        }
    }
}
