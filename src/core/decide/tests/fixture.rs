//! A shop with 24 items, one user, and what the store would hold of them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::{ConnectionId, ExternalId, ItemId, Millis, NotificationId, Timestamp, UserId};
use crate::catalogue::{Catalogue, Currency, Item, PricePoint};
use crate::config::{Config, Recommend};
use crate::decide::definitions::{DefinitionKind, DefinitionState, Definitions, POLICY, StoredDefinition};
use crate::decide::record::{DecisionRow, DeferredRow, FeedbackRow, Fired, Mark, NewNotification};
use crate::decide::{
    ApiMessage, Effect, ExperimentModels, Input, Loaded, MAX_DEFERRED_READ, Outgoing, RecentSend, Record,
    SentAs, StoredNotification, StoredUser, UserState, World,
};
use crate::deliver::{Inbound, Login, Resume};
use crate::event::{Event, EventKind};
use crate::feedback::learner::Learner;
use crate::notify::Channel;
use crate::notify::message::{Encoded, RawMessage};
use crate::notify::policy::{PreferenceDocument, Purpose, Settings, SettingsDocument};
use crate::notify::triggers::Change;
use crate::recommend::ModelSet;
use crate::recommend::serve::live::NothingRecent;
use crate::response::Corrections;

/// Beginning of every test: a Wednesday.
pub const NOON: &str = "2026-03-04T12:00:00Z";
/// Transitions within one call of [`Fixture::until`] after which something goes round in circles.
const MOST_TRANSITIONS: usize = 300;
const EPOCH: &str = "e";

pub fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The item that the shop calls 101…124.
pub fn item(external: u32) -> ItemId {
    ItemId(external - 100)
}

/// Minutes after midnight of `22:30`.
fn minutes(time: &str) -> i16 {
    let (hours, minutes) = time.split_once(':').unwrap();
    hours.parse::<i16>().unwrap() * 60 + minutes.parse::<i16>().unwrap()
}

/// Watches (odd) and mugs (even), each for 10 euro and in stock; the higher the id, the newer.
fn catalogue() -> Catalogue {
    let one = |id: u32| {
        let (kind, brand) = if id % 2 == 1 { ("Watch", "Acme") } else { ("Mug", "Clay") };
        Item {
            id: item(id),
            external_id: ExternalId::Integer(i64::from(id)),
            title: Some(format!("{kind} {id}")),
            category: vec![if id % 2 == 1 { "Watches".into() } else { "Mugs".into() }],
            tags: Vec::new(),
            price: Some(10.0),
            currency: Some("EUR".to_owned()),
            stock: Some(5),
            url: None,
            image_url: None,
            attributes: [("brand".to_owned(), brand.to_owned())].into(),
            consumable: false,
            created_at: moment(NOON).plus_days(f64::from(id) - 200.0),
        }
    };
    Catalogue::from_items((101..=124).map(one))
}

/// Everything that decisions read beside the user's state, owned.
pub struct Shop {
    pub now: Timestamp,
    pub config: Config,
    pub definitions: Definitions,
    rows: Vec<StoredDefinition>,
    pub catalogue: Catalogue,
    pub models: Arc<ModelSet>,
    pub experiment_models: ExperimentModels,
    pub learner: Learner,
    pub corrections: Corrections,
    pub sent_this_hour: u64,
    pub is_subscribed: bool,
    transitions: u64,
}

impl Shop {
    /// Default rules, but that what is deferred is released at once when its moment comes, and lists have no random places.
    pub fn new() -> Self {
        let catalogue = catalogue();
        let mut models = ModelSet::empty();
        models.note_unknown(&catalogue);
        let mut config = Config { recommend: Recommend::RELEVANCE_ONLY, ..Config::default() };
        config.policy.release_spread_s = 0;
        let definitions = Definitions::new(&[], &config.policy).0;
        Self {
            now: moment(NOON),
            config,
            definitions,
            rows: Vec::new(),
            catalogue,
            models: Arc::new(models),
            experiment_models: ExperimentModels::default(),
            learner: Learner::default(),
            corrections: Corrections::default(),
            sent_this_hour: 0,
            is_subscribed: false,
            transitions: 0,
        }
    }

