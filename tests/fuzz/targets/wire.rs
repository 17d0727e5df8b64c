//! Input over HTTP and WebSockets.

use std::net::SocketAddr;

use actix_http::ws::Message;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tidings::base::json_shape::{ArrayFault, elements, is_one_object};
use tidings::base::{ExternalId, JsonShape, Millis, NotificationId, Timestamp};
use tidings::catalogue::{Catalogue, NewItem};
use tidings::config::{Config, Network};
use tidings::deliver::inbound::split;
use tidings::deliver::{Inbound, push_payload};
use tidings::event::{Admission, Speaker};
use tidings::http::forwarded::Original;
use tidings::http::lists::asked::Asked;
use tidings::http::{events as event_bodies, notifications, preferences, query};
use tidings::notify::Message as ShopMessage;
use tidings::notify::content::languages::Language;
use tidings::notify::local_time::LocalTime;
use tidings::notify::policy::PreferenceDocument;
use tidings::profile::{AttributeCondition, Attributes};
use tidings::transport::framing::{Assembly, Whole};
use tidings::transport::ws::incoming::Incoming;

use crate::done;

/// The moment of every input: 2026-11-23.
pub const NOW: Timestamp = Timestamp(1_795_392_000_000_000);
const MAX_MESSAGE_BYTES: usize = 8 << 10;

/// First byte and the rest.
pub fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, &[]), |(first, rest)| (*first, rest))
}

/// The input as text; what is not UTF-8 is replaced.
pub fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// The stream of a WebSocket in pieces, to the frames it says.
pub fn frames(data: &[u8]) {
    let (first, stream) = choice(data);
    let read = |at_once: usize| {
        let (mut incoming, mut assembly, mut said) =
            (Incoming::new(MAX_MESSAGE_BYTES), Assembly::default(), Vec::new());
        for piece in stream.chunks(at_once) {
            incoming.push(piece);
            while let Some(message) = incoming.next_message() {
                let whole = match message {
                    Ok(Message::Text(text)) => Some(Whole::Text(text.to_string())),
                    Ok(Message::Binary(bytes)) => Some(Whole::Binary(bytes.to_vec())),
                    Ok(Message::Continuation(item)) => match assembly.push(item, MAX_MESSAGE_BYTES) {
                        Ok(whole) => whole,
                        Err(violation) => return (said, Some(violation)),
                    },
                    Ok(_) => None,
                    Err(violation) => return (said, Some(violation)),
                };
                said.extend(whole);
            }
        }
        (said, None)
    };
    let (said, violation) = read(usize::from(first) + 1);
    let longest = said.iter().map(|whole| match whole {
        Whole::Text(text) => text.len(),
        Whole::Binary(bytes) => bytes.len(),
    });
    assert!(longest.max().unwrap_or(0) <= MAX_MESSAGE_BYTES, "longer than the limit");
    // However the stream is cut, it says the same.
    assert_eq!((said, violation), read(stream.len().max(1)));
}

/// A JSON frame.
pub fn inbound(data: &[u8]) {
    done(Inbound::parse(&text(data), 100));
}

/// The body of posted frames.
pub fn posted(data: &[u8]) {
    let text = text(data);
    let Ok(frames) = split(&text, 50) else { return };
    // Half a pair of surrogates is text to who skips it, and none to who reads it.
    if let Ok(all) = serde_json::from_str::<Value>(&text) {
        assert_eq!(frames.len(), all.as_array().map_or(1, Vec::len), "frames of {text}");
    }
    for frame in frames {
        done(Inbound::parse(frame, 100));
    }
}

