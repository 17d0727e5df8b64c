//! Items to go on with, and the order that they make with what is new. To go on with: what lies in the cart, what is bought again
//! and is due, what was liked, what was viewed again and again and not bought.
//!
//! The order is a learnt one ([`Mix`], a conditional logit over both sorts of items; `evaluate/mix.rs` learns it) where a shop's
//! data can tell, so that how many of a list's places go to which sort follows from how likely each item is to be turned to next.
//! Elsewhere every third place is for what to go on with, the first one among them.

use serde::{Deserialize, Serialize};

use crate::base::{ItemId, Timestamp};
use crate::event::EventKind;
use crate::recommend::models::repurchase::Repeat;

use super::filters::Eligible;
use super::ranked::{Because, Ranked};
use super::reason::Unfinished;
use super::request::Request;

/// So many views' interest in an item the user comes back to.
const OFTEN_VIEWED: f32 = 1.9;
/// Of a mixed list without a learnt order, every place of this many is for what to go on with, the first one among them.
const EVERY: usize = 3;
/// Score at which an item that is new says nothing any more.
const LEAST: f32 = 1e-4;
/// Places of what is due that count.
const MOST_DUE: usize = 20;
/// Features of an item: logarithm of the score of one that is new; for one to go on with its sort, and how many of the sort come
/// before it, how long ago it was touched, how much it is due, and how much interest all acts on it show.
pub const FEATURES: usize = 9;

/// Features of one item.
pub type Row = [f32; FEATURES];

/// Learnt order of items that are new and items to go on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    /// One a feature.
    weights: Vec<f32>,
}

impl Mix {
    /// From one weight a feature; `None` for another number, or one that would put worse items before better ones.
    pub fn new(weights: &[f32]) -> Option<Self> {
        let is_sound = weights.len() == FEATURES && weights.iter().all(|weight| weight.is_finite());
        let rises = weights.first().is_some_and(|weight| *weight > 0.0);
        (is_sound && rises).then(|| Self { weights: weights.to_vec() })
    }

    /// The weights, in the order of the features.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Number by which both sorts of items are ordered.
    fn utility(&self, row: &Row) -> f32 {
        self.weights.iter().zip(row).map(|(weight, value)| weight * value).sum()
    }

    pub(super) fn is_sound(&self) -> bool {
        Self::new(&self.weights).is_some()
    }
}

/// Items of both sorts, each best first, before they are one list.
pub struct Mixable {
    /// To go on with.
    pub(crate) returning: Vec<Returning>,
    /// New to the user.
    pub(crate) news: Vec<Ranked>,
}

impl Mixable {
    /// Items with their features: those to go on with, and at most `most` that are new.
    pub(crate) fn rows(&self, most: usize) -> impl Iterator<Item = (Row, ItemId)> {
        let is_begun = |item: ItemId| self.returning.iter().any(|one| one.ranked.item == item);
        let news = self.news.iter().filter(move |one| !is_begun(one.item)).take(most);
        let returning = self.returning.iter().map(|one| (one.row, one.ranked.item));
        returning.chain(news.map(|one| (row_of_new(one), one.item)))
    }

    /// One list of both.
    pub(crate) fn mixed(&self, mix: Option<&Mix>) -> Vec<ItemId> {
        mixed(mix, &self.returning, self.news.clone()).iter().map(|ranked| ranked.item).collect()
    }
}

/// An item to go on with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Returning {
    pub(crate) ranked: Ranked,
    /// Features of it.
    pub(crate) row: Row,
}

/// Features of an item that is new.
fn row_of_new(ranked: &Ranked) -> Row {
    let mut row = Row::default();
    row[0] = ranked.score.max(LEAST).ln();
    row
}

