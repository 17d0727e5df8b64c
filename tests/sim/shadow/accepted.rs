//! What was accepted never vanishes: at any moment it lies in the outbox, waits as a deferred trigger, has its place in the
//! stream, or has a stored reason; and it has one place only.

use std::collections::BTreeSet;

use tidings::base::{ExternalId, NotificationId};
use tidings::decide::Effect;
use tidings::decide::record::{DeferredRow, Record};
use tidings::notify::message::Message;
use uuid::Uuid;

use super::{Property, Shadow};
use crate::sim::Sim;
use crate::store::UserRows;

/// What the shop asked for.
#[derive(Clone, Debug)]
pub enum What {
    /// A message of the API; its kind is one of a kind.
    Message { id: NotificationId, batch: Uuid, kind: String },
    /// A trigger; `mark` stands in its event, and `ids` are its rows.
    Trigger { mark: u64, ids: BTreeSet<Uuid> },
}

#[derive(Clone, Debug)]
pub struct Accepted {
    pub user: usize,
    pub what: What,
    /// The shop was told that it is accepted.
    pub is_accepted: bool,
    pub withdrawn: bool,
    /// It has its place or its reason, for good.
    pub is_done: bool,
    /// Stored rows that may say what became of a trigger.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Decision(Uuid),
    Message(NotificationId),
}

impl Shadow {
    pub fn submitted(&mut self, names: &[ExternalId], batch: Uuid, users: &[usize], message: &Message) {
        for user in users {
            let id = NotificationId::of_batch(batch, &names[*user]);
            self.accepted.push(Accepted {
                user: *user,
                what: What::Message { id, batch, kind: message.kind.to_string() },
                is_accepted: false,
                withdrawn: false,
                is_done: false,
                links: Vec::new(),
            });
        }
    }

    /// The shop is told that a batch is accepted.
    pub fn accepted(&mut self, of: Uuid) {
        for one in &mut self.accepted {
            one.is_accepted |= matches!(one.what, What::Message { batch, .. } if batch == of);
        }
    }

    pub fn fired(&mut self, user: usize, row: &DeferredRow, mark: u64) {
        for one in &mut self.accepted {
            match &mut one.what {
                What::Trigger { mark: known, ids } if *known == mark && one.user == user => {
                    ids.insert(row.held_id);
                    return;
                }
                _ => {}
            }
        }
        let what = What::Trigger { mark, ids: [row.held_id].into() };
        let links = Vec::new();
        self.accepted.push(Accepted {
            user,
            what,
            is_accepted: true,
            withdrawn: false,
            is_done: false,
            links,
        });
    }

    pub fn withdrawn(&mut self, of: NotificationId) {
        for one in &mut self.accepted {
            one.withdrawn |= matches!(one.what, What::Message { id, .. } if id == of);
        }
    }

    /// User, id and batch of a message that the shop knows to be accepted, counted from the newest.
    pub fn newest_accepted(&self, back: u8) -> Option<(usize, NotificationId, Uuid)> {
        let known = self.accepted.iter().rev().filter(|one| one.is_accepted && !one.withdrawn);
        let mut messages = known.filter_map(|one| match one.what {
            What::Message { id, batch, .. } => Some((one.user, id, batch)),
            What::Trigger { .. } => None,
        });
        messages.nth(back as usize)
    }

    /// Which decision or message is to end which deferred triggers.
    pub fn link(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Record(Record::Defer(row)) => self.follow(row),
                Effect::Record(Record::Decision(row, releases)) => {
                    self.ends(releases, Link::Decision(row.decision_id));
                }
                Effect::Store(outgoing) => {
                    self.ends(&outgoing.releases, Link::Message(outgoing.notification.notification_id));
                }
                _ => {}
            }
        }
    }

    /// Deferred triggers that ended outside of their users' actors, with the decisions about them.
    pub fn ended(&mut self, ended: &[(Uuid, Uuid)]) {
        for (held_id, decision_id) in ended {
            self.ends(&[*held_id], Link::Decision(*decision_id));
        }
    }

    fn ends(&mut self, releases: &[Uuid], link: Link) {
        for one in self.accepted.iter_mut().filter(|_| !releases.is_empty()) {
            if let What::Trigger { ids, .. } = &one.what
                && releases.iter().any(|id| ids.contains(id))
            {
                one.links.push(link);
            }
        }
    }

    /// A deferred trigger may go on under another id.
    fn follow(&mut self, row: &DeferredRow) {
        let Some(marked) = mark_of(row) else { return };
        for one in &mut self.accepted {
            if let What::Trigger { mark, ids } = &mut one.what
                && *mark == marked
            {
                ids.insert(row.held_id);
            }
        }
    }
}

