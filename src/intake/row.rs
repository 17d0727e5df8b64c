//! A row of named texts, from CSV or JSON, made into an event or an item. Values out of range pass: to count and drop
//! them is the cleaning's business. Only what can't be understood is refused here.

use std::sync::Arc;

use serde_json::Value;
use tidings_core::base::{EventKey, ExternalId, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::wire::hash_id;
use tidings_core::event::{EventKind, NewEvent, OwnKinds, RawEvent};

use super::currencies;
use super::dates::TimeReader;
use super::fields::{id, kind, tidy};
use super::forms::Forms;
pub use super::forms::Row;
use super::lists::{categories, first_address, parts, unescaped, vector};
use super::mapping::Field;
use super::numbers::Amount;
use super::scale::Scale;

/// Longest search query kept, in bytes, as on the wire.
const MAX_QUERY_BYTES: usize = 512;

/// Returns whether the row is about something done, rather than about an item alone.
pub fn is_event(row: &Row) -> bool {
    [Field::UserId, Field::Kind, Field::OccurredAt, Field::BasketId]
        .iter()
        .any(|field| row.contains_key(field))
}

/// An event as a record tells of it, with the shop's own ids of basket and event: on its way into the bulk import
/// ([`EventRecord::into_event`]) or over HTTP ([`EventRecord::into_wire`]).
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// User who acted; `None` for an anonymous basket.
    pub user: Option<ExternalId>,
    /// Item acted on; `None` only for a search.
    pub item: Option<ExternalId>,
    /// Kind of the action.
    pub kind: EventKind,
    /// Moment of the event.
    pub occurred_at: Timestamp,
    /// Time spent on the item, milliseconds.
    pub dwell_ms: Option<u32>,
    /// Words of a search.
    pub query: Option<String>,
    /// Units; may be out of range.
    pub quantity: f64,
    /// Money for all units, or the rating; may be out of range.
    pub value: Option<f64>,
    /// ISO 4217 code of `value`.
    pub currency: Option<String>,
    /// Basket, order or session.
    pub basket: Option<ExternalId>,
    /// The shop's key of the event.
    pub event_id: Option<String>,
}

impl EventRecord {
    /// For the bulk import. Two equal rows without an `event_id` have equal keys.
    pub fn into_event(self) -> NewEvent {
        let mut event = NewEvent {
            key: EventKey::from_parts(&[]),
            deduplicate: true,
            user: self.user,
            item: self.item,
            kind: self.kind,
            occurred_at: self.occurred_at,
            dwell_ms: self.dwell_ms,
            query: self.query,
            quantity: self.quantity as f32,
            value: self.value,
            currency: self.currency,
            basket: self.basket.as_ref().map(hash_id),
            list: None,
        };
        event.key = key(&event, self.event_id.as_deref());
        event
    }

    /// For `POST /v1/events`.
    pub fn into_wire(self) -> RawEvent {
        let json = |id: ExternalId| match id {
            ExternalId::Integer(number) => Value::from(number),
            ExternalId::Text(text) => Value::from(&*text),
        };
        RawEvent {
            kind: self.kind.name().to_owned(),
            user_id: self.user.map(json),
            item_id: self.item.map(json),
            query: self.query,
            dwell_ms: self.dwell_ms.map(u64::from),
            quantity: Some(self.quantity),
            value: self.value,
            currency: self.currency,
            occurred_at: Some(self.occurred_at),
            event_id: self.event_id.map(Value::from),
            basket_id: self.basket.map(json),
            ..RawEvent::default()
        }
    }
}

/// Rules that decide how rows are read, beside the forms of their columns.
#[derive(Clone, Debug, Default)]
pub struct RowRules {
    /// Kind of events that don't say theirs.
    pub default_kind: Option<EventKind>,
    /// Scale of ratings.
    pub scale: Scale,
    /// Kinds of the shop's own.
    pub kinds: Arc<OwnKinds>,
}

