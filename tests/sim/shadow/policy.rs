//! What users wish and what the policy promises: caps, quiet hours, consent, mutes, opt-out, pauses and blocked channels.

use std::collections::VecDeque;

use jiff::tz::TimeZone;
use tidings::base::{Millis, NotificationId, Timestamp};
use tidings::config::Cap;
use tidings::decide::record::{NewNotification, Record};
use tidings::decide::{Effect, Input};
use tidings::notify::policy::{Mute, Muted, PreferenceChange, PreferenceDocument, Purpose, Settings};
use tidings::notify::{Channel, Priority};

use super::Property;
use crate::setting::{PolicyFacts, SETTING};
use crate::sim::{Parts, Sim};
use crate::store::UserRows;

/// Triggers whose messages the shop words itself.
const SAID_BY_SHOP: [&str; 3] = ["api", "announcement", "order_status"];

/// When and how a message was decided.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Number of the transition.
    transition: u64,
    /// The active definitions.
    active: usize,
    is_collected: bool,
}

/// An ephemeral message that was shown.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    pub transition: u64,
    pub at: Timestamp,
    pub category: String,
    pub server: usize,
}

/// Preferences of one user: as last wished, and as a crash leaves them.
#[derive(Default)]
pub struct Wishes {
    pub document: PreferenceDocument,
    durable: PreferenceDocument,
    durable_at: Option<Timestamp>,
    /// Changes over a connection that are not stored yet, and the server that is to store them.
    pending: VecDeque<(usize, PreferenceChange)>,
    /// Time zone of the device that logged in last, for each server.
    device_zone: [Option<String>; 2],
}

impl Wishes {
    fn replace(&mut self, document: PreferenceDocument, now: Timestamp) {
        self.document = document.clone();
        (self.durable, self.durable_at) = (document, Some(now));
    }

    /// Those of a merged user hold as well. Nothing of either was to be stored.
    pub fn join(&mut self, other: &Self, now: Timestamp) {
        self.replace(self.durable.clone().joined(&other.durable), now);
    }

    /// A client changed them; they are answered at once and stored later.
    fn change(&mut self, server: usize, change: PreferenceChange) {
        change.apply(&mut self.document, None);
        self.pending.push_back((server, change));
    }

    /// The oldest change of a server is stored.
    pub fn stored(&mut self, server: usize) {
        let Some(place) = self.pending.iter().position(|(of, _)| *of == server) else { return };
        if let Some((_, change)) = self.pending.remove(place) {
            change.apply(&mut self.durable, self.durable_at);
            self.durable_at = self.durable_at.max(Some(change.at));
        }
    }

    pub fn forgotten(&mut self, server: usize) {
        self.device_zone[server] = None;
        self.pending.retain(|(of, _)| *of != server);
        self.document = self.durable.clone();
    }

    fn zone(&self, server: usize, facts: &PolicyFacts) -> TimeZone {
        let own = self.document.time_zone.as_ref();
        let name = self.device_zone[server].as_ref().or(own);
        name.and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(|| facts.zone.clone())
    }

    fn is_quiet(&self, server: usize, facts: &PolicyFacts, now: Timestamp) -> bool {
        let own = self.document.quiet_from_minute.zip(self.document.quiet_to_minute);
        let (from, to) = own.map_or(facts.quiet, |(from, to)| (from as u16, to as u16));
        let local =
            jiff::Timestamp::from_microsecond(now.0).unwrap().to_zoned_datetime(self.zone(server, facts));
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        if from <= to { from <= minute && minute < to } else { minute >= from || minute < to }
    }
}

impl super::Shadow {
    pub fn preferences_replaced(&mut self, user: usize, document: PreferenceDocument, now: Timestamp) {
        self.users[user].wishes.replace(document, now);
    }

    pub fn muted_over_http(&mut self, user: usize, mute: Muted, now: Timestamp) {
        let wishes = &mut self.users[user].wishes;
        wishes.durable.keep_muted(mute.clone());
        wishes.durable_at = Some(now);
        wishes.document.keep_muted(mute);
    }
}

fn concerns(cap: &Cap, category: &str, campaign: &str, channel: &str) -> bool {
    let names = |scope: &str, name: &str| scope == "*" || scope == name;
    names(&cap.category, category) && names(&cap.campaign, campaign) && names(&cap.channel, channel)
}

