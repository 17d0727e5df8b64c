//! Admission of events. The shop asserts; a client reports what its user did lately, with items that exist; what it says of money
//! is a claim. One way in for every door: HTTP, sockets and posted frames.

use super::kind::EventKind;
use super::new_event::NewEvent;
use super::own_kinds::OwnKinds;
use super::raw::RawEvent;
use super::speaker::Speaker;
use super::wire::EventLimits;
use crate::base::{ExternalId, FieldError, Millis, Timestamp};
use crate::catalogue::Catalogue;
use crate::config::{Config, FromEvents};

/// Rules by which the events of one request are let in.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    limits: EventLimits,
    from_events: FromEvents,
    catalogue: &'a Catalogue,
    kinds: &'a OwnKinds,
}

impl<'a> Admission<'a> {
    /// Rules for what `speaker` says at `now`.
    pub fn new(speaker: Speaker, config: &Config, catalogue: &'a Catalogue, now: Timestamp) -> Self {
        let limits = match speaker {
            Speaker::Shop => EventLimits::at(now),
            Speaker::Client => EventLimits::recent(now, Millis::hours(config.event.client_window_h)),
        };
        Self { limits, from_events: config.catalogue.from_events, catalogue, kinds: OwnKinds::NONE }
    }

    /// The same with kinds of the shop's own.
    pub fn with_kinds(self, kinds: &'a OwnKinds) -> Self {
        Self { kinds, ..self }
    }

    /// Validates an event. `user` is who the connection or the token speaks for; then `user_id` may be absent and must not differ.
    /// Keys of a client are apart from the shop's: no client can make an event of the shop a duplicate.
    pub fn admit(&self, raw: RawEvent, user: Option<&ExternalId>) -> Result<NewEvent, FieldError> {
        let mut event = raw.validate_with(user, &self.limits, self.kinds)?;
        if self.limits.speaker == Speaker::Client {
            event.kind = claimed(event.kind);
        }
        match &event.item {
            Some(item) if !self.may_name(item) => Err(self.unknown_item(item)),
            _ => Ok(event),
        }
    }

    fn may_name(&self, item: &ExternalId) -> bool {
        let may_add = match self.from_events {
            FromEvents::Never => false,
            FromEvents::Shop => self.limits.speaker == Speaker::Shop,
            FromEvents::Anyone => true,
        };
        may_add || self.catalogue.find(item).is_some()
    }

    fn unknown_item(&self, item: &ExternalId) -> FieldError {
        let cure = match self.from_events {
            FromEvents::Never => {
                "PUT /v1/items adds items; events do not (catalogue.from_events = \"never\")"
            }
            FromEvents::Shop | FromEvents::Anyone => {
                "the shop adds items, by PUT /v1/items or by an event with a service token (catalogue.from_events)"
            }
        };
        FieldError::new(
            "unknown_item",
            "item_id",
            format!("there is no item {item} in the catalogue; {cure}"),
        )
    }
}

/// Makes a claim of what a client says of money; leaves every other kind as it is.
fn claimed(kind: EventKind) -> EventKind {
    match kind {
        EventKind::Purchase => EventKind::PurchaseClaim,
        EventKind::Return => EventKind::ReturnClaim,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ItemId;
    use crate::catalogue::Item;
    use crate::event::wire::tests::NOW;

    fn catalogue() -> Catalogue {
        Catalogue::from_items([Item::named(ItemId(0), ExternalId::Integer(7), NOW)])
    }

    fn admit(
        speaker: Speaker,
        from_events: FromEvents,
        json: &str,
    ) -> Result<NewEvent, (&'static str, String)> {
        let mut config = Config::default();
        config.catalogue.from_events = from_events;
        let catalogue = catalogue();
        let admission = Admission::new(speaker, &config, &catalogue, NOW);
        let user = ExternalId::Integer(1);
        let raw = serde_json::from_str(json).unwrap();
        admission.admit(raw, Some(&user)).map_err(|error| (error.code, error.field.into_owned()))
    }

    #[test]
    fn a_client_names_items_that_exist_and_the_shop_any() {
        let (known, unknown) = (r#"{"kind":"view","item_id":7}"#, r#"{"kind":"like","item_id":"nan"}"#);
        let refused = Err(("unknown_item", "item_id".to_owned()));
        for (speaker, from_events, is_taken) in [
            (Speaker::Client, FromEvents::Never, false),
            (Speaker::Client, FromEvents::Shop, false),
            (Speaker::Client, FromEvents::Anyone, true),
            (Speaker::Shop, FromEvents::Never, false),
            (Speaker::Shop, FromEvents::Shop, true),
            (Speaker::Shop, FromEvents::Anyone, true),
        ] {
            assert!(admit(speaker, from_events, known).is_ok());
            assert!(admit(speaker, from_events, r#"{"kind":"search","query":"x"}"#).is_ok());
            let outcome = admit(speaker, from_events, unknown);
            assert_eq!(outcome.is_ok(), is_taken, "{speaker:?} {from_events:?}");
            assert!(is_taken || outcome == refused);
        }
    }

    #[test]
    fn a_client_reports_the_last_hours_and_the_shop_its_history() {
        let at = |hours: i64| {
            format!(
                r#"{{"kind":"view","item_id":7,"occurred_at":{}}}"#,
                NOW.as_millis() / 1_000 - hours * 3_600
            )
        };
        let ask = |speaker, hours| admit(speaker, FromEvents::Shop, &at(hours)).map(|_| ());
        assert_eq!(ask(Speaker::Client, 71), Ok(()));
        assert_eq!(ask(Speaker::Client, 73), Err(("too_old", "occurred_at".to_owned())));
        assert_eq!(ask(Speaker::Client, -1), Err(("in_the_future", "occurred_at".to_owned())));
        assert_eq!(ask(Speaker::Shop, 24 * 365 * 20), Ok(()));
    }

    #[test]
    fn what_a_client_says_of_money_is_a_claim_with_a_key_of_its_own() {
        for (kind, claim) in [
            ("purchase", EventKind::PurchaseClaim),
            ("return", EventKind::ReturnClaim),
            ("rate", EventKind::Rate),
        ] {
            let json = format!(r#"{{"kind":"{kind}","item_id":7,"event_id":"o1","value":5}}"#);
            let said = admit(Speaker::Client, FromEvents::Shop, &json).unwrap();
            let asserted = admit(Speaker::Shop, FromEvents::Shop, &json).unwrap();
            assert_eq!((said.kind, asserted.kind.name()), (claim, kind));
            assert_ne!(said.key, asserted.key, "the shop's event is no duplicate of the claim");
        }
    }
}
