//! Simulated Web Push: rows are claimed within the budgets of their push services, sent, and recorded; push services accept, refuse,
//! put off, hang, fail or end a subscription. Also what wakes users who are away: due deferred triggers, and messages left behind by
//! a server that died.

use std::fmt;

use tidings::base::{Millis, NotificationId, UserId};
use tidings::decide::Input;
use tidings::decide::record::{HandOver, Record};
use tidings::deliver::push_services::{Allowance, Outcome};

use crate::faults::Fault;
use crate::journal::Entry;
use crate::shadow::Property;
use crate::sim::{Event, Sim};
use crate::store::uuid_of;

/// A claim outlives the longest request.
const LEASE: Millis = Millis(70_000);
/// A push service takes a message after so long, microseconds, and answers as much later.
const TAKES: i64 = 20_000;
/// A request without an answer is given up after so long, microseconds.
const TIMEOUT: i64 = 10_000_000;
/// What a push service puts off is tried again after this.
const LATER: Millis = Millis(30_000);
/// A subscription that was refused so often has ended.
const MAX_REFUSALS: u32 = 5;
/// Push services; a device belongs to one of them.
pub const SERVICES: usize = 2;
/// What is due for a service that never failed waits at most so long, microseconds.
const WAITS: i64 = 10_000_000;
/// The same for one that failed and is well again: the longest pause of a breaker and a slow return.
const WAITS_AFTER_FAILURE: i64 = 300_000_000;
/// Absent users are looked after this often, microseconds.
const LOOK: i64 = 2_000_000;
/// Deferred triggers that have expired are looked for this often.
const UPKEEP: i64 = 3_600_000_000;
/// One that is still there this long after its user was woken: once more.
const AGAIN: i64 = 60_000_000;

/// What a push service does with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushFate {
    /// It never takes this message.
    Unfit,
    /// It refuses the subscription.
    Refused,
    Later,
    /// It has the message; its answer is lost, and it is asked again.
    TakenUnanswered,
    Gone,
}

/// What is wrong with a push service until it is well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illness {
    /// It accepts connections and never answers.
    Hangs,
    /// It answers 500.
    Fails,
}

/// A push service.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushService {
    pub illness: Option<Illness>,
    /// Monotonic time of its last failure.
    failed_at: Option<i64>,
}

/// How a claimed row ends.
#[derive(Clone, Copy, Debug)]
pub struct PushEnd {
    pub notification: NotificationId,
    pub user: usize,
    pub device: usize,
    pub what: End,
    pub outcome: Outcome,
}

/// Part of a [`PushEnd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Taken,
    Dropped,
    Gone,
    Refused,
    PutOff,
    /// Put off as well; the service may have it.
    Unanswered,
}

impl fmt::Display for PushFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfit => "says that the message does not fit",
            Self::Refused => "refuses",
            Self::Later => "says later",
            Self::TakenUnanswered => "takes it, the answer is lost",
            Self::Gone => "has ended the subscription",
        })
    }
}

impl Sim {
    pub fn wake_pusher(&mut self, server: usize) {
        self.push_later(server, self.mono + 1_000);
    }

    fn push_later(&mut self, server: usize, at: i64) {
        let push_at = &mut self.servers[server].push_at;
        if push_at.is_none_or(|known| known > at) {
            *push_at = Some(at);
            self.schedule_for(server, at, Event::Push);
        }
    }

    /// Frees every claim of an earlier life; what was claimed may have been shown.
    pub fn release_claims(&mut self) {
        let claimed = self.store.pushes.iter_mut().filter(|row| row.claimed_until.is_some());
        let ids: Vec<(usize, NotificationId)> = claimed
            .map(|row| {
                row.claimed_until = None;
                (row.user, row.notification)
            })
            .collect();
        for (user, id) in ids {
            self.note_pushed(user, id);
        }
    }

    fn note_pushed(&mut self, user: usize, id: NotificationId) {
        let mut rows = self.store.users[user].messages.iter_mut();
        if let Some(row) = rows.find(|row| row.message.notification_id == id) {
            row.given = true;
        }
    }