/// Size, depth and elements of JSON by its brackets, against a parser.
pub fn shape(data: &[u8]) {
    let shape = JsonShape::of(data);
    let text = text(data);
    let parts = text.starts_with('[').then(|| elements(&text, 5_000));
    if !shape.fits(data, 1 << 20) {
        return;
    }
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return };
    assert!(depth(&value) <= shape.depth, "deeper than {}: {text}", shape.depth);
    assert_eq!(is_one_object(&text), value.is_object(), "{text}");
    match (parts, value) {
        (Some(Ok(parts)), Value::Array(values)) => {
            assert_eq!(parts.len(), values.len(), "{text}");
            for (part, value) in parts.iter().zip(values) {
                assert_eq!(serde_json::from_str::<Value>(part).ok(), Some(value), "{part}");
            }
        }
        (Some(Err(fault)), Value::Array(values)) => {
            assert!(fault == ArrayFault::TooMany && values.len() > 5_000, "{fault:?}: {text}");
        }
        _ => {}
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The body of events, of the shop and of a client.
pub fn events(data: &[u8]) {
    let (first, body) = choice(data);
    let text = text(body);
    let Ok(texts) = event_bodies::split(&text, first & 1 == 1, 200) else { return };
    let (config, catalogue) = (Config::default(), Catalogue::default());
    let speaker = if first & 2 == 2 { Speaker::Shop } else { Speaker::Client };
    let admission = Admission::new(speaker, &config, &catalogue, NOW);
    let user = ExternalId::Integer(7);
    for text in texts.events {
        if let Ok(raw) = event_bodies::parse(text) {
            done(admission.admit(raw, (first & 4 == 4).then_some(&user)));
        }
    }
}

/// Items.
pub fn items(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    let parts = match value {
        Value::Array(parts) => parts,
        one => vec![one],
    };
    let items: Vec<NewItem> = parts.into_iter().filter_map(|part| NewItem::read(part).ok()).collect();
    let good: Vec<NewItem> = items.into_iter().filter(|item| item.validate().is_ok()).collect();
    done(NewItem::merged(&good));
}

/// Messages of the shop.
pub fn messages(data: &[u8]) {
    let Ok(messages) = notifications::body::split(data) else { return };
    for message in messages.into_iter().flatten() {
        if let Ok(addressed) = message.validate(NOW, Millis::hours(24)) {
            let stored = serde_json::to_string(&addressed.message).expect("a message is JSON");
            let read: ShopMessage = serde_json::from_str(&stored).expect("what is stored is read");
            assert_eq!(
                (read.title, read.expires_at),
                (addressed.message.title, addressed.message.expires_at)
            );
        }
    }
}

/// Attributes of users, conditions about them, preferences.
pub fn people(data: &[u8]) {
    let (first, body) = choice(data);
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let none = Map::new();
    let object = value.as_object().unwrap_or(&none);
    match first % 3 {
        0 => {
            let Ok(attributes) = Attributes::parse(object) else { return };
            let stored = attributes.to_json();
            assert_eq!(Attributes::from_stored(&stored).to_json(), stored);
        }
        1 => {
            let Ok(condition) = serde_json::from_value::<AttributeCondition>(value) else { return };
            if condition.validate().is_ok() {
                condition.holds(&Attributes::default());
            }
        }
        _ => done(preferences::parse(object, &PreferenceDocument::default())),
    }
}

/// Parameters of queries.
pub fn queries(data: &[u8]) {
    let text = text(data);
    done(Asked::of_query(&text));
    done(query::parse::<Vec<(String, String)>>(&text));
}

/// Headers of proxies: lines of a name and a value.
pub fn forwarded(data: &[u8]) {
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "fd00::/8"].map(|text| Network::try_from(text.to_owned()).unwrap()).into();
    let mut head = RequestHead::default();
    head.peer_addr = Some(SocketAddr::from(([10, 0, 0, 1], 4_711)));
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            head.headers.append(name, value);
        }
    }
    done(Original::of(&head, &trusted));
}

/// Short texts: ids, moments, languages.
pub fn texts(data: &[u8]) {
    let text = text(data);
    if let Ok(id) = ExternalId::parse(&text) {
        assert_eq!(ExternalId::parse(&id.to_string()).as_ref(), Ok(&id), "{text:?}");
    }
    if let Some(moment) = Timestamp::parse(&text) {
        assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment), "{text:?}");
    }
    if let Some(local) = LocalTime::parse(&text) {
        done(local.to_string());
    }
    done(Language::parse(&text));
    done(text.parse::<uuid::Uuid>().map(NotificationId));
    done(serde_json::from_str::<IgnoredAny>(&text));
}

/// A stored frame made into what is pushed.
pub fn push_payload(data: &[u8]) {
    let text = text(data);
    done(push_payload::topic(&text));
    done(push_payload::compose(&text, "token"));
}
