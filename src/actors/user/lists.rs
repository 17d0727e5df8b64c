//! What a message is to name: a list ranked for this user by the model that serves, or the one an experiment names.

use std::time::Instant;

use super::ready::{Ready, Wants};
use crate::actors::loader::Loaded;
use crate::actors::shared::Shared;
use crate::base::{ExternalId, ItemId, ModelVersion, Score, Timestamp};
use crate::notify::Trigger;
use crate::notify::policy::Purpose;
use crate::notify::triggers::Condition;
use crate::profile::Profile;
use crate::recommend::{Reason, Recommendation, Request};
use crate::telemetry::Timing;

/// Recommendations asked for when the user has muted some items; more, up to the limit below, while mutes leave too few.
const FIRST_WITH_MUTES: usize = 50;
/// Most recommendations asked for to fill a list from which mutes take items.
const MOST_WITH_MUTES: usize = 3_200;

/// What a message is to name, best first.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Best first.
    pub items: Vec<Recommendation>,
    /// The model that ranked it; the one that serves where none was asked.
    pub ranked_by: ModelVersion,
}

impl Listed {
    pub fn ids(&self) -> impl Iterator<Item = ItemId> {
        self.items.iter().map(|recommendation| recommendation.item)
    }
}

impl Ready {
    /// For a trigger: the item it is about, nothing for what the shop says in words of its own, else a list.
    pub(super) fn listed(&self, trigger: &Trigger, shared: &Shared, now: Timestamp) -> Listed {
        let serving = || shared.models.load().version;
        match trigger.item.filter(|_| trigger.is_about_item()) {
            Some(item) => {
                let about = Recommendation {
                    item,
                    score: Score::new(1.0),
                    reason: Reason::Viewed(item),
                    propensity: 1.0,
                };
                Listed { items: vec![about], ranked_by: serving() }
            }
            None if trigger.is_said_by_shop() => Listed { items: Vec::new(), ranked_by: serving() },
            None => {
                let n = self.rules(shared).items;
                self.recommend(trigger.seed(), n, shared, now)
            }
        }
    }

    /// The best `n` items for this user, beside `seed` where there is one: the only way to a list that anybody sees. Consent to
    /// profiling, mutes and what rests after a dismissal are kept to.
    pub(super) fn recommend(
        &self,
        seed: Option<ItemId>,
        n: usize,
        shared: &Shared,
        now: Timestamp,
    ) -> Listed {
        let started = Instant::now();
        let models = shared.models_for(&self.external_id);
        let catalogue = shared.catalogue.load();
        let rules = self.rules(shared);
        let exclude = self.policy.resting(&rules, now);
        // Without consent to profiling a user is nobody in particular, and gets what is popular.
        let stranger = Profile::default();
        let profiled = self.preferences.consent.has(Purpose::Profiling, rules.profiling_by_default);
        let serves = models.version == shared.models.load().version;
        let segment = if serves { self.segment } else { models.segment(&self.profile.features(now)) };
        let (profile, segment) = if profiled { (&self.profile, segment) } else { (&stranger, None) };
        let found = shared.live.look_up(seed, now);
        let request = Request {
            profile,
            segment,
            catalogue: &catalogue,
            now,
            n,
            seed,
            exclude: &exclude,
            settings: &shared.config.recommend,
            explorer: Some(self.user),
            live: found.evidence(),
        };
        let mut items;
        let silenced = !self.preferences.settings.mutes.is_empty();
        let mut asked = if silenced { FIRST_WITH_MUTES.max(n) } else { n };
        loop {
            items = models.recommend(&Request { n: asked, ..request });
            let found = items.len();
            if silenced {
                items.retain(|found| {
                    catalogue.get(found.item).is_none_or(|item| self.preferences.silenced(item).is_none())
                });
                items.truncate(n);
            }
            if items.len() >= n || found < asked || asked >= MOST_WITH_MUTES {
                break;
            }
            asked *= 4;
        }
        shared.metrics.time(Timing::Recommend, started.elapsed());
        if serves {
            shared.monitor.compare(&request, &items);
        }
        Listed { items, ranked_by: models.version }
    }

    /// The model changed: a new segment, and a message if the list did.
    pub(super) fn model_trained(&mut self, shared: &Shared, wants: &mut Wants) {
        self.place(shared);
        if self.is_robot {
            return;
        }
        if let Some(trigger) = shared.definitions.load().triggers.first(&Condition::ModelRefreshed)
            && self.can_be_told(trigger.name(), shared)
        {
            let listed = self.listed(&trigger, shared, Timestamp::now());
            let list: Box<[ItemId]> = listed.ids().collect();
            if list != self.last_list {
                self.last_list = list;
                self.judge(trigger, listed, None, None, shared, wants);
            }
        }
        self.check_rules(shared, wants);
    }
}

/// What an absent user, or one nobody has named (`None`), would be recommended now.
pub fn recommend(user: &ExternalId, loaded: Option<Loaded>, n: usize, shared: &Shared) -> Listed {
    let loaded = loaded.unwrap_or_else(Loaded::stranger);
    Ready::new(user, loaded, shared).recommend(None, n, shared, Timestamp::now())
}