    pub fn world(&self) -> World<'_> {
        World {
            now: self.now,
            draw: self.transitions,
            config: &self.config,
            definitions: &self.definitions,
            catalogue: &self.catalogue,
            models: &self.models,
            experiment_models: &self.experiment_models,
            recent: &NothingRecent,
            learner: &self.learner,
            corrections: &self.corrections,
            sent_this_hour: self.sent_this_hour,
            is_subscribed: self.is_subscribed,
        }
    }

    fn store(&mut self, kind: DefinitionKind, name: &str, state: DefinitionState, body: Value) {
        let id = self.rows.len() as i64 + 1;
        let version = self.rows.iter().filter(|row| row.kind == kind && row.name == name).count() as i32 + 1;
        let name = name.to_owned();
        self.rows.push(StoredDefinition { id, kind, name, version, state, body, repeats: None });
        let (definitions, problems) = Definitions::new(&self.rows, &self.config.policy);
        assert!(problems.is_empty(), "{problems:?}");
        self.definitions = definitions;
    }

    /// Activates a definition.
    pub fn define(&mut self, kind: DefinitionKind, body: Value) {
        let name = body["name"].as_str().unwrap().to_owned();
        self.store(kind, &name, DefinitionState::Active, body);
    }

    /// Settings of the policy; those of before that are not named are the configured ones again.
    pub fn policy(&mut self, settings: Value) {
        self.store(DefinitionKind::Policy, POLICY, DefinitionState::Active, settings);
    }

    pub fn trigger(&mut self, body: Value) {
        self.define(DefinitionKind::Trigger, body);
    }

    /// A template of one variant in English.
    pub fn template(&mut self, name: &str, title: &str, body: &str) {
        let texts = json!({"en": {"title": title, "body": body}});
        let variants = json!([{"name": "a", "texts": texts}]);
        self.define(DefinitionKind::Template, json!({"name": name, "variants": variants}));
    }

    pub fn pause(&mut self, kind: DefinitionKind, name: &str) {
        self.store(kind, name, DefinitionState::Paused, json!({}));
    }

    /// Two arms of half the users each, `control` and `other`; `change` is what differs in the other.
    pub fn experiment(&mut self, mut change: Value) {
        change["name"] = json!("other");
        change["share"] = json!(5_000);
        let arms = json!([{"name": "control", "share": 5_000}, change]);
        self.define(DefinitionKind::Experiment, json!({"name": "x", "arms": arms}));
    }

    /// The first user in this arm of that experiment.
    pub fn user_in_arm(&self, arm: usize) -> i64 {
        let experiment = &self.definitions.experiments[0].experiment;
        (1..).find(|user: &i64| experiment.arm_of(&user.to_string()) == Some(arm)).unwrap()
    }
}

/// Data of the user that the store would hold.
#[derive(Clone, Default)]
pub struct Stored {
    pub deferred: Vec<DeferredRow>,
    pub messages: Vec<(NewNotification, Option<DecisionRow>)>,
    /// Decisions without a message.
    pub decisions: Vec<DecisionRow>,
    pub document: PreferenceDocument,
    consents: Vec<(String, bool)>,
    events: Vec<Event>,
    fired: Vec<Fired>,
    feedback: Vec<FeedbackRow>,
    given: Vec<NotificationId>,
    read: Vec<NotificationId>,
    /// Last offset of a list that was looked at.
    seen: i64,
    last_connected: Option<Timestamp>,
    acknowledged: i64,
    pub is_robot: bool,
}

impl Stored {
    fn release(&mut self, ids: &[Uuid]) {
        self.deferred.retain(|row| !ids.contains(&row.held_id));
    }

    /// Takes a message, and removes the deferred triggers that it tells.
    pub fn put(&mut self, outgoing: &Outgoing) {
        self.messages.push(((*outgoing.notification).clone(), outgoing.decision.as_deref().cloned()));
        self.release(&outgoing.releases);
    }

