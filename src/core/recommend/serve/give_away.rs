//! Places of the first page that are given away to new items nobody has touched, as the draws of the hour say
//! (`exploration.rs`).

use std::collections::HashMap;

use crate::base::ItemId;
use crate::catalogue::{Catalogue, Facts, PathId};

use super::arrange::Arrangement;
use super::exploration::{Explored, Group, MOST, explore};
use super::fill::newest;
use super::filters::Eligible;
use super::model_set::ModelSet;
use super::ranked::{Because, Ranked};
use super::reason::Reason;
use super::request::Request;

impl ModelSet {
    /// Gives away neither the first place nor one that a placement has filled, nor one for what the user has begun. Later pages
    /// know of it: what gave way stands behind the first page, and nothing stands in two places.
    pub(super) fn give_places_away(
        &self,
        mut list: Vec<Ranked>,
        request: &Request<'_>,
        eligible: &Eligible,
        arrangement: &Arrangement<'_>,
    ) -> Vec<Ranked> {
        let is_beside = request.seed.is_some() || !request.selection.basket.is_empty();
        let Some(user) = request.explorer.filter(|_| !is_beside && request.wants().news()) else {
            return list;
        };
        let rest = list.split_off(request.first_page.unwrap_or(request.n).min(list.len()));
        let limit = Limit { most: arrangement.most_of_a_category(), catalogue: request.catalogue };
        let places: Vec<usize> = (0..)
            .zip(&list)
            .filter(|(place, known)| is_open(*place, known))
            .map(|(place, _)| place)
            .collect();
        let pool = || limit.groups(self.untouched(&list, &rest, request, eligible, arrangement), &list);
        let given = explore(user, request.now, &places, request.settings.exploration, pool);
        let gave_way: Vec<Ranked> =
            given.into_iter().filter_map(|explored| limit.enter(&mut list, explored)).collect();
        let is_shown = |item| list.iter().any(|ranked| ranked.item == item);
        let rest = if gave_way.is_empty() { rest } else { arrangement.behind(gave_way, rest, is_shown) };
        list.extend(rest);
        list
    }

    /// New items that nobody has touched, neither on the page nor pinned further down.
    fn untouched(
        &self,
        page: &[Ranked],
        rest: &[Ranked],
        request: &Request<'_>,
        eligible: &Eligible,
        arrangement: &Arrangement<'_>,
    ) -> Vec<ItemId> {
        let is_taken = |item: ItemId| {
            let is_it = |ranked: &&Ranked| ranked.item == item;
            page.iter().any(|ranked| is_it(&ranked))
                || rest.iter().filter(is_it).any(|ranked| arrangement.is_pinned(ranked))
        };
        let is_untouched = |item: ItemId, facts: &Facts| {
            Reason::is_new(facts.created_at, request.now)
                && eligible.is_fresh(item)
                && self.popularity.score(item) == 0.0
                && !request.live.has(item)
                && !is_taken(item)
        };
        newest(request.catalogue, MOST, is_untouched)
    }
}

/// Returns whether the place of an item may be given away.
fn is_open(place: usize, known: &Ranked) -> bool {
    place > 0 && known.is_open_to_others()
}

/// Most items of one category path on a page; `None` = any number.
#[derive(Clone, Copy)]
struct Limit<'a> {
    most: Option<usize>,
    catalogue: &'a Catalogue,
}

impl Limit<'_> {
    /// Returns whether two items are of one category path.
    fn is_of(&self, path: PathId, item: ItemId) -> bool {
        self.catalogue.path_of(item) == Some(path)
    }

    /// The pool by what may stand together beside the items of the page that keep their places in any case.
    fn groups(&self, pool: Vec<ItemId>, page: &[Ranked]) -> Vec<Group> {
        let Some(most) = self.most else {
            return vec![Group { items: pool, most: usize::MAX }];
        };
        let room = |path: PathId| {
            let stay = (0..).zip(page).filter(|(place, known)| !is_open(*place, known));
            most.saturating_sub(stay.filter(|(_, known)| self.is_of(path, known.item)).count())
        };
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<Option<PathId>, usize> = HashMap::new();
        for item in pool {
            let path = self.catalogue.path_of(item);
            let place = *places.entry(path).or_insert_with(|| {
                groups.push(Group { items: Vec::new(), most: path.map_or(usize::MAX, room) });
                groups.len() - 1
            });
            groups.get_mut(place).into_iter().for_each(|group| group.items.push(item));
        }
        groups
    }

    /// Puts an item that was drawn into its place. The item there gives way, or where one is too many of the new one's category
    /// the last of those that can, whose place it takes: so the draw decides whether an item is shown, and the limit holds all
    /// the same.
    fn enter(&self, page: &mut [Ranked], explored: Explored) -> Option<Ranked> {
        let Explored { place, item, propensity } = explored;
        let known = *page.get(place)?;
        *page.get_mut(place)? = Ranked { propensity, ..Ranked::new(item, known.score, Because::Exploring) };
        let path = self.catalogue.path_of(item);
        let Some((most, path)) = self.most.zip(path) else { return Some(known) };
        let n = page.iter().filter(|known| self.is_of(path, known.item)).count();
        let can_go = |(place, known): &(usize, &mut Ranked)| {
            is_open(*place, known) && known.because != Because::Exploring && self.is_of(path, known.item)
        };
        let last = page.iter_mut().enumerate().rev().find(can_go).filter(|_| n > most);
        Some(match last {
            Some((_, slot)) => std::mem::replace(slot, Ranked { score: slot.score, ..known }),
            None => known,
        })
    }
}
