//! Content of a push message: the JSON that the service worker (`clients/js/src/sw.js`) shows, made from the stored frame, so that
//! a push and a socket say the same. Frame text in, at most [`MAX_PAYLOAD_BYTES`] of JSON out.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Most bytes that fit one encrypted record of 4,096 (RFC 8291 §4): 86 of header, 16 of tag, 1 of delimiter.
pub const MAX_PAYLOAD_BYTES: usize = 3_993;
/// Longest topic (RFC 8030 §5.4).
const TOPIC_CHARS: usize = 32;
/// Longest title worth sending; platforms show about fifty characters.
const MAX_TITLE_BYTES: usize = 300;
/// A longer address is left out rather than cut: half an address leads nowhere.
const MAX_URL_BYTES: usize = 1_500;

/// Urgency of waking a device (RFC 8030 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Allowed to wait for power and Wi-Fi.
    Low,
    /// The default.
    Normal,
    /// At once.
    High,
}

impl Urgency {
    /// The header's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// A message ready to be encrypted, and what its headers say.
#[derive(Clone, Debug, PartialEq)]
pub struct PushPayload {
    /// JSON, at most [`MAX_PAYLOAD_BYTES`].
    pub json: String,
    /// From the priority.
    pub urgency: Urgency,
    /// From the collapse key: a message still waiting at the push service is replaced by a later one of its topic.
    pub topic: Option<String>,
}

#[derive(Serialize)]
struct Payload<'a> {
    notification_id: &'a str,
    kind: &'a str,
    category: &'a str,
    title: String,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    tag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<&'a str>,
    report_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// The topic of a collapse key: its digest, since a topic may hold 32 characters of base64url, and since the push
/// service need not read the key.
pub fn topic(collapse_key: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digest = Sha256::digest(collapse_key.as_bytes());
    digest
        .iter()
        .take(TOPIC_CHARS)
        .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)))
        .map(|c| char::from(*c))
        .collect()
}

/// From a stored frame. `None` for a frame that is no JSON object with a `notification_id`. `O(frame)`.
pub fn compose(frame: &str, report_token: &str) -> Option<PushPayload> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let text = |field: &str| frame.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let first =
        |field: &str| frame.get("items")?.get(0)?.get(field)?.as_str().filter(|text| !text.is_empty());
    let id = text("notification_id")?;
    let collapse_key = text("collapse_key");
    let short = |url: &&str| url.len() <= MAX_URL_BYTES;
    let mut payload = Payload {
        notification_id: id,
        kind: text("kind").or_else(|| text("type")).unwrap_or("notification"),
        category: text("category").unwrap_or_default(),
        title: cut(text("title").unwrap_or_default(), MAX_TITLE_BYTES).to_owned(),
        body: text("body").unwrap_or_default().to_owned(),
        url: text("url").or_else(|| first("url")).filter(short),
        image: text("image_url").or_else(|| first("image_url")).filter(short),
        // Without a key of its own each message stands for itself, and one that comes twice replaces itself.
        tag: collapse_key.unwrap_or(id),
        expires_at: text("expires_at"),
        report_token,
        data: frame.get("data").filter(|data| !data.is_null()),
    };
    let json = fit(&mut payload)?;
    let urgency = match text("priority") {
        Some("low") => Urgency::Low,
        Some("high" | "transactional") => Urgency::High,
        _ => Urgency::Normal,
    };
    Some(PushPayload { json, urgency, topic: collapse_key.map(topic) })
}

/// Gives up what is least missed until it fits: data, picture, the end of the body. Id and address stay.
fn fit(payload: &mut Payload<'_>) -> Option<String> {
    let mut json = serde_json::to_string(payload).ok()?;
    if json.len() > MAX_PAYLOAD_BYTES {
        payload.data = None;
        json = serde_json::to_string(payload).ok()?;
    }
    if json.len() > MAX_PAYLOAD_BYTES {
        payload.image = None;
        json = serde_json::to_string(payload).ok()?;
    }
    while json.len() > MAX_PAYLOAD_BYTES {
        // A cut byte may have been six in JSON: too much is cut at first only where the text is plain.
        let over = json.len() - MAX_PAYLOAD_BYTES + "…".len();
        if payload.body.is_empty() {
            return None; // Categories, tags and tokens of kilobytes: not a message of ours.
        }
        // Of what is left of the text, so that each turn leaves less of it.
        let text = payload.body.trim_end_matches('…');
        let keep = text.len().checked_sub(over).filter(|keep| *keep > 0).unwrap_or(text.len() / 2);
        let kept = cut(text, keep);
        payload.body = if kept.is_empty() { String::new() } else { format!("{kept}…") };
        json = serde_json::to_string(payload).ok()?;
    }
    Some(json)
}

/// The longest prefix of at most `max` bytes that ends between two characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_push_says_what_the_frame_says() {
        let frame = json!({
            "type": "recommendation", "notification_id": "n1", "category": "for_you", "title": "For you", "body": "Three things",
            "items": [{"item_id": 1, "url": "https://shop.example/1", "image_url": "https://shop.example/1.jpg"}],
            "collapse_key": "order/17", "priority": "high", "expires_at": "2026-11-25T00:00:00Z",
        });
        let push = compose(&frame.to_string(), "token").unwrap();
        let payload: Value = serde_json::from_str(&push.json).unwrap();
        assert_eq!(payload["title"], "For you");
        assert_eq!(payload["url"], "https://shop.example/1");
        assert_eq!(payload["image"], "https://shop.example/1.jpg");
        assert_eq!(
            (payload["tag"].as_str(), payload["report_token"].as_str()),
            (Some("order/17"), Some("token"))
        );
        assert_eq!(push.urgency, Urgency::High);
        assert_eq!(push.topic, Some(topic("order/17")));
    }

    #[test]
    fn topics_are_short_and_differ() {
        let (a, b) = (topic("order/17"), topic("order/18"));
        assert_ne!(a, b);
        assert!([&a, &b].iter().all(|topic| topic.len() == 32));
        assert!(a.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
    }

    #[test]
    fn what_is_no_frame_is_no_push() {
        for bad in ["", "[]", "{}", "{\"notification_id\":7}"] {
            assert_eq!(compose(bad, "t"), None, "{bad}");
        }
    }

    proptest! {
        /// Any text of the shop fits, and id and address survive.
        #[test]
        fn every_payload_fits_and_keeps_its_id_and_address(title in ".{0,600}", body in ".{0,6000}", data in ".{0,5000}") {
            let frame = json!({"notification_id": "n1", "title": title, "body": body, "url": "https://shop.example/a",
                "image_url": "https://shop.example/i", "data": {"x": data}});
            let push = compose(&frame.to_string(), "token").unwrap();
            prop_assert!(push.json.len() <= MAX_PAYLOAD_BYTES);
            let payload: Value = serde_json::from_str(&push.json).unwrap();
            prop_assert_eq!(&payload["notification_id"], "n1");
            prop_assert_eq!(&payload["url"], "https://shop.example/a");
            prop_assert!(body.starts_with(payload["body"].as_str().unwrap().trim_end_matches('…')));
        }
    }
}
