//! From what all models say to the list that is shown: candidates, order, what is due again, diversity, places given away, and
//! the reason of each.

use std::cell::OnceCell;

use crate::base::{ItemId, Score};
use crate::recommend::ensemble::{CANDIDATES, Ranker};
use crate::recommend::models::item_set::ItemSet;
use crate::recommend::models::top;

use super::arrange::Arrangement;
use super::blend::{Blend, RAISED, SEED_CANDIDATES};
use super::context::Beside;
use super::diversity;
use super::embedded::Likenesses;
use super::explain;
use super::fill::Filler;
use super::filters::Eligible;
use super::model_set::ModelSet;
use super::placement::Wants;
use super::ranked::{Because, Ranked};
use super::reason::Reason;
use super::request::{List, Recommendation, Request};
use super::returning::{Mixable, mixed, returning};
use super::user_scores::Personal;

/// So many times what is wanted must go with the seed for it to fill the list by itself.
const SEED_ENOUGH: usize = 4;

impl ModelSet {
    /// The items of [`ModelSet::page`].
    pub fn recommend(&self, request: &Request<'_>) -> Vec<Recommendation> {
        self.page(request).items
    }

    /// At most `request.n` items after the first `request.offset`, best first, ties by id, scores 0…1; only what
    /// [`super::filters`] leave. What the user has just seen comes last. A user without history gets what is popular, a shop
    /// without data its newest items. With a seed of which enough is known the blend of the whole history is not asked: the answer must be there
    /// while the click is warm. Only what the filters leave is scored (`blend.rs`): O(items / 64 + history · weights kept + members ·
    /// items left), and of many items left only those that can be among the best are asked of every member (`contenders.rs`).
    pub fn page(&self, request: &Request<'_>) -> List {
        let eligible = Eligible::new(request, &self.repeat);
        let (beside, blend) = (self.beside(request), OnceCell::new());
        let arrangement = Arrangement::new(request);
        let order = self.order(request, &eligible, beside.as_ref(), &blend, &arrangement);
        let order = self.give_places_away(order, request, &eligible, &arrangement);
        let page: Vec<Ranked> = order.into_iter().skip(request.offset).take(request.n).collect();
        let items = self.explained(&page, request, &eligible, beside.as_ref(), blend, &arrangement);
        List { items, removed: eligible.removed }
    }

    /// At least the items of the page and of those before it, where there are as many.
    fn order(
        &self,
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        blend: &OnceCell<Blend>,
        arrangement: &Arrangement<'_>,
    ) -> Vec<Ranked> {
        let wants = request.wants();
        let mut begun = match wants.continues() && !self.is_one_order(request) {
            true => returning(request, eligible, &self.repeat),
            false => Vec::new(),
        };
        let mut ranked = match wants.news() {
            true => self.news(request, eligible, beside, blend, arrangement),
            false => Vec::new(),
        };
        // They are put into their places at the end: the list without them is the same for every page.
        let both = || mixed(self.mix.as_ref(), &begun, ranked.clone());
        let pins = arrangement.pins(both, eligible, &self.popularity);
        let is_open = |ranked: &Ranked| !pins.iter().any(|(_, pinned)| pinned.item == ranked.item);
        begun.retain(|one| is_open(&one.ranked));
        ranked.retain(is_open);
        let (kept, beyond) = arrangement.split(ranked);
        let mut list = self.diverse(kept, request, begun.len());
        if list.len() < request.depth() {
            list.extend(beyond);
        }
        let (mut list, beyond) = arrangement.split(mixed(self.mix.as_ref(), &begun, list));
        list.extend(beyond);
        let mut filler = Filler::new(list, &pins, request, eligible);
        if filler.missing() > 0 && wants.news() {
            let blend = self.blended(request, eligible, beside, blend, arrangement);
            let rest = self.deeper(request, eligible.fresh(), &filler, blend);
            filler.add(rest);
        }
        filler.fill(&self.popularity);
        if filler.missing() > 0 && filler.may_repeat() {
            let blend = self.blended(request, eligible, beside, blend, arrangement);
            let known = self.deeper(request, eligible.long_ago(), &filler, blend);
            filler.add(known);
        }
        filler.add_seen();
        Arrangement::pin(filler.list, pins)
    }

    /// Items to go on with and items that are new, as they are before they become one list.
    pub(crate) fn mixable(&self, request: &Request<'_>) -> Mixable {
        let eligible = Eligible::new(request, &self.repeat);
        let (beside, blend) = (self.beside(request), OnceCell::new());
        let arrangement = Arrangement::new(request);
        let returning = returning(request, &eligible, &self.repeat);
        let news = self.news(request, &eligible, beside.as_ref(), &blend, &arrangement);
        Mixable { news: self.diverse(news, request, returning.len()), returning }
    }

    /// Returns whether what comes next in a visit orders what is new and what to go on with alike.
    fn is_one_order(&self, request: &Request<'_>) -> bool {
        request.seed.is_some() && request.wants() == Wants::Both && self.sessions.is_taught()
    }

