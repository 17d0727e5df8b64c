//! A row of named texts, from CSV or JSON, made into an event or an item. Values out of range pass: to count and drop
//! them is the cleaning's business. Only what can't be understood is refused here.

use std::collections::BTreeMap;

use serde_json::Value;
use tidings_core::base::{EventKey, ExternalId, Timestamp};
use tidings_core::catalogue::NewItem;
use tidings_core::event::wire::hash_id;
use tidings_core::event::{EventKind, NewEvent, RawEvent};

use super::fields::{TimeReader, id, kind, number, tidy};
use super::mapping::Field;

/// Longest search query kept, in bytes, as on the wire.
const MAX_QUERY_BYTES: usize = 512;

/// Values of a row, by field; blank is the same as absent.
pub type Row<'a> = BTreeMap<Field, &'a str>;

/// Whether the row is about something done, rather than about an item alone.
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

/// The event that a row tells of. `default_kind` is for rows that don't say.
pub fn event(
    row: &Row,
    default_kind: Option<EventKind>,
    times: &mut TimeReader,
) -> Result<EventRecord, String> {
    let text = |field: Field| row.get(&field).map(|text| text.trim()).filter(|text| !text.is_empty());
    let read_id = |field: Field| text(field).map(|text| id(text, field.name())).transpose();
    let read_number = |field: Field| text(field).map(|text| number(text, field.name())).transpose();
    let kind = event_kind(text(Field::Kind), default_kind)?;
    let time = text(Field::OccurredAt).ok_or("does not say when: occurred_at is missing")?;
    let occurred_at = times.read(time).ok_or_else(|| format!("occurred_at is not a time: {time:?}"))?;
    let user = read_id(Field::UserId)?;
    let basket_id = read_id(Field::BasketId)?;
    if user.is_none() && basket_id.is_none() {
        return Err("does not say who: neither user_id nor basket_id".into());
    }
    let item = read_id(Field::ItemId)?;
    if kind.needs_item() && item.is_none() {
        return Err(format!("a {} names its item, item_id is missing", kind.name()));
    }
    let query = text(Field::Query).map(tidy);
    if kind == EventKind::Search && query.is_none() {
        return Err("a search says what for, query is missing".into());
    }
    if let Some(query) = &query
        && query.len() > MAX_QUERY_BYTES
    {
        return Err(format!("query has {} bytes, more than {MAX_QUERY_BYTES}", query.len()));
    }
    let quantity = read_number(Field::Quantity)?.unwrap_or(1.0);
    let value = match (read_number(Field::Value)?, read_number(Field::UnitPrice)?) {
        (Some(value), _) => Some(value),
        (None, Some(price)) => Some(price * quantity),
        (None, None) => None,
    };
    if kind == EventKind::Rate && value.is_none() {
        return Err("a rate gives its stars, value is missing".into());
    }
    let currency = text(Field::Currency).map(currency).transpose()?;
    let dwell = read_number(Field::DwellMs)?;
    if dwell.is_some_and(|dwell| dwell < 0.0) {
        return Err("dwell_ms is negative".into());
    }
    Ok(EventRecord {
        user,
        item,
        kind,
        occurred_at,
        dwell_ms: dwell.map(|dwell| dwell as u32),
        query,
        quantity,
        value,
        currency,
        basket: basket_id,
        event_id: text(Field::EventId).map(str::to_owned),
    })
}

