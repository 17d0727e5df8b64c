//! Of many items those that can be among the best at all, so that only they are scored by every member. Nothing is lost: an item is
//! left out only where bounds prove that its sum is below that of enough others.
//!
//! Pairs, popularity and trends are cheap: their columns are read whole. Likeness in words and factors are dear, and bounded: words by
//! the rare ones and the most that the common ones can add, factors by the lengths of two vectors (Cauchy–Schwarz). Where a bound
//! decides, the member is not asked. This is MaxScore (Turtle & Flood 1995) over members instead of terms.
//!
//! Time: O(history · weights kept + cheap members · items + postings of rare terms); dear members are asked of a few hundred items
//! where bounds are good, and of all where they say nothing. Memory: three columns, 12 bytes an item.

use crate::base::ItemId;
use crate::recommend::ensemble::{BaseModel, KindColumn, Ranker, SideFeature};
use crate::recommend::models::content_based::Likeness;
use crate::recommend::models::implicit_als::ImplicitAls;
use crate::recommend::models::item_set::{ItemSet, Universe};
use crate::recommend::models::top;

use super::person::{Person, Sources};
use super::request::Request;

/// Up to so many items all are scored: that costs less than finding out which need not be.
pub(super) const FEW: usize = 16_384;
/// Postings read for each item: rarer terms first.
const POSTINGS: usize = 3;
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

/// A member that is bounded before it is asked.
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
        /// By place, the products with rare terms.
        rare: Vec<f32>,
        /// The most that common terms add.
        common: f32,
    },
}

/// A dear member with its best item.
struct Member<'a> {
    dear: Dear<'a>,
    is_core: bool,
    best: f32,
}

/// Items of `among` that can be among the `n` with the largest sum over the core of the rule; and the best of each member, by which its
/// scores are scaled. Fewer than `n` only where no more have any score.
pub(super) fn contenders(search: &Search<'_>, among: &ItemSet, n: usize) -> ItemSet {
    let universe = Universe::of(among.clone());
    let items = universe.items().unwrap_or_default();
    let mut found = among.emptied();
    let mut sums = search.sources.ensemble.models().prior(&universe);
    search.add_cheap(&universe, &mut sums, &mut found);
    let mut first: Vec<usize> = best_places(&sums, n);
    let mut dear = search.dear(&universe);
    for member in &mut dear {
        if let Dear::Words { rare, .. } = &member.dear {
            first.extend(best_places(rare, n));
        }
    }
    first.sort_unstable();
    first.dedup();
    dear.iter_mut().for_each(|member| member.find_best(items, &first, &mut found));
    dear.retain(|member| member.is_core && member.best > 0.0);

    let mut most = sums.clone();
    for (place, (most, item)) in most.iter_mut().zip(items).enumerate() {
        *most += dear.iter().map(|member| member.dear.most(place, *item) / member.best).sum::<f32>();
    }
    first.extend(best_places(&most, 2 * n));
    first.sort_unstable();
    first.dedup();
    let sum = |place: &usize| {
        let (sum, item) = sums.get(*place).zip(items.get(*place))?;
        let own = dear.iter().map(|member| member.dear.score(*item).max(0.0) / member.best).sum::<f32>();
        Some(sum + own)
    };
    let mut known: Vec<f32> = first.iter().filter_map(sum).collect();
    known.sort_unstable_by(|a, b| b.total_cmp(a));
    let least = n.checked_sub(1).and_then(|last| known.get(last)).map_or(0.0, |sum| sum * ROUNDING);
    for (most, item) in most.iter().zip(items) {
        if *most > 0.0 && *most >= least {
            found.insert(*item);
        }
    }
    found
}

fn best_places(column: &[f32], n: usize) -> Vec<usize> {
    top::best(column, n, |_| true).into_iter().map(|(place, _)| place.index()).collect()
}

/// Place and score of the best; `None` where nothing is above 0.
fn best(column: &[f32]) -> Option<(usize, f32)> {
    let most = column.iter().fold(0.0f32, |most, score| if *score > most { *score } else { most });
    let place = column.iter().position(|score| *score == most)?;
    (most > 0.0).then_some((place, most))
}

