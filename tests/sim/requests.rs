//! What each step does: requests over HTTP, frames of clients, changes of the surroundings. A request stores first, then tells the
//! user's actor.

use std::sync::Arc;

use tidings::base::{ItemId, Millis, NotificationId, Timestamp};
use tidings::catalogue::{Currency, Item, PricePoint};
use tidings::decide::record::{DeferredRow, Mark};
use tidings::decide::{Announcement, Input};
use tidings::deliver::inbound::{MuteOf, MuteWish};
use tidings::deliver::{self, Change, Inbound, frames};
use tidings::event::{Event, EventKind};
use tidings::notify::message::{Encoded, Message};
use tidings::notify::policy::{Mute, Muted, PreferenceDocument, Purpose, Settings, SettingsDocument};
use tidings::notify::triggers;
use tidings::notify::{Channel, Priority};

use crate::devices::DEVICES;
use crate::faults::Fault;
use crate::notifier::Submission;
use crate::setting::{self, CATEGORIES, ZONES};
use crate::sim::Sim;
use crate::steps::{Api, ItemChange, MUTABLE, Step, TRIGGERS, Wish};

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
            Step::Ack(device) => {
                let device = self.device(device);
                if let Some(offset) = self.devices[device].position {
                    self.say(device, Inbound::Ack(offset));
                }
            }
            Step::Read { device, all: true, .. } => self.say(self.device(device), Inbound::ReadAll(None)),
            Step::Read { device, back, .. } => {
                let device = self.device(device);
                if let Some(id) = self.newest_of(device, back) {
                    self.say(device, Inbound::Change(id, Change::Read));
                }
            }
            Step::Seen(device) => {
                let device = self.device(device);
                if let Some(up_to) = self.devices[device].position {
                    self.say(device, Inbound::Seen(up_to));
                }
            }
            Step::Change { device, back, to } => {
                let device = self.device(device);
                if let Some(id) = self.newest_of(device, back) {
                    self.say(device, Inbound::Change(id, self.inbox_change(to)));
                }
            }
            Step::Feedback { device, back, outcome } => {
                let device = self.device(device);
                if let Some(notification_id) = self.newest_of(device, back) {
                    self.say(device, Inbound::Feedback { notification_id, outcome, item_id: None });
                }
            }
            Step::Mute { device, back, of } => {
                let device = self.device(device);
                let of = [MuteOf::Category, MuteOf::Kind, MuteOf::Item][of as usize % 3];
                if let Some(id) = self.newest_of(device, back) {
                    let wish = MuteWish { of, name: None, notification_id: Some(id), item_id: None };
                    self.say(device, Inbound::Mute(Box::new(wish)));
                }
            }
            Step::Ping(device) => self.say(self.device(device), Inbound::Ping),
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
            Step::Model(version) => {
                self.models = version as usize % setting::MODELS;
                self.tell_all(|| Input::ModelChanged);
            }
            Step::Definitions(set) => {
                self.active = set as usize % setting::DEFINITIONS;
                self.tell_all(|| Input::DefinitionsChanged);
            }
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
        let row = DeferredRow {
            call: None,
            held_id: self.uuid("held"),
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

    fn inbox_change(&self, to: u8) -> Change {
        match to % 8 {
            0 => Change::Read,
            2 => Change::Archive,
            3 => Change::Unarchive,
            4 => Change::Snooze(self.now() + Millis(60_000)),
            5 => Change::Snooze(self.now() + Millis(3_600_000)),
            6 => Change::Delete,
            _ => Change::Unread,
        }
    }

    fn http_read(&mut self, user: usize, all: bool) {
        if !all {
            return self.http_change(user, 0, 0);
        }
        let Some(server) = self.holder() else { return };
        let (at, rows) = (self.now(), &self.store.users[user]);
        let (id, up_to) = (rows.user, rows.messages.last().map_or(0, |row| row.message.offset));
        self.store.mark(&Mark::ReadAll { user: id, up_to, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::ReadAll { up_to, at, by: None }));
    }

    /// `POST /v1/users/{id}/inbox/{change}` for one message.
    fn http_change(&mut self, user: usize, back: u8, to: u8) {
        let Some(server) = self.holder() else { return };
        let (at, change) = (self.now(), self.inbox_change(to));
        let Some(row) = self.store.users[user].messages.iter().rev().nth(back as usize) else { return };
        let is_early = matches!(change, Change::Snooze(until) if until >= row.message.expires_at);
        if !row.is_live(at) || is_early {
            return;
        }
        let (ids, id) = (vec![row.message.notification_id], row.message.user);
        self.store.mark(&Mark::Change { user: id, ids: ids.clone(), change, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::Change { ids, change, at, by: None }));
    }

    fn http_seen(&mut self, user: usize) {
        let Some(server) = self.holder() else { return };
        let (at, rows) = (self.now(), &self.store.users[user]);
        let Some(up_to) = rows.messages.last().map(|row| row.message.offset) else { return };
        self.store.mark(&Mark::Seen { user: rows.user, up_to, at });
        self.tell(server, user, Input::InboxChanged(deliver::Input::Seen { up_to, at, by: None }));
    }

    fn http_mute(&mut self, user: usize, category: u8) {
        let Some(server) = self.holder() else { return };
        let mute = Muted::Category(MUTABLE[category as usize % MUTABLE.len()].to_owned());
        let before = Box::new(self.store.users[user].preferences.clone());
        let mut stored = PreferenceDocument::clone(&before);
        stored.mute(mute.clone());
        self.replace_preferences(user, stored.clone());
        self.shadow.muted_over_http(user, mute, self.now());
        self.tell(server, user, Input::PreferencesChanged { before, after: Box::new(stored) });
    }

    fn replace_preferences(&mut self, user: usize, document: PreferenceDocument) {
        let now = self.now();
        let rows = &mut self.store.users[user];
        (rows.preferences, rows.preferences_at) = (document, Some(now));
    }

    /// `PUT /v1/users/{id}/preferences`, with everything in it.
    fn put_preferences(&mut self, user: usize, wish: Wish) {
        let Some(server) = self.holder() else { return };
        let document = document(wish, self.now());
        let before = Box::new(self.store.users[user].preferences.clone());
        self.replace_preferences(user, document.clone());
        self.shadow.preferences_replaced(user, document.clone(), self.now());
        self.tell(server, user, Input::PreferencesChanged { before, after: Box::new(document) });
    }

    fn consent(&mut self, user: usize, purpose: Purpose, granted: bool) {
        let Some(server) = self.holder() else { return };
        self.store.users[user].consent(purpose, granted);
        self.tell(server, user, Input::ConsentChanged(vec![(purpose, granted)]));
    }

    fn subscribe(&mut self, device: usize) {
        let Some(server) = self.holder() else { return };
        let user = self.devices[device].user;
        self.store.users[user].subscriptions.insert(device);
        self.servers[server].subscribed.insert(user);
    }

    fn change_item(&mut self, id: ItemId, change: ItemChange) {
        let Some(server) = self.holder() else { return };
        let before = self.catalogue.get(id).map(|item| Item::clone(item));
        let was = before.clone().unwrap_or_else(|| setting::item(id.0));
        let price = was.price.unwrap_or(100.0);
        let after = match change {
            ItemChange::Gone => None,
            ItemChange::Cheaper => Some(Item { price: Some((price * 0.8).max(10.0)), ..was }),
            ItemChange::Dearer => Some(Item { price: Some((price * 1.3).min(300.0)), ..was }),
            ItemChange::SoldOut => Some(Item { stock: Some(0), ..was }),
            ItemChange::Back | ItemChange::New => Some(Item { stock: Some(5), ..was }),
        };
        let mut catalogue = tidings::catalogue::Catalogue::clone(&self.catalogue);
        let changes =
            after.as_ref().map(|after| triggers::Change::between(before.as_ref(), after)).unwrap_or_default();
        let now_costs = after.as_ref().and_then(|after| after.price).filter(|costs| *costs != price);
        if let Some(costs) = now_costs {
            let currency = Currency::parse("EUR");
            let point = |since, price| (id, PricePoint { since, price, currency });
            catalogue.note_prices(&[point(Timestamp(0), price), point(self.now(), costs)]);
        }
        match after {
            Some(item) => catalogue.upsert(item),
            None => catalogue.remove(id),
        }
        self.catalogue = Arc::new(catalogue);
        if self.fault == Some(Fault::CatalogueKeepsVersion) {
            self.shadow.keep_catalogue(self.catalogue.version());
        } else {
            self.shadow.note_catalogue(Arc::clone(&self.catalogue));
        }
        if changes.is_empty() {
            return;
        }
        let shared: Arc<[triggers::Change]> = changes.clone().into();
        for user in 0..self.names.len() {
            self.tell(server, user, Input::CatalogueChanged(Arc::clone(&shared)));
        }
        for change in changes {
            self.hold_for_absent(server, change);
        }
    }

    /// What waits for users without an actor who dealt with an item that changed.
    fn hold_for_absent(&mut self, server: usize, change: triggers::Change) {
        let active = &setting::SETTING.active[self.active].definitions;
        let item = change.item();
        for definition in active.triggers.iter() {
            let Some(price_before) = definition.concerns_interested(change, &self.catalogue, self.now())
            else {
                continue;
            };
            for user in 0..self.names.len() {
                let rows = &self.store.users[user];
                let kinds = [EventKind::View, EventKind::AddToCart, EventKind::Like];
                let dealt =
                    rows.events.iter().any(|event| event.item == Some(item) && kinds.contains(&event.kind));
                let bought = rows
                    .events
                    .iter()
                    .any(|event| event.item == Some(item) && event.kind == EventKind::Purchase);
                let waits = rows
                    .held
                    .iter()
                    .any(|row| row.item == Some(item) && row.trigger == definition.name && !row.for_digest);
                if self.servers[server].registry[user].is_some() || !dealt || bought || waits {
                    continue;
                }
                let now = self.now();
                let row = DeferredRow {
                    held_id: self.uuid("held"),
                    user: self.store.users[user].user,
                    item: Some(item),
                    price_before,
                    ..DeferredRow::unaddressed(
                        &definition.name,
                        &definition.category,
                        now,
                        now + definition.expires_after(active.rules.expires_after),
                    )
                };
                self.store.put_held(&row);
            }
        }
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

/// Preferences with one wish in them.
fn document(wish: Wish, now: Timestamp) -> PreferenceDocument {
    let mut document = PreferenceDocument::default();
    let mut settings = Settings::default();
    let channels = |push: bool| [if push { Channel::Push } else { Channel::Socket }].into();
    match wish {
        Wish::OptOut(opted_out) => settings.opted_out = opted_out,
        Wish::Pause(min) => settings.paused_until = Some(now + Millis(u64::from(min) * 60_000)),
        Wish::Mute(category) => document.muted.push(MUTABLE[category as usize % MUTABLE.len()].to_owned()),
        Wish::MuteKind(trigger) => {
            settings.mutes.push(Mute::Kind(TRIGGERS[trigger as usize % TRIGGERS.len()].to_owned()));
        }
        Wish::MuteItem(item) => settings.mutes.push(Mute::Item((100 + u32::from(item)).to_string())),
        Wish::Digest(category) => {
            let all = ["*", "news", "promo", "announcements", "price_drop"];
            settings.digest = [all[category as usize % all.len()].to_owned()].into();
        }
        Wish::Block { push, category } => {
            let all = ["*", "news", "announcements", "similar_items"];
            let name = all[category as usize % all.len()].to_owned();
            settings.blocked_channels = [(name, channels(push))].into();
        }
        Wish::Quiet(from, to) => {
            document.quiet_from_minute = Some(from as i16);
            document.quiet_to_minute = Some(to as i16);
        }
        Wish::Zone(zone) => document.time_zone = Some(ZONES[zone as usize % ZONES.len()].to_owned()),
        Wish::NoDigest | Wish::Nothing => {}
    }
    document.settings = SettingsDocument::from(&settings);
    document
}
