//! One immutable set of models, answering requests and stored as one artefact. The shell holds it in an `Arc` and
//! swaps it whole; a clone is cheap, its big parts are shared.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::{ItemId, ModelVersion, Score, Timestamp};
use crate::catalogue::Catalogue;
use crate::event::Event;
use crate::ml::metrics::Metrics;
use crate::profile::{Features, Observed, SegmentId, Segmentation};
use crate::recommend::ensemble::{BaseModel, Ensemble, EventKinds, Models, Ranker, SideFeature};
use crate::recommend::models::association_rules::AssociationRules;
use crate::recommend::models::content_based::ContentBased;
use crate::recommend::models::item_knn::ItemKnn;
use crate::recommend::models::item_set::Universe;
use crate::recommend::models::popularity::Popularity;
use crate::recommend::models::repurchase::Repeat;
use crate::recommend::models::top;
use crate::recommend::session::next_item::NextItem;
use crate::recommend::train::baseline::Baseline;
use crate::recommend::train::parameters::TrainingParameters;
use crate::response::ResponseModel;

use super::artefact::{self, Artefact, ArtefactError};
use super::explain;
use super::filters::Eligible;
use super::item_context::{self, Clicks};
use super::person::{Person, Sources};
use super::request::{List, Recommendation, Request};
use super::returning::Mix;
use super::user_scores::{Personal, only, plain_rule};

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
    /// Time that those events cover.
    pub observed: Observed,
    /// Metrics on held-out data.
    pub metrics: Metrics,
    /// User segments; `None` without users.
    pub segmentation: Option<Segmentation>,
    /// Parameters of the training.
    pub parameters: TrainingParameters,
    /// Distributions of the data at training time.
    pub baseline: Arc<Baseline>,
    pub(crate) popularity: Arc<Popularity>,
    pub(crate) item_knn: Arc<ItemKnn>,
    pub(crate) association_rules: Arc<AssociationRules>,
    pub(crate) content: ContentBased,
    pub(crate) ensemble: Arc<Ensemble>,
    /// Kinds of behaviour that the blend reads apart.
    pub(crate) kinds: Arc<EventKinds>,
    pub(crate) sessions: Arc<NextItem>,
    pub(crate) repeat: Arc<Repeat>,
    /// Order of what is new and what to go on with; `None` = every third place.
    pub(crate) mix: Option<Mix>,
    /// Model of the probabilities that messages are answered.
    #[serde(rename = "propensity")]
    pub response: Arc<ResponseModel>,
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
            observed: Observed::default(),
            metrics: Metrics::new(),
            segmentation: None,
            parameters: TrainingParameters::default(),
            baseline: Arc::default(),
            popularity: Arc::default(),
            item_knn: Arc::default(),
            association_rules: Arc::default(),
            content: ContentBased::default(),
            ensemble: Arc::new(plain(Models::beside_only())),
            kinds: Arc::default(),
            sessions: Arc::default(),
            repeat: Arc::default(),
            mix: None,
            response: Arc::default(),
        }
    }

    /// The baseline: items by popularity alone, the same for everybody but for what [`super::filters`] forbids them. Its version
    /// is 0, as that of no training. Cheap: the counts are shared.
    pub fn popular(&self) -> Self {
        let mut popular = Self { popularity: Arc::clone(&self.popularity), ..Self::empty() };
        let weight =
            |member: &BaseModel| f32::from(u8::from(*member == BaseModel::SideFeature(SideFeature::Popular)));
        let rule = only(popular.ensemble.models().members(), weight);
        popular.set_rule(rule);
        popular
    }

    /// The learnt blend.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Lets other models and their rule rank. Columns of kinds are those of [`ModelSet::set_kinds`], after all other members.
    pub(crate) fn set_ensemble(&mut self, ensemble: Ensemble) {
        self.ensemble = Arc::new(ensemble);
    }

    /// Lets the blend read these kinds; its members must name their columns.
    pub(crate) fn set_kinds(&mut self, kinds: EventKinds) {
        self.kinds = Arc::new(kinds);
    }

    /// Lets another rule order what the models say; it is for the same members.
    pub fn set_rule(&mut self, rule: Ranker) {
        // The models are copied only where somebody else holds them, too.
        let ensemble = Arc::unwrap_or_clone(std::mem::take(&mut self.ensemble));
        self.ensemble = Arc::new(ensemble.ruled_by(rule));
    }

    /// The rule for a history of `n` items: the learnt one was learnt on histories, and none says nothing.
    pub fn rule(&self, n: usize) -> Ranker {
        if n > 0 { self.ensemble.ranker().clone() } else { plain_rule(self.ensemble.models().members()) }
    }

    /// Lets a learnt order mix what is new with what to go on with; `None` = every third place.
    pub fn set_mix(&mut self, mix: Option<Mix>) {
        self.mix = mix;
    }

    /// The learnt order of what is new and what to go on with.
    pub fn mix(&self) -> Option<&Mix> {
        self.mix.as_ref()
    }

    pub(super) fn sources(&self) -> Sources<'_> {
        Sources {
            popularity: &self.popularity,
            item_knn: &self.item_knn,
            association_rules: &self.association_rules,
            content: &self.content,
            ensemble: &self.ensemble,
            sessions: &self.sessions,
            kinds: &self.kinds,
        }
    }

    /// One person, as the members see them.
    pub(super) fn person(&self, request: &Request<'_>) -> Person {
        Person::new(&self.sources(), request)
    }

    /// Every item that a model or the catalogue knows.
    fn everything(&self, request: &Request<'_>) -> Universe {
        let models = self.ensemble.models().n_items();
        Universe::All(request.catalogue.width().max(self.popularity.width()).max(models))
    }

    /// Input of the members for one person and all items, without their scores.
    pub(crate) fn unscored(&self, request: &Request<'_>) -> Personal {
        Personal::unscored(&self.sources(), request, self.person(request), self.everything(request))
    }

    /// Scores of all members for one person and all items: what a measurement ranks.
    pub fn personal(&self, request: &Request<'_>) -> Personal {
        Personal::new(&self.sources(), request, self.person(request), self.everything(request))
    }

    /// Items that go with this one, best first, ties by id; by behaviour, by content, by embeddings in equal parts, and by what was counted `live`. Empty for an item of
    /// which nothing is known. `request` names the item as its seed, and a profile without events.
    pub fn similar(&self, item: ItemId, request: &Request<'_>) -> List {
        let sources = self.sources();
        let width = request.catalogue.width().max(self.popularity.width());
        let (live, embeddings) = (request.live, request.catalogue.embeddings());
        let scores =
            item_context::scores(&sources, request.profile, item, Clicks::Any, live, embeddings, width);
        let eligible = Eligible::new(request, &self.repeat);
        let items = top::best(&scores, request.depth(), |other| eligible.is_allowed(other))
            .into_iter()
            .skip(request.offset)
            .map(|(other, score)| Recommendation {
                item: other,
                score: Score::new(score),
                reason: explain::pair_reason(&sources, item, other),
                propensity: 1.0,
                touch: None,
            })
            .collect();
        List { items, removed: eligible.removed }
    }

    /// Association rules: items that are bought together.
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

    /// The same for all that came since it was trained; the content index is made anew where they are many.
    pub fn note_unknown(&mut self, catalogue: &Catalogue) {
        let unknown: Vec<ItemId> =
            catalogue.iter().map(|item| item.id).filter(|id| !self.knows(*id)).collect();
        self.note_items(catalogue, &unknown);
        if self.content.is_due() {
            self.content = ContentBased::fit(catalogue);
        }
    }

    /// Content vectors of items.
    pub fn content(&self) -> &ContentBased {
        &self.content
    }

    /// Replaces the content vectors, by [`ContentBased::renewed`].
    pub fn set_content(&mut self, content: ContentBased) {
        self.content = content;
    }

    /// Returns whether the content model has seen this item.
    pub fn knows(&self, item: ItemId) -> bool {
        !self.content.vector(item).is_empty()
    }

    /// The same without what it remembers of one person: the sessions made of that person's events, all of one visitor. `None` when there
    /// is none among its own. What is learnt from everybody's together stays.
    pub fn without_sessions_of(&self, events: &[Event]) -> Option<Self> {
        let own = NextItem::remembered(events, 1);
        let sessions = || Arc::new(self.sessions.without(&own));
        self.sessions.remembers_any(&own).then(|| Self { sessions: sessions(), ..self.clone() })
    }

    /// As bytes with magic, format version and checksum. The number of threads of its training is left out: the same data, parameters
    /// and moment give the same bytes on any machine.
    pub fn encode(&self) -> Result<Vec<u8>, ArtefactError> {
        self.artefact()?.to_bytes()
    }

    /// The same, ready to be written.
    pub fn artefact(&self) -> Result<Artefact<Self>, ArtefactError> {
        let parameters = TrainingParameters { n_threads: 0, ..self.parameters.clone() };
        Artefact::new(Self { parameters, ..self.clone() })
    }

    /// From [`ModelSet::encode`]'s bytes; anything else is refused with the reason.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let model: Self = artefact::decode(bytes)?;
        let sound = model.popularity.is_sound()
            && model.item_knn.is_sound()
            && model.association_rules.is_sound()
            && model.content.is_sound()
            && model.response.is_sound()
            && model.ensemble.is_sound()
            && model.sessions.is_sound()
            && model.repeat.is_sound()
            && model.mix.as_ref().is_none_or(Mix::is_sound)
            && model.kinds.models.is_sound(model.popularity.width());
        if sound { Ok(model) } else { Err(ArtefactError::Corrupt("its numbers make no sense".into())) }
    }
}

/// Models under the rule of a shop that has learnt none.
pub(crate) fn plain(models: Models) -> Ensemble {
    let rule = plain_rule(models.members());
    Ensemble::new(models, rule)
}
