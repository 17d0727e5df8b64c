//! Validation of a [`RawEvent`] into a [`NewEvent`].

use uuid::Uuid;

use super::kind::EventKind;
use super::new_event::NewEvent;
use super::own_kinds::OwnKinds;
use super::raw::RawEvent;
use super::speaker::Speaker;
use crate::base::{EventKey, ExternalId, ExternalIdError, FieldError, Millis, Timestamp};

/// Longest `event_id`, in bytes.
const MAX_EVENT_ID_BYTES: usize = 128;
/// Longest search query kept, in bytes.
const MAX_QUERY_BYTES: usize = 512;
/// Longest believable dwell: a day. The cleaning step winsorises far below it.
const MAX_DWELL_MS: u64 = 86_400_000;
/// Largest believable amount of money and number of units.
const MAX_AMOUNT: f64 = 1e9;

/// Bounds that depend on when and where an event arrives.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// The server's clock.
    pub now: Timestamp,
    /// Longest time that `occurred_at` may lie in the future (clocks differ).
    pub max_future: Millis,
    /// Oldest believable moment.
    pub oldest: Timestamp,
    /// Source of the events; keys of clients and of the shop are apart.
    pub speaker: Speaker,
    /// Reason why nothing older is taken, for a person; empty = nobody believes it.
    older_is: &'static str,
}

impl EventLimits {
    /// Limits of the shop's events: five minutes into the future, back to 1995.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            max_future: Millis::seconds(300),
            oldest: Timestamp::from_seconds(788_918_400),
            speaker: Speaker::Shop,
            older_is: "",
        }
    }

    /// Five minutes into the future, and back over a window: what a client has to say.
    pub fn recent(now: Timestamp, window: Millis) -> Self {
        let older_is =
            ": a client reports the last hours (event.client_window_h), history comes from the shop";
        Self { oldest: now - window, speaker: Speaker::Client, older_is, ..Self::at(now) }
    }
}

impl RawEvent {
    /// Validates an event of a built-in kind. `user` is who the connection logged in as; then `user_id` may be absent and must not
    /// differ.
    pub fn validate(self, user: Option<&ExternalId>, limits: &EventLimits) -> Result<NewEvent, FieldError> {
        self.validate_with(user, limits, OwnKinds::NONE)
    }

    /// The same, or of one of these kinds.
    pub fn validate_with(
        self,
        user: Option<&ExternalId>,
        limits: &EventLimits,
        kinds: &OwnKinds,
    ) -> Result<NewEvent, FieldError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.kind.is_empty() {
            return Err(FieldError::new("missing_field", "kind", "say what was done, e.g. \"view\""));
        }
        let kind = kinds.find(&self.kind).map_err(|says| FieldError::new("unknown_kind", "kind", says))?;
        let user = self.who(user)?;
        let item = optional_id(self.item_id.as_ref(), "item_id", ExternalId::from_json)?;
        if kind.needs_item() && item.is_none() {
            return Err(FieldError::new(
                "missing_field",
                "item_id",
                format!("a {} names its item", self.kind),
            ));
        }
        let occurred_at = check_moment(self.occurred_at, limits)?;
        let dwell_ms = check_dwell(self.dwell_ms)?;
        let quantity = check_quantity(self.quantity)?;
        let value = check_value(kind, self.value)?;
        if let Some(currency) = &self.currency
            && !(currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            return Err(FieldError::new("bad_currency", "currency", "must be an ISO 4217 code such as EUR"));
        }
        let query = check_query(kind, self.query)?;
        let basket =
            optional_id(self.basket_id.as_ref(), "basket_id", ExternalId::from_json)?.map(|id| hash_id(&id));
        let (key, deduplicate) = event_key(self.event_id.as_ref(), user.as_ref(), limits.speaker)?;
        Ok(NewEvent {
            key,
            deduplicate,
            user,
            item,
            kind,
            occurred_at,
            dwell_ms,
            query,
            quantity,
            value,
            currency: self.currency,
            basket,
            list: self.list_id,
        })
    }

    fn who(&self, login: Option<&ExternalId>) -> Result<Option<ExternalId>, FieldError> {
        let named = optional_id(self.user_id.as_ref(), "user_id", ExternalId::of_somebody)?;
        match (login, named) {
            (Some(login), Some(named)) if *login != named => Err(FieldError::new(
                "not_permitted",
                "user_id",
                "this connection is logged in as another user",
            )),
            (Some(login), _) => Ok(Some(login.clone())),
            (None, Some(named)) => Ok(Some(named)),
            // A shop's backend may report baskets of people it does not know.
            (None, None) if self.basket_id.is_some() => Ok(None),
            (None, None) => Err(FieldError::new(
                "missing_field",
                "user_id",
                "say who (or, for an anonymous session, basket_id)",
            )),
        }
    }
}

