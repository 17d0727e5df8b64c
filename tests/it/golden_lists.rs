//! Exact top-10 lists that two independent programs made, and how many of ours are the same. Shared with the benchmarks.

use std::collections::HashMap;
use std::ops::ControlFlow;

use tidings::evaluate::files::{self, Algorithm, Fitted, Row, Tables};
use tidings::ml::threads::Threads;
use tidings::recommend::models::item_knn::{ItemKnn, KnnParameters};

use crate::models_data::read;

/// Users with their best items and scores.
type Lists = Vec<(String, Vec<(String, f32)>)>;

/// What came of a comparison.
pub struct Agreement {
    /// Users with a golden list.
    pub users: usize,
    /// Those for whom anything differs but the order among equals, with both lists.
    pub differing: Vec<String>,
    /// Those for whom ties at the last neighbour leave several right answers.
    pub tied: usize,
}

fn golden(name: &str) -> Option<Lists> {
    let text = read(&format!("golden/{name}"))?;
    let mut lists: Lists = Vec::new();
    for line in text.lines().skip(1) {
        let [user, _, item, score] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        if lists.last().is_none_or(|(last, _)| last != user) {
            lists.push((user.to_owned(), Vec::new()));
        }
        lists.last_mut().unwrap().1.push((item.to_owned(), score.parse().unwrap()));
    }
    Some(lists)
}

/// Training and test part of a split; `None` when it is not there.
pub fn tables(split: &str) -> Option<Tables> {
    let (train, test) = (read(&format!("{split}/train.csv.gz"))?, read(&format!("{split}/test.csv.gz"))?);
    Some(Tables::new(&rows(&train), &[], &rows(&test)))
}

fn rows(text: &str) -> Vec<Row<'_>> {
    text.lines()
        .skip(1)
        .map(|line| {
            let [user, item, ts] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            Row { user, item, ts: ts.parse().unwrap() }
        })
        .collect()
}

/// The same items with the same scores to the last digit given, but for the order among equals? `None` without data.
pub fn agreement(split: &str, file: &str, algorithm: &Algorithm) -> Option<Agreement> {
    let (tables, golden) = (tables(split)?, golden(file)?);
    let (threads, go_on) = (Threads::new(2).unwrap(), |_| ControlFlow::Continue(()));
    let fitted = algorithm.model.fit(&tables.matrix(), &threads, go_on).unwrap();
    let lists = files::rank(&tables, &fitted, algorithm.history_decay, 10, &threads, go_on).unwrap();
    let ours: HashMap<&str, &Vec<(u32, f32)>> =
        tables.cases().iter().zip(&lists).map(|(case, list)| (tables.user_name(case.user), list)).collect();
    let mut differing = Vec::new();
    for (user, expected) in &golden {
        let list: Vec<_> =
            ours[user.as_str()].iter().map(|(item, score)| (tables.item_name(*item), *score)).collect();
        if !agree(&list, expected, 2e-5) {
            differing.push(format!("{split} user {user}: {list:?} is not {expected:?}"));
        }
    }
    Some(Agreement { users: golden.len(), differing, tied: 0 })
}

/// Scores agree rank by rank; an item may stand elsewhere only among those of its own score, or come from just below
/// the cut.
fn agree(list: &[(&str, f32)], expected: &[(String, f32)], tolerance: f32) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() <= tolerance * b.abs().max(1.0);
    list.len() == expected.len()
        && list.iter().zip(expected).all(|((name, score), (_, other))| {
            near(*score, *other)
                && (expected.iter().any(|(item, other)| item == name && near(*score, *other))
                    || expected.last().is_some_and(|(_, last)| near(*score, *last)))
        })
}

/// Item-to-item with k neighbours. Where several items are equally similar to an item, which of them are the last of its
/// k neighbours is anyone's choice (ours the one that appeared first; the reference lists look like the last: so do 49 of
/// 50 users of ml-100k agree, with the first 43); nothing else may differ. So every score of the reference lies between
/// what an item gets with none and with all of those ties, and where no tie matters to any item of either list, the lists
/// are the same.
pub fn agreement_but_for_ties(split: &str, file: &str, k: usize) -> Option<Agreement> {
    let (tables, golden) = (tables(split)?, golden(file)?);
    let (threads, go_on) = (Threads::new(2).unwrap(), |_| ControlFlow::Continue(()));
    let knn = |neighbours| {
        ItemKnn::fit(&tables.matrix(), &KnnParameters { neighbours, shrinkage: 0.0 }, &threads, go_on)
            .unwrap()
    };
    let all = knn(usize::MAX);
    let fitted = Fitted::ItemKnn(knn(k));
    let lists = files::rank(&tables, &fitted, 1.0, 10, &threads, go_on).unwrap();
    let items: HashMap<&str, u32> =
        (0..tables.n_known() as u32).map(|item| (tables.item_name(item), item)).collect();
    let cases: HashMap<&str, usize> =
        tables.cases().iter().enumerate().map(|(index, case)| (tables.user_name(case.user), index)).collect();
    let mut result = Agreement { users: golden.len(), differing: Vec::new(), tied: 0 };
    for (user, expected) in &golden {
        let index = cases[user.as_str()];
        let (mut least, mut most) = (vec![0f64; tables.n_known()], vec![0f64; tables.n_known()]);
        for (item, _) in tables.history(tables.cases()[index].user, 1.0) {
            let list = all.neighbours(item);
            // Similarities are equal up to their rounding.
            let last = list.get(k - 1).map_or(0.0, |last| last.similarity);
            for near in list.iter().filter(|near| near.similarity >= last * (1.0 - 1e-6)) {
                let similarity = f64::from(near.similarity);
                most[near.item.index()] += similarity;
                if near.similarity > last * (1.0 + 1e-6) || list.len() <= k {
                    least[near.item.index()] += similarity;
                }
            }
        }
        let within = |item: u32, score: f32| {
            let (score, slack) = (f64::from(score), 2e-6 * f64::from(score).max(1.0));
            (least[item as usize] - slack..=most[item as usize] + slack).contains(&score)
        };
        let ours = &lists[index];
        let outside = expected
            .iter()
            .map(|(name, score)| (items[name.as_str()], *score))
            .chain(ours.clone())
            .find(|(item, score)| !within(*item, *score));
        let names: Vec<_> = ours.iter().map(|(item, score)| (tables.item_name(*item), *score)).collect();
        let tenth = f64::from(ours[9].1) * (1.0 - 2e-6);
        let open = (0..least.len()).any(|item| most[item] - least[item] > 1e-6 && most[item] >= tenth);
        result.tied += usize::from(open);
        if outside.is_some() || !(open || agree(&names, expected, 2e-5)) {
            result.differing.push(format!("{split} {user}: {names:?} is not {expected:?} ({outside:?})"));
        }
    }
    Some(result)
}