impl<'a> Search<'a> {
    /// Adds the shares of the core's cheap members to the sums; the best item of each cheap member goes to `found`.
    fn add_cheap(&self, universe: &Universe, sums: &mut [f32], found: &mut ItemSet) {
        let mut column = vec![0f32; universe.width()];
        let members = self.sources.ensemble.models().members().iter().enumerate();
        for (index, member) in members.filter(|(_, member)| !is_dear(member) && !member.is_of_begun()) {
            column.fill(0.0);
            self.fill(member, universe, &mut column);
            let Some((place, best)) = best(&column) else { continue };
            universe.item(place).into_iter().for_each(|item| _ = found.insert(item));
            if self.rule.core.contains(&index) {
                sums.iter_mut().zip(&column).for_each(|(sum, score)| *sum += score.max(0.0) / best);
            }
        }
    }

    /// The column of a cheap member.
    fn fill(&self, member: &BaseModel, universe: &Universe, column: &mut [f32]) {
        let Self { sources, request, person, .. } = *self;
        let models = sources.ensemble.models();
        match member {
            BaseModel::Pair { model, decay } => {
                models.add_pair(*model, *decay, &person.history, universe, column);
            }
            BaseModel::SideFeature(feature) => person.fill(*feature, sources, request, universe, column),
            BaseModel::Kind(kind) => self.fill_kind(*kind, universe, column),
            _ => universe.gather(column, models.fixed(*member, person.last_day).unwrap_or_default()),
        }
    }

    fn fill_kind(&self, kind: KindColumn, universe: &Universe, column: &mut [f32]) {
        self.sources.kinds.models.add_column(kind, &self.person.acts, universe, column);
    }

    /// The dear members, none of which is asked yet. One that can say nothing is left out.
    fn dear(&self, universe: &Universe) -> Vec<Member<'a>> {
        let Self { sources, person, rule, .. } = *self;
        let models = sources.ensemble.models();
        let mut dear = Vec::new();
        for (index, member) in models.members().iter().enumerate() {
            let bounded = match member {
                BaseModel::Als(n) if !person.history.is_empty() => models.als(*n).map(|als| {
                    let vector = als.fold_in(&person.history);
                    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
                    Dear::Factors { als, vector, length }
                }),
                BaseModel::SideFeature(SideFeature::Content) if !person.words.is_empty() => {
                    let most = POSTINGS * universe.width();
                    let (rare, common) = sources.content.bounds(&person.words, universe, most);
                    let known = ItemSet::of(self.width(), person.taste.iter().map(|(item, _)| *item));
                    let likeness = sources.content.likeness(&person.words);
                    Some(Dear::Words { likeness, known, rare, common })
                }
                _ => None,
            };
            let is_core = rule.core.contains(&index);
            dear.extend(bounded.map(|dear| Member { dear, is_core, best: 0.0 }));
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
    /// Upper bound of the score of an item.
    fn most(&self, place: usize, item: ItemId) -> f32 {
        match self {
            Self::Factors { als, length, .. } => {
                length * als.norms().get(item.index()).copied().unwrap_or(0.0) / ROUNDING
            }
            Self::Words { rare, common, .. } => (rare.get(place).copied().unwrap_or(0.0) + common) / ROUNDING,
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
    /// Finds the best item, those at the places of `first` before all others; the bounds pass over most.
    fn find_best(&mut self, items: &[ItemId], first: &[usize], found: &mut ItemSet) {
        let mut best = (0.0f32, None);
        let early = first.iter().filter_map(|place| Some((*place, items.get(*place)?)));
        for (place, item) in early.chain(items.iter().enumerate()) {
            if self.dear.most(place, *item) > best.0 {
                let score = self.dear.score(*item);
                // Of equals any one scales the others alike.
                if score > best.0 {
                    best = (score, Some(*item));
                }
            }
        }
        self.best = best.0;
        best.1.into_iter().for_each(|item| _ = found.insert(item));
    }
}
