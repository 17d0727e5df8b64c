//! What each step does: requests over HTTP, frames of clients, changes of the surroundings. A request stores first, then tells the
//! user's actor.

mod catalogue;
mod inbox;
mod preferences;

use std::sync::Arc;

use tidings::base::{ItemId, Millis, NotificationId};
use tidings::decide::record::DeferredRow;
use tidings::decide::{Announcement, Input};
use tidings::deliver::inbound::{MuteOf, MuteWish};
use tidings::deliver::{self, Change, Inbound, frames};
use tidings::event::{Event, EventKind};
use tidings::notify::Priority;
use tidings::notify::message::{Encoded, Message};

use crate::devices::DEVICES;
use crate::notifier::Submission;
use crate::setting::{self, CATEGORIES};
use crate::sim::Sim;
use crate::steps::{Api, Step, TRIGGERS};

/// What is due this soon may be on its way already and is not taken back.
const ON_ITS_WAY: Millis = Millis(5_000);

impl Sim {
    fn device(&self, device: u8) -> usize {
        device as usize % self.devices.len()
    }

    fn user(&self, user: u8) -> usize {
        self.stands_for(user as usize % self.names.len())
    }

    pub fn apply(&mut self, step: &Step) {
        match *step {
            Step::Pass(ms) => self.pass(ms),
            Step::Jump(ms) => self.jump(ms),
            Step::Login { device, resumes, bare, zone } => {
                self.login(self.device(device), resumes, bare, zone)
            }
            Step::Close { device, told } => self.close(self.device(device), told),
            Step::Stall(device) => self.stall(self.device(device)),
            Step::Flow(device) => self.flow(self.device(device)),
            Step::Look(device, visible) => self.look(self.device(device), visible),
            Step::Ack(_)
            | Step::Read { .. }
            | Step::Seen(_)
            | Step::Change { .. }
            | Step::Feedback { .. }
            | Step::Mute { .. }
            | Step::Ping(_) => {
                if let Some((device, frame)) = self.frame_of(step) {
                    self.say(device, frame);
                }
            }
            Step::Event { user, kind, item, n } => self.events(self.user(user), kind, Self::item(item), n),
            Step::Api(api) => self.api(&api),
            Step::Ephemeral { user, category } => self.ephemeral(self.user(user), category),
            Step::Fire { user, trigger, item, same } => self.fire(self.user(user), trigger, item, same),
            Step::Withdraw(back) => self.withdraw(back),
            Step::Switch { back, pauses } => self.switch(back, pauses),
            Step::HttpRead { user, all } => self.http_read(self.user(user), all),
            Step::HttpSeen(user) => self.http_seen(self.user(user)),
            Step::HttpChange { user, back, to } => self.http_change(self.user(user), back, to),
            Step::HttpMute { user, category } => self.http_mute(self.user(user), category),
            Step::Wish { user, wish } => self.put_preferences(self.user(user), wish),
            Step::Consent { user, purpose, granted } => self.consent(self.user(user), purpose, granted),
            Step::Item { item, change } => self.change_item(Self::item(item), change),
            Step::Model(version) => self.change_model(version),
            Step::Definitions(set) => self.change_definitions(set),
            Step::Subscribe(device) => self.subscribe(self.device(device)),
            Step::Unsubscribe(device) => {
                let device = self.device(device);
                self.unsubscribe(self.devices[device].user, device);
            }
            Step::Crash(server) => self.crash(server as usize),
            Step::Restart => self.restart(),
            Step::Lease => self.move_lease(),
            Step::Notice => self.notice_loss(),
            Step::Commit { server, fate } => {
                self.servers[server as usize].journal.fates.push_back(fate);
            }
            Step::Round(fate) => self.rounds.push_back(fate),
            Step::Read1(ms) => self.slow_reads.push_back(ms),
            Step::Push(fate) => self.push_fates.push_back(fate),
            Step::PushService { service, illness } => self.ail(service as usize, illness),
            Step::Merge { alias, user } => self.merge(self.user(alias), self.user(user)),
            Step::Full(user) => {
                let user = self.user(user);
                self.full.insert(user);
            }
        }
    }

