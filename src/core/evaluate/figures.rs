//! Figures of lists with intervals over users: of all who were measured, by segment, by how well a user was known, and for what was
//! bought. In: a list a user. Out: means with 95 % intervals.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::ml::estimate;
use crate::profile::SegmentId;

use super::ranking::{hit_rate, ndcg, recall};

/// Length of the lists.
const K: usize = 10;

/// Mean over users with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Lower end, normal approximation.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// Of a value a user; of one user the interval is the mean alone, of none all is 0.
    pub fn of(values: &[f64]) -> Self {
        let estimate = estimate::Estimate::of_mean(values);
        Self { mean: estimate.value, low: estimate.low, high: estimate.high }
    }
}

/// Figures of one kind of list for one group of users.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// `bare` ranking; of lists as they are shown: `served` (new things), `exploring` (the same with places given away), `both`,
    /// `continue`, `placement NAME`.
    pub list: String,
    /// `all`, `segment A`, …, `cold` (known by at most two items), `warm`, or of all, for what they did: `purchases`, `kind view`, ….
    pub group: String,
    /// Users in the group.
    pub users: usize,
    /// NDCG@10.
    pub ndcg: Estimate,
    /// Recall@10.
    pub recall: Estimate,
    /// Hit rate@10.
    pub hit_rate: Estimate,
}

/// A user that was measured.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredUser<'a> {
    /// True if next to nothing is known of the user.
    pub is_cold: bool,
    /// Items that were to be found.
    pub right: &'a HashSet<u32>,
    /// Segment at the cut.
    pub segment: Option<SegmentId>,
    /// Items by what the user did with them.
    pub acts: &'a BTreeMap<String, HashSet<u32>>,
    /// List that was made, best first.
    pub list: &'a [u32],
}

/// Order and name of a group.
type Group = (u8, String);
/// A list and what was right, of each user of a group.
type Lists<'a> = Vec<(&'a [u32], Cow<'a, HashSet<u32>>)>;

/// Figures of one kind of list by group, `all` first. Empty without users.
pub fn figures(list: &str, users: &[MeasuredUser<'_>]) -> Vec<Figure> {
    let mut groups: BTreeMap<Group, Lists<'_>> = BTreeMap::new();
    for user in users {
        let warmth = if user.is_cold { "cold" } else { "warm" };
        let segment = user.segment.map(|segment| (1, format!("segment {segment}")));
        let named = [Some((0, "all".to_owned())), segment, Some((2, warmth.to_owned()))];
        for group in named.into_iter().flatten() {
            groups.entry(group).or_default().push((user.list, Cow::Borrowed(user.right)));
        }
        for (name, items) in user.acts {
            let right: HashSet<u32> = user.right.intersection(items).copied().collect();
            if !right.is_empty() {
                let order = if name == "purchases" { 3 } else { 4 };
                groups.entry((order, name.clone())).or_default().push((user.list, Cow::Owned(right)));
            }
        }
    }
    let figure = |((_, group), users): (Group, Lists<'_>)| {
        let estimate = |metric: fn(&[u32], &HashSet<u32>, usize) -> f64| {
            let values: Vec<f64> = users.iter().map(|(list, right)| metric(list, right, K)).collect();
            Estimate::of(&values)
        };
        let (ndcg, recall, hit_rate) = (estimate(ndcg), estimate(recall), estimate(hit_rate));
        Figure { list: list.to_owned(), group, users: users.len(), ndcg, recall, hit_rate }
    };
    groups.into_iter().map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_agrees_with_one_computed_by_hand() {
        // Mean 0.5, standard deviation √(1/3), standard error √(1/12).
        let estimate = Estimate::of(&[0.0, 1.0, 0.0, 1.0]);
        let error = 1.959_963_984_540_054 * (1.0f64 / 12.0).sqrt();
        assert!((estimate.mean - 0.5).abs() < 1e-12);
        assert!((estimate.low - (0.5 - error)).abs() < 1e-9 && (estimate.high - (0.5 + error)).abs() < 1e-9);
        assert_eq!(Estimate::of(&[]), Estimate::default());
        assert_eq!(Estimate::of(&[0.3]), Estimate { mean: 0.3, low: 0.3, high: 0.3 });
    }

    #[test]
    fn users_are_grouped_by_segment_warmth_and_purchases() {
        let right = HashSet::from([1, 2]);
        let acts = |name: &str, item: u32| BTreeMap::from([(name.to_owned(), HashSet::from([item]))]);
        let (viewed, bought) = (acts("kind view", 7), acts("purchases", 2));
        let measured = |is_cold, acts, list| MeasuredUser {
            is_cold,
            right: &right,
            segment: Some(SegmentId(0)),
            acts,
            list,
        };
        let users = [measured(false, &viewed, &[1, 2][..]), measured(true, &bought, &[1, 9][..])];
        let found = figures("served", &users);
        let groups: Vec<(&str, usize)> =
            found.iter().map(|figure| (figure.group.as_str(), figure.users)).collect();
        assert_eq!(groups, [("all", 2), ("segment A", 2), ("cold", 1), ("warm", 1), ("purchases", 1)]);
        let hits = |group: &str| found.iter().find(|figure| figure.group == group).unwrap().hit_rate.mean;
        assert_eq!((hits("all"), hits("cold"), hits("purchases")), (1.0, 1.0, 0.0), "2 was not shown");
        assert!(figures("bare", &[]).is_empty());
    }
}
