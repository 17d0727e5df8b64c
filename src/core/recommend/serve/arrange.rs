//! The rules of a placement: what they raise, lower and pin.

use std::collections::HashMap;

use crate::base::ItemId;
use crate::catalogue::{Facts, PathId};
use crate::recommend::models::popularity::Popularity;
use crate::recommend::models::top;

use super::fill::newest;
use super::filters::Eligible;
use super::item_filter::Compiled;
use super::placement::{Action, Placement, Touch};
use super::ranked::{Because, Ranked};
use super::request::Request;

/// A rule in force.
struct Active<'a> {
    place: u8,
    action: Action,
    /// Most items that it pins.
    most: usize,
    /// In the order in which the filter names them, if it does.
    named: Vec<ItemId>,
    filter: Compiled<'a>,
}

/// The rules of a placement that are in force; none without a placement.
pub(super) struct Arrangement<'a> {
    rules: Vec<Active<'a>>,
    placement: Option<&'a Placement>,
    request: &'a Request<'a>,
}

impl<'a> Arrangement<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Self {
        let placement = request.selection.placement.as_deref();
        let rules = placement.into_iter().flat_map(|placement| (0u8..).zip(&placement.rules));
        let active = rules.filter(|(_, rule)| rule.is_active(request.now));
        let compiled = active.filter_map(|(place, rule)| {
            let action = rule.action().filter(|action| *action != Action::Remove)?;
            let inner = |id| request.catalogue.find(id).map(|item| item.id);
            let named = match action {
                Action::Pin(_) => distinct(rule.filter.items.iter().filter_map(inner)),
                _ => Vec::new(),
            };
            let filter = rule.filter.compile(request.catalogue, request.now);
            Some(Active { place, action, most: rule.most_pinned(), named, filter })
        });
        Self { rules: compiled.collect(), placement, request }
    }

    /// Filters of the rules that raise items: what they hold for must be among the candidates.
    pub(super) fn raising(&self) -> impl Iterator<Item = impl Fn(ItemId) -> bool> {
        let raises = |rule: &&Active<'_>| match rule.action {
            Action::Weigh(factor) => factor > 1.0,
            Action::Pin(_) => !rule.filter.names_items(),
            Action::Remove => false,
        };
        self.rules.iter().filter(raises).map(|rule| move |item: ItemId| rule.filter.admits(item))
    }

    /// Multiplies scores, and orders anew; 1 stays the best.
    pub(super) fn weigh(&self, list: &mut [Ranked]) {
        let mut any = false;
        for rule in &self.rules {
            let Action::Weigh(factor) = rule.action else { continue };
            for ranked in list.iter_mut().filter(|ranked| rule.filter.admits(ranked.item)) {
                ranked.score *= factor;
                ranked.touch = Some(Touch::Rule(rule.place));
                any = true;
            }
        }
        if any {
            let best = list.iter().map(|ranked| ranked.score).fold(1.0, f32::max);
            list.iter_mut().for_each(|ranked| ranked.score /= best);
            list.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        }
    }

    /// Most items of one category path; `None` = any number.
    pub(super) fn most_of_a_category(&self) -> Option<usize> {
        self.placement.and_then(|placement| placement.max_per_category)
    }

    /// Splits off what is one too many of its category, in order.
    pub(super) fn split(&self, list: Vec<Ranked>) -> (Vec<Ranked>, Vec<Ranked>) {
        let Some(most) = self.most_of_a_category() else {
            return (list, Vec::new());
        };
        let mut counts: HashMap<PathId, usize> = HashMap::new();
        list.into_iter().partition(|ranked| {
            self.request.catalogue.path_of(ranked.item).is_none_or(|path| {
                let count = counts.entry(path).or_default();
                *count += 1;
                *count <= most
            })
        })
    }

    /// Pinned items, each with its place: those that a filter names in its order, else the best that it holds for, among what was
    /// `ranked`, both what is new and what to go on with, then among what is popular and what is new. The same for every page.
    pub(super) fn pins(
        &self,
        ranked: impl FnOnce() -> Vec<Ranked>,
        eligible: &Eligible,
        popularity: &Popularity,
    ) -> Vec<(usize, Ranked)> {
        let mut pins: Vec<(usize, Ranked)> = Vec::new();
        let does_pin = |rule: &Active<'_>| matches!(rule.action, Action::Pin(_));
        let ranked = if self.rules.iter().any(does_pin) { ranked() } else { Vec::new() };
        let rules = self.rules.iter().filter_map(|rule| match rule.action {
            Action::Pin(first) => Some((rule, first)),
            _ => None,
        });
        for (rule, first) in rules {
            let is_free = |item: ItemId| {
                eligible.is_allowed(item)
                    && rule.filter.admits(item)
                    && !pins.iter().any(|(_, pinned)| pinned.item == item)
            };
            let mut chosen: Vec<Ranked> = if rule.filter.names_items() {
                let of_list = |item| ranked.iter().find(|ranked| ranked.item == item).copied();
                let named = rule.named.iter().copied().filter(|item| is_free(*item)).take(rule.most);
                named.map(|item| of_list(item).unwrap_or(Ranked::new(item, 0.0, Because::Own))).collect()
            } else {
                ranked.iter().filter(|ranked| is_free(ranked.item)).take(rule.most).copied().collect()
            };
            if !rule.filter.names_items() && chosen.len() < rule.most {
                let more = self.best_of_all(&chosen, rule.most, popularity, is_free);
                chosen.extend(more);
            }
            let touch = Some(Touch::Rule(rule.place));
            pins.extend((first..).zip(chosen.into_iter().map(|ranked| Ranked { touch, ..ranked })));
        }
        pins
    }

    /// The most popular items of the catalogue, then its newest, until with those `chosen` there are `most`.
    fn best_of_all(
        &self,
        chosen: &[Ranked],
        most: usize,
        popularity: &Popularity,
        is_free: impl Fn(ItemId) -> bool,
    ) -> Vec<Ranked> {
        let catalogue = self.request.catalogue;
        let width = u32::try_from(catalogue.width()).unwrap_or(u32::MAX);
        let scores: Vec<f32> = (0..width).map(|item| popularity.score(ItemId(item))).collect();
        let is_chosen = |item: ItemId| chosen.iter().any(|ranked| ranked.item == item);
        let missing = most.saturating_sub(chosen.len());
        let popular = top::best(&scores, missing, |item| is_free(item) && !is_chosen(item));
        let mut more: Vec<Ranked> =
            popular.into_iter().map(|(item, _)| Ranked::new(item, 0.0, Because::Popular)).collect();
        let is_more = |item: ItemId| more.iter().any(|ranked| ranked.item == item);
        let is_open = |item: ItemId, _: &Facts| is_free(item) && !is_chosen(item) && !is_more(item);
        let new = newest(catalogue, missing.saturating_sub(more.len()), is_open);
        more.extend(new.into_iter().map(|item| Ranked::new(item, 0.0, Because::New)));
        more
    }

    /// Puts pinned items into their places in a list without them.
    pub(super) fn pin(mut list: Vec<Ranked>, mut pins: Vec<(usize, Ranked)>) -> Vec<Ranked> {
        // Stable: of two pins for one place the rule that comes first keeps it.
        pins.sort_by_key(|(place, _)| *place);
        let mut last = None;
        for (place, ranked) in pins {
            let place = last.map_or(place, |last: usize| place.max(last + 1)).min(list.len());
            list.insert(place, ranked);
            last = Some(place);
        }
        list
    }

    /// Returns whether a rule has pinned it.
    pub(super) fn is_pinned(&self, ranked: &Ranked) -> bool {
        let by = |rule: &Active<'_>| ranked.touch == Some(Touch::Rule(rule.place));
        self.rules.iter().any(|rule| matches!(rule.action, Action::Pin(_)) && by(rule))
    }

    /// The rest of a list without what is shown before it, and with what gave way there at its beginning; pinned items keep their
    /// places.
    pub(super) fn behind(
        &self,
        gave_way: Vec<Ranked>,
        rest: Vec<Ranked>,
        is_shown: impl Fn(ItemId) -> bool,
    ) -> Vec<Ranked> {
        let is_pinned = |ranked: &Ranked| self.is_pinned(ranked);
        let pinned: Vec<(usize, Ranked)> =
            rest.iter().copied().enumerate().filter(|(_, ranked)| is_pinned(ranked)).collect();
        let others = rest.into_iter().filter(|ranked| !is_pinned(ranked) && !is_shown(ranked.item));
        let mut list: Vec<Ranked> = gave_way.into_iter().chain(others).collect();
        for (place, ranked) in pinned {
            list.insert(place.min(list.len()), ranked);
        }
        list
    }
}

/// The first of each item, in order.
fn distinct(items: impl Iterator<Item = ItemId>) -> Vec<ItemId> {
    let mut all = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}
