//! Of many items those that can be among the best at all, so that only they are scored by every member. Nothing is lost: an item is
//! left out only where bounds prove that its sum is below that of enough others.
//!
//! Pairs say something of a few items, popularity and trends are the same for everybody: their columns are added up as they are.
//! Likeness in words and factors are dear: words are added up term by term, factors looked at roughly, by vectors of a byte a number,
//! whose error is known. An item whose rough sum does not decide is asked of them alone. This is MaxScore (Turtle & Flood 1995) over
//! members instead of terms.
//!
//! Time: O(history · weights kept + members that are the same for everybody · items + postings of a taste's terms + factors · items), read a
//! column at a time; dear members are asked of a few hundred items where bounds are good, and of all where they say nothing. Memory: five
//! columns, 20 bytes an item.

use crate::base::ItemId;
use crate::recommend::ensemble::{BaseModel, KindColumn, KindFeature, PairColumn, Ranker, SideFeature};
use crate::recommend::models::content_based::Likeness;
use crate::recommend::models::implicit_als::ImplicitAls;
use crate::recommend::models::item_set::{ItemSet, Universe};
use crate::recommend::models::top;

use super::field::{Field, add_shares};
use super::person::{Person, Sources};
use super::request::Request;

/// Up to so many items all are scored: that costs less than finding out which need not be.
pub(super) const FEW: usize = 4_096;
/// Items that a dear member is asked of first: one of them may be its best.
const FIRST: usize = 16;
/// Share of a sum that is left whatever rounding takes.
const ROUNDING: f32 = 1.0 - 1e-4;

/// For whom and by which rule the best are looked for.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) request: &'a Request<'a>,
    pub(super) person: &'a Person,
    pub(super) rule: &'a Ranker,
}

/// A member that is looked at roughly before it is asked.
enum Dear<'a> {
    Factors {
        als: &'a ImplicitAls,
        vector: Vec<f32>,
        length: f32,
    },
    Words {
        likeness: Likeness<'a>,
        /// Items of the history: what they are like says nothing.
        known: ItemSet,
    },
}

/// A dear member with its best item.
struct Member<'a> {
    dear: Dear<'a>,
    is_core: bool,
    /// By place, about its score.
    about: Vec<f32>,
    best: f32,
}

/// Items of `among` that can be among the `n` with the largest sum over the core of the rule; and the best of each member, by which its
/// scores are scaled. Fewer than `n` only where no more have any score.
pub(super) fn contenders(search: &Search<'_>, among: &ItemSet, n: usize) -> ItemSet {
    let field = Field::new(among);
    let mut found = among.emptied();
    let mut sums = search.sources.ensemble.models().prior(&field.universe);
    field.bar(&mut sums);
    search.add_pairs(&field, &mut sums, &mut found);
    search.add_common(&field, &mut sums, &mut found);
    let mut dear = search.dear(&field);
    dear.iter_mut().for_each(|member| member.find_best(&field, &mut found));
    dear.retain(|member| member.is_core && member.best > 0.0);
    let mut about = sums.clone();
    dear.iter().for_each(|member| add_shares(&mut about, &member.about, member.best));

    let sum = |place: usize| {
        let (sum, item) = sums.get(place).zip(field.item(place))?;
        let own = dear.iter().map(|member| member.dear.score(item).max(0.0) / member.best).sum::<f32>();
        Some(sum + own)
    };
    let mut known: Vec<f32> = best_places(&about, n).into_iter().filter_map(sum).collect();
    known.sort_unstable_by(|a, b| b.total_cmp(a));
    let least = n.checked_sub(1).and_then(|last| known.get(last)).map_or(0.0, |sum| sum * ROUNDING);
    let above = |item| dear.iter().map(|member| member.dear.above(item) / member.best).sum::<f32>();
    let most_above = above(None);
    for (place, about) in about.iter().enumerate() {
        // What nobody says anything of is no contender, however few there are.
        let may_be = |above: f32| about + above > 0.0 && about + above >= least;
        if may_be(most_above)
            && let Some(item) = field.item(place)
            && may_be(above(Some(item)))
            && sum(place).is_some_and(|sum| sum > 0.0 && sum >= least)
        {
            found.insert(item);
        }
    }
    found
}