    fn note(&mut self, effect: &Effect) {
        let record = match effect {
            Effect::Record(record) => record,
            Effect::SettleWith(_, decision) => return self.decisions.push((**decision).clone()),
            _ => return,
        };
        match record {
            Record::Decision(decision, releases) => {
                self.decisions.push((**decision).clone());
                self.release(releases);
            }
            Record::Acknowledged(acknowledged) => self.acknowledged = acknowledged.up_to,
            Record::Mark(Mark::Given { ids, .. }) => self.given.extend(ids),
            Record::Mark(Mark::Read { ids, .. }) => self.read.extend(ids),
            Record::Mark(Mark::Seen { up_to, .. }) => self.seen = self.seen.max(*up_to),
            Record::Feedback(row) => self.feedback.push(row.clone()),
            Record::Preferences(_, change) => change.apply(&mut self.document, None),
            Record::Defer(row) => {
                self.deferred.retain(|known| known.held_id != row.held_id);
                self.deferred.push((**row).clone());
            }
            Record::Robot(_) => self.is_robot = true,
            Record::Connected(_, at) => self.last_connected = Some(*at),
            Record::FiredOnce(fired) => self.fired.push(fired.clone()),
            Record::Mark(Mark::Superseded { .. }) | Record::HandOver(_) => {}
        }
    }

    fn outcomes(&self, id: NotificationId) -> Vec<i16> {
        let of = self.feedback.iter().filter(|row| row.notification_id == id);
        of.map(|row| row.outcome).collect()
    }

    fn notification(&self, message: &NewNotification) -> StoredNotification {
        let id = message.notification_id;
        StoredNotification {
            notification_id: id,
            offset: message.offset,
            kind: message.kind.clone(),
            category: message.category.clone(),
            trigger: message.trigger.clone(),
            items: message.items.clone(),
            frame: message.frame.to_string(),
            created_at: message.created_at,
            expires_at: message.expires_at,
            acknowledged: message.offset <= self.acknowledged,
            collapse_key: message.collapse_key.as_deref().map(str::to_owned),
            priority: message.priority,
            seen: message.offset <= self.seen,
            read: self.read.contains(&id),
            withdrawn: false,
            taken_back_at: None,
            channel: message.channel,
            given: message.channel == Channel::Socket || self.given.contains(&id),
        }
    }

    /// As it is read again.
    pub fn loaded(&self, user: UserId, catalogue: &Catalogue) -> Loaded {
        let tail: Vec<_> = self.messages.iter().map(|(message, _)| self.notification(message)).collect();
        let sent_as = |row: &DecisionRow| SentAs {
            campaign: row.trace.campaign.clone(),
            channel: row.trace.channel.clone(),
            dedupe_key: row.trace.dedupe_key,
            counted: row.trace.counted,
        };
        let recent = tail.iter().zip(&self.messages).map(|(message, (_, decision))| {
            let outcomes = self.outcomes(message.notification_id);
            RecentSend::new(message, decision.as_ref().map(sent_as), outcomes)
        });
        let mut held = self.deferred.clone();
        held.sort_by_key(|row| (row.until, row.held_id));
        held.truncate(MAX_DEFERRED_READ);
        let stored = StoredUser {
            user,
            external_id: ExternalId::Integer(i64::from(user.0)),
            is_robot: self.is_robot,
            last_connected: self.last_connected,
            fired_once: self.fired.iter().map(|fired| (fired.trigger.clone(), fired.at)).collect(),
            events: self.events.clone(),
            preferences: self.document.clone(),
            consents: self.consents.clone(),
            held,
            last_offset: tail.last().map_or(0, |message| message.offset),
            recent: recent.collect(),
            tail,
            floor: 0,
        };
        Loaded::fold(stored, catalogue)
    }
}

/// One user in a shop.
pub struct Fixture {
    pub shop: Shop,
    pub state: UserState,
    pub stored: Stored,
    pub timer: Option<Timestamp>,
    /// Messages of the API that are offered again later.
    waiting: Vec<(Timestamp, ApiMessage)>,
    offered: BTreeMap<NotificationId, ApiMessage>,
}

