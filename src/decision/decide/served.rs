//! Lists of users as they are shown, without their live state: what a training measures beside the bare ranking. Settings, mutes and
//! consent count as in [`UserState::list`](super::UserState::list), by the same code; the rest after a dismissal, which lasts for
//! hours, does not, and exploration does where the request names an explorer.

use std::collections::HashMap;
use std::sync::Arc;

use super::load::consent;
use super::user_state::has_profiling;
use crate::notify::policy::{PreferenceDocument, Preferences};
use tidings_core::base::{ItemId, UserId};
use tidings_core::config::Recommend;
use tidings_core::evaluate::measure::Served;
use tidings_core::profile::Profile;
use tidings_core::recommend::serve::placement::Placement;
use tidings_core::recommend::{ModelSet, Request};

/// Settings and wishes that decide about lists beside the model.
#[derive(Clone, Debug)]
pub struct ServedLists<'a> {
    settings: &'a Recommend,
    profiling_by_default: bool,
    /// Of users who have said anything.
    preferences: HashMap<UserId, Preferences>,
    placements: Vec<Arc<Placement>>,
}

impl<'a> ServedLists<'a> {
    /// By these settings, of users who have said nothing yet.
    pub fn new(settings: &'a Recommend, profiling_by_default: bool) -> Self {
        Self { settings, profiling_by_default, preferences: HashMap::new(), placements: Vec::new() }
    }

    /// The same, with the shop's placements.
    #[must_use]
    pub fn with_placements(self, placements: impl IntoIterator<Item = Arc<Placement>>) -> Self {
        Self { placements: placements.into_iter().collect(), ..self }
    }

    /// Notes what a user asked for, and the latest answer for each purpose.
    pub fn note(&mut self, user: UserId, document: &PreferenceDocument, consents: &[(String, bool)]) {
        self.preferences.insert(user, document.parse(consent(consents)));
    }
}

impl Served for ServedLists<'_> {
    fn list(&self, user: UserId, model: &ModelSet, request: &Request<'_>) -> Vec<ItemId> {
        let (silent, stranger) = (Preferences::default(), Profile::default());
        let preferences = self.preferences.get(&user).unwrap_or(&silent);
        let silenced = preferences.silenced_items(request.catalogue);
        let request = Request { settings: self.settings, silenced: silenced.as_ref(), ..*request };
        let page = if has_profiling(preferences, self.profiling_by_default) {
            model.page(&request)
        } else {
            model.page(&Request { profile: &stranger, segment: None, ..request })
        };
        page.items.iter().map(|recommendation| recommendation.item).collect()
    }

    fn placements(&self) -> &[Arc<Placement>] {
        &self.placements
    }
}
