//! The same mathematics as two independent implementations: exact top-10 lists and published figures, when the real
//! data is there.

use std::collections::HashMap;

use tidings::evaluate::files::{Algorithm, Row, Tables};
use tidings::recommend::Threads;

use crate::models_data::{self, read};

/// `user → [(item, score)]` in rank order.
/// Users with their best items and scores.
type Lists = Vec<(String, Vec<(String, f32)>)>;

fn golden(name: &str) -> Option<Lists> {
    let text = read(&format!("golden/{name}"))?;
    let mut lists: Vec<(String, Vec<(String, f32)>)> = Vec::new();
    for line in text.lines().skip(1) {
        let [user, _, item, score] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
        if lists.last().is_none_or(|(last, _)| last != user) {
            lists.push((user.to_owned(), Vec::new()));
        }
        lists.last_mut().unwrap().1.push((item.to_owned(), score.parse().unwrap()));
    }
    Some(lists)
}

fn tables(split: &str) -> Option<Tables> {
    let (train, test) = (read(&format!("{split}/train.csv.gz"))?, read(&format!("{split}/test.csv.gz"))?);
    Some(Tables::new(&rows(&train), &rows(&test)))
}

fn rows(text: &str) -> Vec<Row<'_>> {
    text.lines()
        .skip(1)
        .map(|line| {
            let [user, item, ts] = line.split(',').collect::<Vec<_>>().try_into().unwrap();
            Row { user, item, ts: ts.parse::<f64>().unwrap() as i64 }
        })
        .collect()
}

/// The same items with the same scores, but for the order among equals. `exact_users` of the 50 agree to the last
/// digit given; the others by 1 %: where many items are equally similar, which of them are the last of k neighbours is
/// anyone's choice, and a user with hundreds of items adds up a few such choices.
fn same_lists(split: &str, file: &str, algorithm: Algorithm, exact_users: usize) {
    let (Some(tables), Some(golden)) = (tables(split), golden(file)) else {
        return models_data::absent(split);
    };
    let lists = tables.rank(&algorithm, 10, &Threads::new(2).unwrap());
    let ours: HashMap<&str, &Vec<(u32, f32)>> =
        tables.cases().iter().zip(&lists).map(|(case, list)| (tables.user_name(case.user), list)).collect();
    assert_eq!(golden.len(), 50);
    let mut exact = 0;
    for (user, expected) in &golden {
        let list: Vec<_> =
            ours[user.as_str()].iter().map(|(item, score)| (tables.item_name(*item), *score)).collect();
        exact += usize::from(agree(&list, expected, 2e-5));
        assert!(agree(&list, expected, 0.01), "{split} user {user}: {list:?} is not {expected:?}");
    }
    println!("{split} {}: {exact} of 50 users exactly", algorithm.name());
    assert!(exact >= exact_users, "{split}: only {exact} users agree exactly");
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

#[test]
fn popularity_gives_the_reference_lists() {
    same_lists("online-retail/llo", "online-retail_llo_pop_top10.csv", Algorithm::Popularity, 50);
    same_lists("ml-100k/llo", "ml-100k_llo_pop_top10.csv", Algorithm::Popularity, 50);
}

#[test]
fn item_to_item_gives_the_reference_lists() {
    let knn = |neighbours| Algorithm::ItemKnn { neighbours, shrinkage: 0.0, history_decay: 1.0 };
    same_lists("online-retail/llo", "online-retail_llo_itemknn_top10.csv", knn(20), 49);
    same_lists("ml-100k/llo", "ml-100k_llo_itemknn_top10.csv", knn(500), 40);
}

#[test]
fn figures_on_plain_tables_agree_with_the_reference() {
    let Some(tables) = tables("online-retail/llo") else { return models_data::absent("online-retail") };
    let ndcg = |algorithm| tables.evaluate(&algorithm, None, &[10, 20], 2).unwrap().metrics["ndcg@10"];
    let popularity = ndcg(Algorithm::Popularity);
    assert!((popularity - 0.0181).abs() <= 0.003, "{popularity}");
    let knn = ndcg(Algorithm::ItemKnn { neighbours: 20, shrinkage: 0.0, history_decay: 1.0 });
    assert!((knn - 0.0648).abs() <= 0.003, "{knn}");
    let recency = ndcg(Algorithm::ItemKnn { neighbours: 500, shrinkage: 0.0, history_decay: 0.5 });
    assert!((recency - 0.2061).abs() <= 0.003, "{recency}");
}
