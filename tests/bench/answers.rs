//! What follows the ranker, and what it costs in accuracy: diversity (MMR), and the short way of a list with a seed, which
//! does not ask the blend of the whole history. The same model both ways, on the purchases after a cut in time.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use tidings::base::{ItemId, Timestamp, UserId};
use tidings::catalogue::Catalogue;
use tidings::config::Recommend;
use tidings::evaluate::ranking::ndcg;
use tidings::evaluate::{split, train_and_evaluate};
use tidings::event::{Event, EventKind};
use tidings::profile::Profile;
use tidings::recommend::train::{TrainingData, TrainingParameters};
use tidings::recommend::{ModelSet, Request};
use tidings::store::{Store, events, items, users};

use crate::report::{Aim, Report};

/// Length of the lists.
const K: usize = 10;
/// Of a list this long too few items go with the seed for the short way: the blend is asked, and its first [`K`] count.
const LONG: usize = 30;
/// Users asked about.
const MOST_USERS: usize = 2_000;

/// What somebody bought first after the cut.
struct Visit {
    profile: Profile,
    at: Timestamp,
    /// New items, in the order of buying.
    bought: Vec<ItemId>,
    /// Everything from before: not to be found again.
    seen: HashSet<u32>,
}

/// Trains on what is stored, the latest tenth left out, and asks.
pub fn run(report: &mut Report, store: &Store) {
    let (data, catalogue) = store
        .run_blocking(|connection| {
            let mut events = Vec::new();
            events::for_each(connection, |event| {
                events.push(event);
                ControlFlow::Continue(())
            })?;
            let catalogue = items::load_catalogue(connection, Timestamp::now())?;
            let n_users = users::width(connection)?;
            Ok((TrainingData { events, n_users, ..TrainingData::default() }, catalogue))
        })
        .unwrap();
    let parameters = TrainingParameters::default();
    let cut = split::temporal(&data.events, parameters.holdout_share, MOST_USERS, parameters.seed).unwrap();
    let (before, after) = data.events.split_at(cut.cut);
    let before = TrainingData { events: before.to_vec(), n_users: data.n_users, ..TrainingData::default() };
    let now = before.events.last().unwrap().occurred_at;
    let mut go = |_, _| ControlFlow::Continue(());
    let model = train_and_evaluate(&before, &catalogue, now, &parameters, &mut go).unwrap().model;
    let people: HashSet<UserId> = cut.cases.iter().map(|case| case.user).collect();
    let visits = visits(&before.events, after, &people, &catalogue);
    report.setting("answers: users asked about", visits.len());
    let asked = Asked { model: &model, catalogue: &catalogue, visits: &visits };
    let plain = Recommend { diversity: 0.0, ..Recommend::RELEVANCE_ONLY };
    let diverse = Recommend { diversity: parameters.diversity, ..Recommend::RELEVANCE_ONLY };
    let (with, without) = (asked.own(&diverse), asked.own(&plain));
    pair(report, "NDCG@10 with diversity as shipped, against none", with, without);
    let (short, blend) = (asked.beside(&plain, K), asked.beside(&plain, LONG));
    pair(report, "NDCG@10 beside a seed: what goes with it alone, against the blend", short, blend);
    let (with, without) = (asked.beside(&diverse, K), asked.beside(&plain, K));
    pair(report, "NDCG@10 beside a seed with diversity as shipped, against none", with, without);
}

fn pair(report: &mut Report, name: &str, ours: f64, other: f64) {
    report.versus(name, (ours, other), "", Aim::None);
}

struct Asked<'a> {
    model: &'a ModelSet,
    catalogue: &'a Catalogue,
    visits: &'a [Visit],
}

impl Asked<'_> {
    /// Mean NDCG of the list without a seed: everything new they bought is right.
    fn own(&self, settings: &Recommend) -> f64 {
        self.mean(|visit| {
            let request = Request { settings, ..self.request(visit, K) };
            Some(self.quality(&request, visit, visit.bought.iter()))
        })
    }

    /// The same beside the first thing they bought, as a list of `n` has it: the rest of the basket is right.
    fn beside(&self, settings: &Recommend, n: usize) -> f64 {
        self.mean(|visit| {
            let (seed, rest) = visit.bought.split_first()?;
            let request = Request { settings, seed: Some(*seed), ..self.request(visit, n) };
            (!rest.is_empty()).then(|| self.quality(&request, visit, rest.iter()))
        })
    }

    fn request<'r>(&'r self, visit: &'r Visit, n: usize) -> Request<'r> {
        let segment = self.model.segment(&visit.profile.features(visit.at));
        Request { segment, ..Request::new(&visit.profile, self.catalogue, visit.at, n) }
    }

    fn quality<'i>(
        &self,
        request: &Request<'_>,
        visit: &Visit,
        right: impl Iterator<Item = &'i ItemId>,
    ) -> f64 {
        let right: HashSet<u32> = right.map(|item| item.0).collect();
        let list: Vec<u32> = self.model.recommend(request).iter().map(|known| known.item.0).collect();
        // Both ways may fill up with what is known: it is no answer to either.
        let new: Vec<u32> = list.into_iter().filter(|item| !visit.seen.contains(item)).collect();
        ndcg(&new, &right, K)
    }

    fn mean(&self, of: impl Fn(&Visit) -> Option<f64>) -> f64 {
        let values: Vec<f64> = self.visits.iter().filter_map(of).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    }
}

/// The first day of buying of each of these people after the cut.
fn visits(before: &[Event], after: &[Event], people: &HashSet<UserId>, catalogue: &Catalogue) -> Vec<Visit> {
    let mut visits: BTreeMap<UserId, Visit> = BTreeMap::new();
    for event in before {
        let Some(user) = event.user.filter(|user| people.contains(user)) else { continue };
        let visit = visits.entry(user).or_insert_with(|| Visit {
            profile: Profile::default(),
            at: Timestamp(0),
            bought: Vec::new(),
            seen: HashSet::new(),
        });
        visit.profile.apply(event, catalogue);
        visit.seen.extend(event.item.map(|item| item.0));
    }
    for event in after.iter().filter(|event| event.kind == EventKind::Purchase) {
        let (Some(user), Some(item)) = (event.user, event.item) else { continue };
        let Some(visit) = visits.get_mut(&user) else { continue };
        if visit.bought.is_empty() {
            visit.at = event.occurred_at;
        }
        let same_day = event.occurred_at.days_since(visit.at) < 1.0;
        if same_day && !visit.seen.contains(&item.0) && !visit.bought.contains(&item) {
            visit.bought.push(item);
        }
    }
    visits.into_values().filter(|visit| !visit.bought.is_empty()).collect()
}
