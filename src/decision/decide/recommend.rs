//! The only way to a list that anybody sees: consent, mutes, what rests after a dismissal and the arm's model are kept to.

use super::effect::Counter;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::notify::Trigger;
use tidings_core::base::{ItemId, ModelVersion, Score};
use tidings_core::profile::Profile;
use tidings_core::recommend::models::item_set::ItemSet;
use tidings_core::recommend::serve::live::Found;
use tidings_core::recommend::serve::removed::Removed;
use tidings_core::recommend::serve::selection::Selection;
use tidings_core::recommend::{Reason, Recommendation, Request};

/// Items of a message or an answer, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recommendations {
    /// Best first.
    pub items: Vec<Recommendation>,
    /// The model that ranked them; the one that serves where none was asked.
    pub model: ModelVersion,
    /// Items of the catalogue that were left out, by filter.
    pub removed: Removed,
    /// BCP 47 tag of the language that the user reads; `None` = not known.
    pub locale: Option<Box<str>>,
}

/// A list that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListRequest {
    /// Most items.
    pub n: usize,
    /// Items left out at the beginning.
    pub offset: usize,
    /// Item that the list stands beside.
    pub seed: Option<ItemId>,
    /// Conditions of the list.
    pub selection: Selection,
}

/// Parts of a question to a model that are not in the user's state.
#[derive(Clone, Debug)]
pub struct Asking {
    seed: Option<ItemId>,
    /// Profile of nobody, which stands for a user's without consent to profiling.
    stranger: Profile,
    /// Dismissed a while ago.
    resting: Vec<ItemId>,
    /// Muted.
    silenced: Option<ItemSet>,
    found: Found,
}

impl Recommendations {
    /// Their ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = ItemId> {
        self.items.iter().map(|recommendation| recommendation.item)
    }

    /// One item that a message is about.
    pub(super) fn about(item: ItemId, model: ModelVersion) -> Self {
        let (score, reason) = (Score::new(1.0), Reason::Subject);
        let about = Recommendation { item, score, reason, propensity: 1.0, touch: None };
        Self { items: vec![about], model, ..Self::default() }
    }
}

impl UserState {
    /// Items of a trigger's message: the item it is about, none for what the shop says in words of its own, else a list.
    pub(super) fn list_for(&self, trigger: &Trigger, step: &mut Step<'_>) -> Recommendations {
        let world = step.world;
        let list = self.items_of(trigger, world);
        let is_ranked = !trigger.is_about_item() && !trigger.is_said_by_shop();
        if is_ranked && trigger.definition.wants.is_default() && list.model == world.models.version {
            step.count(Counter::Ranked { seed: trigger.seed(), list: list.items.clone() });
        }
        list
    }

    /// The same without counting it.
    pub(super) fn items_of(&self, trigger: &Trigger, world: &World<'_>) -> Recommendations {
        let model = world.models.version;
        match trigger.item.filter(|_| trigger.is_about_item()) {
            Some(item) => Recommendations::about(item, model),
            None if trigger.is_said_by_shop() => Recommendations { model, ..Recommendations::default() },
            None => {
                let selection = Selection { wants: Some(trigger.definition.wants), ..Selection::default() };
                let n = self.rules(world).items;
                self.list(&ListRequest { n, offset: 0, seed: trigger.seed(), selection }, world)
            }
        }
    }

    /// The best `n` items for this user now, beside `seed` where there is one. Fewer where the catalogue has no more that may
    /// be shown.
    pub fn recommend(&self, seed: Option<ItemId>, n: usize, world: &World<'_>) -> Recommendations {
        self.list(&ListRequest { n, seed, ..ListRequest::default() }, world)
    }

    /// The list that is asked for, as [`UserState::recommend`] makes one.
    pub fn list(&self, list: &ListRequest, world: &World<'_>) -> Recommendations {
        let models = world.experiment_models.models_for(
            &self.external_id,
            &self.attributes,
            world.definitions,
            world.models,
        );
        let asking = self.asking(list.seed, world);
        let request = self.request(&asking, list.n, world);
        let serves = models.version == world.models.version;
        let segment = match request.segment {
            Some(_) if !serves => models.segment(&request.profile.features(world.context_of(&models))),
            segment => segment,
        };
        let page = models.page(&Request {
            segment,
            selection: &list.selection,
            offset: list.offset,
            first_page: Some(list.n),
            ..request
        });
        let locale = self.preferences.locale.clone();
        Recommendations { items: page.items, model: models.version, removed: page.removed, locale }
    }

    /// Gathers the parts of a question to a model, for a list beside `seed` where there is one.
    pub fn asking(&self, seed: Option<ItemId>, world: &World<'_>) -> Asking {
        Asking {
            seed,
            stranger: Profile::default(),
            resting: self.policy.resting(&self.rules(world), world.now),
            silenced: self.preferences.silenced_items(world.catalogue),
            found: world.recent.look_up(seed, world.now),
        }
    }

    /// The question to the model that serves.
    pub fn request<'a>(&'a self, asking: &'a Asking, n: usize, world: &'a World<'_>) -> Request<'a> {
        let (profile, segment) = self.consented(&self.rules(world), &asking.stranger);
        Request {
            segment,
            seed: asking.seed,
            exclude: &asking.resting,
            silenced: asking.silenced.as_ref(),
            settings: &world.config.recommend,
            explorer: Some(self.user),
            live: asking.found.evidence(),
            ..Request::new(profile, world.catalogue, world.now, n)
        }
    }
}