fn campaign(message: &NewNotification) -> &str {
    if message.trigger == "api" { &message.kind } else { &message.trigger }
}

fn blocks(settings: &Settings, category: &str, channel: Channel) -> bool {
    let blocked = |key: &str| settings.blocked_channels.get(key).is_some_and(|all| all.contains(&channel));
    blocked(category) || blocked("*")
}

impl Sim {
    pub fn note_wishes(&mut self, server: usize, user: usize, input: &Input, effects: &[Effect]) {
        let wishes = &mut self.shadow.users[user].wishes;
        if let Input::LoggedIn { login, .. } = input
            && login.time_zone.is_some()
        {
            wishes.device_zone[server].clone_from(&login.time_zone);
        }
        for effect in effects {
            if let Effect::Record(Record::Preferences(_, change)) = effect
                && server == self.store.holder
            {
                wishes.change(server, PreferenceChange::clone(change));
            }
        }
    }

    /// Messages that a transition gives a place in the stream.
    pub fn check_placed(&mut self, user: usize, effects: &[Effect], parts: &Parts) {
        for effect in effects {
            let Effect::Store(outgoing) = effect else { continue };
            let message = &outgoing.notification;
            let id = message.notification_id;
            let collected = match &outgoing.decision {
                Some(row) => row.outcome == "digest",
                None => {
                    let settings = self.shadow.users[user].wishes.document.settings();
                    let wants = settings.digest.contains(&message.category) || settings.digest.contains("*");
                    wants && message.channel == Channel::Inbox
                }
            };
            let active = SETTING.active.iter().position(|active| std::ptr::eq(active, parts.active)).unwrap();
            let transition = self.tally.transitions;
            let decided = Decided { transition, active, is_collected: collected };
            self.shadow.users[user].decided.insert(id, decided);
            // Another server may have decided it before, in vain.
            self.shadow.users[user].hushed.remove(&id);
            if message.trigger == "login" || message.priority == Priority::Transactional {
                continue;
            }
            let facts = parts.active.facts(&self.names[user]);
            if collected {
                self.shadow.users[user].hushed.insert(id);
            }
            if let Some(broken) = self.objection(user, message, &facts) {
                let text = format!(
                    "{broken}: {} {} by {} at {}",
                    message.trigger,
                    message.category,
                    message.channel.name(),
                    self.now()
                );
                self.fail(Property::Policy, text);
            }
        }
    }

