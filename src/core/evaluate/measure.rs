//! Measures rules of one trained set on cases, and makes of cases what a rule is learnt from. Every known item is ranked; what the
//! user had to do with is left out.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::{ItemId, Timestamp};
use crate::catalogue::Catalogue;
use crate::config::Recommend;
use crate::event::Event;
use crate::ml::threads::Threads;
use crate::profile::{Profile, SegmentId};
use crate::recommend::ensemble::{CANDIDATES, Ranker};
use crate::recommend::models::interactions::Groups;
use crate::recommend::{ModelSet, Request};

use super::auto::Asked;
use super::split::Case;

/// Cut-offs of the measurement that comes with every training.
pub const KS: [usize; 2] = [10, 20];
/// Cases between two looks at cancellation.
const CASES_AT_ONCE: usize = 8;

/// Model and data that the cases are measured against.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Trained on `events` only.
    pub model: &'a ModelSet,
    /// All items.
    pub catalogue: &'a Catalogue,
    /// Events before the cut.
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

/// Result of one case.
#[derive(Clone, Debug)]
pub struct Answer {
    /// By rule: items, best first.
    pub lists: Vec<Vec<u32>>,
    /// Of the user, at the cut.
    pub segment: Option<SegmentId>,
}

/// The `n` best of every case by each of these rules; the rule `None` is the one that serves, with all that follows it but
/// exploring. `None` when `progress` breaks.
pub fn answers(
    setting: &Setting<'_>,
    cases: &[Case],
    rules: &[Option<Ranker>],
    n: usize,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Vec<Answer>> {
    let known = known_items(setting.events);
    each(setting, cases, threads, progress, |case, request| {
        let request = Request { n, ..*request };
        let allowed = |item: ItemId| known.contains(&item.0) && !case.seen.contains(&item.0);
        let personal = setting.model.personal(&request);
        let list = |rule: &Option<Ranker>| -> Vec<u32> {
            match rule {
                None => setting.model.list(&personal, &request, allowed),
                Some(rule) => setting.model.list_by(&personal, rule, &request, allowed),
            }
        };
        Answer { lists: rules.iter().map(list).collect(), segment: request.segment }
    })
}

/// Candidates of every case by the plain rule's core. `None` when `progress` breaks.
pub fn asked(
    setting: &Setting<'_>,
    cases: &[Case],
    core: &Ranker,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Vec<Asked>> {
    let known = known_items(setting.events);
    each(setting, cases, threads, progress, |case, request| {
        let allowed = |item: ItemId| known.contains(&item.0) && !case.seen.contains(&item.0);
        let personal = setting.model.personal(request);
        let list = personal.candidates(setting.model.ensemble(), core, CANDIDATES, allowed);
        let relevant = case.relevant.clone();
        Asked { list, length: personal.length(), relevant, alone: Vec::new() }
    })
}

/// Something for every case, from the request of its user at the cut.
pub(super) fn each<T: Send>(
    setting: &Setting<'_>,
    cases: &[Case],
    threads: &Threads,
    mut progress: impl FnMut(f32) -> ControlFlow<()>,
    make: impl Fn(&Case, &Request<'_>) -> T + Sync,
) -> Option<Vec<T>> {
    let groups = Groups::by_user(setting.n_users, setting.events);
    let one = |case: &Case| {
        let profile = profile(setting, &groups, case);
        let segment = setting.model.segment(&profile.features(setting.now));
        let settings =
            Recommend { diversity: setting.model.parameters.diversity, ..Recommend::RELEVANCE_ONLY };
        let plain = Request::new(&profile, setting.catalogue, setting.now, 0);
        make(case, &Request { segment, settings: &settings, ..plain })
    };
    let mut all = Vec::with_capacity(cases.len());
    for chunk in cases.chunks(CASES_AT_ONCE) {
        let made: Vec<T> = threads.run(|| chunk.par_iter().map(one).collect());
        all.extend(made);
        if progress(all.len() as f32 / cases.len() as f32).is_break() {
            return None;
        }
    }
    Some(all)
}

fn profile(setting: &Setting<'_>, groups: &Groups, case: &Case) -> Profile {
    let mut profile = Profile::default();
    for event in groups.row(case.user.index(), setting.events) {
        profile.apply(event, setting.catalogue);
    }
    profile
}