/// A basket's key inside: the first 63 bits of a SHA-256 of its id.
pub fn hash_id(id: &ExternalId) -> i64 {
    let key = EventKey::from_parts(&[id.to_string().as_bytes()]).0.as_u128();
    i64::try_from(key >> 65).unwrap_or(0)
}

fn optional_id(
    value: Option<&serde_json::Value>,
    field: &'static str,
    read: fn(&serde_json::Value) -> Result<ExternalId, ExternalIdError>,
) -> Result<Option<ExternalId>, FieldError> {
    match value {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(value) => read(value)
            .map(Some)
            .map_err(|error: ExternalIdError| FieldError::new("bad_id", field, error.to_string())),
    }
}

/// The server's clock if absent.
fn check_moment(occurred_at: Option<Timestamp>, limits: &EventLimits) -> Result<Timestamp, FieldError> {
    let at = occurred_at.unwrap_or(limits.now);
    if at > limits.now + limits.max_future {
        let message = format!("is after the server's clock, {}", limits.now);
        return Err(FieldError::new("in_the_future", "occurred_at", message));
    }
    if at < limits.oldest {
        let message = format!("must be after {}{}", limits.oldest, limits.older_is);
        return Err(FieldError::new("too_old", "occurred_at", message));
    }
    Ok(at)
}

fn check_dwell(dwell_ms: Option<u64>) -> Result<Option<u32>, FieldError> {
    match dwell_ms {
        Some(dwell) if dwell > MAX_DWELL_MS => {
            let message = format!("must be 0…{MAX_DWELL_MS} milliseconds, is {dwell}");
            Err(FieldError::new("out_of_range", "dwell_ms", message))
        }
        dwell => Ok(dwell.and_then(|dwell| u32::try_from(dwell).ok())),
    }
}

/// 1 if absent.
fn check_quantity(quantity: Option<f64>) -> Result<f32, FieldError> {
    let quantity = quantity.unwrap_or(1.0);
    if quantity.is_finite() && quantity > 0.0 && quantity <= MAX_AMOUNT {
        return Ok(quantity as f32);
    }
    let message = format!("must be more than 0 and at most 1e9, is {quantity}");
    Err(FieldError::new("out_of_range", "quantity", message))
}

fn check_value(kind: EventKind, value: Option<f64>) -> Result<Option<f64>, FieldError> {
    let Some(amount) = value else {
        if kind == EventKind::Rate {
            return Err(FieldError::new("missing_field", "value", "a rate gives its stars, 0…5"));
        }
        return Ok(None);
    };
    let largest = if kind == EventKind::Rate { 5.0 } else { MAX_AMOUNT };
    if amount.is_finite() && (0.0..=largest).contains(&amount) {
        Ok(Some(amount))
    } else {
        Err(FieldError::new("out_of_range", "value", format!("must be 0…{largest}, is {amount}")))
    }
}