/// The event that a row tells of. `occurred_at` is for rows that don't say when; fields of `exact` are numbers as programs write
/// them.
pub fn event(
    row: &Row,
    forms: &Forms,
    rules: &RowRules,
    times: &mut TimeReader,
    occurred_at: Option<Timestamp>,
    exact: &[Field],
) -> Result<EventRecord, String> {
    let text = |field: Field| forms.text(row, field);
    let amount = |field: Field| forms.amount(row, field, exact.contains(&field));
    let number = |field: Field| Ok::<_, String>(amount(field)?.map(|amount| amount.number));
    let kind = event_kind(text(Field::Kind), rules.default_kind, &rules.kinds)?;
    let occurred_at = match (text(Field::OccurredAt), occurred_at) {
        (Some(time), _) => times
            .read(time, exact.contains(&Field::OccurredAt))
            .ok_or_else(|| format!("occurred_at is no time {}: {time:?}", times.form()))?,
        (None, Some(moment)) => moment,
        (None, None) => return Err("does not say when: occurred_at is missing".into()),
    };
    let user = forms.id(row, Field::UserId)?;
    let basket = forms.id(row, Field::BasketId)?;
    if user.is_none() && basket.is_none() {
        return Err("does not say who: neither user_id nor basket_id".into());
    }
    let item = forms.id(row, Field::ItemId)?;
    if kind.needs_item() && item.is_none() {
        return Err(format!("a {} names its item, item_id is missing", kind.name()));
    }
    let query = query(text(Field::Query), kind)?;
    let stated = number(Field::Quantity)?.unwrap_or(1.0);
    // What goes back is written with a minus by some, and by others without.
    let quantity = if kind == EventKind::Return { stated.abs() } else { stated };
    let dwell_ms = number(Field::DwellMs)?;
    if dwell_ms.is_some_and(|dwell| dwell < 0.0) {
        return Err("dwell_ms is negative".into());
    }
    let (value, beside) = match kind {
        EventKind::Rate => (Some(rules.scale.stars(number(Field::Value)?)?), None),
        kind => money(kind, quantity, amount)?,
    };
    let currency = one_currency(text(Field::Currency), beside)?;
    let event_id = event_id(text(Field::EventId), forms)?;
    Ok(EventRecord {
        user,
        item,
        kind,
        occurred_at,
        dwell_ms: dwell_ms.map(|dwell| dwell as u32),
        query,
        quantity,
        value,
        currency,
        basket,
        event_id,
    })
}

/// The currency of an amount, from a column of its own or from `beside` the amount; both must name the same.
fn one_currency(stated: Option<&str>, beside: Option<String>) -> Result<Option<String>, String> {
    let stated = stated.map(currency).transpose()?;
    if let (Some(stated), Some(beside)) = (&stated, &beside)
        && stated != beside
    {
        return Err(format!("currency is {stated}, the amount is in {beside}"));
    }
    Ok(stated.or(beside))
}

fn event_id(said: Option<&str>, forms: &Forms) -> Result<Option<String>, String> {
    let Some(said) = said else { return Ok(None) };
    id(said, Field::EventId.name())?;
    Ok(Some(forms.bare_id(said, Field::EventId).to_owned()))
}

/// Value of all units and the currency beside it. The price that stands in a row about a purchase or return is the one that was
/// paid for a unit.
fn money(
    kind: EventKind,
    quantity: f64,
    amount: impl Fn(Field) -> Result<Option<Amount>, String>,
) -> Result<(Option<f64>, Option<String>), String> {
    let is_paid = matches!(kind, EventKind::Purchase | EventKind::Return);
    let of_unit = match amount(Field::UnitPrice)? {
        None if is_paid => amount(Field::Price)?,
        unit => unit,
    };
    let paid = match amount(Field::Value)? {
        Some(value) => Some(value),
        None => of_unit.map(|unit| Amount { number: unit.number * quantity, ..unit }),
    };
    let number = |paid: &Amount| if kind == EventKind::Return { paid.number.abs() } else { paid.number };
    Ok((paid.as_ref().map(number), paid.and_then(|paid| paid.currency().map(str::to_owned))))
}

fn query(text: Option<&str>, kind: EventKind) -> Result<Option<String>, String> {
    let query = text.map(tidy);
    match &query {
        None if kind == EventKind::Search => Err("a search says what for, query is missing".into()),
        Some(query) if query.len() > MAX_QUERY_BYTES => {
            Err(format!("query has {} bytes, more than {MAX_QUERY_BYTES}", query.len()))
        }
        _ => Ok(query),
    }
}

/// Names of the shop's own kinds first: they say exactly what is meant.
fn event_kind(name: Option<&str>, default: Option<EventKind>, kinds: &OwnKinds) -> Result<EventKind, String> {
    match (name, default) {
        (Some(name), _) => match kinds.find(name) {
            Ok(kind) => Ok(kind),
            Err(says) => kind(name).ok_or_else(|| format!("kind is {name:?}, {says}")),
        },
        (None, Some(kind)) => Ok(kind),
        (None, None) => Err("does not say its kind (map a column to kind, or give a default)".into()),
    }
}

