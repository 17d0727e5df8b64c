//! The rules of a placement: what they raise, lower and pin, and how the list is mixed.

use std::collections::HashMap;

use crate::base::ItemId;
use crate::catalogue::PathId;

use super::filters::Eligible;
use super::item_filter::Compiled;
use super::placement::{Action, Placement, Touch};
use super::ranked::{Because, Ranked};
use super::request::Request;

/// Of a mixed list, every place of this many is for what to go on with, the first one among them.
const EVERY: usize = 3;

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
                Action::Pin(_) => rule.filter.items.iter().filter_map(inner).collect(),
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
            Action::Pin(_) => rule.named.is_empty(),
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

    /// Puts items to go on with at every third place, the first one among them, and after the end of the other.
    pub(super) fn mix(&self, unfinished: Vec<Ranked>, news: Vec<Ranked>) -> Vec<Ranked> {
        let mut list = Vec::with_capacity(unfinished.len() + news.len());
        let is_begun = |item: ItemId| unfinished.iter().any(|ranked| ranked.item == item);
        let mut news = news.into_iter().filter(|ranked| !is_begun(ranked.item));
        let mut begun = unfinished.iter().copied();
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

    /// Splits off what is one too many of its category, in order.
    pub(super) fn split(&self, list: Vec<Ranked>) -> (Vec<Ranked>, Vec<Ranked>) {
        let Some(most) = self.placement.and_then(|placement| placement.max_per_category) else {
            return (list, Vec::new());
        };
        let mut counts: HashMap<PathId, usize> = HashMap::new();
        list.into_iter().partition(|ranked| {
            let path = self.request.catalogue.facts_of(ranked.item).and_then(|facts| facts.path);
            path.is_none_or(|path| {
                let count = counts.entry(path).or_default();
                *count += 1;
                *count <= most
            })
        })
    }

    /// Puts pinned items into their places: those that a filter names in its order, else the best of the list that it holds for.
    pub(super) fn pin(&self, mut list: Vec<Ranked>, eligible: &Eligible) -> Vec<Ranked> {
        let mut pins: Vec<(usize, Ranked)> = Vec::new();
        for rule in &self.rules {
            let Action::Pin(first) = rule.action else { continue };
            let is_free = |item: ItemId| {
                eligible.is_allowed(item) && !pins.iter().any(|(_, pinned)| pinned.item == item)
            };
            let items: Vec<ItemId> = match rule.named.is_empty() {
                false => rule.named.iter().copied().filter(|item| rule.filter.admits(*item)).collect(),
                true => {
                    list.iter().map(|ranked| ranked.item).filter(|item| rule.filter.admits(*item)).collect()
                }
            };
            let items: Vec<ItemId> =
                items.into_iter().filter(|item| is_free(*item)).take(rule.most).collect();
            for (place, item) in (first..).zip(items) {
                let known = list.iter().find(|ranked| ranked.item == item).copied();
                let ranked = known.unwrap_or(Ranked::new(item, 0.0, Because::Own));
                pins.push((place, Ranked { touch: Some(Touch::Rule(rule.place)), ..ranked }));
            }
        }
        list.retain(|ranked| !pins.iter().any(|(_, pinned)| pinned.item == ranked.item));
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
}
