//! Dirt that real histories have and drawn ones lack: repeated rows, tabs left open, robots, amounts that can't be. So that
//! the cleaning has something to show.

use super::chance::{self, happens};
use super::shop::Shop;
use tidings_core::base::random::{ChaCha8Rng, rng};
use tidings_core::base::{EventKey, ExternalId, Millis, Timestamp};
use tidings_core::event::{EventKind, NewEvent};

/// Shares of the events that are repeated, left open over night, or nonsense.
const REPEATED: f64 = 0.002;
const LEFT_OPEN: f64 = 0.0005;
const NONSENSE: f64 = 0.0003;
/// Crawlers and the pages each reads in a minute, for twelve minutes.
const ROBOTS: u64 = 3;
const PAGES_PER_MINUTE: u64 = 90;

/// Soils a history; the same inputs give the same dirt. The order is lost.
pub fn soil(mut events: Vec<NewEvent>, shop: &Shop, now: Timestamp) -> Vec<NewEvent> {
    let mut rng = rng(shop.seed, "dirt");
    let mut more = Vec::new();
    for event in &mut events {
        if happens(&mut rng, REPEATED) {
            more.push(event.clone());
        }
        if event.kind == EventKind::View && happens(&mut rng, LEFT_OPEN) {
            event.dwell_ms = Some((3_600_000.0 * chance::between(&mut rng, 6.0, 20.0)) as u32);
        }
        if event.kind == EventKind::Purchase && happens(&mut rng, NONSENSE) {
            more.push(NewEvent { key: key(&mut rng), value: Some(-1.0), ..event.clone() });
        }
    }
    for robot in 1..=ROBOTS {
        let start = now.plus_days(-chance::between(&mut rng, 5.0, 60.0));
        more.extend((0..12 * PAGES_PER_MINUTE).filter_map(|page| crawl(&mut rng, shop, robot, start, page)));
    }
    events.extend(more);
    events
}

fn crawl(rng: &mut ChaCha8Rng, shop: &Shop, robot: u64, start: Timestamp, page: u64) -> Option<NewEvent> {
    let item = shop.items.get(usize::try_from(page).ok()? % shop.items.len().max(1))?;
    Some(NewEvent {
        key: key(rng),
        deduplicate: true,
        user: ExternalId::parse(&format!("crawler-{robot}")).ok(),
        item: Some(ExternalId::Integer(item.id)),
        kind: EventKind::View,
        occurred_at: start + Millis(page * 60_000 / PAGES_PER_MINUTE),
        dwell_ms: Some(200),
        query: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
        list: None,
    })
}

fn key(rng: &mut ChaCha8Rng) -> EventKey {
    EventKey::from_parts(&[b"demo dirt", &chance::between(rng, 0.0, 1.0).to_le_bytes()])
}
