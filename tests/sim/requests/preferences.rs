//! A user's preferences and consent over HTTP.

use tidings::base::{Millis, Timestamp};
use tidings::decide::Input;
use tidings::notify::Channel;
use tidings::notify::policy::{Mute, Muted, PreferenceDocument, Purpose, Settings, SettingsDocument};

use crate::setting::ZONES;
use crate::sim::Sim;
use crate::steps::{MUTABLE, TRIGGERS, Wish};

impl Sim {
    pub(super) fn http_mute(&mut self, user: usize, category: u8) {
        let Some(server) = self.holder() else { return };
        let mute = Muted::Category(MUTABLE[category as usize % MUTABLE.len()].to_owned());
        let before = Box::new(self.store.users[user].preferences.clone());
        let mut stored = PreferenceDocument::clone(&before);
        stored.keep_muted(mute.clone());
        self.replace_preferences(user, stored.clone());
        self.shadow.muted_over_http(user, mute, self.now());
        self.tell(server, user, Input::PreferencesChanged { before, after: Box::new(stored) });
    }

    fn replace_preferences(&mut self, user: usize, document: PreferenceDocument) {
        let now = self.now();
        let rows = &mut self.store.users[user];
        (rows.preferences, rows.preferences_at) = (document, Some(now));
    }

    /// `PUT /v1/users/{id}/preferences`, with everything in it.
    pub(super) fn put_preferences(&mut self, user: usize, wish: Wish) {
        let Some(server) = self.holder() else { return };
        let document = document(wish, self.now());
        let before = Box::new(self.store.users[user].preferences.clone());
        self.replace_preferences(user, document.clone());
        self.shadow.preferences_replaced(user, document.clone(), self.now());
        self.tell(server, user, Input::PreferencesChanged { before, after: Box::new(document) });
    }

    pub(super) fn consent(&mut self, user: usize, purpose: Purpose, granted: bool) {
        let Some(server) = self.holder() else { return };
        self.store.users[user].consent(purpose, granted);
        self.tell(server, user, Input::ConsentChanged(vec![(purpose, granted)]));
    }
}

/// Preferences with one wish in them.
fn document(wish: Wish, now: Timestamp) -> PreferenceDocument {
    let mut document = PreferenceDocument::default();
    let mut settings = Settings::default();
    let channels = |push: bool| [if push { Channel::Push } else { Channel::Socket }].into();
    match wish {
        Wish::OptOut(opted_out) => settings.opted_out = opted_out,
        Wish::Pause(min) => settings.paused_until = Some(now + Millis(u64::from(min) * 60_000)),
        Wish::Mute(category) => document.muted.push(MUTABLE[category as usize % MUTABLE.len()].to_owned()),
        Wish::MuteKind(trigger) => {
            settings.mutes.push(Mute::Kind(TRIGGERS[trigger as usize % TRIGGERS.len()].to_owned()));
        }
        Wish::MuteItem(item) => settings.mutes.push(Mute::Item((100 + u32::from(item)).to_string())),
        Wish::Digest(category) => {
            let all = ["*", "news", "promo", "announcements", "price_drop"];
            settings.digest = [all[category as usize % all.len()].to_owned()].into();
        }
        Wish::Block { push, category } => {
            let all = ["*", "news", "announcements", "similar_items"];
            let name = all[category as usize % all.len()].to_owned();
            settings.blocked_channels = [(name, channels(push))].into();
        }
        Wish::Quiet(from, to) => {
            document.quiet_from_minute = Some(from as i16);
            document.quiet_to_minute = Some(to as i16);
        }
        Wish::Zone(zone) => document.time_zone = Some(ZONES[zone as usize % ZONES.len()].to_owned()),
        Wish::NoDigest | Wish::Nothing => {}
    }
    document.settings = SettingsDocument::from(&settings);
    document
}