fn event_kind(name: Option<&str>, default: Option<EventKind>) -> Result<EventKind, String> {
    match (name, default) {
        (Some(name), _) => kind(name).ok_or_else(|| {
            let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
            format!("kind is none of {}: {name:?}", names.join(", "))
        }),
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
    EventKey::from_parts(&[
        b"row",
        user.as_bytes(),
        name(&event.item).as_bytes(),
        event.kind.name().as_bytes(),
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
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(code)
    } else {
        Err(format!("currency is not an ISO 4217 code such as EUR: {text:?}"))
    }
}

/// Reads the item of a row; `None` when the row says nothing but the id. Category paths are split at `/` and `>`, tags
/// at `,`, `|` and `;`.
pub fn item(row: &Row) -> Result<Option<NewItem>, String> {
    let text = |field: Field| row.get(&field).map(|text| text.trim()).filter(|text| !text.is_empty());
    let Some(item_id) = text(Field::ItemId) else { return Ok(None) };
    let list = |field: Field, separators: &[char]| {
        text(field).map(|text| text.split(separators).map(tidy).filter(|part| !part.is_empty()).collect())
    };
    let read_number = |field: Field| text(field).map(|text| number(text, field.name())).transpose();
    let item = NewItem {
        title: text(Field::Title).map(tidy),
        category: list(Field::Category, &['/', '>']),
        tags: list(Field::Tags, &[',', '|', ';']),
        price: read_number(Field::Price)?,
        stock: read_number(Field::Stock)?.map(|stock| stock as i32),
        url: text(Field::Url).map(str::to_owned),
        image_url: text(Field::ImageUrl).map(str::to_owned),
        ..NewItem::new(id(item_id, Field::ItemId.name())?)
    };
    if !row.keys().any(|field| field.is_of_item()) {
        return Ok(None);
    }
    // A currency belongs to the price it stands beside; without one it is that of the event's value.
    let item = match (item.price, text(Field::Currency)) {
        (Some(_), Some(code)) => NewItem { currency: Some(currency(code)?), ..item },
        _ => item,
    };
    item.validate().map_err(|error| error.to_string())?;
    Ok(Some(item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use tidings_core::event::EventLimits;

    fn read(pairs: &[(Field, &'static str)]) -> Result<EventRecord, String> {
        event(&pairs.iter().copied().collect(), None, &mut TimeReader::new(TimeZone::UTC))
    }

    #[test]
    fn an_event_id_gives_the_key_that_it_has_when_sent_live() {
        let raw: RawEvent = serde_json::from_str(
            r#"{"kind":"view","user_id":1,"item_id":2,"occurred_at":1600000000,"event_id":"e-7"}"#,
        )
        .unwrap();
        let limits = EventLimits::at(Timestamp::from_seconds(1_700_000_000));
        let live = raw.validate(None, &limits).unwrap();
        let imported = read(&[
            (Field::Kind, "view"),
            (Field::UserId, "1"),
            (Field::ItemId, "2"),
            (Field::OccurredAt, "1600000000"),
            (Field::EventId, "e-7"),
        ])
        .unwrap();
        assert_eq!(live, imported.clone().into_event());
        assert_eq!(imported.into_wire().validate(None, &limits), Ok(live));
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = [
            (Field::Kind, "purchase"),
            (Field::UserId, "1"),
            (Field::ItemId, "2"),
            (Field::OccurredAt, "2020-01-01"),
        ];
        assert!(read(&whole).is_ok());
        for (field, says) in [
            (Field::Kind, "kind"),
            (Field::UserId, "user_id"),
            (Field::ItemId, "item_id"),
            (Field::OccurredAt, "occurred_at"),
        ] {
            let rest: Vec<_> = whole.iter().copied().filter(|(other, _)| *other != field).collect();
            let error = read(&rest).unwrap_err();
            assert!(error.contains(says), "{error}");
            // Blank is the same as absent.
            let blank: Vec<_> = rest.iter().copied().chain([(field, "  ")]).collect();
            assert_eq!(read(&blank).unwrap_err(), error);
        }
    }

    #[test]
    fn a_unit_price_becomes_the_value_of_all_units() {
        let event = read(&[
            (Field::Kind, "buy"),
            (Field::BasketId, "o1"),
            (Field::ItemId, "2"),
            (Field::OccurredAt, "2020-01-01"),
            (Field::Quantity, "3"),
            (Field::UnitPrice, "2.5"),
            (Field::Currency, "eur"),
        ])
        .unwrap();
        assert_eq!((event.value, event.currency.as_deref()), (Some(7.5), Some("EUR")));
        assert_eq!(event.user, None);
    }

    #[test]
    fn an_item_is_read_from_the_fields_about_it() {
        let row = Row::from([
            (Field::ItemId, "A1"),
            (Field::Title, " Dive  watch"),
            (Field::Category, "Watches > Dive"),
            (Field::Tags, "steel|blue"),
            (Field::Price, "99.5"),
            (Field::Currency, "EUR"),
        ]);
        let item = item(&row).unwrap().unwrap();
        assert_eq!(item.title.as_deref(), Some("Dive watch"));
        assert_eq!(item.category.unwrap(), ["Watches", "Dive"]);
        assert_eq!(item.tags.unwrap(), ["steel", "blue"]);
        assert_eq!((item.price, item.currency.as_deref()), (Some(99.5), Some("EUR")));
        assert_eq!(super::item(&Row::from([(Field::ItemId, "A1")])), Ok(None));
        let bad = Row::from([(Field::ItemId, "A1"), (Field::Price, "-1")]);
        assert!(super::item(&bad).is_err());
    }
}
