//! What a message is to name: a list ranked for this user by the model that serves, or the one an experiment names.

use std::time::Instant;

use super::ready::{Ready, Wants};
use crate::actors::shared::Shared;
use crate::base::{ItemId, ModelVersion, Score, Timestamp};
use crate::notify::Trigger;
use crate::notify::policy::Purpose;
use crate::notify::triggers::Condition;
use crate::profile::Profile;
use crate::recommend::{ModelSet, Reason, Recommendation, Request};
use crate::telemetry::Timing;

/// Recommendations asked for when the user has muted some items.
const MOST_WITH_MUTES: usize = 50;

/// What a message is to name, best first.
pub(super) struct Listed {
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
                let models = shared.models_for(&self.external_id);
                Listed { items: self.recommend(trigger, &models, shared, now), ranked_by: models.version }
            }
        }
    }

    fn recommend(
        &self,
        trigger: &Trigger,
        models: &ModelSet,
        shared: &Shared,
        now: Timestamp,
    ) -> Vec<Recommendation> {
        let started = Instant::now();
        let catalogue = shared.catalogue.load();
        let rules = self.rules(shared);
        let exclude = self.policy.resting(&rules, now);
        // Without consent to profiling a user is nobody in particular, and gets what is popular.
        let stranger = Profile::default();
        let profiled = self.preferences.consent.has(Purpose::Profiling, rules.profiling_by_default);
        let serves = models.version == shared.models.load().version;
        let segment = if serves { self.segment } else { models.segment(&self.profile.features(now)) };
        let (profile, segment) = if profiled { (&self.profile, segment) } else { (&stranger, None) };
        let silenced = !self.preferences.settings.mutes.is_empty();
        let found = shared.live.look_up(trigger.seed(), now);
        let request = Request {
            profile,
            segment,
            catalogue: &catalogue,
            now,
            // Some of them may be muted.
            n: if silenced { MOST_WITH_MUTES.max(rules.items) } else { rules.items },
            seed: trigger.seed(),
            exclude: &exclude,
            settings: &shared.config.recommend,
            explorer: Some(self.user),
            live: found.evidence(),
        };
        let mut recommendations = models.recommend(&request);
        shared.metrics.time(Timing::Recommend, started.elapsed());
        if serves {
            shared.monitor.compare(&request, &recommendations);
        }
        if silenced {
            recommendations.retain(|found| {
                catalogue.get(found.item).is_none_or(|item| self.preferences.silenced(item).is_none())
            });
            recommendations.truncate(rules.items);
        }
        recommendations
    }

    /// The model changed: a new segment, and a message if the list did.
    pub(super) fn model_trained(&mut self, shared: &Shared, wants: &mut Wants) {
        self.place(shared);
        if self.is_robot {
            return;
        }
        if let Some(trigger) = shared.book.load().triggers.first(&Condition::ModelRefreshed)
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