    /// The device of a step and the frame it sends; nothing where it has received no message to speak of.
    fn frame_of(&self, step: &Step) -> Option<(usize, Inbound)> {
        Some(match *step {
            Step::Ack(device) => {
                let device = self.device(device);
                (device, Inbound::Ack(self.devices[device].position?))
            }
            Step::Read { device, all: true, .. } => (self.device(device), Inbound::ReadAll(None)),
            Step::Read { device, back, .. } => {
                let device = self.device(device);
                (device, Inbound::Change(self.newest_of(device, back)?, Change::Read))
            }
            Step::Seen(device) => {
                let device = self.device(device);
                (device, Inbound::Seen(self.devices[device].position?))
            }
            Step::Change { device, back, to } => {
                let device = self.device(device);
                (device, Inbound::Change(self.newest_of(device, back)?, self.inbox_change(to)))
            }
            Step::Feedback { device, back, outcome } => {
                let device = self.device(device);
                let notification_id = self.newest_of(device, back)?;
                (device, Inbound::Feedback { notification_id, outcome, item_id: None })
            }
            Step::Mute { device, back, of } => {
                let device = self.device(device);
                let of = [MuteOf::Category, MuteOf::Kind, MuteOf::Item][of as usize % 3];
                let notification_id = Some(self.newest_of(device, back)?);
                let wish = MuteWish { of, name: None, notification_id, item_id: None };
                (device, Inbound::Mute(Box::new(wish)))
            }
            Step::Ping(device) => (self.device(device), Inbound::Ping),
            _ => return None,
        })
    }

    pub fn restart(&mut self) {
        let holder = self.store.holder;
        if !self.servers[holder].is_alive {
            self.start(holder);
        }
    }

    /// A message the device has received, counted from the newest.
    fn newest_of(&self, device: usize, back: u8) -> Option<NotificationId> {
        let page = self.devices[device].page.as_ref()?;
        let mut received: Vec<(i64, NotificationId)> =
            page.received.iter().map(|(id, at)| (*at, *id)).collect();
        received.sort_unstable();
        received.iter().rev().nth(back as usize).map(|(_, id)| *id)
    }

    fn tell_all(&mut self, input: impl Fn() -> Input) {
        for server in 0..2 {
            for user in 0..self.names.len() {
                if self.servers[server].is_alive {
                    self.tell(server, user, input());
                }
            }
        }
    }

    fn change_model(&mut self, version: u8) {
        self.models = version as usize % setting::MODELS;
        self.tell_all(|| Input::ModelChanged);
    }

    fn change_definitions(&mut self, set: u8) {
        self.active = set as usize % setting::DEFINITIONS;
        self.tell_all(|| Input::DefinitionsChanged);
    }

    fn events(&mut self, user: usize, kind: EventKind, item: ItemId, n: u8) {
        let Some(server) = self.holder() else { return };
        let event = Event {
            occurred_at: self.now(),
            user: Some(self.store.users[user].user),
            item: Some(item),
            kind,
            dwell_ms: (kind == EventKind::View).then_some(20_000),
            quantity: 1.0,
            value: (kind == EventKind::Purchase).then_some(100.0),
            currency: None,
            basket: None,
        };
        let events = vec![event; n as usize];
        self.store.users[user].events.extend(events.iter().copied());
        self.tell(server, user, Input::EventsStored(events));
    }

    fn api(&mut self, api: &Api) {
        let Some(server) = self.holder() else { return };
        let number = self.number("api");
        let category = CATEGORIES[api.category as usize % CATEGORIES.len()];
        let send_at = self.now() + Millis(u64::from(api.send_in_min) * 60_000);
        let message = Message {
            kind: format!("k{number}").into(),
            category: category.into(),
            priority: api.priority,
            title: format!("api-{number}.").into(),
            body: "".into(),
            url: None,
            image_url: None,
            data: None,
            collapse_key: api.collapses.then(|| "key".into()),
            expires_at: send_at + Millis(u64::from(api.lives_min) * 60_000),
            template: None,
            variables: None,
            item_id: None,
        };
        let json = serde_json::to_string(&message).unwrap().into();
        let message = Arc::new(Encoded { message, json });
        let users = if api.all { (0..self.names.len()).collect() } else { vec![self.user(api.user)] };
        let batch = self.uuid("batch");
        self.shadow.submitted(&self.names, batch, &users, &message.message);
        self.tally.accepted += 1;
        self.submit(server, Submission { batch, users, message, due_at: send_at }, api.directly);
    }

