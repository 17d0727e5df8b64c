//! Items that lists may name, and the truth of what lists say of them.

use crate::base::ItemId;
use crate::catalogue::Item;
use crate::event::{Event, EventKind};
use crate::profile::Profile;
use crate::recommend::fixtures::{event, item, profile, request, shop};

use super::list_tests::similar;
use super::reason::Reason;
use super::request::Request;
use super::tests::{history, ids, trained};

#[test]
fn nobody_is_told_of_a_view_that_never_was() {
    let catalogue = shop();
    let model = trained(&history(), 6, &catalogue);
    let reason = |kind, seed: Option<u32>| {
        let did = profile(&[Event { value: Some(5.0), ..event(9, kind, 0, 50.0) }], &catalogue);
        let asked = Request { seed: seed.map(ItemId), ..request(&did, &catalogue, 3) };
        model.recommend(&asked)[0].reason
    };
    for seed in [None, Some(0)] {
        assert_eq!(reason(EventKind::View, seed), Reason::Viewed(ItemId(0)));
        assert_eq!(reason(EventKind::Rate, seed), Reason::Rated(ItemId(0)));
        assert_eq!(reason(EventKind::Like, seed), Reason::Liked(ItemId(0)));
    }
    // Nothing but the very items is left: what was seen is not said to have been viewed.
    let all: Vec<Event> = (0..6)
        .flat_map(|item| {
            [(EventKind::AddToCart, 1.0), (EventKind::RemoveFromCart, 2.0)]
                .map(|(kind, day)| event(9, kind, item, day))
        })
        .collect();
    let list = model.recommend(&request(&profile(&all, &catalogue), &catalogue, 6));
    assert!(
        !list.is_empty() && list.iter().all(|known| !matches!(known.reason, Reason::Viewed(_))),
        "{list:?}"
    );
}

#[test]
fn what_only_events_have_named_is_learnt_from_and_never_recommended() {
    let mut catalogue = shop();
    for id in [6, 7] {
        catalogue.upsert(Item { title: None, category: Vec::new(), ..item(id, "", "") });
    }
    // The two are what everybody buys, and go with watch 0.
    let mut events = history();
    for user in 0..4 {
        events.extend([6, 7].map(|item| event(user, EventKind::Purchase, item, 9.0)));
    }
    let model = trained(&events, 6, &catalogue);
    let buyer = profile(&[event(9, EventKind::Purchase, 6, 50.0)], &catalogue);
    let nobody = Profile::default();
    for (who, seed) in [(&nobody, None), (&nobody, Some(0)), (&buyer, None), (&buyer, Some(6))] {
        let asked = Request { seed: seed.map(ItemId), ..request(who, &catalogue, 8) };
        let list = ids(&model.recommend(&asked));
        assert!(!list.is_empty() && list.iter().all(|id| *id < 6), "{list:?}");
    }
    assert_eq!(ids(&model.recommend(&request(&buyer, &catalogue, 1))), [0], "what its buyers bought");
    let alike = ids(&similar(&model, 0, &catalogue, 8));
    assert!(alike.contains(&1) && alike.iter().all(|id| *id < 6), "{alike:?}");
}
