//! One immutable set of models, answering requests and stored as one artefact. The shell holds it in an `Arc` and
//! swaps it whole; a clone is cheap, its big parts are shared.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::{ItemId, ModelVersion, Score, Timestamp};
use crate::catalogue::{Catalogue, Item};
use crate::profile::{Features, Profile, SegmentId, Segmentation};

use super::artefact::{self, ArtefactError};
use super::association_rules::AssociationRules;
use super::baseline::Baseline;
use super::content_based::ContentBased;
use super::ensemble::{Candidates, Ensemble, Models, Ranker};
use super::explain::Explanation;
use super::item_knn::ItemKnn;
use super::parameters::TrainingParameters;
use super::personal::{Personal, Sources, plain_rule};
use super::popularity::Popularity;
use super::propensity::Propensity;
use super::{Metrics, Reason, Recommendation, Request, explain, rules, seed, top};

/// Share of what goes with the seed in the score when there is a seed.
const SEED_SHARE: f32 = 0.8;
/// Of what goes with the seed, this many are candidates beside the user's own.
const SEED_CANDIDATES: usize = 100;

/// Everything a recommendation is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSet {
    /// Its number in the database; 0 until stored.
    pub version: ModelVersion,
    /// As of when it was trained.
    #[serde(serialize_with = "micros", deserialize_with = "from_micros")]
    pub trained_at: Timestamp,
    /// Number of events it was trained on.
    pub events: u64,
    /// How good it was on held-out data.
    pub metrics: Metrics,
    /// User segments; `None` without users.
    pub segmentation: Option<Segmentation>,
    /// How it was trained.
    pub parameters: TrainingParameters,
    /// What the data looked like then.
    pub baseline: Arc<Baseline>,
    pub(crate) popularity: Arc<Popularity>,
    pub(crate) item_knn: Arc<ItemKnn>,
    pub(crate) association_rules: Arc<AssociationRules>,
    pub(crate) content: ContentBased,
    pub(crate) ensemble: Arc<Ensemble>,
    /// Mean interest of the shop's histories.
    pub(crate) unit: f32,
    /// How likely messages are to be answered.
    pub propensity: Arc<Propensity>,
}

// `Timestamp` writes RFC 3339, which postcard could not read back into "a string or a number".
fn micros<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    at.0.serialize(serializer)
}
fn from_micros<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp)
}

impl ModelSet {
    /// Before any training: knows nothing, recommends by content once items are noted, else the newest items.
    pub fn empty() -> Self {
        Self {
            version: ModelVersion(0),
            trained_at: Timestamp(0),
            events: 0,
            metrics: Metrics::new(),
            segmentation: None,
            parameters: TrainingParameters::default(),
            baseline: Arc::default(),
            popularity: Arc::default(),
            item_knn: Arc::default(),
            association_rules: Arc::default(),
            content: ContentBased::default(),
            ensemble: Arc::new(plain(Models::beside_only())),
            unit: 1.0,
            propensity: Arc::default(),
        }
    }

    /// The learnt blend.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Lets another rule order what the models say; it is for the same members.
    pub fn set_rule(&mut self, rule: Ranker) {
        self.ensemble = Arc::new(Ensemble::new(self.ensemble.models().clone(), rule));
    }