/// With an `event_id` the same key as over HTTP, so that what was sent live and what is imported later are one event;
/// otherwise from everything that the row says, whatever its format.
fn key(event: &NewEvent, event_id: Option<&str>) -> EventKey {
    let name = |id: &Option<ExternalId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
    let user = name(&event.user);
    if let Some(event_id) = event_id {
        return EventKey::from_parts(&[b"event_id", user.as_bytes(), event_id.as_bytes()]);
    }
    let kind = match event.kind {
        EventKind::Own(own) => format!("own {}", own.code()),
        built_in => built_in.name().to_owned(),
    };
    EventKey::from_parts(&[
        b"row",
        user.as_bytes(),
        name(&event.item).as_bytes(),
        kind.as_bytes(),
        &event.occurred_at.0.to_le_bytes(),
        event.query.as_deref().unwrap_or_default().as_bytes(),
        &event.dwell_ms.map_or(-1, i64::from).to_le_bytes(),
        &event.quantity.to_bits().to_le_bytes(),
        &event.value.map_or(u64::MAX, f64::to_bits).to_le_bytes(),
        event.currency.as_deref().unwrap_or_default().as_bytes(),
        &event.basket.unwrap_or(-1).to_le_bytes(),
    ])
}

fn currency(text: &str) -> Result<String, String> {
    let code = text.to_uppercase();
    if currencies::is_known(&code) {
        Ok(code)
    } else {
        Err(format!("currency is not an ISO 4217 code such as EUR: {text:?}"))
    }
}

/// A number of pieces; what has decimals or is beyond the range is refused rather than cut.
fn whole(stock: f64) -> Result<i32, String> {
    let is_whole = stock.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&stock);
    if is_whole {
        Ok(stock as i32)
    } else {
        Err(format!("stock is no whole number from 0 to {}: {stock}", i32::MAX))
    }
}

/// Reads the item of a row; `None` when the row says nothing but the id. Category paths are split at `>`, or else at `/`; of
/// several in one cell the first is the category, the last levels of the others are tags. Tags are split at `,`, `|` and `;`. Of
/// several pictures the first counts. An embedding is a JSON list, or numbers with blanks between.
pub fn item(row: &Row, forms: &Forms, exact: &[Field]) -> Result<Option<NewItem>, String> {
    let text = |field: Field| forms.text(row, field);
    let amount = |field: Field| forms.amount(row, field, exact.contains(&field));
    let Some(item_id) = forms.id(row, Field::ItemId)? else { return Ok(None) };
    if !row.keys().any(|field| field.is_of_item()) {
        return Ok(None);
    }
    let mut paths = text(Field::Category).map(categories).unwrap_or_default().into_iter();
    let category = paths.next();
    let separates = |c: char| matches!(c, ',' | '|' | ';');
    let tags =
        text(Field::Tags).map(|text| parts(text, separates).into_iter().map(unescaped).collect::<Vec<_>>());
    let others: Vec<String> = paths.filter_map(|mut path| path.pop()).collect();
    let tags = match (tags, others.is_empty()) {
        (None, true) => None,
        (tags, _) => {
            let mut all: Vec<String> = Vec::new();
            for tag in tags.unwrap_or_default().into_iter().chain(others) {
                if !tag.is_empty() && !all.contains(&tag) {
                    all.push(tag);
                }
            }
            Some(all)
        }
    };
    let price = amount(Field::Price)?;
    // A currency belongs to the price it stands beside; without one it is that of the event's value.
    let currency = match &price {
        None => None,
        Some(price) => match text(Field::Currency) {
            Some(code) => Some(currency(code)?),
            None => price.currency().map(str::to_owned),
        },
    };
    let item = NewItem {
        title: text(Field::Title).map(tidy),
        category,
        tags,
        price: price.map(|price| price.number),
        currency,
        stock: amount(Field::Stock)?.map(|stock| whole(stock.number)).transpose()?,
        url: text(Field::Url).map(str::to_owned),
        image_url: text(Field::ImageUrl).map(|text| first_address(text).to_owned()),
        embedding: text(Field::Embedding).map(vector).transpose()?,
        ..NewItem::new(item_id)
    };
    if item == NewItem::new(item.item_id.clone()) {
        return Ok(None);
    }
    item.validate().map_err(|error| error.to_string())?;
    Ok(Some(item))
}

#[cfg(test)]
mod tests;
