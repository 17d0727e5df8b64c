//! The blend of the whole history for one request, made when it is asked for the first time: which items are scored, the
//! candidates among them, and their order.
//!
//! Items that the filters do not leave are not scored. Of more than [`FEW`] items left, those are scored that can be among the best
//! ([`contenders`]): the list is the one that scoring everything would give.

use std::cell::OnceCell;

use crate::base::ItemId;
use crate::recommend::ensemble::{CANDIDATES, Candidates, Ranker};
use crate::recommend::models::item_set::{ItemSet, Universe};
use crate::recommend::models::top;

use super::arrange::Arrangement;
use super::contenders::{FEW, Search, contenders};
use super::context::Beside;
use super::explain::Explanation;
use super::fill::Filler;
use super::filters::Eligible;
use super::model_set::ModelSet;
use super::person::{Person, Sources};
use super::ranked::{Because, Ranked};
use super::request::Request;
use super::user_scores::Personal;

/// Share of what goes with the seed in the score when there is a seed.
const SEED_SHARE: f32 = 0.8;
/// Of what goes with the seed, this many are candidates.
pub(super) const SEED_CANDIDATES: usize = 100;
/// Candidates that each rule of a placement that raises items adds.
pub(super) const RAISED: usize = 50;
/// Candidates for the places after the first [`CANDIDATES`].
const DEEP_CANDIDATES: usize = 1_000;

/// Candidates of one request in the order of their blended scores.
pub(super) struct Blend {
    personal: Personal,
    rule: Ranker,
    candidates: Candidates,
    /// Best first.
    pub(super) ranked: Vec<Ranked>,
    /// True if every open item is scored.
    is_whole: bool,
}

impl Blend {
    /// Items that every member was asked of.
    #[cfg(test)]
    pub(super) fn scored(&self) -> usize {
        self.personal.universe().width()
    }

    #[cfg(test)]
    pub(super) fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    pub(super) fn explanation<'a>(
        &'a self,
        sources: &'a Sources<'a>,
        request: &'a Request<'a>,
    ) -> Explanation<'a> {
        Explanation::new(sources, request, &self.personal, &self.candidates, &self.rule)
    }
}

