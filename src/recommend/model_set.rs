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
use super::hybrid::{self, Components, Models};
use super::item_knn::ItemKnn;
use super::parameters::TrainingParameters;
use super::popularity::Popularity;
use super::propensity::Propensity;
use super::{Metrics, Reason, Recommendation, Request, explain, rules};

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
    /// How it was trained; `blend` is the one in use.
    pub parameters: TrainingParameters,
    /// What the data looked like then.
    pub baseline: Arc<Baseline>,
    pub(crate) popularity: Arc<Popularity>,
    pub(crate) item_knn: Arc<ItemKnn>,
    pub(crate) association_rules: Arc<AssociationRules>,
    pub(crate) content: ContentBased,
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
            propensity: Arc::default(),
        }
    }

    /// The models, for whoever blends or measures them.
    pub fn models(&self) -> Models<'_> {
        Models {
            popularity: &self.popularity,
            item_knn: &self.item_knn,
            association_rules: &self.association_rules,
            content: &self.content,
        }
    }

    /// At most `request.n` items, best first, ties by id, scores 0…1; what [`rules`] forbid is never among them.
    /// What the user has just seen comes last. A user without history gets what is popular, a shop without data its
    /// newest items. Under a millisecond at 4,000 items.
    pub fn recommend(&self, request: &Request<'_>) -> Vec<Recommendation> {
        let blend = &self.parameters.blend;
        let models = self.models();
        let components = Components::new(&models, request, blend);
        let scores = components.blended(blend);
        let fresh = |item| rules::allowed(item, request) && !rules::just_seen(item, request);
        let mut list: Vec<_> = hybrid::best(&scores, request.n, fresh)
            .into_iter()
            .map(|(item, score)| Recommendation {
                item,
                score: Score::new(score),
                reason: components.reason(&models, request, blend, item),
            })
            .collect();
        // A small shop, or one without data: what nobody touched yet, then what this user has seen already.
        if list.len() < request.n {
            let known: Vec<ItemId> = list.iter().map(|known| known.item).collect();
            let missing = request.n - list.len();
            list.extend(newest(request.catalogue, missing, |item| {
                fresh(item.id) && !known.contains(&item.id)
            }));
        }
        if list.len() < request.n {
            let seen = request.profile.recent().iter().map(|known| known.item);
            let again =
                seen.filter(|item| rules::allowed(*item, request) && rules::just_seen(*item, request));
            list.extend(again.take(request.n - list.len()).map(|item| Recommendation {
                item,
                score: Score::default(),
                reason: Reason::Viewed(item),
            }));
        }
        list
    }

    /// Items that go with this one, best first, ties by id; half by behaviour, half by content. Empty for an item of
    /// which nothing is known.
    pub fn similar(&self, item: ItemId, catalogue: &Catalogue, n: usize) -> Vec<Recommendation> {
        let models = self.models();
        let width = catalogue.width().max(models.popularity.width());
        let nobody = Profile::default();
        let scores = hybrid::seed_scores(&models, &nobody, item, width);
        let request = Request {
            profile: &nobody,
            segment: None,
            catalogue,
            now: self.trained_at,
            n,
            seed: Some(item),
            exclude: &[],
        };
        hybrid::best(&scores, n, |other| rules::allowed(other, &request))
            .into_iter()
            .map(|(other, score)| Recommendation {
                item: other,
                score: Score::new(score),
                reason: explain::pair_reason(&models, item, other),
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
            && model.propensity.is_sound();
        if sound { Ok(model) } else { Err(ArtefactError::Corrupt("its numbers make no sense".into())) }
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
