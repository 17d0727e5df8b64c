//! Interest shown by one event, in units of a purchase.

use crate::event::{Event, EventKind};

/// A view shorter than this is a bounce.
const BOUNCE_MS: u32 = 2_000;
/// The stars of "neither good nor bad" and of "as good as it gets".
const NEUTRAL_STARS: f64 = 2.0;
const BEST_STARS: f64 = 5.0;

/// The interest of one event: 1 for a purchase, negative for a return. Starts from [`EventKind::interest`]; a
/// view under two seconds counts a quarter, a rating by its stars (2 = nothing, below it negative). Quantity
/// does not count: a dozen candles is one wish. Always finite, within ±1.
pub fn interest(event: &Event) -> f32 {
    let base = event.kind.interest();
    match event.kind {
        EventKind::View if event.dwell_ms.is_some_and(|dwell| dwell < BOUNCE_MS) => base / 4.0,
        EventKind::Rate => {
            let stars = event.value.filter(|stars| stars.is_finite()).unwrap_or(NEUTRAL_STARS);
            base * ((stars.clamp(0.0, BEST_STARS) - NEUTRAL_STARS) / (BEST_STARS - NEUTRAL_STARS)) as f32
        }
        _ => base,
    }
}
