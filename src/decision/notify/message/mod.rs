//! A message of the shop: from JSON to a [`Message`] that can't be wrong. Bounds are in characters for texts that people
//! read and in bytes for everything else.

mod audience;
mod error;
mod options;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::audience::{Audience, MAX_RECIPIENTS, topic_name};
use self::audience::{MAX_KEY_BYTES, RawAudience};
use self::error::wrong;
use super::local_time::LocalTime;
use super::pace::Pace;
use tidings_core::base::{ExternalId, FieldError, Millis, Timestamp, has_escaped_nul};

/// Longest title, characters.
pub const MAX_TITLE: usize = 200;
/// Longest body, characters.
pub const MAX_BODY: usize = 2_000;
/// Largest `data`, bytes of JSON.
pub const MAX_DATA_BYTES: usize = 8 << 10;
const MAX_URL_BYTES: usize = 2_048;
const MAX_NAME_BYTES: usize = 64;
/// Longest time ahead for `send_at` and `expires_at`.
const MAX_AHEAD: Millis = Millis::hours(24 * 90);

/// Urgency of a message. The numbers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum Priority {
    /// Deferrable; the first to go when too much is unacknowledged.
    Low = 0,
    /// The rule.
    #[default]
    Normal = 1,
    /// Before others.
    High = 2,
    /// Something of the user's own that they need to know, such as the status of an order. Never dropped, never collapsed
    /// but by its own `collapse_key`.
    Transactional = 3,
}

impl Priority {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Transactional => "transactional",
        }
    }

    /// As stored.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// From what is stored; a number out of range, which the schema forbids, becomes `Normal`.
    pub fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Low,
            2 => Self::High,
            3 => Self::Transactional,
            _ => Self::Normal,
        }
    }
}

/// A message with its JSON, parsed once for everyone who gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The message.
    pub message: Message,
    /// Its JSON object, as stored.
    pub json: Box<str>,
}

impl Encoded {
    /// From what is stored; `None` for what this version can't read.
    pub fn parse(json: &str) -> Option<Self> {
        Some(Self { message: serde_json::from_str(json).ok()?, json: json.into() })
    }
}

/// Content and properties of a message, the same for everyone who gets it. Stored as JSON in the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = NotificationContent))]
pub struct Message {
    /// `promotion`, `order_status`, …: `[a-z0-9_]`.
    pub kind: Box<str>,
    /// Category that caps and mutes go by.
    pub category: Box<str>,
    /// Urgency of the message.
    pub priority: Priority,
    /// One line.
    pub title: Box<str>,
    /// A few sentences; may be empty.
    pub body: Box<str>,
    /// Target of a click: `https://…`, `http://…` or a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Box<str>>,
    /// Picture, as `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<Box<str>>,
    /// For the client's own code: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// A newer message with the same key supersedes this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<Box<str>>,
    /// Not worth showing after this.
    pub expires_at: Timestamp,
    /// Name of the template that makes title and body for each user, which are empty until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Box<str>>,
    /// Value of `event` in the template: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<Value>,
    /// Value of `item` in the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<ExternalId>,
}

/// A checked message and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Addressed {
    /// Audience.
    pub audience: Audience,
    /// Checked message.
    pub message: Message,
    /// Not before this; `None` = at once.
    pub send_at: Option<Timestamp>,
    /// With each user (or the audience): accepted once.
    pub dedupe_key: Option<Box<str>>,
    /// For those who are looking right now, and not kept.
    pub ephemeral: bool,
    /// Most users a minute; `None` = as fast as it goes.
    pub pace: Option<Pace>,
    /// Due at this time in each user's own zone; `None` = at `send_at`, which here is when it comes first.
    pub local: Option<LocalTime>,
}

/// As it comes: one object of `POST /v1/notifications`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = NewMessage))]
pub struct RawMessage {
    #[serde(default)]
    to: Option<RawAudience>,
    #[serde(default)]
    user_id: Option<ExternalId>,
    #[serde(default)]
    user_ids: Option<Vec<ExternalId>>,
    #[serde(default)]
    segment: Option<String>,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    everyone: bool,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    image_url: Option<String>,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    dedupe_key: Option<String>,
    #[serde(default)]
    collapse_key: Option<String>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    send_at: Option<Timestamp>,
    #[serde(default)]
    ephemeral: bool,
    #[serde(default)]
    rate_per_minute: Option<u32>,
    #[serde(default)]
    send_at_local: Option<String>,
    #[serde(default)]
    template: Option<String>,
    #[serde(default)]
    variables: Option<Value>,
    #[serde(default)]
    item_id: Option<ExternalId>,
}