impl Fixture {
    /// User 7, about whom nothing is known; not connected.
    pub fn new() -> Self {
        Self::of(7, Shop::new())
    }

    /// User 7 with a visible page, after the answer to its login.
    pub fn connected() -> Self {
        Self::connected_to(Shop::new())
    }

    pub fn connected_to(shop: Shop) -> Self {
        Self::connected_to_by(7, shop)
    }

    pub fn connected_to_by(user: i64, shop: Shop) -> Self {
        let mut fixture = Self::of(user, shop);
        fixture.login(1);
        fixture
    }

    /// A user by the shop's id.
    pub fn of(user: i64, shop: Shop) -> Self {
        let loaded = Loaded { user: UserId(u32::try_from(user).unwrap()), ..Loaded::stranger() };
        let state = UserState::new(&ExternalId::Integer(user), loaded, EPOCH, &shop.world());
        Self {
            shop,
            state,
            stored: Stored::default(),
            timer: None,
            waiting: Vec::new(),
            offered: BTreeMap::new(),
        }
    }

    /// One transition; the store gives no answer yet.
    pub fn step(&mut self, input: Input) -> Effects {
        self.shop.transitions += 1;
        let effects = self.state.on(input, &self.shop.world());
        self.note(&effects);
        Effects(effects)
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            self.stored.note(effect);
            match effect {
                Effect::SetTimer(at) => self.timer = *at,
                Effect::Postpone(id, until) => {
                    self.waiting.extend(self.offered.remove(id).map(|message| (*until, message)));
                }
                Effect::Return(id) => {
                    let again = self.shop.now + Millis::seconds(1);
                    self.waiting.extend(self.offered.remove(id).map(|message| (again, message)));
                }
                _ => {}
            }
        }
    }

    /// The store's answer to a message.
    pub fn answer(&mut self, outgoing: &Outgoing, stored: bool) -> Effects {
        if stored {
            self.stored.put(outgoing);
            return self.step(Input::Stored(outgoing.offset));
        }
        self.step(Input::NotStored(outgoing.offset))
    }

    /// One transition, after which the store confirms every message.
    pub fn on(&mut self, input: Input) -> Effects {
        let mut effects = self.step(input);
        let mut place = 0;
        while place < effects.0.len() {
            if let Effect::Store(outgoing) = effects.0[place].clone() {
                effects.0.extend(self.answer(&outgoing, true).0);
            }
            place += 1;
        }
        effects
    }

    /// Everything that timers, the outbox and the store's own look at what is due bring about up to this moment; where the user
    /// is to be read again, that is done.
    pub fn until(&mut self, at: &str) -> Effects {
        let target = moment(at);
        assert!(target >= self.shop.now, "time runs forward");
        let mut effects = Vec::new();
        for turn in 0.. {
            assert!(turn < MOST_TRANSITIONS, "it goes round in circles");
            let offer = self.waiting.iter().map(|(at, _)| *at).min();
            let due = self.due_in_store();
            let next = [self.timer, offer, due.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= target) else { break };
            self.shop.now = self.shop.now.max(next);
            let caused = if let Some((_, id)) = due.filter(|(at, _)| *at == next) {
                self.on(Input::DueInStore(id))
            } else if offer == Some(next) {
                let place = self.waiting.iter().position(|(at, _)| *at == next).unwrap();
                let message = self.waiting.remove(place).1;
                self.offer(message)
            } else {
                self.timer = None;
                self.on(Input::Due)
            };
            let reloads = caused.reloads();
            effects.extend(caused.0);
            if reloads {
                effects.extend(self.reload(&self.stored.clone()).0);
            }
        }
        self.shop.now = target;
        Effects(effects)
    }

    /// The same for so many minutes.
    pub fn pass(&mut self, minutes: u64) -> Effects {
        let target = self.shop.now + Millis::seconds(60 * minutes);
        self.until(&target.to_string())
    }

    /// Deferred message that the store finds due for an absent user whose browser may be pushed to.
    fn due_in_store(&self) -> Option<(Timestamp, Uuid)> {
        if self.state.is_connected() || !self.shop.is_subscribed {
            return None;
        }
        let rows = self.stored.deferred.iter().filter(|row| self.shop.world().is_pushable(&row.trigger));
        rows.map(|row| (row.until.max(self.shop.now), row.held_id)).min()
    }

    /// The server has died and is here again; nobody is connected.
    pub fn restart(&mut self) -> Effects {
        self.timer = None;
        let loaded = self.stored.loaded(self.state.user, &self.shop.catalogue);
        let user = self.state.external_id.clone();
        self.state = UserState::new(&user, loaded, EPOCH, &self.shop.world());
        self.on(Input::Loaded)
    }

    /// The user is read again while connected; `stored` is what was read.
    pub fn reload(&mut self, stored: &Stored) -> Effects {
        let loaded = stored.loaded(self.state.user, &self.shop.catalogue);
        let user = self.state.external_id.clone();
        let world = self.shop.world();
        let mut state = UserState::new(&user, loaded, EPOCH, &world);
        std::mem::swap(&mut self.state, &mut state);
        let effects = self.state.adopt(state, &world);
        self.note(&effects);
        let mut effects = Effects(effects);
        effects.0.extend(self.on(Input::Loaded).0);
        effects
    }

    // Connections.

    pub fn connect(&mut self, connection: u64, login: Login) -> Effects {
        self.on(Input::LoggedIn { connection: ConnectionId(connection), login: Box::new(login) })
    }

    /// The login of a full client.
    pub fn login(&mut self, connection: u64) -> Effects {
        self.connect(connection, Login { device: Some("desktop".to_owned()), ..Login::default() })
    }

    pub fn resume(&mut self, connection: u64, offset: i64) -> Effects {
        let resume = Some(Resume { epoch: EPOCH.to_owned(), offset });
        self.connect(connection, Login { resume, ..Login::default() })
    }

    pub fn leave(&mut self, connection: u64) -> Effects {
        self.on(Input::Disconnected(ConnectionId(connection)))
    }

    pub fn frame(&mut self, connection: u64, inbound: Inbound) -> Effects {
        self.on(Input::Frame(ConnectionId(connection), inbound))
    }

    /// A frame as it comes over the wire.
    pub fn tells(&mut self, connection: u64, frame: Value) -> Effects {
        self.frame(connection, Inbound::parse(&frame.to_string(), 10).unwrap())
    }

    // What the user does.

    pub fn event(&self, kind: EventKind, external: u32) -> Event {
        Event {
            occurred_at: self.shop.now,
            user: Some(self.state.user),
            item: Some(item(external)),
            kind,
            dwell_ms: None,
            quantity: 1.0,
            value: None,
            basket: None,
        }
    }

    /// Events that the store holds and the user's state has not taken yet.
    pub fn stored_events(&mut self, events: &[Event]) {
        self.stored.events.extend(events);
    }

    pub fn events(&mut self, events: Vec<Event>) -> Effects {
        self.stored_events(&events);
        self.on(Input::EventsStored(events))
    }

    pub fn acts(&mut self, kind: EventKind, external: u32) -> Effects {
        let event = self.event(kind, external);
        self.events(vec![event])
    }

    pub fn view(&mut self, external: u32) -> Effects {
        self.acts(EventKind::View, external)
    }

    /// One after the other.
    pub fn views(&mut self, externals: &[u32]) {
        for external in externals {
            self.view(*external);
        }
    }

    pub fn cart(&mut self, external: u32) -> Effects {
        self.acts(EventKind::AddToCart, external)
    }

    pub fn buy(&mut self, external: u32) -> Effects {
        self.acts(EventKind::Purchase, external)
    }

    pub fn wants(&mut self, change: impl FnOnce(&mut PreferenceDocument, &mut Settings)) -> Effects {
        let mut document = self.state.document.clone();
        let mut settings = document.settings();
        change(&mut document, &mut settings);
        document.settings = SettingsDocument::from(&settings);
        let before = Box::new(std::mem::replace(&mut self.stored.document, document.clone()));
        self.on(Input::PreferencesChanged { before, after: Box::new(document) })
    }

    pub fn quiet(&mut self, from: &str, to: &str) -> Effects {
        self.wants(|document, _| {
            document.quiet_from_minute = Some(minutes(from));
            document.quiet_to_minute = Some(minutes(to));
        })
    }

    pub fn mute(&mut self, category: &str) -> Effects {
        self.wants(|document, _| document.muted.push(category.to_owned()))
    }

    /// A message category as a digest; `*` = all.
    pub fn digest(&mut self, category: &str) -> Effects {
        self.wants(|_, settings| {
            settings.digest.insert(category.to_owned());
        })
    }

    pub fn consents(&mut self, purpose: Purpose, granted: bool) -> Effects {
        self.stored.consents.push((purpose.name().to_owned(), granted));
        self.on(Input::ConsentChanged(vec![(purpose, granted)]))
    }

    // What the shop does.

    /// Changes an item a second later; nobody hears of it yet.
    pub fn put(&mut self, external: u32, change: impl FnOnce(&mut Item)) -> Vec<Change> {
        self.shop.now = self.shop.now + Millis::seconds(1);
        let before = self.shop.catalogue.get(item(external)).unwrap().clone();
        let mut after = (*before).clone();
        change(&mut after);
        if before.price != after.price {
            let point = |since, price: Option<f64>| {
                (after.id, PricePoint { since, price: price.unwrap(), currency: Currency::parse("EUR") })
            };
            let first = point(before.created_at, before.price);
            let known = self.shop.catalogue.prices(after.id).is_some();
            let points = [first, point(self.shop.now, after.price)];
            self.shop.catalogue.note_prices(&points[usize::from(known)..]);
        }
        let changes = Change::between(Some(&before), &after);
        self.shop.catalogue.upsert(after);
        changes
    }

    /// Changes an item; everybody hears of what it sets off.
    pub fn change(&mut self, external: u32, change: impl FnOnce(&mut Item)) -> Effects {
        let changes = self.put(external, change);
        self.on(Input::CatalogueChanged(changes.into()))
    }

    pub fn price(&mut self, external: u32, price: f64) -> Effects {
        self.change(external, |item| item.price = Some(price))
    }

    pub fn stock(&mut self, external: u32, units: i32) -> Effects {
        self.change(external, |item| item.stock = Some(units))
    }

    /// A row as `POST /v1/triggers/{name}` stores it.
    pub fn row(&self, trigger: &str, external: Option<u32>, event: Value) -> DeferredRow {
        let definition = self.shop.definitions.find(trigger).unwrap();
        let now = self.shop.now;
        let lifetime = definition.expires_after(self.shop.definitions.rules.expires_after);
        let number = u128::from(self.shop.transitions + 1);
        DeferredRow {
            held_id: Uuid::from_u128((u128::from(now.0.unsigned_abs()) << 64) + number),
            user: self.state.user,
            item: external.map(item),
            event: (!event.is_null()).then(|| Arc::new(event)),
            ..DeferredRow::unaddressed(trigger, &definition.category, now, now + lifetime)
        }
    }

    pub fn fire(&mut self, trigger: &str, external: Option<u32>, event: Value) -> Effects {
        let row = self.row(trigger, external, event);
        self.stored.deferred.push(row.clone());
        self.on(Input::TriggerFired(Box::new(row)))
    }

    /// `POST /v1/triggers/{name}` with a title.
    pub fn announce(&mut self, trigger: &str, title: &str) -> Effects {
        self.fire(trigger, None, json!({"title": title, "body": "."}))
    }

    /// A message as `POST /v1/notifications` makes it of an object without its audience.
    pub fn message(&self, mut body: Value) -> ApiMessage {
        body["user_id"] = json!(7);
        let raw: RawMessage = serde_json::from_value(body).unwrap();
        let message = raw.validate(self.shop.now, Millis::hours(24)).unwrap().message;
        let json = serde_json::to_string(&message).unwrap().into();
        let number = u128::from(self.shop.transitions + 1) << 32;
        let id = NotificationId(Uuid::from_u128(number + self.offered.len() as u128));
        ApiMessage { id, content: Arc::new(Encoded { message, json }) }
    }

    pub fn offer(&mut self, message: ApiMessage) -> Effects {
        self.offered.insert(message.id, message.clone());
        self.on(Input::MessageOfApi(message))
    }

    pub fn say(&mut self, body: Value) -> Effects {
        let message = self.message(body);
        self.offer(message)
    }
}

