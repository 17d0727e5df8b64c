//! The list after a click, measured as it is served: for each click of a visit but the last, the page of the model that stands beside
//! the clicked item, made by the code of the server from a profile that knows the visit so far. Two tasks: `new`, where the next
//! click is on an item that the visit has not seen, and the list holds new things; `returns`, every next click, where the list also
//! holds things to go on with. What other visitors clicked since the training does not count.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rayon::prelude::*;

use crate::base::{ExternalId, ItemId, Timestamp, UserId};
use crate::catalogue::{Catalogue, Item};
use crate::config::Recommend;
use crate::event::{Event, EventKind};
use crate::ml::metrics::Metrics;
use crate::ml::threads::Threads;
use crate::profile::Profile;
use crate::recommend::models::interactions::Groups;
use crate::recommend::serve::placement::Wants;
use crate::recommend::serve::selection::Selection;
use crate::recommend::session::memory::Click;
use crate::recommend::session::next_item::{Visit, visits};
use crate::recommend::train::{Progress, Stage, TrainError, TrainingData, TrainingParameters, train};
use crate::recommend::{ModelSet, Request};

use super::backtest::train_and_evaluate;
use super::measure::Served;
use super::ranking::Tally;
use super::sessions::{Fitted, SessionTables};
use super::split;

/// Visits measured at most, spread evenly.
const MOST_VISITS: usize = 5_000;
/// Clicks of one visit that are guessed at most, the first ones.
const MOST_CLICKS: usize = 50;
/// Visits between two looks at cancellation.
const VISITS_AT_ONCE: usize = 64;
/// The tasks, by the prefix of their metrics.
const TASKS: [(&str, Wants); 2] = [("new.", Wants::New), ("returns.", Wants::Both)];

/// The server whose lists are measured.
#[derive(Clone, Copy)]
pub struct Server<'a> {
    /// Trained on what came before the visits.
    pub model: &'a ModelSet,
    /// All items.
    pub catalogue: &'a Catalogue,
    /// Makes the lists of users who are known, as each of them asked for; `None` = there are none.
    pub served: Option<&'a dyn Served>,
    /// Rules and diversity of the lists of others.
    pub settings: &'a Recommend,
    /// Events before the visits, by which their users are known.
    pub events: &'a [Event],
    /// One more than the largest user.
    pub n_users: usize,
}

impl Server<'_> {
    /// Metrics of both tasks by name: `new.hit_rate@k`, `new.mrr@k`, …, `new.clicks`, and the same with `returns.`. All 0 without
    /// visits. `None` when `progress` breaks.
    pub fn measure(
        &self,
        visits: &[Visit],
        ks: &[usize],
        threads: &Threads,
        progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Option<Metrics> {
        let groups = Groups::by_user(self.n_users, self.events);
        let n_items = self.catalogue.len();
        measure(visits, ks, n_items, threads, progress, |visit, n| self.lists(visit, &groups, n))
    }

    /// By click but the last, what is known and the list of each task.
    fn lists(&self, visit: &Visit, groups: &Groups, n: usize) -> Vec<Guess> {
        let mut profile = Profile::default();
        if let Some(user) = visit.user {
            groups.row(user.index(), self.events).for_each(|event| profile.apply(event, self.catalogue));
        }
        let mut lists = Vec::with_capacity(visit.clicks.len());
        for (click, next) in visit.clicks.iter().zip(visit.clicks.iter().skip(1)) {
            profile.apply(&view(click), self.catalogue);
            lists.push(Guess {
                is_new: profile.known().binary_search(&next.item).is_err(),
                lists: TASKS.map(|(_, wants)| self.list(visit.user, &profile, click, wants, n)),
            });
        }
        lists
    }

    fn list(
        &self,
        user: Option<UserId>,
        profile: &Profile,
        click: &Click,
        wants: Wants,
        n: usize,
    ) -> Vec<u32> {
        let selection = Selection { wants: Some(wants), ..Selection::default() };
        let request = Request {
            seed: Some(click.item),
            selection: &selection,
            settings: self.settings,
            segment: self.model.segment(&profile.features(click.at)),
            ..Request::new(profile, self.catalogue, click.at, n)
        };
        match (user, self.served) {
            (Some(user), Some(served)) => {
                served.list(user, self.model, &request).iter().map(|item| item.0).collect()
            }
            _ => self.model.recommend(&request).iter().map(|known| known.item.0).collect(),
        }
    }
}