fn mark_of(row: &DeferredRow) -> Option<u64> {
    let title = row.event.as_deref()?.get("title")?.as_str()?;
    title.strip_prefix("mark-")?.strip_suffix('.')?.parse().ok()
}

fn says(frame: &str, mark: u64) -> bool {
    frame.contains(&format!("\"title\":\"mark-{mark}.\""))
}

impl Accepted {
    /// Whether it has its place or its reason, for good.
    fn is_settled(&self, rows: &UserRows) -> bool {
        match &self.what {
            What::Message { id, kind, .. } => {
                rows.messages.iter().any(|row| row.message.notification_id == *id)
                    || rows.decisions.iter().any(|row| row.outcome == "drop" && row.trace.campaign == *kind)
            }
            What::Trigger { mark, .. } => {
                rows.messages.iter().any(|row| says(&row.message.frame, *mark))
                    || self.links.iter().any(|link| match link {
                        Link::Decision(id) => rows.decisions.iter().any(|row| {
                            row.decision_id == *id && matches!(row.outcome.as_str(), "drop" | "digest")
                        }),
                        Link::Message(id) => {
                            rows.messages.iter().any(|row| row.message.notification_id == *id)
                        }
                    })
            }
        }
    }

    fn waits(&self, sim: &Sim) -> bool {
        match &self.what {
            What::Message { batch, .. } => {
                sim.store.outbox.values().any(|row| row.batch == *batch && row.users.contains(&self.user))
            }
            What::Trigger { mark, .. } => {
                // Its rows move at the end of a merge, later than its name.
                let held = &sim.store.users[sim.store.user_of(self.user)].held;
                held.iter().any(|row| mark_of(row) == Some(*mark))
            }
        }
    }
}

impl Sim {
    /// Nothing that was accepted has vanished.
    pub fn check_accepted(&mut self) {
        let mut vanished = None;
        for place in 0..self.shadow.accepted.len() {
            let one = &self.shadow.accepted[place];
            if one.is_done || !one.is_accepted || one.withdrawn {
                continue;
            }
            if one.is_settled(&self.store.users[self.store.user_of(one.user)]) {
                self.shadow.accepted[place].is_done = true;
            } else if !self.shadow.accepted[place].waits(self) {
                vanished = Some(format!("vanished: {:?}", self.shadow.accepted[place]));
            }
        }
        if let Some(text) = vanished {
            self.fail(Property::Accepted, text);
        }
    }

    /// At rest everything that was accepted has its place or its reason.
    pub fn check_settled(&mut self) {
        self.check_accepted();
        let left = self.shadow.accepted.iter().find(|one| one.is_accepted && !one.withdrawn && !one.is_done);
        if let Some(one) = left {
            let text = format!("still waiting at rest: {one:?}");
            self.fail(Property::Accepted, text);
        }
    }

    /// A message that was stored tells something that no other has told: neither another trigger, nor another message of its call,
    /// to another id of the same person.
    pub fn check_once(&mut self, user: usize, id: NotificationId) {
        let rows = &self.store.users[user];
        let Some(row) = rows.messages.iter().find(|row| row.message.notification_id == id) else { return };
        let call = row.message.call;
        if call.is_some() && rows.messages.iter().filter(|row| row.message.call == call).count() > 1 {
            let text = format!("user {user} was told by the call {call:?} under two ids, at last by {id}");
            return self.fail(Property::Accepted, text);
        }
        let frame = &row.message.frame;
        let Some(start) = frame.find("\"title\":\"mark-") else { return };
        let digits: String = frame[start + 14..].chars().take_while(char::is_ascii_digit).collect();
        let Ok(mark) = digits.parse::<u64>() else { return };
        let told = rows.messages.iter().filter(|row| says(&row.message.frame, mark)).count();
        let fired = self.shadow.accepted.iter().filter_map(|one| match &one.what {
            What::Trigger { mark: known, ids } if *known == mark && self.stands_for(one.user) == user => {
                Some(one.fired(ids))
            }
            _ => None,
        });
        let fired: usize = fired.sum();
        if fired > 0 && told > fired {
            self.fail(Property::Accepted, format!("mark {mark} was told {told} times, fired {fired} times"));
        }
    }
}

impl Accepted {
    /// How often the shop fired it: ids under which it went on do not count.
    fn fired(&self, ids: &BTreeSet<Uuid>) -> usize {
        ids.iter().filter(|id| id.get_version_num() == 8).count()
    }
}
