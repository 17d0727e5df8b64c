//! Small shops for the unit tests of this module.

use crate::base::{ExternalId, ItemId, Timestamp, UserId};
use crate::catalogue::{Catalogue, Item};
use crate::event::{Event, EventKind};
use crate::profile::Profile;

use super::serve::request::Request;
use super::train::parameters::TrainingParameters;

/// The first second of every test.
pub const START: i64 = 1_700_000_000;

/// An item in a category.
pub fn item(id: u32, title: &str, category: &str) -> Item {
    Item {
        id: ItemId(id),
        external_id: ExternalId::Integer(i64::from(id)),
        title: Some(title.to_owned()),
        category: vec![category.to_owned()],
        tags: Vec::new(),
        price: None,
        currency: None,
        stock: None,
        url: None,
        image_url: None,
        attributes: Default::default(),
        consumable: false,
        local: None,
        created_at: Timestamp::from_seconds(START + i64::from(id)),
    }
}

/// Six items: 0…2 watches, 3…5 mugs.
pub fn shop() -> Catalogue {
    Catalogue::from_items([
        item(0, "Dive watch steel", "Watches"),
        item(1, "Dive watch titanium", "Watches"),
        item(2, "Dress watch gold", "Watches"),
        item(3, "Blue mug", "Kitchen"),
        item(4, "Red mug", "Kitchen"),
        item(5, "Green teapot", "Kitchen"),
    ])
}

/// A user's event, `day` days after the start.
pub fn event(user: u32, kind: EventKind, item: u32, day: f64) -> Event {
    Event {
        occurred_at: Timestamp::from_seconds(START).plus_days(day),
        user: Some(UserId(user)),
        item: Some(ItemId(item)),
        kind,
        dwell_ms: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
    }
}

/// A purchase of an anonymous basket.
pub fn anonymous(basket: i64, item: u32, day: f64) -> Event {
    Event { user: None, basket: Some(basket), ..event(0, EventKind::Purchase, item, day) }
}

/// A profile folded from events.
pub fn profile(events: &[Event], catalogue: &Catalogue) -> Profile {
    let mut profile = Profile::default();
    events.iter().for_each(|event| profile.apply(event, catalogue));
    profile
}

/// A plain request for `n` items, 100 days after the start.
pub fn request<'a>(profile: &'a Profile, catalogue: &'a Catalogue, n: usize) -> Request<'a> {
    Request::new(profile, catalogue, Timestamp::from_seconds(START).plus_days(100.0), n)
}

/// Nothing fades, nothing is shrunk, one thread.
pub fn plain() -> TrainingParameters {
    TrainingParameters {
        n_threads: 1,
        interaction_half_life_days: 0.0,
        popularity_half_life_days: 0.0,
        shrinkage: 0.0,
        ..TrainingParameters::default()
    }
}
