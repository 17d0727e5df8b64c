//! From what all models say to the list that is shown: candidates, order, what is due again, diversity, places given away, and
//! the reason of each.

use std::cmp::Reverse;

use crate::base::{ItemId, Score};
use crate::catalogue::Item;
use crate::recommend::ensemble::{Candidates, Ranker};
use crate::recommend::models::top;

use super::explain::{self, Explanation};
use super::exploration::{self, explore};
use super::item_context::{self, Clicks};
use super::model_set::ModelSet;
use super::ranked::{Because, Ranked};
use super::reason::Reason;
use super::request::{Recommendation, Request};
use super::user_scores::Personal;
use super::{diversity, filters};

/// Share of what goes with the seed in the score when there is a seed.
const SEED_SHARE: f32 = 0.8;
/// Of what goes with the seed, this many are candidates.
const SEED_CANDIDATES: usize = 100;
/// So many times what is wanted must go with the seed for it to fill the list by itself.
const SEED_ENOUGH: usize = 4;

impl ModelSet {
    /// At most `request.n` items, best first, ties by id, scores 0…1; what [`filters`] forbid is never among them.
    /// What the user has just seen comes last. A user without history gets what is popular, a shop without data its
    /// newest items. With a seed of which enough is known the blend of the whole history is not asked: the answer must be there
    /// while the click is warm. About a millisecond at 4,000 items, a fourth of it with a seed.
    pub fn recommend(&self, request: &Request<'_>) -> Vec<Recommendation> {
        let allowed = |item| filters::allowed(item, request, &self.repeat);
        let seen = |item| filters::just_seen(item, request, &self.repeat);
        let fresh = |item| allowed(item) && !seen(item);
        let near = self.near(request);
        if let (Some(seed), Some(near)) = (request.seed, &near)
            && let Some(list) = self.beside(seed, near, request, fresh)
        {
            return list;
        }
        let personal = self.personal(request);
        let rule = self.rule(personal.length());
        let due = match request.seed {
            None => self.repeat.due(request.profile, request.now),
            Some(_) => Vec::new(),
        };
        let (candidates, ranked) = self.ranked(&personal, &rule, request, near.as_deref(), &due, fresh);
        let sources = self.sources();
        let explanation = Explanation {
            sources: &sources,
            request,
            personal: &personal,
            candidates: &candidates,
            rule: &rule,
        };
        let reason = |ranked: &Ranked| match (ranked.because, request.seed) {
            (Because::Seed, Some(seed)) => explain::seed_reason(&sources, request, seed, ranked.item),
            (Because::Due, _) => self.buy_again(ranked.item),
            _ => explanation.reason(ranked.item),
        };
        let list = self.diverse(ranked, request);
        let mut list: Vec<_> = list
            .iter()
            .map(|ranked| Recommendation {
                item: ranked.item,
                score: Score::new(ranked.score),
                reason: reason(ranked),
                propensity: 1.0,
            })
            .collect();
        fill(&mut list, request, allowed, seen);
        self.give_places_away(&mut list, request, fresh);
        list
    }

    /// Relevance of each item to the seed; `None` without a seed, or when nothing is known of it.
    fn near(&self, request: &Request<'_>) -> Option<Vec<f32>> {
        let width = request.catalogue.width().max(self.popularity.width());
        let sources = self.sources();
        let scores =
            item_context::scores(&sources, request.profile, request.seed?, Clicks::Live, request.live, width);
        scores.iter().any(|score| *score > 0.0).then_some(scores)
    }

    /// The list that goes with the seed by itself; `None` when too few items do.
    fn beside(
        &self,
        seed: ItemId,
        near: &[f32],
        request: &Request<'_>,
        fresh: impl Fn(ItemId) -> bool,
    ) -> Option<Vec<Recommendation>> {
        let best = top::best(near, SEED_CANDIDATES, fresh);
        if best.len() < SEED_ENOUGH * request.n {
            return None;
        }
        let ranked = best.into_iter().map(|(item, score)| Ranked { item, score, because: Because::Seed });
        let list = self.diverse(ranked.collect(), request).into_iter();
        Some(
            list.map(|ranked| Recommendation {
                item: ranked.item,
                score: Score::new(ranked.score),
                reason: explain::seed_reason(&self.sources(), request, seed, ranked.item),
                propensity: 1.0,
            })
            .collect(),
        )
    }

    /// Candidates, and all of them in the order of `rule` with scores 0…1: odds against the best one, after the share of what is
    /// `near` the seed; what is `due` at least its own score.
    pub(crate) fn ranked(
        &self,
        personal: &Personal,
        rule: &Ranker,
        request: &Request<'_>,
        near: Option<&[f32]>,
        due: &[(ItemId, f32)],
        allowed: impl Fn(ItemId) -> bool,
    ) -> (Candidates, Vec<Ranked>) {
        let mut candidates = personal.candidates(&self.ensemble, rule, request.n, &allowed);
        let beside = near.iter().flat_map(|scores| top::best(scores, SEED_CANDIDATES, &allowed));
        // What is bought again must not crowd out everything else.
        let most = request.n.div_ceil(3);
        let due: Vec<(ItemId, f32)> =
            due.iter().filter(|(item, _)| allowed(*item)).take(most).copied().collect();
        for (item, _) in beside.chain(due.iter().copied()) {
            if !candidates.items.contains(&item) {
                personal.push(&mut candidates, item);
            }
        }
        let logits = rule.rank(&candidates, personal.length());
        let best = logits.first().map_or(0.0, |(_, score)| *score);
        let place = |(item, logit): (ItemId, f32)| {
            let own = (logit - best).exp();
            let again = due.iter().find(|(known, _)| *known == item).map_or(0.0, |(_, score)| *score);
            match near {
                Some(scores) => {
                    let near = SEED_SHARE * scores.get(item.index()).copied().unwrap_or(0.0);
                    let own = (1.0 - SEED_SHARE) * own;
                    let because = if near > own { Because::Seed } else { Because::Own };
                    Ranked { item, score: near + own, because }
                }
                // Without being due it would not be here at all: that is the reason, whatever else speaks for it.
                None if again > 0.0 => Ranked { item, score: again.max(own), because: Because::Due },
                None => Ranked { item, score: own, because: Because::Own },
            }
        };
        let mut ranked: Vec<Ranked> = logits.into_iter().map(place).collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        (candidates, ranked)
    }