impl ModelSet {
    pub(super) fn blended<'a>(
        &self,
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        blend: &'a OnceCell<Blend>,
        arrangement: &Arrangement<'_>,
    ) -> &'a Blend {
        blend.get_or_init(|| self.blend(request, eligible, beside, arrangement, FEW))
    }

    /// All open items are scored up to so `few`, of more those that can be among the best.
    pub(super) fn blend(
        &self,
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        arrangement: &Arrangement<'_>,
        few: usize,
    ) -> Blend {
        let rankable = self.rankable(request, eligible);
        let fresh = |item| rankable.has(item);
        let person = self.person(request);
        let rule = self.rule(person.length());
        let near = beside.map(|beside| beside.scores.as_slice());
        let is_whole = eligible.open().len() <= few;
        let whole = is_whole.then(|| self.scored(&person, request, eligible.open().clone()));
        let mut raised: Vec<ItemId> = Vec::new();
        for raises in arrangement.raising() {
            let is_raised = |item: ItemId| fresh(item) && raises(item);
            let candidates = match &whole {
                Some(personal) => personal.candidates(&self.ensemble, &rule, RAISED, is_raised),
                None => {
                    let among = rankable.filtered(&raises);
                    let items = self.best_of(&person, request, &rule, &among, RAISED);
                    let personal = self.scored(&person, request, items);
                    personal.candidates(&self.ensemble, &rule, RAISED, is_raised)
                }
            };
            raised.extend(candidates.items);
        }
        let personal = whole.unwrap_or_else(|| {
            let seeds = near.iter().flat_map(|scores| top::best(scores, SEED_CANDIDATES, fresh));
            let also = seeds.map(|(item, _)| item);
            let also: Vec<ItemId> = also.chain(raised.iter().copied()).collect();
            let mut items = self.best_of(&person, request, &rule, rankable, request.n);
            also.iter().for_each(|item| _ = items.insert(*item));
            self.scored(&person, request, items)
        });
        let (candidates, ranked) = self.ranked(&personal, &rule, request, near, &raised, fresh);
        Blend { personal, rule, candidates, ranked, is_whole }
    }

    /// Scores of these items.
    fn scored(&self, person: &Person, request: &Request<'_>, items: ItemSet) -> Personal {
        Personal::new(&self.sources(), request, person.clone(), Universe::of(items))
    }

    /// Those of many items that can be among the `n` best, at least [`CANDIDATES`].
    fn best_of(
        &self,
        person: &Person,
        request: &Request<'_>,
        rule: &Ranker,
        among: &ItemSet,
        n: usize,
    ) -> ItemSet {
        let sources = self.sources();
        let search = Search { sources: &sources, request, person, rule };
        contenders(&search, among, n.max(CANDIDATES))
    }

    /// Candidates, and all of them in the order of `rule` with scores 0…1: odds against the best one, after the share of what is
    /// `near` the seed. `raised` are among them, whatever their score.
    pub(crate) fn ranked(
        &self,
        personal: &Personal,
        rule: &Ranker,
        request: &Request<'_>,
        near: Option<&[f32]>,
        raised: &[ItemId],
        allowed: impl Fn(ItemId) -> bool,
    ) -> (Candidates, Vec<Ranked>) {
        let mut candidates = personal.candidates(&self.ensemble, rule, request.n, &allowed);
        let beside = near.iter().flat_map(|scores| top::best(scores, SEED_CANDIDATES, &allowed));
        for item in beside.map(|(item, _)| item).chain(raised.iter().copied()) {
            if !candidates.items.contains(&item) {
                personal.push(&mut candidates, item);
            }
        }
        let logits = rule.rank(&candidates, personal.length());
        let best = logits.first().map_or(0.0, |(_, score)| *score);
        let place = |(item, logit): (ItemId, f32)| {
            let own = (logit - best).exp();
            match near {
                Some(scores) => {
                    let near = SEED_SHARE * scores.get(item.index()).copied().unwrap_or(0.0);
                    let own = (1.0 - SEED_SHARE) * own;
                    let because = if near > own { Because::Seed } else { Because::Own };
                    Ranked::new(item, near + own, because)
                }
                None => Ranked::new(item, own, Because::Own),
            }
        };
        let mut ranked: Vec<Ranked> = logits.into_iter().map(place).collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        (candidates, ranked)
    }

    /// Candidates among these after the first ones, so that pages go on: by the same rule, below the last of them.
    pub(super) fn deeper(
        &self,
        request: &Request<'_>,
        among: &ItemSet,
        filler: &Filler<'_>,
        blend: &Blend,
    ) -> Vec<Ranked> {
        let open = |item| among.has(item) && !filler.has(item);
        let (person, rule) = (blend.personal.person(), &blend.rule);
        let more = (!blend.is_whole).then(|| {
            let among = among.filtered(open);
            let items = self.best_of(person, request, rule, &among, DEEP_CANDIDATES);
            self.scored(person, request, items)
        });
        let personal = more.as_ref().unwrap_or(&blend.personal);
        let candidates = personal.candidates(&self.ensemble, rule, DEEP_CANDIDATES, open);
        let logits = rule.rank(&candidates, person.length());
        let best = logits.first().map_or(0.0, |(_, score)| *score);
        let last = filler.list.last().map_or(1.0, |last| last.score);
        let place =
            |(item, logit): (ItemId, f32)| Ranked::new(item, last * (logit - best).exp(), Because::Own);
        logits.into_iter().map(place).take(request.depth()).collect()
    }

    /// The blend with a row for each item of the page that needs one to be explained; `None` where none does.
    pub(super) fn completed(
        &self,
        page: &[Ranked],
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        blend: OnceCell<Blend>,
        arrangement: &Arrangement<'_>,
    ) -> Option<Blend> {
        let own = page.iter().filter(|ranked| ranked.because == Because::Own);
        let own: Vec<ItemId> = own.map(|ranked| ranked.item).collect();
        if own.is_empty() {
            return None;
        }
        let made = blend.into_inner();
        let mut blend = made.unwrap_or_else(|| self.blend(request, eligible, beside, arrangement, FEW));
        let rows: Vec<ItemId> =
            own.into_iter().filter(|item| !blend.candidates.items.contains(item)).collect();
        let unscored = rows.iter().copied().filter(|item| blend.personal.universe().place(*item).is_none());
        let unscored = ItemSet::of(request.catalogue.width(), unscored);
        let more =
            (!unscored.is_empty()).then(|| self.scored(blend.personal.person(), request, unscored.clone()));
        for item in rows {
            let personal = more.as_ref().filter(|_| unscored.has(item)).unwrap_or(&blend.personal);
            personal.push(&mut blend.candidates, item);
        }
        Some(blend)
    }
}