/// Items to go on with that may be shown: those of the cart, due again, liked, and viewed again and again, in this order, the
/// latest and those most due first. What is due is left out beside an item.
pub(crate) fn returning(request: &Request<'_>, eligible: &Eligible, repeat: &Repeat) -> Vec<Returning> {
    let profile = request.profile;
    let cart =
        profile.in_cart().iter().rev().map(|item| (*item, Because::Unfinished(Unfinished::InCart), 0.0));
    let due = if request.seed.is_none() { repeat.due(profile, request.now) } else { Vec::new() };
    let due = due.into_iter().filter(|(item, _)| !profile.in_cart().contains(item)).take(MOST_DUE);
    let due: Vec<(ItemId, Because, f32)> = due.map(|(item, score)| (item, Because::Due, score)).collect();
    let is_listed = |item| profile.in_cart().contains(&item) || due.iter().any(|(other, ..)| *other == item);
    let recent = profile.recent().iter().filter(|known| !is_listed(known.item));
    let often = EventKind::View.interest() * OFTEN_VIEWED;
    let liked = recent.clone().filter(|known| known.kind == EventKind::Like);
    let viewed = recent.filter(|known| known.kind == EventKind::View && known.weight >= often);
    let begun = |item, why| (item, Because::Unfinished(why), 0.0);
    let all = cart
        .chain(due.iter().copied())
        .chain(liked.map(|known| begun(known.item, Unfinished::Liked)))
        .chain(viewed.map(|known| begun(known.item, Unfinished::CameBack)));
    let open: Vec<(ItemId, Because, f32)> = all.filter(|(item, ..)| eligible.is_open(*item)).collect();
    let n = open.len().max(1) as f32;
    let mut before = [0usize; 4];
    let list = open.into_iter().enumerate().map(|(place, (item, because, due))| {
        let sort = sort(because);
        let earlier = before.get(sort).copied().unwrap_or(0);
        before.get_mut(sort).into_iter().for_each(|count| *count += 1);
        let ranked = Ranked::new(item, 1.0 - place as f32 / n / 2.0, because);
        let (days, interest) = acts_on(request, item);
        Returning { ranked, row: row(sort, earlier, (days, interest), due) }
    });
    list.collect()
}

/// Number of the sort.
fn sort(because: Because) -> usize {
    match because {
        Because::Unfinished(Unfinished::InCart) => 0,
        Because::Due => 1,
        Because::Unfinished(Unfinished::Liked) => 2,
        _ => 3,
    }
}

fn row(sort: usize, earlier: usize, (days, interest): (f32, f32), due: f32) -> Row {
    let mut row = Row::default();
    if let Some(slot) = row.get_mut(1 + sort) {
        *slot = 1.0;
    }
    let [.., place, age, due_again, acts] = &mut row;
    *place = (earlier as f32).ln_1p();
    if due > 0.0 {
        *due_again = due.max(LEAST).ln();
    } else {
        (*age, *acts) = (days.ln_1p(), interest.max(0.0).ln_1p());
    }
    row
}

/// Days since the user's last act on an item, and interest of all acts on it; of one that is no longer among the recent items the days
/// since their oldest, and nothing.
fn acts_on(request: &Request<'_>, item: ItemId) -> (f32, f32) {
    let recent = request.profile.recent();
    let known = recent.iter().find(|known| known.item == item);
    let days = |at: Timestamp| request.now.days_since(at).max(0.0) as f32;
    match known.or(recent.last()) {
        Some(last) => (days(last.at), known.map_or(0.0, |known| known.weight)),
        None => (0.0, 0.0),
    }
}

/// One list of both sorts, each in its order, by a learnt order; scores never rise down the list.
fn by_likelihood(mix: &Mix, returning: &[Returning], news: Vec<Ranked>) -> Vec<Ranked> {
    let mut begun: Vec<(f32, Ranked)> =
        returning.iter().map(|one| (mix.utility(&one.row), one.ranked)).collect();
    begun.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.item.cmp(&b.1.item)));
    let mut begun = begun.into_iter().peekable();
    let mut news = news.into_iter().map(|one| (mix.utility(&row_of_new(&one)), one)).peekable();
    let mut list: Vec<(f32, Ranked)> = Vec::with_capacity(begun.len() + news.len());
    loop {
        let is_begun = match (begun.peek(), news.peek()) {
            (Some((begun, _)), Some((new, _))) => begun >= new,
            (begun, _) => begun.is_some(),
        };
        match if is_begun { begun.next() } else { news.next() } {
            Some(next) => list.push(next),
            None => break,
        }
    }
    let best = list.first().map_or(0.0, |(utility, _)| *utility);
    let scored =
        |(utility, ranked): (f32, Ranked)| Ranked { score: (utility - best).exp().min(1.0), ..ranked };
    list.into_iter().map(scored).collect()
}