    /// Name of the push service of a device, as the server knows it.
    fn service_of(&self, device: usize) -> &'static str {
        if self.fault == Some(Fault::OneBreakerForAll) {
            return "all";
        }
        ["https://a.example", "https://b.example"][device % SERVICES]
    }

    /// Claims what is due and may be sent, and sends it.
    pub fn push(&mut self, server: usize) {
        if self.servers[server].push_at.is_none_or(|at| at > self.mono) {
            return;
        }
        self.servers[server].push_at = None;
        if self.store.holder != server {
            return;
        }
        let now = self.now();
        for row in &mut self.store.pushes {
            row.claimed_until = row.claimed_until.filter(|until| *until > now);
        }
        let mut allowance = self.servers[server].services.allowance(0, now);
        while let Some(place) = self.next_row(&allowance) {
            let row = &mut self.store.pushes[place];
            row.claimed_until = Some(now + LEASE);
            let (device, user) = (row.device, row.user);
            let service = self.service_of(device);
            allowance.spend(service, 1);
            let services = &mut self.servers[server].services;
            services.started(service, now);
            services.note_turn(service, UserId(user as u32));
            allowance.note_turn(service, UserId(user as u32));
            self.send_push(server, place);
        }
        self.check_waiting(server);
        let rows = self.store.pushes.iter();
        if let Some(at) = rows.map(|row| row.claimed_until.unwrap_or(row.due_at)).min() {
            self.push_later(server, self.mono + (at.0 - now.0).max(1_000_000));
        }
    }

    /// Place of the row that is claimed next: of a service that may be sent to, of the user whose turn it is, the longest due.
    fn next_row(&self, allowance: &Allowance) -> Option<usize> {
        let now = self.now();
        let rows = self.store.pushes.iter().enumerate();
        let due = rows.filter(|(_, row)| row.due_at <= now && row.claimed_until.is_none());
        let may = due.filter(|(_, row)| allowance.of(self.service_of(row.device)) > 0);
        may.min_by_key(|(place, row)| {
            let service = self.service_of(row.device);
            let user = UserId(row.user as u32);
            let had_turn = allowance.turn_after(service).is_some_and(|last| user <= last);
            (service, had_turn, user, row.due_at, *place)
        })
        .map(|(place, _)| place)
    }

    fn send_push(&mut self, server: usize, place: usize) {
        let row = &self.store.pushes[place];
        let (notification, user, device, expires_at) =
            (row.notification, row.user, row.device, row.expires_at);
        let (mono, now) = (self.mono, self.now());
        let rows = &self.store.users[user];
        let row = rows.messages.iter().find(|row| row.message.notification_id == notification);
        let shown = rows
            .feedback
            .iter()
            .any(|row| row.notification_id == notification && (1..=3).contains(&row.outcome));
        let settled =
            shown || expires_at <= now || row.is_none_or(|row| row.withdrawn || row.is_dealt_with());
        let service = &mut self.push_services[device % SERVICES];
        let (what, outcome, after) = if settled {
            (End::Dropped, Outcome::Unused, 2 * TAKES)
        } else if let Some(illness) = service.illness {
            match illness {
                Illness::Hangs => (End::Unanswered, Outcome::Failed, TIMEOUT),
                Illness::Fails => (End::PutOff, Outcome::Failed, 2 * TAKES),
            }
        } else {
            match self.push_fates.pop_front() {
                None => (End::Taken, Outcome::Answered, 2 * TAKES),
                Some(PushFate::Unfit) => (End::Dropped, Outcome::Answered, 2 * TAKES),
                Some(PushFate::Refused) => (End::Refused, Outcome::Answered, 2 * TAKES),
                Some(PushFate::Gone) => (End::Gone, Outcome::Answered, 2 * TAKES),
                Some(PushFate::Later) => (End::PutOff, Outcome::Busy(LATER), 2 * TAKES),
                Some(PushFate::TakenUnanswered) => {
                    let taken = Event::PushTaken { notification, user, device };
                    self.schedule_for(server, mono + TAKES, taken);
                    (End::Unanswered, Outcome::Failed, 2 * TAKES)
                }
            }
        };
        if what == End::Taken {
            self.schedule_for(server, mono + TAKES, Event::PushTaken { notification, user, device });
        }
        if matches!(outcome, Outcome::Failed | Outcome::Busy(_)) {
            self.push_services[device % SERVICES].failed_at = Some(mono + after);
        }
        let end = PushEnd { notification, user, device, what, outcome };
        if self.prints {
            println!("  {now} push from server {server}: {end:?}");
        }
        self.schedule_for(server, mono + after, Event::PushEnds(end));
    }

    /// What is due for a service that is well does not wait for others, nor for long after it was ill.
    fn check_waiting(&mut self, server: usize) {
        let (mono, now) = (self.mono, self.now());
        let due = |row: &&crate::store::PushRow| row.due_at <= now && row.claimed_until.is_none();
        let waiting: Vec<_> =
            self.store.pushes.iter().filter(due).map(|row| (row.notification, row.device)).collect();
        let seen = &mut self.servers[server].push_waits;
        seen.retain(|one, _| waiting.contains(one));
        for one in waiting {
            let since = *self.servers[server].push_waits.entry(one).or_insert(mono);
            let service = self.push_services[one.1 % SERVICES];
            let (begins, bound) = match service.failed_at {
                Some(at) => (since.max(at), WAITS_AFTER_FAILURE),
                None => (since, WAITS),
            };
            if service.illness.is_none() && mono - begins > bound {
                let ms = (mono - begins) / 1_000;
                self.fail(Property::Push, format!("{} waits {ms} ms for a push service that is well", one.0));
            }
        }
    }

    /// A push service falls ill, or is well again.
    pub fn ail(&mut self, service: usize, illness: Option<Illness>) {
        let mono = self.mono;
        let service = &mut self.push_services[service % SERVICES];
        if service.illness.is_some() || illness.is_some() {
            service.failed_at = Some(mono);
        }
        service.illness = illness;
    }

    /// The browser's service worker shows it, unless a page has.
    pub fn push_taken(&mut self, notification: NotificationId, user: usize, device: usize) {
        self.shown_by_push(user, device, notification);
    }

    /// What became of a push is recorded. What was not answered may be shown.
    pub fn push_ends(&mut self, server: usize, end: PushEnd) {
        let PushEnd { notification: id, user: named, device, what, outcome } = end;
        let user = self.store.user_of(named);
        let now = self.now();
        let chance = (self.number("chance") as f64 * 0.618).fract();
        let service = self.service_of(device);
        self.servers[server].services.ended(service, outcome, now, chance);
        let is_refused_for_good = what == End::Refused && {
            let refusals = self.store.users[user].refusals.entry(device).or_default();
            *refusals += 1;
            *refusals >= MAX_REFUSALS
        };
        if what == End::Taken {
            self.store.users[user].refusals.remove(&device);
        }
        match what {
            End::Gone => self.unsubscribe(user, device),
            End::Refused if is_refused_for_good => self.unsubscribe(user, device),
            End::Taken | End::Dropped => {
                self.store.pushes.retain(|row| !(row.device == device && row.notification == id));
            }
            End::Refused | End::PutOff | End::Unanswered => {
                let mut rows = self.store.pushes.iter_mut();
                if let Some(row) = rows.find(|row| row.notification == id && row.device == device) {
                    (row.due_at, row.claimed_until) = (now + LATER, None);
                }
            }
        }
        if matches!(what, End::Taken | End::Unanswered) {
            self.note_pushed(user, id);
            self.tell(server, user, Input::Pushed(id));
        }
        self.push_later(server, self.mono + 1_000);
    }

    pub fn unsubscribe(&mut self, user: usize, device: usize) {
        self.store.users[user].subscriptions.remove(&device);
        self.store.users[user].refusals.remove(&device);
        self.store.pushes.retain(|row| row.device != device);
        let none = self.store.users[user].subscriptions.is_empty();
        for server in self.servers.iter_mut().filter(|_| none) {
            server.subscribed.remove(&user);
        }
    }

    /// Hands over what users who have not come back were given before this server started.
    pub fn sweep(&mut self, server: usize) {
        for user in self.store.left_behind(self.now()) {
            if self.servers[server].registry[user].is_none() {
                let hand_over =
                    HandOver { user: self.store.users[user].user, seen_up_to: i64::MAX, due_at: self.now() };
                self.journal(server, Entry::of(Record::HandOver(hand_over)));
            }
        }
    }

    pub fn schedule_look(&mut self, server: usize) {
        let at = self.mono + LOOK.max(self.tick / 4);
        self.servers[server].look_at = Some(at);
        self.schedule_for(server, at, Event::LookAfter);
    }

    /// Wakes absent users with a subscription for whom something is due.
    pub fn look_after(&mut self, server: usize) {
        let (now, mono) = (self.now(), self.mono);
        let not_for = &self.config().webpush.not_for;
        self.servers[server].woken.retain(|_, when| mono - *when < AGAIN);
        let mut due = Vec::new();
        for (user, rows) in self.store.users.iter().enumerate() {
            if rows.subscriptions.is_empty() {
                continue;
            }
            for row in &rows.held {
                if row.until <= now && row.expires_at > now && !not_for.contains(&row.trigger) {
                    due.push((user, row.held_id));
                }
            }
        }
        for (user, held_id) in due {
            if let std::collections::btree_map::Entry::Vacant(slot) =
                self.servers[server].woken.entry(held_id)
            {
                slot.insert(mono);
                let instance = self.get_or_start(server, user);
                self.happened(server, instance, Input::DueInStore(held_id));
            }
        }
        if mono - self.upkept >= UPKEEP {
            self.upkept = mono;
            let mut number = self.number("expired") << 20;
            let id = || {
                number += 1;
                uuid_of("expired", number)
            };
            let ended = self.store.expire_deferred(now, id);
            self.shadow.ended(&ended);
        }
        self.schedule_look(server);
    }
}
