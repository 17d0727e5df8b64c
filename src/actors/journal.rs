//! Commits what was decided, sent, acknowledged and answered, in groups like [`super::ingest`]. A message is sent
//! only after its commit: store, then send, then acknowledge.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use tokio::sync::oneshot;

use super::shared::Shared;
use super::watch::Lifeline;
use crate::base::{Timestamp, UserId};
use crate::store::decisions::{self, DecisionRow};
use crate::store::feedback::{self, FeedbackRow};
use crate::store::notifications::{self, NewNotification};
use crate::store::preferences::{self, Preferences};
use crate::store::users;
use crate::telemetry::{Count, Timing};

/// Entries waiting in the mailbox.
const MAILBOX: usize = 16_384;
/// Entries in one commit.
const MAX_COMMIT: usize = 4_000;
/// Entries waiting; decisions beyond it are refused (and their messages not sent).
const MAX_WAITING: usize = 100_000;

/// Sent by user actors.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Record {
    /// A decision and, when it says send, the message. The reply comes after the commit; `false` = not stored.
    Decision {
        /// What was decided.
        decision: Box<DecisionRow>,
        /// The message.
        notification: Option<Box<NewNotification>>,
        /// Where the answer goes.
        reply: Option<oneshot::Sender<bool>>,
    },
    /// A client received everything up to an offset.
    Acknowledged {
        /// Who.
        user: UserId,
        /// Cumulative.
        offset: i64,
        /// When.
        at: Timestamp,
    },
    /// What came of a message. The first report of an outcome counts.
    Feedback(FeedbackRow),
    /// What a user asked of us.
    Preferences(UserId, Preferences),
    /// A user acts faster than a person.
    Robot(UserId),
    /// From the shutdown: answered when everything before it is committed.
    Flush(oneshot::Sender<bool>),
}

#[derive(Default)]
struct Group {
    decisions: Vec<DecisionRow>,
    notifications: Vec<NewNotification>,
    acknowledged: Vec<(UserId, i64, Timestamp)>,
    feedback: Vec<FeedbackRow>,
    preferences: Vec<(UserId, Preferences)>,
    robots: Vec<UserId>,
}

/// Groups and commits.
pub struct JournalActor {
    shared: Arc<Shared>,
    waiting: VecDeque<Record>,
    in_flight: bool,
    _lifeline: Lifeline,
}

impl JournalActor {
    /// Idle.
    pub fn new(shared: Arc<Shared>, lifeline: Lifeline) -> Self {
        Self { shared, waiting: VecDeque::new(), in_flight: false, _lifeline: lifeline }
    }

    fn next_group(&mut self) -> (Group, Vec<oneshot::Sender<bool>>) {
        let mut group = Group::default();
        let mut replies = Vec::new();
        let n = self.waiting.len().min(MAX_COMMIT);
        for record in self.waiting.drain(..n) {
            match record {
                Record::Decision { decision, notification, reply } => {
                    group.decisions.push(*decision);
                    group.notifications.extend(notification.map(|notification| *notification));
                    replies.extend(reply);
                }
                Record::Acknowledged { user, offset, at } => group.acknowledged.push((user, offset, at)),
                Record::Feedback(row) => group.feedback.push(row),
                Record::Flush(reply) => replies.push(reply),
                Record::Robot(user) => group.robots.push(user),
                Record::Preferences(user, preferences) => group.preferences.push((user, preferences)),
            }
        }
        (group, replies)
    }

    fn commit(&mut self, context: &mut Context<Self>) {
        if self.in_flight || self.waiting.is_empty() {
            return;
        }
        self.in_flight = true;
        let (group, replies) = self.next_group();
        let store = self.shared.store.clone();
        let started = Instant::now();
        let commit = async move {
            store
                .transaction(move |connection| {
                    notifications::insert(connection, &group.notifications)?;
                    decisions::insert(connection, &group.decisions)?;
                    let first = feedback::insert(connection, &group.feedback)?;
                    notifications::acknowledge(connection, &group.acknowledged)?;
                    for (user, preferences) in &group.preferences {
                        preferences::put(connection, *user, preferences)?;
                    }
                    users::mark_robots(connection, &group.robots)?;
                    Ok(first.into_iter().filter(|first| *first).count())
                })
                .await
        };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| {
            actor.in_flight = false;
            actor.shared.metrics.time(Timing::Commit, started.elapsed());
            let stored = match outcome {
                Ok(feedback) => {
                    actor.shared.metrics.add(Count::Feedback, feedback as u64);
                    true
                }
                Err(error) => {
                    log::error!("decisions not committed waiting={} error={error}", actor.waiting.len());
                    actor.shared.metrics.add(Count::FailedCommits, 1);
                    false
                }
            };
            for reply in replies {
                let _ = reply.send(stored);
            }
            actor.commit(context);
        }));
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Record> for JournalActor {
    type Result = ();

    fn handle(&mut self, record: Record, context: &mut Self::Context) {
        if self.waiting.len() >= MAX_WAITING {
            self.shared.metrics.add(Count::MailboxFull, 1);
            if let Record::Decision { reply: Some(reply), .. } = record {
                let _ = reply.send(false);
            }
            return;
        }
        self.waiting.push_back(record);
        self.commit(context);
    }
}