fn best_places(column: &[f32], n: usize) -> Vec<usize> {
    top::best(column, n, |_| true).into_iter().map(|(place, _)| place.index()).collect()
}

impl<'a> Search<'a> {
    /// Members that are asked as they are, those of the core marked.
    fn cheap(&self) -> impl Iterator<Item = (&'a BaseModel, bool)> {
        let (sources, rule) = (self.sources, self.rule);
        let members = sources.ensemble.models().members().iter().enumerate();
        let cheap = members.filter(|(_, member)| !is_dear(member) && !member.is_of_begun());
        cheap.map(|(index, member)| (member, rule.core.contains(&index)))
    }

    /// Adds the shares of the core's members that say something of a few items; the best item of each such member goes to `found`.
    fn add_pairs(&self, field: &Field<'_>, sums: &mut [f32], found: &mut ItemSet) {
        let mut column = field.column();
        let mut reached: Vec<usize> = Vec::new();
        for (member, is_core) in self.cheap() {
            let place = |item| field.universe.place(item);
            if let Some(pairs) = self.pairs(member) {
                pairs.add(&field.universe, &mut column);
                reached.extend(pairs.reached().filter_map(place));
            } else if let BaseModel::SideFeature(feature @ SideFeature::Segment) = member {
                self.person.fill(*feature, self.sources, self.request, &field.universe, &mut column);
                let near = self.request.segment.map(|id| self.sources.popularity.in_segment(id));
                reached.extend(near.unwrap_or_default().iter().filter_map(|(item, _)| place(*item)));
            }
            let scored = reached.iter().filter_map(|place| Some((*column.get(*place)?, field.item(*place)?)));
            // Of equals any one scales the others alike.
            let best = scored.filter(|(score, _)| *score > 0.0).max_by(|a, b| a.0.total_cmp(&b.0));
            for place in reached.drain(..) {
                // Reached again it adds nothing.
                let score = column.get_mut(place).map(std::mem::take).filter(|score| *score > 0.0);
                if let (true, Some(score), Some((best, _))) = (is_core, score, best) {
                    sums.get_mut(place).into_iter().for_each(|sum| *sum += score / best);
                }
            }
            best.into_iter().for_each(|(_, item)| _ = found.insert(item));
        }
    }

