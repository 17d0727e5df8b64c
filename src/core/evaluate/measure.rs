//! Measures rules of one trained set, and the lists it serves, on cases, and makes of cases what a rule is learnt from. Every known item is ranked; what the
//! user had to do with is left out.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use rayon::prelude::*;

use crate::base::{ItemId, Timestamp, UserId};
use crate::catalogue::Catalogue;
use crate::config::Recommend;
use crate::event::Event;
use crate::ml::threads::Threads;
use crate::profile::{Profile, SegmentId};
use crate::recommend::ensemble::{KindColumn, Ranker};
use crate::recommend::models::interactions::Groups;
use crate::recommend::serve::placement::Placement;
use crate::recommend::serve::selection::Selection;
use crate::recommend::serve::user_scores::{Input, history};
use crate::recommend::{ModelSet, Request};

use super::auto::{HeldOut, Known, Source};
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

/// Makes the list that a user is shown, with everything that decides about it.
pub trait Served: Sync {
    /// The best `request.n` items for the user, best first. Settings are the server's own; conditions, and whether places are given
    /// away to exploration, are those of the request.
    fn list(&self, user: UserId, model: &ModelSet, request: &Request<'_>) -> Vec<ItemId>;

    /// Placements of the shop.
    fn placements(&self) -> &[Arc<Placement>];
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

/// List that a server is asked for.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Most items.
    pub n: usize,
    /// Conditions.
    pub selection: Selection,
    /// True if places are given away to items that nobody has touched.
    pub explores: bool,
}

/// The list of every case as the server would show it. `None` when `progress` breaks.
pub fn served_lists(
    setting: &Setting<'_>,
    cases: &[Case],
    served: &dyn Served,
    shown: &Shown,
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Vec<Answer>> {
    each(setting, cases, threads, progress, |case, request| {
        let explorer = shown.explores.then_some(case.user);
        let request = Request { n: shown.n, selection: &shown.selection, explorer, ..*request };
        let list = served.list(case.user, setting.model, &request);
        Answer { lists: vec![list.into_iter().map(|item| item.0).collect()], segment: request.segment }
    })
}

/// Profiles at the cut as the cases of a trial.
pub struct ServedCases<'a> {
    setting: Setting<'a>,
    groups: Groups,
    cases: &'a [Case],
    known: HashSet<u32>,
}

impl<'a> ServedCases<'a> {
    /// Of these cases; held-out interactions name them by their place.
    pub fn new(setting: Setting<'a>, cases: &'a [Case]) -> Self {
        let groups = Groups::by_user(setting.n_users, setting.events);
        Self { setting, groups, cases, known: known_items(setting.events) }
    }
}

impl Source for ServedCases<'_> {
    fn known(&self, case: &HeldOut, columns: bool) -> Known<'_> {
        let Some(case) = self.cases.get(case.row) else { return Known::default() };
        let (seen, among) = (Cow::Borrowed(&case.seen), Some(&self.known));
        let profile = profile(&self.setting, &self.groups, case);
        if !columns {
            return Known { history: history(&profile), seen, among, ..Known::default() };
        }
        let settings = Recommend::RELEVANCE_ONLY;
        let request = request(&self.setting, &profile, &settings);
        let Input { history, last_day, beside, width } = self.setting.model.unscored(&request).into_input();
        Known { history, last_day, seen, among, beside, width, ..Known::default() }
    }

    fn kind_columns(&self) -> &[KindColumn] {
        self.setting.model.kinds.columns()
    }
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
        let settings =
            Recommend { diversity: setting.model.parameters.diversity, ..Recommend::RELEVANCE_ONLY };
        make(case, &request(setting, &profile, &settings))
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

/// The request of a user at the cut.
fn request<'r>(setting: &Setting<'r>, profile: &'r Profile, settings: &'r Recommend) -> Request<'r> {
    let segment = setting.model.segment(&profile.features(setting.now));
    let plain = Request::new(profile, setting.catalogue, setting.now, 0);
    Request { segment, settings, ..plain }
}

fn profile(setting: &Setting<'_>, groups: &Groups, case: &Case) -> Profile {
    let mut profile = Profile::default();
    for event in groups.row(case.user.index(), setting.events) {
        profile.apply(event, setting.catalogue);
    }
    profile
}
