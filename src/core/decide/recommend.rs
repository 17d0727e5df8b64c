//! The only way to a list that anybody sees: consent, mutes, what rests after a dismissal and the arm's model are kept to.

use super::effect::Counter;
use super::user_state::{Step, UserState};
use super::world::World;
use crate::base::{ItemId, ModelVersion, Score};
use crate::notify::Trigger;
use crate::notify::policy::Preferences;
use crate::profile::Profile;
use crate::recommend::serve::live::Found;
use crate::recommend::serve::removed::{Filter, Removed};
use crate::recommend::serve::selection::Selection;
use crate::recommend::{List, ModelSet, Reason, Recommendation, Request};

/// Recommendations asked for when the user has muted some items; more, up to the limit below, while mutes leave too few.
const FIRST_WITH_MUTES: usize = 50;
/// Most recommendations asked for to fill a list from which mutes take items.
const MOST_WITH_MUTES: usize = 3_200;

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

    /// The list that is asked for, as [`UserState::recommend`] makes one. Offset and conditions are kept to after mutes: a page is
    /// full where enough items are left.
    pub fn list(&self, list: &ListRequest, world: &World<'_>) -> Recommendations {
        let models = world.experiment_models.models_for(
            &self.external_id,
            &self.attributes,
            world.definitions,
            world.models,
        );
        let found = world.recent.look_up(list.seed, world.now);
        let stranger = Profile::default();
        let exclude = self.policy.resting(&self.rules(world), world.now);
        let request = self.request(list.seed, list.n, &stranger, &exclude, &found, world);
        let serves = models.version == world.models.version;
        let segment = match request.segment {
            Some(_) if !serves => models.segment(&request.profile.features(world.context_of(&models))),
            segment => segment,
        };
        let request = Request {
            segment,
            selection: &list.selection,
            offset: list.offset,
            first_page: Some(list.n),
            ..request
        };
        let page = shown(&models, &request, &self.preferences);
        let locale = self.preferences.locale.clone();
        Recommendations { items: page.items, model: models.version, removed: page.removed, locale }
    }

    /// The question to the model that serves.
    pub fn request<'a>(
        &'a self,
        seed: Option<ItemId>,
        n: usize,
        stranger: &'a Profile,
        exclude: &'a [ItemId],
        found: &'a Found,
        world: &'a World<'_>,
    ) -> Request<'a> {
        let (profile, segment) = self.consented(&self.rules(world), stranger);
        Request {
            segment,
            seed,
            exclude,
            settings: &world.config.recommend,
            explorer: Some(self.user),
            live: found.evidence(),
            ..Request::new(profile, world.catalogue, world.now, n)
        }
    }
}

/// The page of a request without the items that the user has muted, full where enough others are left.
pub(super) fn shown(models: &ModelSet, request: &Request<'_>, preferences: &Preferences) -> List {
    if preferences.settings.mutes.is_empty() {
        return models.page(request);
    }
    let depth = request.offset.saturating_add(request.n);
    let mut asked = FIRST_WITH_MUTES.max(depth);
    loop {
        let mut page = models.page(&Request { n: asked, offset: 0, ..*request });
        let found = page.items.len();
        page.items.retain(|found| {
            let item = request.catalogue.get(found.item);
            item.is_none_or(|item| preferences.silenced(item).is_none())
        });
        page.removed.note(Filter::Muted, found - page.items.len());
        if page.items.len() >= depth || found < asked || asked >= MOST_WITH_MUTES {
            let items = page.items.into_iter().skip(request.offset).take(request.n).collect();
            return List { items, removed: page.removed };
        }
        asked *= 4;
    }
}