    /// The `request.n` best that are not too much alike in words.
    fn diverse(&self, ranked: Vec<Ranked>, request: &Request<'_>) -> Vec<Ranked> {
        // d of likeness against 1 − d of relevance.
        let diversity = request.settings.diversity.clamp(0.0, 0.9);
        let weight = (diversity / (1.0 - diversity)) as f32;
        diversity::diversify(ranked, request.n, weight, |a, b| self.content.similarity(a.item, b.item))
    }

    fn buy_again(&self, item: ItemId) -> Reason {
        let days = self.repeat.habit(item).map_or(0.0, |habit| habit.interval_days);
        Reason::BuyAgain(days.round().clamp(0.0, f32::from(u16::MAX)) as u16)
    }

    /// Gives places to new items nobody has touched, as the draws of the hour say.
    fn give_places_away(
        &self,
        list: &mut [Recommendation],
        request: &Request<'_>,
        fresh: impl Fn(ItemId) -> bool,
    ) {
        let Some(user) = request.explorer.filter(|_| request.seed.is_none()) else { return };
        let share = request.settings.exploration;
        let shown: Vec<ItemId> = list.iter().map(|known| known.item).collect();
        let pool = || {
            let is_new = |item: &Item| {
                let is_untouched = || self.popularity.score(item.id) == 0.0 && !request.live.has(item.id);
                Reason::is_new(item, request.now) && is_untouched() && !shown.contains(&item.id)
            };
            let new = newest(request, exploration::MOST, |item| is_new(item) && fresh(item.id));
            new.into_iter().map(|known| known.item).collect()
        };
        let given = explore(user, request.now, list.len(), share, pool);
        if given.is_empty() {
            return;
        }
        for known in list.iter_mut().skip(1) {
            known.propensity = (1.0 - share) as f32;
        }
        for explored in given {
            if let Some(known) = list.get_mut(explored.place) {
                known.item = explored.item;
                known.reason = Reason::Exploring(request.catalogue.category_of(explored.item));
                known.propensity = explored.propensity;
            }
        }
    }

    /// The list by the rule that serves, of whatever is allowed, exploring apart: what is measured.
    pub(crate) fn list(
        &self,
        personal: &Personal,
        request: &Request<'_>,
        allowed: impl Fn(ItemId) -> bool,
    ) -> Vec<u32> {
        self.list_by(personal, &self.rule(personal.length()), request, allowed)
    }

    /// The same by another rule for the same members.
    pub(crate) fn list_by(
        &self,
        personal: &Personal,
        rule: &Ranker,
        request: &Request<'_>,
        allowed: impl Fn(ItemId) -> bool,
    ) -> Vec<u32> {
        let (_, ranked) = self.ranked(personal, rule, request, self.near(request).as_deref(), &[], allowed);
        self.diverse(ranked, request).iter().map(|ranked| ranked.item.0).collect()
    }
}

/// A small shop, or one without data: what nobody touched yet, then what this user has seen already.
fn fill(
    list: &mut Vec<Recommendation>,
    request: &Request<'_>,
    allowed: impl Fn(ItemId) -> bool,
    seen: impl Fn(ItemId) -> bool,
) {
    if list.len() < request.n {
        let known: Vec<ItemId> = list.iter().map(|known| known.item).collect();
        let missing = request.n - list.len();
        let is_news = |item: &Item| allowed(item.id) && !seen(item.id) && !known.contains(&item.id);
        list.extend(newest(request, missing, is_news));
    }
    if list.len() < request.n {
        let recent = request.profile.recent().iter().map(|known| known.item);
        let again = recent.filter(|item| allowed(*item) && seen(*item));
        list.extend(again.take(request.n - list.len()).map(|item| Recommendation {
            item,
            score: Score::default(),
            reason: match explain::deed(request.profile, item) {
                Reason::SimilarTo(_) => Reason::Seen,
                deed => deed,
            },
            propensity: 1.0,
        }));
    }
}

/// The newest items that may be shown, when no model knows better. O(items).
fn newest(request: &Request<'_>, n: usize, allowed: impl Fn(&Item) -> bool) -> Vec<Recommendation> {
    let mut items: Vec<_> = request
        .catalogue
        .iter()
        .filter(|item| allowed(item))
        .map(|item| (Reverse(item.created_at), item.id, item))
        .collect();
    items.sort_unstable_by_key(|(created_at, id, _)| (*created_at, *id));
    items
        .into_iter()
        .take(n)
        .map(|(_, id, item)| Recommendation {
            item: id,
            score: Score::default(),
            reason: Reason::by_age(item, request.now),
            propensity: 1.0,
        })
        .collect()
}
