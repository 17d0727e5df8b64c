//! Learns in which order items that are new and items to go on with are turned to, on users whose later events were held out:
//! conditional logit over the items that a list could hold, both sorts together ([`Mix`]).

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::ml::listwise::{Lists, Listwise};
use crate::ml::threads::Threads;
use crate::recommend::Request;
use crate::recommend::serve::placement::Wants;
use crate::recommend::serve::returning::{FEATURES, Mix, Mixable};
use crate::recommend::serve::selection::Selection;

use super::measure::{Setting, each};
use super::ranking::ndcg;
use super::split::Case;

/// New items of a user that are looked at.
const NEWS: usize = 50;
/// Users with something to go on with, below whom an order would be noise.
const FEWEST: usize = 50;
/// L2 penalty.
const L2: f64 = 1.0;
/// Places that count.
const K: usize = 10;

/// One user: items of both sorts, and what was turned to.
struct Example {
    items: Mixable,
    right: HashSet<u32>,
}

/// The order that is learnt; `Some(None)` where too few users have anything to go on with, or where every third place does better on
/// users that an order was not learnt on. `None` when `progress`, which hears 0…1, breaks.
pub(super) fn learn(
    setting: &Setting<'_>,
    cases: &[Case],
    threads: &Threads,
    progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Option<Option<Mix>> {
    let selection = Selection { wants: Some(Wants::Both), ..Selection::NONE };
    let examples = each(setting, cases, threads, progress, |case, request| {
        let request = Request { n: NEWS, selection: &selection, ..*request };
        Example { items: setting.model.mixable(&request), right: case.turned_to() }
    })?;
    let examples: Vec<Example> =
        examples.into_iter().filter(|example| !example.items.returning.is_empty()).collect();
    if examples.len() < FEWEST {
        return Some(None);
    }
    let (early, late) = examples.split_at(examples.len() / 2);
    let (mut learnt, mut fixed) = (0.0, 0.0);
    for (own, others) in [(early, late), (late, early)] {
        let mix = fit(own, threads);
        learnt += quality(mix.as_ref(), others);
        fixed += quality(None, others);
    }
    Some(if learnt > fixed { fit(&examples, threads) } else { None })
}

fn fit(examples: &[Example], threads: &Threads) -> Option<Mix> {
    let mut lists = Lists::new(FEATURES);
    for Example { items, right } in examples {
        let (rows, places): (Vec<_>, Vec<_>) = items.rows(NEWS).unzip();
        let right = places.iter().enumerate().filter(|(_, item)| right.contains(&item.0));
        let right: Vec<usize> = right.map(|(place, _)| place).collect();
        lists.push_many(&rows.concat(), &right);
    }
    let fitted = Listwise::fit(&lists, L2, threads, |_| ControlFlow::Continue(()))?;
    Mix::new(fitted.weights())
}

/// Sum of NDCG@10.
fn quality(mix: Option<&Mix>, examples: &[Example]) -> f64 {
    let one = |Example { items, right }: &Example| {
        let list: Vec<u32> = items.mixed(mix).into_iter().take(K).map(|item| item.0).collect();
        ndcg(&list, right, K)
    };
    examples.iter().map(one).sum()
}