fn view(click: &Click) -> Event {
    Event {
        occurred_at: click.at,
        user: None,
        item: Some(click.item),
        kind: EventKind::View,
        dwell_ms: None,
        quantity: 1.0,
        value: None,
        currency: None,
        basket: None,
    }
}

/// Lists after a click.
struct Guess {
    /// True if the next click is on an item that the visitor has not had to do with.
    is_new: bool,
    /// By task, best first.
    lists: [Vec<u32>; 2],
}

/// Metrics of lists that `lists` makes of a visit, at least of its first clicks.
fn measure(
    visits: &[Visit],
    ks: &[usize],
    n_items: usize,
    threads: &Threads,
    progress: &mut dyn FnMut(f32) -> ControlFlow<()>,
    lists: impl Fn(&Visit, usize) -> Vec<Guess> + Sync,
) -> Option<Metrics> {
    let n = ks.iter().copied().max().unwrap_or(0);
    let step = (visits.len() as f64 / MOST_VISITS as f64).max(1.0);
    let chosen: Vec<Visit> = (0..MOST_VISITS)
        .map_while(|place| visits.get((place as f64 * step) as usize))
        .map(|visit| Visit { clicks: visit.clicks.iter().take(MOST_CLICKS).copied().collect(), ..*visit })
        .collect();
    let mut tallies = TASKS.map(|_| (Tally::new(ks), 0usize));
    let mut done = 0;
    for chunk in chosen.chunks(VISITS_AT_ONCE) {
        let made: Vec<Vec<Guess>> = threads.run(|| chunk.par_iter().map(|visit| lists(visit, n)).collect());
        for (visit, made) in chunk.iter().zip(&made) {
            for (right, guess) in visit.clicks.iter().skip(1).zip(made) {
                for (((_, wants), list), (tally, clicks)) in TASKS.iter().zip(&guess.lists).zip(&mut tallies)
                {
                    if *wants == Wants::New && !guess.is_new {
                        continue;
                    }
                    tally.add(list, &HashSet::from([right.item.0]));
                    *clicks += 1;
                }
            }
        }
        done += chunk.len();
        if progress(done as f32 / chosen.len() as f32).is_break() {
            return None;
        }
    }
    let mut metrics = Metrics::new();
    for ((prefix, _), (tally, clicks)) in TASKS.iter().zip(&tallies) {
        tally.write(prefix, n_items, &mut metrics);
        metrics.insert(format!("{prefix}clicks"), *clicks as f64);
    }
    Some(metrics)
}

/// Events to train on and those of the visits that are measured.
fn parts<'a>(data: &'a TrainingData, parameters: &TrainingParameters) -> Option<(&'a [Event], &'a [Event])> {
    data.events.split_at_checked(split::cut(&data.events, parameters.holdout_share)?)
}