    fn ephemeral(&mut self, user: usize, category: u8) {
        let Some(server) = self.holder() else { return };
        let category = CATEGORIES[category as usize % CATEGORIES.len()];
        let message = Message {
            kind: "ephemeral".into(),
            category: category.into(),
            priority: Priority::Normal,
            title: "now".into(),
            body: "".into(),
            url: None,
            image_url: None,
            data: None,
            collapse_key: None,
            expires_at: self.now() + Millis(60_000),
            template: None,
            variables: None,
            item_id: None,
        };
        let id = NotificationId(self.uuid("ephemeral"));
        let frame = frames::ephemeral(id, &message, self.now());
        let announcement = Arc::new(Announcement { id, message, segment: None, frame });
        self.tell(server, user, Input::Ephemeral(announcement));
    }

    fn fire(&mut self, user: usize, trigger: u8, item: Option<u8>, same: bool) {
        let Some(server) = self.holder() else { return };
        let name = TRIGGERS[trigger as usize % TRIGGERS.len()];
        let item = if name == "price_drop" { item.or(Some(1)) } else { item };
        let item = item.map(Self::item).filter(|item| self.catalogue.get(*item).is_some());
        let active = &setting::SETTING.active[self.active];
        let Some(definition) = active.definitions.triggers.find(name) else { return };
        let rules = &active.definitions.rules;
        let number = self.number("fired");
        let mark = if same { number.saturating_sub(1) } else { number };
        let now = self.now();
        let held_id = self.uuid("held");
        let row = DeferredRow {
            // Each a call of its own.
            call: Some(held_id),
            held_id,
            user: self.store.users[user].user,
            trigger: name.to_owned(),
            category: definition.category.clone(),
            item,
            price_before: (name == "price_drop").then_some(130.0),
            event: Some(Arc::new(serde_json::json!({"title": format!("mark-{mark}."), "body": "text"}))),
            for_digest: false,
            until: now,
            expires_at: now + definition.expires_after(rules.expires_after),
        };
        self.store.put_held(&row);
        self.shadow.fired(user, &row, mark);
        self.tally.accepted += 1;
        self.tell(server, user, Input::TriggerFired(Box::new(row)));
    }

    /// `DELETE /v1/notifications/{id}`.
    fn withdraw(&mut self, back: u8) {
        let Some(server) = self.holder() else { return };
        let Some((named, id, batch)) = self.shadow.newest_accepted(back) else { return };
        let (user, at) = (self.stands_for(named), self.now());
        if [user, named].into_iter().any(|user| self.store.withdraw(user, id, at)) {
            self.shadow.withdrawn(id);
            self.tell(server, user, Input::InboxChanged(deliver::Input::Withdrawn(id)));
            return;
        }
        let after = self.now() + ON_ITS_WAY;
        let waiting =
            self.store.outbox.iter_mut().find(|((due_at, _), row)| {
                *due_at > after && row.batch == batch && row.users.contains(&named)
            });
        if let Some((key, row)) = waiting {
            let key = *key;
            row.users.retain(|other| *other != named);
            if row.users.is_empty() {
                self.store.outbox.remove(&key);
            }
            self.shadow.withdrawn(id);
        }
    }

    fn subscribe(&mut self, device: usize) {
        let Some(server) = self.holder() else { return };
        let user = self.devices[device].user;
        self.store.users[user].subscriptions.insert(device);
        self.servers[server].subscribed.insert(user);
    }

    /// Brings a history to rest: nothing fails any more, every user has a page that stays.
    pub fn come_to_rest(&mut self) {
        for server in &mut self.servers {
            server.journal.fates.clear();
        }
        self.rounds.clear();
        self.slow_reads.clear();
        self.push_fates.clear();
        for service in 0..crate::push::SERVICES {
            self.ail(service, None);
        }
        self.full.clear();
        self.notice_loss();
        self.restart();
        self.resume_all();
        for user in 0..self.names.len() {
            self.flow(user * DEVICES);
            self.login(user * DEVICES, true, false, None);
        }
    }
}
