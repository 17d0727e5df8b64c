//! Measures blends of one trained set on cases. Every known item is ranked; what the user had to do with is left out.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::profile::{Profile, SegmentId};
use crate::recommend::hybrid::{self, Components};
use crate::recommend::interactions::Groups;
use crate::recommend::{Blend, ModelSet, Request, Threads};

use super::ranking::Tally;
use super::split::Case;

/// Cut-offs of the measurement that comes with every training.
pub const KS: [usize; 2] = [10, 20];
/// Cases between two looks at cancellation.
const CASES_AT_ONCE: usize = 8;

/// What the cases are measured against.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Trained on `events` only.
    pub model: &'a ModelSet,
    /// All items.
    pub catalogue: &'a Catalogue,
    /// What happened before the cut.
    pub events: &'a [Event],
    /// One more than the largest user.
    pub n_users: usize,
    /// The moment of the cut.
    pub now: Timestamp,
}

/// Items that occur in events: what may be recommended in a measurement.
pub fn known_items(events: &[Event]) -> HashSet<u32> {
    events.iter().filter_map(|event| event.item).map(|item| item.0).collect()
}

/// One tally for each blend, over all cases; `None` when `progress` breaks. Blends that share history decay and
/// neighbours share the work, so order them by these.
pub fn measure(
    setting: &Setting<'_>,
    cases: &[Case],
    blends: &[Blend],
    ks: &[usize],
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Vec<Tally>> {
    let groups = Groups::by_user(setting.n_users, setting.events);
    let known = known_items(setting.events);
    let n = ks.iter().copied().max().unwrap_or(0);
    let mut tallies = vec![Tally::new(ks); blends.len()];
    for (index, chunk) in cases.chunks(CASES_AT_ONCE).enumerate() {
        let lists: Vec<Vec<Vec<u32>>> = threads
            .run(|| chunk.par_iter().map(|case| lists(setting, &groups, &known, case, blends, n)).collect());
        for (case, lists) in chunk.iter().zip(&lists) {
            for (tally, list) in tallies.iter_mut().zip(lists) {
                tally.add(list, &case.relevant);
            }
        }
        let done = ((index + 1) * CASES_AT_ONCE) as f32 / cases.len() as f32;
        if progress(done.min(1.0)).is_break() {
            return None;
        }
    }
    Some(tallies)
}

/// The segment of each case's user at the cut, by the model's own segmentation.
pub fn segments(setting: &Setting<'_>, cases: &[Case], threads: &Threads) -> Vec<Option<SegmentId>> {
    let groups = Groups::by_user(setting.n_users, setting.events);
    let one = |case: &Case| {
        let profile = profile(setting, &groups, case);
        setting.model.segment(&profile.features(setting.now))
    };
    threads.run(|| cases.par_iter().map(one).collect())
}

fn profile(setting: &Setting<'_>, groups: &Groups, case: &Case) -> Profile {
    let mut profile = Profile::default();
    for event in groups.row(case.user.index(), setting.events) {
        profile.apply(event, setting.catalogue);
    }
    profile
}

fn lists(
    setting: &Setting<'_>,
    groups: &Groups,
    known: &HashSet<u32>,
    case: &Case,
    blends: &[Blend],
    n: usize,
) -> Vec<Vec<u32>> {
    let profile = profile(setting, groups, case);
    let request = Request {
        profile: &profile,
        segment: setting.model.segment(&profile.features(setting.now)),
        catalogue: setting.catalogue,
        now: setting.now,
        n,
        seed: None,
        exclude: &[],
    };
    let allowed = |item: ItemId| known.contains(&item.0) && !case.seen.contains(&item.0);
    let models = setting.model.models();
    let mut shared: Option<(Blend, Components)> = None;
    let mut lists = Vec::with_capacity(blends.len());
    for blend in blends {
        let components = match shared.take() {
            Some((last, components))
                if last.history_decay == blend.history_decay && last.neighbours == blend.neighbours =>
            {
                components
            }
            _ => Components::new(&models, &request, blend),
        };
        let best = hybrid::best(&components.blended(blend), request.n, allowed);
        lists.push(best.into_iter().map(|(item, _)| item.0).collect());
        shared = Some((*blend, components));
    }
    lists
}