/// Effects of one or more transitions.
#[derive(Debug)]
pub struct Effects(pub Vec<Effect>);

impl Deref for Effects {
    type Target = [Effect];
    fn deref(&self) -> &[Effect] {
        &self.0
    }
}

impl Effects {
    pub fn outgoing(&self) -> Vec<&Outgoing> {
        self.iter()
            .filter_map(|effect| if let Effect::Store(outgoing) = effect { Some(outgoing) } else { None })
            .collect()
    }

    /// Messages given to the store.
    pub fn messages(&self) -> Vec<&NewNotification> {
        self.outgoing().into_iter().map(|outgoing| &*outgoing.notification).collect()
    }

    /// The only message.
    pub fn message(&self) -> &NewNotification {
        let [message] = self.messages()[..] else { panic!("{} messages", self.messages().len()) };
        message
    }

    /// Titles of the messages given to the store.
    pub fn titles(&self) -> Vec<String> {
        self.messages().into_iter().map(|message| title(&message.frame)).collect()
    }

    pub fn records(&self) -> Vec<&Record> {
        self.iter()
            .filter_map(|effect| if let Effect::Record(record) = effect { Some(record) } else { None })
            .collect()
    }

    /// Every decision, with a message and without.
    pub fn decisions(&self) -> Vec<&DecisionRow> {
        self.iter()
            .filter_map(|effect| match effect {
                Effect::Record(Record::Decision(row, _)) | Effect::SettleWith(_, row) => Some(&**row),
                Effect::Store(outgoing) => outgoing.decision.as_deref(),
                _ => None,
            })
            .collect()
    }