    /// Items that are ranked: those that are new to the user, or any that may be shown.
    pub(super) fn rankable<'e>(&self, request: &Request<'_>, eligible: &'e Eligible) -> &'e ItemSet {
        if self.is_one_order(request) { eligible.open() } else { eligible.fresh() }
    }

    /// Items new to the user, best first: what goes with the seed by itself, if that is enough, else the blend. Where there is one
    /// order of both sorts, items to go on with among them.
    fn news(
        &self,
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        blend: &OnceCell<Blend>,
        arrangement: &Arrangement<'_>,
    ) -> Vec<Ranked> {
        let rankable = self.rankable(request, eligible);
        let fresh = |item| rankable.has(item);
        let by_itself = beside.and_then(|beside| {
            let mut best = top::best(&beside.scores, SEED_CANDIDATES, fresh);
            if best.len() < SEED_ENOUGH * request.n {
                return None;
            }
            for raises in arrangement.raising() {
                let known = |item| best.iter().any(|(other, _)| *other == item);
                let raised =
                    top::best(&beside.scores, RAISED, |item| fresh(item) && raises(item) && !known(item));
                best.extend(raised);
            }
            Some(best.into_iter().map(|(item, score)| Ranked::new(item, score, Because::Seed)).collect())
        });
        let mut ranked: Vec<Ranked> = match by_itself {
            Some(ranked) => ranked,
            None => self.blended(request, eligible, beside, blend, arrangement).ranked.clone(),
        };
        if self.is_one_order(request) {
            let begun = returning(request, eligible, &self.repeat);
            for known in ranked.iter_mut().filter(|known| !eligible.is_fresh(known.item)) {
                let why = begun.iter().find(|one| one.ranked.item == known.item);
                known.because = why.map_or(Because::Seen, |one| one.ranked.because);
            }
        }
        arrangement.weigh(&mut ranked);
        ranked
    }

    /// The best that are not too much alike in words and by their embeddings, `more` than the page needs.
    fn diverse(&self, ranked: Vec<Ranked>, request: &Request<'_>, more: usize) -> Vec<Ranked> {
        // d of likeness against 1 − d of relevance.
        let own = request.selection.placement.as_ref().and_then(|placement| placement.diversity);
        let diversity = own.unwrap_or(request.settings.diversity).clamp(0.0, 0.9);
        let weight = (diversity / (1.0 - diversity)) as f32;
        // Further down it costs more than anybody would see of it.
        let n = (request.depth() + more).min(CANDIDATES.max(request.n));
        diversity::diversify(ranked, n, weight, |list| {
            Likenesses::new(&self.content, request.catalogue.embeddings(), list)
        })
    }

    fn buy_again(&self, item: ItemId) -> Reason {
        let days = self.repeat.habit(item).map_or(0.0, |habit| habit.interval_days);
        Reason::BuyAgain(days.round().clamp(0.0, f32::from(u16::MAX)) as u16)
    }

    /// The page with the reason of each item.
    fn explained(
        &self,
        page: &[Ranked],
        request: &Request<'_>,
        eligible: &Eligible,
        beside: Option<&Beside>,
        blend: OnceCell<Blend>,
        arrangement: &Arrangement<'_>,
    ) -> Vec<Recommendation> {
        let sources = self.sources();
        let blend = self.completed(page, request, eligible, beside, blend, arrangement);
        let explanation = blend.as_ref().map(|blend| blend.explanation(&sources, request));
        let reason = |ranked: &Ranked| match ranked.because {
            Because::Seed => {
                let seed = beside.map_or(ranked.item, |beside| beside.cause(ranked.item));
                explain::seed_reason(&sources, request, seed, ranked.item)
            }
            Because::Due => self.buy_again(ranked.item),
            Because::New => {
                let facts = request.catalogue.facts_of(ranked.item);
                facts.map_or(Reason::New, |facts| Reason::by_age(facts.created_at, request.now))
            }
            Because::Popular => Reason::Popular,
            Because::PopularInCategory => {
                request.catalogue.category_of(ranked.item).map_or(Reason::Popular, Reason::PopularIn)
            }
            Because::Seen => match explain::deed(request.profile, ranked.item) {
                Reason::SimilarTo(_) => Reason::Seen,
                deed => deed,
            },
            Because::Unfinished(why) => Reason::Unfinished(why),
            Because::Exploring => Reason::Exploring(request.catalogue.category_of(ranked.item)),
            Because::Own => {
                explanation.as_ref().map_or(Reason::New, |explanation| explanation.reason(ranked.item))
            }
        };
        let finished = |ranked: &Ranked| Recommendation {
            item: ranked.item,
            score: Score::new(ranked.score),
            reason: reason(ranked),
            propensity: ranked.propensity,
            touch: ranked.touch,
        };
        page.iter().map(finished).collect()
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
        let beside = self.beside(request);
        let near = beside.as_ref().map(|beside| beside.scores.as_slice());
        let (_, ranked) = self.ranked(personal, rule, request, near, &[], allowed);
        self.diverse(ranked, request, 0).iter().map(|ranked| ranked.item.0).collect()
    }
}