/// Users whose visits [`measure_stored`] may measure, rising.
pub fn users_measured(data: &TrainingData, parameters: &TrainingParameters) -> Vec<UserId> {
    let after = parts(data, parameters).map_or(&[][..], |(_, after)| after);
    let mut users: Vec<UserId> = after.iter().filter_map(|event| event.user).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// Measures the lists after clicks on a hold-out in time of stored data, the model trained on what came before it by these
/// parameters. Errors: nothing to hold out, or cancelled.
pub fn measure_stored(
    data: &TrainingData,
    catalogue: &Catalogue,
    (settings, served): (&Recommend, &dyn Served),
    parameters: &TrainingParameters,
    ks: &[usize],
    progress: &mut Progress<'_>,
) -> Result<Metrics, TrainError> {
    let threads = Threads::new(parameters.n_threads)?;
    let parts = parts(data, parameters);
    let Some((before, after)) = parts else {
        let has = format!("{} events", data.events.len());
        return Err(TrainError::NotEnoughData {
            needs: "events of several moments, to hold out the last",
            has,
        });
    };
    let now = before.last().map_or(Timestamp(0), |event| event.occurred_at);
    let n_users = data.n_users;
    let earlier = TrainingData { events: before.to_vec(), n_users, stated: data.stated.clone() };
    // With the blend that a server would have chosen then.
    let model = train_and_evaluate(&earlier, catalogue, now, parameters, progress)?.model;
    let server = Server { model: &model, catalogue, settings, served: Some(served), events: before, n_users };
    let mut hear = |done| progress(Stage::Evaluate, done);
    server.measure(&visits(after, n_users), ks, &threads, &mut hear).ok_or(TrainError::Cancelled)
}

impl SessionTables {
    /// Measures the lists that a server trained on the training clicks, all of them views of anonymous visits, shows after the
    /// clicks of the test sessions.
    pub fn measure_served(
        &self,
        parameters: &TrainingParameters,
        ks: &[usize],
        progress: &mut Progress<'_>,
    ) -> Result<Metrics, TrainError> {
        let threads = Threads::new(parameters.n_threads)?;
        let catalogue = Catalogue::from_items((0u32..).take(self.n_known()).map(named));
        let mut events: Vec<Event> = Vec::new();
        for (session, clicks) in (0i64..).zip(self.train()) {
            events.extend(clicks.iter().map(|click| Event { basket: Some(session), ..view(click) }));
        }
        events.sort_by_key(|event| event.occurred_at);
        let now = events.last().map_or(Timestamp(0), |event| event.occurred_at);
        let data = TrainingData { events, ..TrainingData::default() };
        let model = train(&data, &catalogue, now, parameters, progress)?.model;
        let settings = Recommend { diversity: parameters.diversity, ..Recommend::RELEVANCE_ONLY };
        let server = Server {
            model: &model,
            catalogue: &catalogue,
            settings: &settings,
            served: None,
            events: &[],
            n_users: 0,
        };
        let mut hear = |done| progress(Stage::Evaluate, done);
        server.measure(&self.test_visits(), ks, &threads, &mut hear).ok_or(TrainError::Cancelled)
    }

    /// The same two tasks for an algorithm that is asked by itself: `new` without what the visit has clicked, `returns` as it ranks, both
    /// without the last item clicked.
    pub fn measure_beside(&self, fitted: &Fitted, ks: &[usize], threads: &Threads) -> Option<Metrics> {
        let lists = |visit: &Visit, n: usize| {
            let guesses = 1..visit.clicks.len();
            let of = |known: usize| {
                let before = visit.clicks.get(..known).unwrap_or_default();
                let last = before.last().map(|click| click.item.0);
                let mut all = fitted.ranked(before, n + before.len());
                all.retain(|item| (*item as usize) < self.n_known() && Some(*item) != last);
                let is_new = |item: u32| !before.iter().any(|click| click.item.0 == item);
                let new: Vec<u32> = all.iter().copied().filter(|item| is_new(*item)).take(n).collect();
                all.truncate(n);
                let is_right_new = visit.clicks.get(known).is_some_and(|right| is_new(right.item.0));
                Guess { is_new: is_right_new, lists: [new, all] }
            };
            guesses.map(of).collect()
        };
        let mut go_on = |_| ControlFlow::Continue(());
        measure(&self.test_visits(), ks, self.n_known(), threads, &mut go_on, lists)
    }

    fn test_visits(&self) -> Vec<Visit> {
        self.test().iter().filter_map(|clicks| Visit::of(None, clicks)).collect()
    }
}

/// An item of which events have told the name alone.
fn named(id: u32) -> Item {
    Item::named(ItemId(id), ExternalId::Integer(i64::from(id)), Timestamp(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::recommend::serve::placement::Placement;

    fn go_on(_: Stage, _: f32) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Sessions a → b → c and a → d → a → d, in many repetitions; the test ones alike.
    fn tables() -> SessionTables {
        let mut tables = SessionTables::default();
        let sessions = [["a", "b", "c", "e"], ["a", "d", "a", "d"]];
        for n in 0..60u32 {
            for (step, item) in sessions[(n % 2) as usize].iter().enumerate() {
                tables.add_train(&n.to_string(), item, f64::from(n * 10_000) + step as f64 * 60.0);
            }
        }
        for (n, clicks) in sessions.iter().enumerate() {
            for (step, item) in clicks.iter().enumerate() {
                tables.add_test(&n.to_string(), item, 1e6 + step as f64 * 60.0);
            }
        }
        tables.finish();
        tables
    }

    #[test]
    fn new_items_and_returns_are_two_tasks() {
        let parameters = TrainingParameters { n_threads: 1, ..TrainingParameters::default() };
        let metrics = tables().measure_served(&parameters, &[3], &mut go_on).unwrap();
        // b, c, e after a, b, c; d after a. The second a and d have been seen.
        assert_eq!((metrics["new.clicks"], metrics["returns.clicks"]), (4.0, 6.0));
        assert_eq!(metrics["new.hit_rate@3"], 1.0, "{metrics:?}");
        assert!(metrics["returns.hit_rate@3"] >= 4.0 / 6.0 - 1e-9, "{metrics:?}");
    }

    #[test]
    fn the_lists_are_the_pages_of_the_server() {
        let tables = tables();
        let parameters = TrainingParameters { n_threads: 1, ..TrainingParameters::default() };
        let catalogue = Catalogue::from_items((0u32..).take(tables.n_known()).map(named));
        let events: Vec<Event> = (0i64..)
            .zip(tables.train())
            .flat_map(|(basket, clicks)| {
                clicks.iter().map(move |click| Event { basket: Some(basket), ..view(click) })
            })
            .collect();
        let data = TrainingData { events, ..TrainingData::default() };
        let now = Timestamp::from_seconds(1_000_000);
        let model = train(&data, &catalogue, now, &parameters, &mut go_on).unwrap().model;
        let settings = Recommend::RELEVANCE_ONLY;
        let server = Server {
            model: &model,
            catalogue: &catalogue,
            settings: &settings,
            served: None,
            events: &[],
            n_users: 0,
        };
        let visit = &tables.test_visits()[1];
        let lists = server.lists(visit, &Groups::by_user(0, &[]), 3);
        assert_eq!(lists.len(), 3);
        let mut profile = Profile::default();
        profile.apply(&view(&visit.clicks[0]), &catalogue);
        let asked = Request {
            seed: Some(visit.clicks[0].item),
            ..Request::new(&profile, &catalogue, visit.clicks[0].at, 3)
        };
        let shown: Vec<u32> = model.page(&asked).items.iter().map(|one| one.item.0).collect();
        assert_eq!(lists[0].lists[0], shown);
        assert!(!lists[1].lists[0].contains(&visit.clicks[0].item.0), "new things only");
        assert_eq!(lists.iter().map(|guess| guess.is_new).collect::<Vec<_>>(), [true, false, false]);
    }

    /// The sessions as anonymous views of the server's own tables, one after the other.
    #[test]
    fn a_shop_of_anonymous_visits_can_measure_its_clicks() {
        struct Nobody;
        impl Served for Nobody {
            fn list(&self, _: UserId, _: &ModelSet, _: &Request<'_>) -> Vec<ItemId> {
                Vec::new()
            }
            fn placements(&self) -> &[Arc<Placement>] {
                &[]
            }
        }
        let tables = tables();
        let catalogue = Catalogue::from_items((0u32..).take(tables.n_known()).map(named));
        let mut events: Vec<Event> = (0i64..)
            .zip(tables.train())
            .flat_map(|(basket, clicks)| {
                clicks.iter().map(move |click| Event { basket: Some(basket), ..view(click) })
            })
            .collect();
        events.sort_by_key(|event| event.occurred_at);
        let data = TrainingData { events, ..TrainingData::default() };
        let parameters = TrainingParameters { n_threads: 1, ..TrainingParameters::default() };
        let settings = Recommend::RELEVANCE_ONLY;
        let measured =
            measure_stored(&data, &catalogue, (&settings, &Nobody), &parameters, &[3], &mut go_on).unwrap();
        assert!(measured["returns.clicks"] > measured["new.clicks"] && measured["new.clicks"] > 5.0);
        assert_eq!(measured["new.hit_rate@3"], 1.0, "{measured:?}");
        assert!(users_measured(&data, &parameters).is_empty());
    }

    #[test]
    fn an_offline_ranker_is_asked_the_same() {
        let (tables, threads) = (tables(), Threads::new(1).unwrap());
        let algorithm = crate::evaluate::sessions::SessionAlgorithm::from_name("markov").unwrap();
        let fitted = tables.fit(algorithm, &threads, &mut |_| ControlFlow::Continue(())).unwrap();
        let metrics = tables.measure_beside(&fitted, &[3], &threads).unwrap();
        assert_eq!((metrics["new.clicks"], metrics["returns.clicks"]), (4.0, 6.0));
        assert!(metrics["returns.hit_rate@3"] > metrics["new.hit_rate@3"] * 0.9, "{metrics:?}");
    }
}