    /// The rule for a history of `n` items: the learnt one was learnt on histories, and none says nothing.
    pub fn rule(&self, n: usize) -> Ranker {
        if n > 0 { self.ensemble.ranker().clone() } else { plain_rule(self.ensemble.models().members()) }
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            popularity: &self.popularity,
            item_knn: &self.item_knn,
            association_rules: &self.association_rules,
            content: &self.content,
            ensemble: &self.ensemble,
            unit: self.unit,
        }
    }

    /// What all members say for one person.
    pub fn personal(&self, request: &Request<'_>) -> Personal {
        Personal::new(&self.sources(), request)
    }

    /// At most `request.n` items, best first, ties by id, scores 0…1; what [`rules`] forbid is never among them.
    /// What the user has just seen comes last. A user without history gets what is popular, a shop without data its
    /// newest items. About a millisecond at 4,000 items.
    pub fn recommend(&self, request: &Request<'_>) -> Vec<Recommendation> {
        let personal = self.personal(request);
        let rule = self.rule(personal.length());
        let fresh = |item| rules::allowed(item, request) && !rules::just_seen(item, request);
        let (candidates, ranked) = self.ranked(&personal, &rule, request, fresh);
        let sources = self.sources();
        let explanation = Explanation {
            sources: &sources,
            request,
            personal: &personal,
            candidates: &candidates,
            rule: &rule,
        };
        let mut list: Vec<_> = ranked
            .into_iter()
            .take(request.n)
            .map(|ranked| Recommendation {
                item: ranked.item,
                score: Score::new(ranked.score),
                reason: match request.seed {
                    Some(seed) if ranked.by_seed => {
                        explain::seed_reason(&sources, request, seed, ranked.item)
                    }
                    _ => explanation.reason(ranked.item),
                },
            })
            .collect();
        fill(&mut list, request, fresh);
        list
    }

    /// Candidates, and all of them in the order of `rule` with scores 0…1: odds against the best one, after the seed's share.
    pub(crate) fn ranked(
        &self,
        personal: &Personal,
        rule: &Ranker,
        request: &Request<'_>,
        allowed: impl Fn(ItemId) -> bool,
    ) -> (Candidates, Vec<Ranked>) {
        let mut candidates = personal.candidates(&self.ensemble, rule, request.n, &allowed);
        let seed = request.seed.map(|seed| {
            let scores = seed::scores(&self.sources(), request.profile, seed, personal.width());
            for (item, _) in top::best(&scores, SEED_CANDIDATES, &allowed) {
                if !candidates.items.contains(&item) {
                    personal.push(&mut candidates, item);
                }
            }
            scores
        });
        let logits = rule.rank(&candidates, personal.length());
        let best = logits.first().map_or(0.0, |(_, score)| *score);
        let seed = seed.filter(|scores| scores.iter().any(|score| *score > 0.0));
        let mut ranked: Vec<Ranked> = logits
            .into_iter()
            .map(|(item, logit)| {
                let own = (logit - best).exp();
                match &seed {
                    Some(scores) => {
                        let near = SEED_SHARE * scores.get(item.index()).copied().unwrap_or(0.0);
                        let own = (1.0 - SEED_SHARE) * own;
                        Ranked { item, score: near + own, by_seed: near > own }
                    }
                    None => Ranked { item, score: own, by_seed: false },
                }
            })
            .collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        (candidates, ranked)
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
        let (_, ranked) = self.ranked(personal, rule, request, allowed);
        ranked.iter().take(request.n).map(|ranked| ranked.item.0).collect()
    }

    /// Items that go with this one, best first, ties by id; half by behaviour, half by content. Empty for an item of
    /// which nothing is known.
    pub fn similar(&self, item: ItemId, catalogue: &Catalogue, n: usize) -> Vec<Recommendation> {
        let sources = self.sources();
        let width = catalogue.width().max(self.popularity.width());
        let nobody = Profile::default();
        let scores = seed::scores(&sources, &nobody, item, width);
        let request = Request { seed: Some(item), ..Request::new(&nobody, catalogue, self.trained_at, n) };
        top::best(&scores, n, |other| rules::allowed(other, &request))
            .into_iter()
            .map(|(other, score)| Recommendation {
                item: other,
                score: Score::new(score),
                reason: explain::pair_reason(&sources, item, other),
            })
            .collect()
    }

    /// What is bought together.
    pub fn association_rules(&self) -> &AssociationRules {
        &self.association_rules
    }

    /// The segment of a user; `None` before any training.
    pub fn segment(&self, features: &Features) -> Option<SegmentId> {
        self.segmentation.as_ref().map(|segmentation| segmentation.assign(features))
    }

    /// Takes note of items added, changed or removed since training, so that content finds them at once.
    pub fn note_items(&mut self, catalogue: &Catalogue, items: &[ItemId]) {
        self.content.note_items(catalogue, items);
    }

    /// Has content seen this item?
    pub fn knows(&self, item: ItemId) -> bool {
        !self.content.vector(item).is_empty()
    }

    /// As bytes with magic, format version and checksum.
    pub fn encode(&self) -> Result<Vec<u8>, ArtefactError> {
        artefact::encode(self)
    }

    /// From [`ModelSet::encode`]'s bytes; anything else is refused with the reason.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let model: Self = artefact::decode(bytes)?;
        let sound = model.popularity.is_sound()
            && model.item_knn.is_sound()
            && model.association_rules.is_sound()
            && model.content.is_sound()
            && model.propensity.is_sound()
            && model.ensemble.is_sound()
            && model.unit.is_finite();
        if sound { Ok(model) } else { Err(ArtefactError::Corrupt("its numbers make no sense".into())) }
    }
}

/// An item in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) item: ItemId,
    /// 0…1.
    pub(crate) score: f32,
    /// Does most of it come from the seed?
    pub(crate) by_seed: bool,
}

/// Models under the rule of a shop that has learnt none.
pub(crate) fn plain(models: Models) -> Ensemble {
    let rule = plain_rule(models.members());
    Ensemble::new(models, rule)
}

/// A small shop, or one without data: what nobody touched yet, then what this user has seen already.
fn fill(list: &mut Vec<Recommendation>, request: &Request<'_>, fresh: impl Fn(ItemId) -> bool) {
    if list.len() < request.n {
        let known: Vec<ItemId> = list.iter().map(|known| known.item).collect();
        let missing = request.n - list.len();
        list.extend(newest(request.catalogue, missing, |item| fresh(item.id) && !known.contains(&item.id)));
    }
    if list.len() < request.n {
        let seen = request.profile.recent().iter().map(|known| known.item);
        let again = seen.filter(|item| rules::allowed(*item, request) && rules::just_seen(*item, request));
        list.extend(again.take(request.n - list.len()).map(|item| Recommendation {
            item,
            score: Score::default(),
            reason: Reason::Viewed(item),
        }));
    }
}

/// The newest items that may be shown, when no model knows better. O(items).
fn newest(catalogue: &Catalogue, n: usize, allowed: impl Fn(&Item) -> bool) -> Vec<Recommendation> {
    let mut items: Vec<_> = catalogue
        .iter()
        .filter(|item| allowed(item))
        .map(|item| (Reverse(item.created_at), item.id))
        .collect();
    items.sort_unstable();
    items
        .into_iter()
        .take(n)
        .map(|(_, item)| Recommendation { item, score: Score::default(), reason: Reason::New })
        .collect()
}