fn check_query(kind: EventKind, query: Option<String>) -> Result<Option<String>, FieldError> {
    match query {
        None if kind == EventKind::Search => {
            Err(FieldError::new("missing_field", "query", "a search says what for"))
        }
        Some(query) if query.len() > MAX_QUERY_BYTES => Err(FieldError::new(
            "too_long",
            "query",
            format!("at most {MAX_QUERY_BYTES} bytes, has {}", query.len()),
        )),
        // PostgreSQL text can't hold it.
        Some(query) if query.contains('\0') => {
            Err(FieldError::new("bad_text", "query", "must not contain NUL (U+0000)"))
        }
        // Other control characters are noise in a query.
        query => Ok(query.map(|query| query.replace(char::is_control, " "))),
    }
}

fn event_key(
    event_id: Option<&serde_json::Value>,
    user: Option<&ExternalId>,
    speaker: Speaker,
) -> Result<(EventKey, bool), FieldError> {
    let text = match event_id {
        None | Some(serde_json::Value::Null) => return Ok((EventKey(Uuid::now_v7()), false)),
        Some(serde_json::Value::String(text)) if (1..=MAX_EVENT_ID_BYTES).contains(&text.len()) => {
            text.clone()
        }
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(_) => {
            return Err(FieldError::new(
                "bad_id",
                "event_id",
                format!("must be an integer or a string of 1…{MAX_EVENT_ID_BYTES} bytes"),
            ));
        }
    };
    // Scoped to the user and to who says it, so that no client can swallow another's events, or the shop's, by guessing ids.
    let owner = user.map(ToString::to_string).unwrap_or_default();
    let scope: &[u8] = match speaker {
        Speaker::Shop => b"event_id",
        Speaker::Client => b"client",
    };
    Ok((EventKey::from_parts(&[scope, owner.as_bytes(), text.as_bytes()]), true))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn validate(json: &str) -> Result<NewEvent, FieldError> {
        let raw: RawEvent = serde_json::from_str(json).unwrap();
        raw.validate(None, &EventLimits::at(Timestamp::from_seconds(1_700_000_000)))
    }

    #[test]
    fn a_minimal_view_is_taken() {
        let event = validate(r#"{"kind":"view","user_id":1,"item_id":"A"}"#).unwrap();
        assert_eq!(event.kind, EventKind::View);
        assert_eq!(event.occurred_at, Timestamp::from_seconds(1_700_000_000));
        assert_eq!(event.quantity, 1.0);
        assert!(!event.deduplicate);
    }

    #[test]
    fn each_fault_has_its_code_and_field() {
        for (json, code, field) in [
            (r#"{"user_id":1}"#, "missing_field", "kind"),
            (r#"{"kind":"dance","user_id":1}"#, "unknown_kind", "kind"),
            (r#"{"kind":"view","item_id":1}"#, "missing_field", "user_id"),
            (r#"{"kind":"view","user_id":1}"#, "missing_field", "item_id"),
            (r#"{"kind":"view","user_id":1.5,"item_id":1}"#, "bad_id", "user_id"),
            (
                r#"{"kind":"view","user_id":1,"item_id":1,"occurred_at":1800000000}"#,
                "in_the_future",
                "occurred_at",
            ),
            (r#"{"kind":"view","user_id":1,"item_id":1,"occurred_at":1}"#, "too_old", "occurred_at"),
            (r#"{"kind":"view","user_id":1,"item_id":1,"dwell_ms":86400001}"#, "out_of_range", "dwell_ms"),
            (r#"{"kind":"purchase","user_id":1,"item_id":1,"value":-1}"#, "out_of_range", "value"),
            (r#"{"kind":"purchase","user_id":1,"item_id":1,"quantity":0}"#, "out_of_range", "quantity"),
            (r#"{"kind":"purchase","user_id":1,"item_id":1,"currency":"eur"}"#, "bad_currency", "currency"),
            (r#"{"kind":"rate","user_id":1,"item_id":1,"value":6}"#, "out_of_range", "value"),
            (r#"{"kind":"rate","user_id":1,"item_id":1}"#, "missing_field", "value"),
            (r#"{"kind":"search","user_id":1}"#, "missing_field", "query"),
            (r#"{"kind":"view","user_id":1,"item_id":1,"event_id":[]}"#, "bad_id", "event_id"),
            (r#"{"kind":"view","user_id":1,"item_id":1,"dwell":2400}"#, "unknown_field", "dwell"),
            (r#"{"kind":"view","user_id":1,"item_id":1,"dwell_ms":"long"}"#, "bad_field", "dwell_ms"),
            (r#"{"kind":7,"user_id":1,"item_id":1}"#, "bad_field", "kind"),
            (r#"{"kind":"view","user_id":1,"item_id":1,"list_id":"home"}"#, "bad_field", "list_id"),
            (
                r#"{"kind":"view","user_id":1,"item_id":1,"occurred_at":"yesterday"}"#,
                "bad_field",
                "occurred_at",
            ),
            (
                r#"{"kind":"view","user_id":1,"item_id":1,"order_id":1,"session_id":2}"#,
                "ambiguous",
                "basket_id",
            ),
            (r#"{"kind":"view","user_id":1,"item_id":1,"type":"track"}"#, "unknown_field", "type"),
            (r#"{"kind":"search","user_id":1,"query":"a\u0000b"}"#, "bad_text", "query"),
        ] {
            let error = validate(json).unwrap_err();
            assert_eq!((error.code, &*error.field), (code, field), "{json}");
        }
    }

    #[test]
    fn an_unknown_field_is_answered_with_the_nearest_name() {
        for (field, hint) in [
            ("dwell", "dwell_ms"),
            ("itemId", "item_id"),
            ("curency", "currency"),
            ("occured_at", "occurred_at"),
        ] {
            let json = format!(r#"{{"kind":"view","user_id":1,"item_id":1,"{field}":1}}"#);
            let message = validate(&json).unwrap_err().message;
            assert!(message.ends_with(&format!("did you mean {hint}?")), "{message}");
        }
        assert!(
            validate(r#"{"kind":"view","user_id":1,"item_id":1,"zzz":1}"#)
                .unwrap_err()
                .message
                .contains("dwell_ms")
        );
        validate(r#"{"type":"event","kind":"view","user_id":1,"item_id":1,"dwell_ms":null,"order_id":null}"#)
            .unwrap();
    }

    #[test]
    fn a_time_without_a_zone_is_refused_by_name_and_one_with_a_zone_is_read() {
        // Within what is believed, which begins in 1995 and ends now.
        let at = |time: &str| {
            validate(&format!(r#"{{"kind":"view","user_id":1,"item_id":1,"occurred_at":"{time}"}}"#))
        };
        for time in ["2019-11-01 00:00:00", "2019-11-01T00:00:00", "2019-11-01"] {
            let error = at(time).unwrap_err();
            assert_eq!(error.field, "occurred_at");
            assert!(error.message.contains("no zone"), "{error}");
        }
        for time in ["2019-11-01 00:00:00 UTC", "2019-11-01 05:00:00 +0500", "2019-11-01T00:00:00Z"] {
            assert_eq!(at(time).unwrap().occurred_at, Timestamp::from_seconds(1_572_566_400), "{time}");
        }
    }

    #[test]
    fn the_same_event_id_of_the_same_user_gives_the_same_key() {
        let key = |json| validate(json).unwrap().key;
        let first = key(r#"{"kind":"view","user_id":1,"item_id":1,"event_id":"e1"}"#);
        assert_eq!(first, key(r#"{"kind":"view","user_id":"1","item_id":1,"event_id":"e1"}"#));
        assert_ne!(first, key(r#"{"kind":"view","user_id":2,"item_id":1,"event_id":"e1"}"#));
    }

    #[test]
    fn a_socket_speaks_only_for_its_own_user() {
        let raw: RawEvent = serde_json::from_str(r#"{"kind":"view","user_id":2,"item_id":1}"#).unwrap();
        let login = ExternalId::Integer(1);
        let limits = EventLimits::at(Timestamp::from_seconds(1_700_000_000));
        assert_eq!(raw.validate(Some(&login), &limits).unwrap_err().code, "not_permitted");
    }
}