    /// What the user's wishes have against a message; `None` for nothing.
    fn objection(
        &mut self,
        user: usize,
        message: &NewNotification,
        facts: &PolicyFacts,
    ) -> Option<&'static str> {
        let (now, server) = (self.now(), self.store.holder);
        let rows = &self.store.users[user];
        let consents = |purpose, default| rows.consents_to(purpose).unwrap_or(default);
        let shadow = &mut self.shadow.users[user];
        let wishes = &shadow.wishes;
        let settings = wishes.document.settings();
        let category = message.category.as_str();
        // A digest without items tells messages of the shop only.
        let of_profile = !SAID_BY_SHOP.contains(&message.trigger.as_str()) && !message.items.is_empty();
        let muted = |mute: &Mute| match mute {
            Mute::Kind(name) => name == campaign(message),
            Mute::Item(name) => message.items.iter().any(|item| (item.0 + 100).to_string() == *name),
            _ => false,
        };
        let loud = message.channel != Channel::Inbox;
        let is_paused = settings.paused_until.is_some_and(|until| until > now);
        if is_paused {
            shadow.hushed.insert(message.notification_id);
        }
        let wants_digest = settings.digest.contains(category) || settings.digest.contains("*");
        let is_quiet = wishes.is_quiet(server, facts, now);
        match () {
            () if !consents(Purpose::Marketing, true) => Some("no consent to marketing"),
            () if of_profile && !consents(Purpose::Profiling, facts.profiling_by_default) => {
                Some("no consent to profiling")
            }
            () if settings.opted_out => Some("opted out"),
            () if wishes.document.muted.iter().any(|name| name == category) => Some("category muted"),
            () if settings.mutes.iter().any(muted) => Some("subject muted"),
            () if loud && is_paused => Some("paused"),
            () if loud
                && wants_digest
                && message.trigger != "digest"
                && message.priority < Priority::High =>
            {
                Some("wanted in the digest")
            }
            () if loud && blocks(&settings, category, message.channel) => Some("channel blocked"),
            () if message.channel == Channel::Push && !consents(Purpose::Push, true) => {
                Some("no consent to push")
            }
            () if loud && is_quiet => Some("quiet hours"),
            () => None,
        }
    }

    /// Caps, when a message that was decided is stored.
    pub fn check_caps(&mut self, user: usize, id: NotificationId) {
        let rows = &self.store.users[user];
        let shadow = &self.shadow.users[user];
        let Some(decided) = shadow.decided.get(&id).copied() else { return };
        let Some(row) = rows.messages.iter().find(|row| row.message.notification_id == id) else { return };
        if !self.counts(user, &row.message) {
            return;
        }
        let (message, at) = (&row.message, row.message.created_at);
        let facts = SETTING.active[decided.active].facts(&self.names[user]);
        let exceeded = facts.caps.iter().find_map(|cap| {
            if !concerns(cap, &message.category, campaign(message), message.channel.name()) {
                return None;
            }
            let used = self.used(user, rows, cap, at, decided.transition);
            (used > cap.max)
                .then(|| format!("cap {cap:?} exceeded: {used} at {at} with {}", campaign(message)))
        });
        if let Some(text) = exceeded {
            self.fail(Property::Policy, text);
        }
    }

    fn counts(&self, user: usize, message: &NewNotification) -> bool {
        let collected =
            self.shadow.users[user].decided.get(&message.notification_id).is_some_and(|one| one.is_collected);
        message.priority != Priority::Transactional && message.trigger != "login" && !collected
    }

    /// Messages within the cap's window that were shown, or could still be at its end.
    fn used(&self, user: usize, rows: &UserRows, cap: &Cap, at: Timestamp, transition: u64) -> usize {
        let since = at - Millis(cap.window_min * 60_000);
        let shadow = &self.shadow.users[user];
        let stored = rows.messages.iter().filter(|row| {
            let message = &row.message;
            let decided = shadow.decided.get(&message.notification_id);
            message.created_at > since
                && message.created_at <= at
                && decided.is_none_or(|one| one.transition <= transition)
                && self.counts(user, message)
                && concerns(cap, &message.category, campaign(message), message.channel.name())
                && (message.expires_at > at || shadow.shown.contains(&message.notification_id))
                && (!row.withdrawn || shadow.shown.contains(&message.notification_id))
        });
        let ephemeral = shadow.ephemeral.iter().filter(|one| {
            one.at > since
                && one.at <= at
                && one.transition <= transition
                && one.server == self.store.holder
                && concerns(cap, &one.category, "ephemeral", "socket")
        });
        stored.count() + ephemeral.count()
    }

    /// An ephemeral message that was shown keeps to everything a stored one keeps to.
    pub fn check_ephemeral(
        &mut self,
        server: usize,
        user: usize,
        input: &Input,
        effects: &[Effect],
        parts: &Parts,
    ) {
        let Input::Ephemeral(announcement) = input else { return };
        if !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Send(_, frame) if *frame == announcement.frame))
        {
            return;
        }
        let (at, category) = (self.now(), announcement.message.category.to_string());
        let transition = self.tally.transitions;
        self.shadow.users[user].ephemeral.push(Ephemeral {
            transition,
            at,
            category: category.clone(),
            server,
        });
        let facts = parts.active.facts(&self.names[user]);
        let rows = &self.store.users[user];
        let exceeded = facts.caps.iter().find(|cap| {
            concerns(cap, &category, "ephemeral", "socket")
                && self.used(user, rows, cap, at, transition) > cap.max
        });
        if let Some(cap) = exceeded {
            let text = format!("cap {cap:?} exceeded by an ephemeral message at {at}");
            self.fail(Property::Policy, text);
        }
    }

    /// A message that was collected, or decided while the user had paused, must say that it is not to be announced.
    pub fn check_silent(&mut self, device: usize, id: NotificationId, silent: bool) {
        let user = self.devices[device].user;
        if !silent && self.shadow.users[user].hushed.contains(&id) {
            self.fail(
                Property::Policy,
                format!("device {device} announces {id}, which only lies in the inbox"),
            );
        }
    }
}