    /// Column of a member over pairs; `None` for other members.
    fn pairs(&self, member: &BaseModel) -> Option<PairColumn<'a>> {
        let Self { sources, person, .. } = *self;
        match member {
            BaseModel::Pair { model, decay } => {
                sources.ensemble.models().pair_column(*model, *decay, &person.history)
            }
            BaseModel::Kind(kind) => sources.kinds.models.pair_column(*kind, &person.acts),
            _ => None,
        }
    }

    /// The same of the members that say something of every item.
    fn add_common(&self, field: &Field<'_>, sums: &mut [f32], found: &mut ItemSet) {
        let mut column = field.column();
        for (member, is_core) in self.cheap() {
            let Some(scores) = self.common(member, field, &mut column) else { continue };
            let Some((place, best)) = field.best(scores) else { continue };
            field.item(place).into_iter().for_each(|item| _ = found.insert(item));
            if is_core {
                add_shares(sums, scores, best);
            }
        }
    }

    /// Column of a member that says something of every item, perhaps in the room of `column`; `None` for other members.
    fn common<'c>(
        &'c self,
        member: &BaseModel,
        field: &Field<'_>,
        column: &'c mut [f32],
    ) -> Option<&'c [f32]> {
        let Self { sources, request, person, .. } = *self;
        let by_item = match member {
            BaseModel::Pair { .. } | BaseModel::SideFeature(SideFeature::Segment) => return None,
            BaseModel::SideFeature(feature) => {
                column.fill(0.0);
                person.fill(*feature, sources, request, &field.universe, column);
                return Some(column);
            }
            BaseModel::Kind(KindColumn { of: KindFeature::Popularity, .. }) => {
                sources.kinds.models.popularity()
            }
            _ => sources.ensemble.models().fixed(*member, person.last_day)?,
        };
        if let Universe::All(width) = field.universe {
            return by_item.get(..by_item.len().min(width));
        }
        column.fill(0.0);
        field.universe.gather(column, by_item);
        Some(column)
    }

    /// The dear members, none of which is asked yet. One that can say nothing is left out.
    fn dear(&self, field: &Field<'_>) -> Vec<Member<'a>> {
        let Self { sources, person, rule, .. } = *self;
        let models = sources.ensemble.models();
        let mut dear = Vec::new();
        for (index, member) in models.members().iter().enumerate() {
            let rough = match member {
                BaseModel::Als(n) if !person.history.is_empty() => models.als(*n).map(|als| {
                    let (vector, mut about) = (als.fold_in(&person.history), field.column());
                    als.about(&vector, field.universe.items(), &mut about);
                    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
                    (Dear::Factors { als, vector, length }, about)
                }),
                BaseModel::SideFeature(SideFeature::Content) if !person.words.is_empty() => {
                    let mut about = field.column();
                    sources.content.add_scores(&person.words, &field.universe, &mut about);
                    let items = person.taste.iter().map(|(item, _)| *item);
                    let known = ItemSet::of(self.width(), items.clone());
                    for place in items.filter_map(|item| field.universe.place(item)) {
                        about.get_mut(place).into_iter().for_each(|sum| *sum = 0.0);
                    }
                    let likeness = sources.content.likeness(&person.words);
                    Some((Dear::Words { likeness, known }, about))
                }
                _ => None,
            };
            let is_core = rule.core.contains(&index);
            dear.extend(rough.map(|(dear, mut about)| {
                field.bar(&mut about);
                Member { dear, is_core, about, best: 0.0 }
            }));
        }
        dear
    }

    fn width(&self) -> usize {
        self.request.catalogue.width()
    }
}

fn is_dear(member: &BaseModel) -> bool {
    matches!(member, BaseModel::Als(_) | BaseModel::SideFeature(SideFeature::Content))
}

impl Dear<'_> {
    /// The most by which the score of an item, `None` = of any, may be above what is known about it.
    fn above(&self, item: Option<ItemId>) -> f32 {
        match self {
            Self::Factors { als, length, .. } => length * als.error(item) / ROUNDING,
            // Added up in another order they may be less.
            Self::Words { .. } => 1.0 - ROUNDING,
        }
    }

    /// The score itself.
    fn score(&self, item: ItemId) -> f32 {
        match self {
            Self::Factors { als, vector, .. } => als.score(vector, item),
            Self::Words { known, .. } if known.has(item) => 0.0,
            Self::Words { likeness, .. } => likeness.of(item),
        }
    }
}

impl Member<'_> {
    /// Finds the best item, those that may be it first; the bounds pass over most.
    fn find_best(&mut self, field: &Field<'_>, found: &mut ItemSet) {
        let mut best = (0.0f32, None);
        let mut ask = |place: usize| {
            let Some(item) = field.item(place) else { return 0.0 };
            if self.about.get(place).is_some_and(|about| about + self.dear.above(Some(item)) > best.0) {
                let score = self.dear.score(item);
                // Of equals any one scales the others alike.
                if score > best.0 {
                    best = (score, Some(item));
                }
            }
            best.0
        };
        let first = best_places(&self.about, FIRST);
        let mut least = first.into_iter().fold(0.0, |_, place| ask(place));
        let most_above = self.dear.above(None);
        for (place, about) in self.about.iter().enumerate() {
            if about + most_above > least {
                least = ask(place);
            }
        }
        self.best = best.0;
        best.1.into_iter().for_each(|item| _ = found.insert(item));
    }
}
