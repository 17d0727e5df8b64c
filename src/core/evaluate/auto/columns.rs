//! Columns worth learning on: forward selection by the likelihood of what was right. A column that adds next to nothing to
//! those already chosen is left out, so that the regressions that follow stay small, and so does what is served.

use std::ops::ControlFlow;

use crate::ml::listwise::{Lists, Listwise};
use crate::ml::threads::Threads;
use crate::recommend::train::TrainError;

use super::blend::Asked;

/// Lists that are looked at, spread evenly.
const MOST_LISTS: usize = 1_500;
/// Most columns chosen.
const MOST_COLUMNS: usize = 16;
/// Gain in log-likelihood a list below which a column brings nothing, and the gain of all lists that chance may bring.
const LEAST_GAIN: f64 = 1e-4;
const CHANCE: f64 = 2.0;
/// Penalty a list while columns are chosen.
const PENALTY: f64 = 0.03;

/// Indices of the columns worth having, in order of what they add.
pub(super) fn select(asked: &[Asked], members: usize, threads: &Threads) -> Result<Vec<usize>, TrainError> {
    let lists = sample(asked);
    let least = CHANCE.max(LEAST_GAIN * lists.len() as f64);
    let mut chosen: Vec<usize> = Vec::new();
    let mut model = Listwise::default();
    while chosen.len() < MOST_COLUMNS.min(members) {
        let gains = gains(&lists, members, &chosen, &model);
        let open = gains.iter().enumerate().filter(|(column, _)| !chosen.contains(column));
        let best = open.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let Some((column, _)) = best.filter(|(_, gain)| **gain > least) else { break };
        chosen.push(column);
        let mut own = Lists::new(chosen.len());
        let mut rows = Vec::new();
        for (asked, right) in &lists {
            rows.clear();
            for shares in asked.list.shares.chunks(members.max(1)) {
                rows.extend(chosen.iter().map(|column| shares.get(*column).copied().unwrap_or(0.0)));
            }
            own.push_many(&rows, right);
        }
        let penalty = PENALTY * own.len() as f64;
        let fitted = model.refit(&own, penalty, threads, |_| ControlFlow::Continue(()));
        model = fitted.ok_or(TrainError::Cancelled)?;
    }
    Ok(chosen)
}

/// Lists with the places of what is right.
fn sample(asked: &[Asked]) -> Vec<(&Asked, Vec<usize>)> {
    let teaching: Vec<(&Asked, Vec<usize>)> =
        asked.iter().map(|one| (one, one.right())).filter(|(_, right)| !right.is_empty()).collect();
    let step = (teaching.len() as f64 / MOST_LISTS as f64).max(1.0);
    let places = (0..MOST_LISTS).map(|index| (index as f64 * step) as usize);
    places.map_while(|place| teaching.get(place).cloned()).collect()
}

/// By column, the gain in log-likelihood that one step along it promises: g² / 2h of its gradient g and curvature h.
fn gains(lists: &[(&Asked, Vec<usize>)], members: usize, chosen: &[usize], model: &Listwise) -> Vec<f64> {
    let mut slopes = vec![(0f64, 0f64); members];
    let mut means = vec![(0f64, 0f64); members];
    for (asked, right) in lists {
        let rows = || asked.list.shares.chunks(members.max(1));
        let score = |shares: &[f32]| -> f64 {
            let own = chosen.iter().filter_map(|column| shares.get(*column));
            own.zip(model.weights()).map(|(share, weight)| f64::from(share * weight)).sum()
        };
        let scores: Vec<f64> = rows().map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        means.fill((0.0, 0.0));
        for ((place, shares), score) in rows().enumerate().zip(&scores) {
            let probability = (score - largest).exp() / sum;
            let is_right = f64::from(u8::from(right.contains(&place))) / right.len() as f64;
            for ((slope, mean), share) in slopes.iter_mut().zip(&mut means).zip(shares) {
                let share = f64::from(*share);
                slope.0 += (is_right - probability) * share;
                *mean = (mean.0 + probability * share, mean.1 + probability * share * share);
            }
        }
        for (slope, (mean, square)) in slopes.iter_mut().zip(&means) {
            slope.1 += square - mean * mean;
        }
    }
    slopes
        .into_iter()
        .map(|(slope, curvature)| if curvature > 1e-9 { slope * slope / (2.0 * curvature) } else { 0.0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ItemId;
    use crate::recommend::ensemble::Candidates;
    use std::collections::HashSet;

    #[test]
    fn a_copy_and_noise_are_left_out() {
        // Column 0 tells the right one of ten two times of three, column 1 is its copy, column 2 noise, 3 tells half of the rest.
        let asked: Vec<Asked> = (0..300u32)
            .map(|user| {
                let right = user % 10;
                let mut shares = Vec::new();
                for item in 0..10u32 {
                    let told = f32::from(u8::from(if user % 3 == 0 {
                        item == (right + 1) % 10
                    } else {
                        item == right
                    }));
                    let rest = f32::from(u8::from(user % 6 == 0 && item == right));
                    let noise = ((user * 7919 + item * 104_729) % 97) as f32 / 97.0;
                    shares.extend([told, told, noise, rest]);
                }
                let list = Candidates { items: (0..10).map(ItemId).collect(), shares, best: vec![1.0; 4] };
                Asked { list, length: 3, relevant: HashSet::from([right]), alone: Vec::new() }
            })
            .collect();
        let mut chosen = select(&asked, 4, &Threads::new(1).unwrap()).unwrap();
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 3]);
        assert!(select(&[], 4, &Threads::new(1).unwrap()).unwrap().is_empty());
    }
}
