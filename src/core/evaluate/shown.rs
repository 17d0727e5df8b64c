//! Lists as they are shown, measured on a hold-out in time by what each of them is asked for: new things (also while places are given
//! away to exploration), things to go on with, both, and the placements of the shop. In: users whose later events were held out, and
//! the maker of lists. Out: metrics and figures by list.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use crate::base::UserId;
use crate::event::{Event, EventKind};
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::interest;
use crate::recommend::serve::placement::Wants;
use crate::recommend::serve::selection::Selection;

use super::figures::{Figure, MeasuredUser, figures};
use super::measure::{Answer, KS, Served, Setting, Shown, known_items, served_lists};
use super::ranking::Tally;
use super::split::Case;

/// Users of each placement that are measured at most, spread evenly.
const MOST_OF_PLACEMENT: usize = 300;

/// Items by user and name of what was done with them.
pub(super) type Acts = HashMap<UserId, BTreeMap<String, HashSet<u32>>>;

/// Acts of users after the cut: `purchases`, and where there are other signs of interest, `kind view`, ….
pub(super) fn acts(later: &[Event]) -> Acts {
    let mut acts = Acts::new();
    for event in later.iter().filter(|event| interest(event) > 0.0) {
        if let (Some(user), Some(item)) = (event.user, event.item) {
            let name = match event.kind {
                kind if kind.is_bought() => "purchases".to_owned(),
                EventKind::Own(own) => format!("kind {}", own.code()),
                kind => format!("kind {}", kind.name()),
            };
            acts.entry(user).or_default().entry(name).or_default().insert(item.0);
        }
    }
    acts
}

/// Figures of one list a case; `right` says what was to be found.
pub(super) fn figures_of(
    name: &str,
    cases: &[&Case],
    right: fn(&Case) -> HashSet<u32>,
    segments: &[Answer],
    lists: &[&[u32]],
    acts: &Acts,
) -> Vec<Figure> {
    let rights: Vec<HashSet<u32>> = cases.iter().map(|case| right(case)).collect();
    let nothing = BTreeMap::new();
    let users = cases.iter().zip(&rights).zip(segments).zip(lists);
    let measured = users.map(|(((case, right), answer), list)| MeasuredUser {
        is_cold: case.is_cold(),
        right,
        segment: answer.segment,
        acts: acts.get(&case.user).unwrap_or(&nothing),
        list,
    });
    figures(name, &measured.collect::<Vec<_>>())
}

/// Lists that are measured against one server.
pub(super) struct ListsShown<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) served: &'a dyn Served,
    pub(super) acts: &'a Acts,
    pub(super) threads: &'a Threads,
}

/// One list, and what it is to find.
struct Task<'a> {
    name: String,
    shown: Shown,
    cases: Vec<&'a Case>,
    right: fn(&Case) -> HashSet<u32>,
}

fn relevant(case: &Case) -> HashSet<u32> {
    case.relevant.clone()
}

fn again(case: &Case) -> HashSet<u32> {
    case.again.clone()
}

/// The items that a list of this kind is to find.
fn right(wants: Wants) -> fn(&Case) -> HashSet<u32> {
    match wants {
        Wants::New => relevant,
        Wants::Continue => again,
        Wants::Both => Case::turned_to,
    }
}

impl ListsShown<'_> {
    /// `served` is the list of new things on the users of `new`, as the bare ranking is measured; `exploring` the same with places
    /// given away; `both` and `continue` are measured on those of `returning` as well, where what a user knows counts. `None` when
    /// `progress`, which hears 0…1, breaks.
    pub(super) fn measure(
        &self,
        new: &[Case],
        returning: &[Case],
        mut progress: impl FnMut(f32) -> ControlFlow<()>,
    ) -> Option<(Metrics, Vec<Figure>)> {
        let tasks = self.tasks(new, returning);
        let n_items = known_items(self.setting.events).len();
        let (mut metrics, mut all) = (Metrics::new(), Vec::new());
        for (place, task) in tasks.iter().enumerate() {
            let cases: Vec<Case> = task.cases.iter().map(|case| (*case).clone()).collect();
            let hear = |done: f32| progress((place as f32 + done) / tasks.len() as f32);
            let answers = served_lists(self.setting, &cases, self.served, &task.shown, self.threads, hear)?;
            let lists: Vec<&[u32]> =
                answers.iter().map(|answer| answer.lists.first().map_or(&[][..], Vec::as_slice)).collect();
            if !task.name.contains(' ') {
                let mut tally = Tally::new(&KS);
                cases.iter().zip(&lists).for_each(|(case, list)| tally.add(list, &(task.right)(case)));
                tally.write(&format!("{}.", task.name), n_items, &mut metrics);
            }
            all.extend(figures_of(&task.name, &task.cases, task.right, &answers, &lists, self.acts));
        }
        Some((metrics, all))
    }

    fn tasks<'c>(&self, new: &'c [Case], returning: &'c [Case]) -> Vec<Task<'c>> {
        let cases = |wants: Wants| -> Vec<&'c Case> {
            let known = returning.iter().filter(|_| wants.continues());
            new.iter().chain(known).filter(|case| !right(wants)(case).is_empty()).collect()
        };
        let task = |name: &str, wants: Wants, explores: bool| Task {
            name: name.to_owned(),
            shown: Shown {
                n: KS[1],
                selection: Selection { wants: Some(wants), ..Selection::NONE },
                explores,
            },
            cases: cases(wants),
            right: right(wants),
        };
        let mut tasks = vec![
            task("served", Wants::New, false),
            task("exploring", Wants::New, true),
            task("both", Wants::Both, false),
            task("continue", Wants::Continue, false),
        ];
        for placement in self.served.placements() {
            let all = cases(placement.wants);
            let step = all.len().div_ceil(MOST_OF_PLACEMENT).max(1);
            let selection = Selection { placement: Some(placement.clone()), ..Selection::NONE };
            tasks.push(Task {
                name: format!("placement {}", placement.name),
                shown: Shown { n: placement.n.min(KS[1]), selection, explores: false },
                cases: all.into_iter().step_by(step).collect(),
                right: right(placement.wants),
            });
        }
        tasks.retain(|task| !task.cases.is_empty());
        tasks
    }
}