impl RawMessage {
    /// Checks everything; `lifetime` is how long a message that names no `expires_at` is worth showing. O(size).
    pub fn validate(self, now: Timestamp, lifetime: Millis) -> Result<Addressed, FieldError> {
        let kind = name("kind", self.kind.as_deref().unwrap_or("announcement"))?;
        let category = match &self.category {
            Some(category) => name("category", category)?,
            None => kind.clone(),
        };
        let send_at = ahead("send_at", self.send_at, now)?.filter(|at| *at > now);
        let has_other_time = self.send_at.is_some() || self.ephemeral || self.rate_per_minute.is_some();
        let local = options::local(self.send_at_local.as_deref(), has_other_time, now)?;
        ahead("send_at_local", local.map(LocalTime::first), now)?;
        let send_at = local.map(LocalTime::first).filter(|at| *at > now).or(send_at);
        // It lives on from where it comes last.
        let begin = local.map(LocalTime::last).or(send_at).unwrap_or(now);
        let expires_at = ahead("expires_at", self.expires_at, now)?.unwrap_or(begin + lifetime);
        if expires_at <= begin {
            return wrong("expired", "expires_at", "expires_at must lie after now and after send_at");
        }
        let has_words = !self.title.is_empty() || !self.body.is_empty();
        let has_item = self.item_id.is_some();
        options::check_template(self.template.as_deref(), has_words, self.variables.as_ref(), has_item)?;
        let title = text("title", &self.title, MAX_TITLE)?;
        if self.template.is_none() && title.trim().is_empty() {
            return wrong("missing_field", "title", "a message needs a title");
        }
        let message = Message {
            kind,
            category,
            priority: self.priority,
            title,
            body: text("body", &self.body, MAX_BODY)?,
            url: link("url", self.url.as_deref())?,
            image_url: link("image_url", self.image_url.as_deref())?,
            data: data(self.data)?,
            collapse_key: key("collapse_key", self.collapse_key)?,
            expires_at,
            template: self.template.map(Into::into),
            variables: self.variables,
            item_id: self.item_id,
        };
        let dedupe_key = key("dedupe_key", self.dedupe_key)?;
        let to = self.to.unwrap_or(RawAudience {
            user_id: self.user_id,
            user_ids: self.user_ids,
            segment: self.segment,
            topic: self.topic,
            attributes: None,
            everyone: self.everyone,
        });
        let audience = to.check()?;
        let ephemeral = self.ephemeral;
        if ephemeral {
            let is_for_later = send_at.is_some() || dedupe_key.is_some() || message.collapse_key.is_some();
            check_ephemeral(is_for_later, message.template.is_some(), &audience)?;
        }
        let is_single = matches!(&audience, Audience::Users(users) if users.len() == 1);
        let pace = options::pace(self.rate_per_minute, is_single || ephemeral)?;
        Ok(Addressed { audience, message, send_at, dedupe_key, ephemeral, pace, local })
    }
}

/// Refuses an ephemeral message for later, with words of their own for each reader, or to readers who are looked up.
fn check_ephemeral(is_for_later: bool, is_templated: bool, audience: &Audience) -> Result<(), FieldError> {
    let text = if is_for_later {
        "an ephemeral message is shown now or never: leave out send_at, dedupe_key and collapse_key"
    } else if is_templated {
        "an ephemeral message is the same for everybody: give title and body, no template"
    } else if matches!(audience, Audience::Topic(_) | Audience::Meeting(_)) {
        "an ephemeral message goes to users, a segment or everyone, not to a topic or by attributes"
    } else {
        return Ok(());
    };
    wrong("bad_ephemeral", "ephemeral", text)
}

fn name(field: &'static str, text: &str) -> Result<Box<str>, FieldError> {
    let good = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    if text.is_empty() || text.len() > MAX_NAME_BYTES || !text.as_bytes().iter().all(good) {
        return wrong("bad_name", field, format!("{field} is 1…{MAX_NAME_BYTES} of a–z, 0–9 and _"));
    }
    Ok(text.into())
}

fn text(field: &'static str, text: &str, max: usize) -> Result<Box<str>, FieldError> {
    let n = text.chars().count();
    if n > max {
        return wrong(
            "too_long",
            field,
            format!("{field} is at most {max} characters long, this one has {n}"),
        );
    }
    // Line breaks as any system writes them, and tabs, are text.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        let message = format!("{field} must not contain control characters other than line breaks and tabs");
        return wrong("control_character", field, message);
    }
    Ok(text.into())
}

fn key(field: &'static str, key: Option<String>) -> Result<Option<Box<str>>, FieldError> {
    match key {
        Some(key) if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) => {
            wrong(
                "bad_key",
                field,
                format!("{field} is 1…{MAX_KEY_BYTES} bytes of UTF-8 without control characters"),
            )
        }
        key => Ok(key.map(Into::into)),
    }
}

/// Nothing a browser would run: only `https:`, `http:` and paths of the shop.
fn link(field: &'static str, link: Option<&str>) -> Result<Option<Box<str>>, FieldError> {
    let Some(link) = link else { return Ok(None) };
    let is_path = link.starts_with('/') && !link.starts_with("//");
    let known = is_path || link.starts_with("https://") || link.starts_with("http://");
    if !known || link.len() > MAX_URL_BYTES || link.chars().any(|c| c.is_control() || c == ' ') {
        return wrong(
            "bad_url",
            field,
            format!(
                "{field} is https://…, http://… or a path that begins with one /, at most {MAX_URL_BYTES} bytes"
            ),
        );
    }
    Ok(Some(link.into()))
}

fn data(data: Option<Value>) -> Result<Option<Value>, FieldError> {
    match data {
        None | Some(Value::Null) => Ok(None),
        Some(data @ Value::Object(_)) => match data.to_string().len() {
            n if n > MAX_DATA_BYTES => wrong(
                "too_long",
                "data",
                format!("data is at most {MAX_DATA_BYTES} bytes of JSON, this has {n}"),
            ),
            _ if has_escaped_nul(data.to_string().as_bytes()) => options::nul("data"),
            _ => Ok(Some(data)),
        },
        Some(_) => wrong("bad_data", "data", "data is an object"),
    }
}

fn ahead(
    field: &'static str,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, FieldError> {
    match at {
        Some(at) if at > now + MAX_AHEAD => {
            wrong("too_far", field, format!("{field} is at most 90 days ahead"))
        }
        at => Ok(at),
    }
}