    /// The only decision about a trigger.
    pub fn decision(&self, trigger: &str) -> &DecisionRow {
        let mut of: Vec<_> = self.decisions();
        of.retain(|row| row.trigger == trigger);
        let [row] = of[..] else { panic!("decisions: {:?}", self.outcomes()) };
        row
    }

    /// `view send` for each decision.
    pub fn outcomes(&self) -> Vec<String> {
        self.decisions().into_iter().map(|row| format!("{} {}", row.trigger, row.outcome)).collect()
    }

    /// Name of the reason that decided about a trigger.
    pub fn reason(&self, trigger: &str) -> &str {
        &self.decision(trigger).trace.steps.last().unwrap().reason
    }

    /// Frames to a connection, in order.
    pub fn frames(&self, connection: u64) -> Vec<Value> {
        let to = |effect: &Effect| match effect {
            Effect::Send(to, frame) | Effect::Replay(to, frame) | Effect::Welcome(to, frame)
                if to.0 == connection =>
            {
                Some(serde_json::from_str(frame).unwrap())
            }
            _ => None,
        };
        self.iter().filter_map(to).collect()
    }

    /// Types of the frames to a connection, in order.
    pub fn types(&self, connection: u64) -> Vec<String> {
        self.frames(connection).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Titles of the messages to a connection, in order.
    pub fn shown(&self, connection: u64) -> Vec<String> {
        let frames = self.frames(connection);
        frames.iter().filter_map(|frame| frame["title"].as_str().map(str::to_owned)).collect()
    }

    /// Rows of deferred triggers, in order.
    pub fn deferred(&self) -> Vec<&DeferredRow> {
        self.records()
            .into_iter()
            .filter_map(|record| if let Record::Defer(row) = record { Some(&**row) } else { None })
            .collect()
    }

    pub fn reloads(&self) -> bool {
        self.contains(&Effect::Reload)
    }
}

pub fn title(frame: &str) -> String {
    let frame: Value = serde_json::from_str(frame).unwrap();
    frame["title"].as_str().unwrap().to_owned()
}

/// Ids of a message's items as the shop knows them.
pub fn externals(items: &[ItemId]) -> Vec<u32> {
    items.iter().map(|item| item.0 + 100).collect()
}