/// One list of both sorts: items to go on with at every third place, the first one among them, and after the end of the other.
fn at_every_third(returning: &[Returning], news: Vec<Ranked>) -> Vec<Ranked> {
    let mut list = Vec::with_capacity(returning.len() + news.len());
    let mut news = news.into_iter();
    let mut begun = returning.iter().map(|one| one.ranked);
    loop {
        let next = match list.len() % EVERY {
            0 => begun.next().or_else(|| news.next()),
            _ => news.next().or_else(|| begun.next()),
        };
        match next {
            Some(ranked) => list.push(ranked),
            None => return list,
        }
    }
}

/// One list of items that are new, best first, and items to go on with, by a learnt order if there is one.
pub(crate) fn mixed(mix: Option<&Mix>, returning: &[Returning], news: Vec<Ranked>) -> Vec<Ranked> {
    let is_begun = |item: ItemId| returning.iter().any(|one| one.ranked.item == item);
    let news: Vec<Ranked> = news.into_iter().filter(|ranked| !is_begun(ranked.item)).collect();
    match mix {
        Some(mix) => by_likelihood(mix, returning, news),
        None => at_every_third(returning, news),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(item: u32, score: f32) -> Ranked {
        Ranked::new(ItemId(item), score, Because::Own)
    }

    fn begun(item: u32, sort: usize, earlier: usize, days: f32) -> Returning {
        let because = Because::Unfinished([Unfinished::InCart, Unfinished::InCart, Unfinished::Liked][sort]);
        Returning {
            ranked: Ranked::new(ItemId(item), 1.0, because),
            row: row(sort, earlier, (days, 0.0), 0.0),
        }
    }

    fn ids(list: &[Ranked]) -> Vec<u32> {
        list.iter().map(|ranked| ranked.item.0).collect()
    }

    #[test]
    fn without_a_learnt_order_every_third_place_goes_on() {
        let news: Vec<Ranked> = (0..5u8).map(|n| new(u32::from(n), 1.0 - f32::from(n) / 10.0)).collect();
        let returning = [begun(10, 0, 0, 1.0), begun(11, 0, 1, 1.0), begun(2, 2, 0, 1.0)];
        assert_eq!(ids(&mixed(None, &returning, news.clone())), [10, 0, 1, 11, 3, 4, 2]);
        assert_eq!(ids(&mixed(None, &[], news)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_learnt_order_puts_each_item_where_its_likelihood_is() {
        // An item of the cart is worth a new one of score e^-1, a liked one e^-3, each less with age.
        let mix = Mix::new(&[1.0, -1.0, 0.0, -3.0, 0.0, 0.0, -1.0, 0.0, 0.0]).unwrap();
        let news = vec![new(0, 1.0), new(1, 0.5), new(2, 0.1), new(3, 0.01)];
        let returning = [begun(10, 0, 0, 0.0), begun(11, 0, 1, 9.0), begun(12, 2, 0, 0.0)];
        let list = mixed(Some(&mix), &returning, news);
        // e^-1 = 0.37, e^-1 / 10 = 0.037, e^-3 = 0.05.
        assert_eq!(ids(&list), [0, 1, 10, 2, 12, 11, 3]);
        assert!(list.is_sorted_by(|a, b| a.score >= b.score) && list[0].score == 1.0);
    }

    #[test]
    fn weights_that_can_not_be_are_refused() {
        assert!(Mix::new(&[1.0; FEATURES]).is_some_and(|mix| mix.is_sound()));
        assert!(Mix::new(&[1.0; FEATURES - 1]).is_none());
        assert!(Mix::new(&[-1.0; FEATURES]).is_none(), "worse items would come first");
        assert!(Mix::new(&[f32::NAN; FEATURES]).is_none());
    }
}
