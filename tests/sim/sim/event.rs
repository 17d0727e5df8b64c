//! Happenings that come on their own, in the order of virtual time.

use std::cmp::Reverse;

use tidings::base::NotificationId;

use super::Sim;
use crate::journal::Reply;
use crate::push::PushEnd;

/// Something that will happen on its own.
#[derive(Clone, Debug)]
pub enum Event {
    /// A timer of an actor; the number tells it from those before.
    Timer {
        instance: u64,
        timer: u64,
    },
    /// Housekeeping of an actor.
    Tick {
        instance: u64,
    },
    /// An actor was read.
    Read {
        instance: u64,
    },
    /// An actor that is out of the registry ends.
    Stop {
        instance: u64,
    },
    /// An actor that was started for messages looks whether it is done.
    Finish {
        instance: u64,
    },
    CommitBegins,
    CommitEnds,
    /// An answer of the journal that comes late.
    Reply {
        reply: Reply,
        stored: bool,
    },
    /// The notifier works.
    Round,
    /// Absent users are looked after.
    LookAfter,
    /// The push outbox is looked at.
    Push,
    /// A push service has taken a message.
    PushTaken {
        notification: NotificationId,
        user: usize,
        device: usize,
    },
    /// What became of a push is recorded.
    PushEnds(PushEnd),
    /// Users left behind by an earlier server are looked for.
    Sweep,
    /// A server that has lost the lease asks for it.
    ChecksLease,
    /// Looks whether two users who are being merged stand still.
    Merge,
}

#[derive(Debug)]
pub(super) struct Scheduled {
    at: i64,
    order: u64,
    server: usize,
    life: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl Sim {
    pub fn schedule_for(&mut self, server: usize, at: i64, event: Event) {
        self.order += 1;
        let life = self.servers[server].life;
        self.queue.push(Reverse(Scheduled { at, order: self.order, server, life, event }));
    }

    /// Lets time pass and whatever is due happen.
    pub fn pass(&mut self, ms: u64) {
        let end = self.mono + ms as i64 * 1_000;
        self.tick = (ms as i64 * 1_000 / 12).max(30_000_000);
        while self.violation.is_none() && self.queue.peek().is_some_and(|next| next.0.at <= end) {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            self.mono = self.mono.max(next.at);
            if self.servers[next.server].life == next.life && self.servers[next.server].is_alive {
                self.happen(next.server, next.event);
                self.check_after_event();
            }
        }
        self.mono = end;
        self.tick = 30_000_000;
    }

    fn happen(&mut self, server: usize, event: Event) {
        match event {
            Event::Timer { instance, timer } => self.timer(server, instance, timer),
            Event::Tick { instance } => self.tick_actor(server, instance),
            Event::Read { instance } => self.was_read(server, instance),
            Event::Stop { instance } => self.stop_actor(server, instance),
            Event::Finish { instance } => self.finish_if_done(server, instance),
            Event::CommitBegins => self.commit_begins(server),
            Event::CommitEnds => self.commit_ends(server),
            Event::Reply { reply, stored } => self.reply(server, reply, stored),
            Event::Round => self.round(server),
            Event::LookAfter => self.look_after(server),
            Event::Push => self.push(server),
            Event::PushTaken { notification, user, device } => self.push_taken(notification, user, device),
            Event::PushEnds(end) => self.push_ends(server, end),
            Event::Sweep => self.sweep(server),
            Event::ChecksLease => self.notice_loss(),
            Event::Merge => self.merge_goes_on(server),
        }
    }
}
