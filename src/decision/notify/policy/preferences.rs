//! Preferences and consent of a user, as the policy reads them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::candidate::Channel;
use crate::notify::quiet_hours::QuietHours;
use tidings_core::base::Timestamp;
use tidings_core::catalogue::Item;

/// Most mutes of one user; a further one is refused.
pub const MAX_MUTES: usize = 256;
/// Most muted message categories of one user; a further one is refused.
pub const MAX_MUTED_CATEGORIES: usize = 64;
/// Longest name in a setting, bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Answer to a mute for which there is no room.
pub const TOO_MANY_MUTES: &str = "this user has muted as much as there is room for (64 categories of messages, 256 other subjects), so \
     nothing more was muted: take some out of `muted` or `mutes` first (PATCH /v1/users/{id}/preferences), or set `opted_out`";
/// The attribute of an item that names its brand.
pub const BRAND: &str = "brand";

/// Purpose that a person consents to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Purpose {
    /// Messages chosen from what the user did. Without it: popular and transactional ones.
    Profiling,
    /// Messages that advertise at all.
    Marketing,
    /// Web Push.
    Push,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::Profiling, Self::Marketing, Self::Push];

    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Profiling => "profiling",
            Self::Marketing => "marketing",
            Self::Push => "push",
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == text)
    }
}

/// Latest consent per purpose, from the ledger; for a purpose without an entry, the default of the rules holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    said: BTreeMap<Purpose, bool>,
}

impl Consent {
    /// The latest word on a purpose.
    pub fn note(&mut self, purpose: Purpose, granted: bool) {
        self.said.insert(purpose, granted);
    }

    /// Given? `default` where nothing was said.
    pub fn has(&self, purpose: Purpose, default: bool) -> bool {
        self.said.get(&purpose).copied().unwrap_or(default)
    }
}

/// Something a user never wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "of", content = "name", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Mute {
    /// One item, by the shop's id.
    Item(String),
    /// Items of this category, at any depth of the path.
    ItemCategory(String),
    /// Items of this brand.
    Brand(String),
    /// Messages that this trigger or campaign sets off.
    Kind(String),
}

impl Mute {
    /// Name of the muted subject.
    pub fn name(&self) -> &str {
        match self {
            Self::Item(name) | Self::ItemCategory(name) | Self::Brand(name) | Self::Kind(name) => name,
        }
    }

    /// Kind of this mute if it silences the item; `None` otherwise.
    pub(super) fn silences(&self, item: &Item) -> Option<&'static str> {
        match self {
            Self::Item(id) => (item.external_id.to_string() == *id).then_some("item"),
            Self::ItemCategory(name) => item.category.contains(name).then_some("category"),
            Self::Brand(name) => (item.attributes.get(BRAND) == Some(name)).then_some("brand"),
            Self::Kind(_) => None,
        }
    }
}

/// Validation error of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PreferenceError {
    /// Name of the setting.
    pub field: &'static str,
    /// Description of the error and its fix.
    pub message: String,
}

/// The part of the preferences that is stored as one document. All of it optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Nothing at all but transactional messages.
    pub opted_out: bool,
    /// Nothing until then but transactional messages.
    pub paused_until: Option<Timestamp>,
    /// Categories (`*` = all) that are told together once a day.
    pub digest: BTreeSet<String>,
    /// Channels a category (`*` = all) may not use.
    pub blocked_channels: BTreeMap<String, BTreeSet<Channel>>,
    /// Subjects that the user never wants to hear of.
    pub mutes: Vec<Mute>,
}

impl Settings {
    /// Bounds, with the fix in the error. As many of a kind as the settings before have are not too many, and their names not too
    /// long.
    pub fn validate(&self, before: &Self) -> Result<(), PreferenceError> {
        let bad = |field, message: &str| Err(PreferenceError { field, message: message.to_owned() });
        if self.mutes.len() > MAX_MUTES.max(before.mutes.len())
            || !self.mutes.iter().all(|mute| is_name(mute.name()) || before.mutes.contains(mute))
        {
            return bad("mutes", "at most 256, each with a name of 1…128 bytes");
        }
        if self.digest.len() > before.digest.len().max(64)
            || !self.digest.difference(&before.digest).all(|text| is_name(text))
        {
            return bad("digest", "at most 64 categories of 1…128 bytes, or \"*\" for all");
        }
        let known = &before.blocked_channels;
        if self.blocked_channels.len() > known.len().max(64)
            || !self.blocked_channels.keys().all(|text| is_name(text) || known.contains_key(text))
        {
            return bad("blocked_channels", "at most 64 categories of 1…128 bytes, or \"*\" for all");
        }
        Ok(())
    }

    /// Adds a mute, once.
    pub fn mute(&mut self, mute: Mute) {
        if !self.mutes.contains(&mute) {
            self.mutes.push(mute);
        }
    }
}

/// Returns whether a name may stand in a setting.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

/// Preferences as stored: unparsed, so that what a later release wrote is kept. `None` and empty = the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreferenceDocument {
    /// IANA name, e.g. Europe/Berlin.
    pub time_zone: Option<String>,
    /// BCP 47 tag, e.g. de-AT.
    pub locale: Option<String>,
    /// Begin of quiet hours, minutes after local midnight, 0…1439.
    pub quiet_from_minute: Option<i16>,
    /// End of quiet hours, 0…1439; less than the begin = across midnight, equal = none. Both or neither.
    pub quiet_to_minute: Option<i16>,
    /// Message categories the user has muted.
    pub muted: Vec<String>,
    /// Everything else, as [`Settings`] reads it.
    pub settings: SettingsDocument,
}

/// [`Settings`] as stored; `{}` = the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsDocument(pub serde_json::Value);

impl Default for SettingsDocument {
    fn default() -> Self {
        Self(serde_json::Value::Object(serde_json::Map::new()))
    }
}

impl From<&Settings> for SettingsDocument {
    fn from(settings: &Settings) -> Self {
        serde_json::to_value(settings).map(Self).unwrap_or_default()
    }
}

impl PreferenceDocument {
    /// The settings. A document of a later release, which this one can't read, counts as opted out: a message too few is
    /// better than one that was not wanted.
    pub fn settings(&self) -> Settings {
        serde_json::from_value(self.settings.0.clone())
            .unwrap_or_else(|_| Settings { opted_out: true, ..Settings::default() })
    }

    /// Preferences as decisions read them; a time zone that is unknown here falls back to the server's.
    pub fn parse(&self, consent: Consent) -> Preferences {
        let minute = |minute: Option<i16>| minute.and_then(|minute| u16::try_from(minute).ok());
        Preferences {
            time_zone: self.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()),
            quiet_hours: minute(self.quiet_from_minute)
                .zip(minute(self.quiet_to_minute))
                .map(|(from_minute, to_minute)| QuietHours { from_minute, to_minute }),
            locale: self.locale.as_deref().map(Into::into),
            muted: self.muted.iter().cloned().collect(),
            settings: self.settings(),
            consent,
        }
    }

    /// The preferences of a user into whom another was merged: own time zone, language and quiet hours before the other's, and of
    /// everything that keeps messages away both.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        let (mut settings, others) = (self.settings(), other.settings());
        settings.opted_out |= others.opted_out;
        settings.paused_until = settings.paused_until.max(others.paused_until);
        settings.digest.extend(others.digest);
        for (category, channels) in others.blocked_channels {
            settings.blocked_channels.entry(category).or_default().extend(channels);
        }
        let new: Vec<Mute> = others.mutes.into_iter().filter(|mute| !settings.mutes.contains(mute)).collect();
        settings.mutes.extend(new);
        self.settings = SettingsDocument::from(&settings);
        let new = other.muted.iter().filter(|name| !self.muted.contains(name));
        self.muted.extend(new.cloned().collect::<Vec<_>>());
        if self.quiet_from_minute.is_none() {
            (self.quiet_from_minute, self.quiet_to_minute) = (other.quiet_from_minute, other.quiet_to_minute);
        }
        self.time_zone = self.time_zone.or_else(|| other.time_zone.clone());
        self.locale = self.locale.or_else(|| other.locale.clone());
        self
    }

    /// Returns whether a mute holds already or there is room for it.
    pub fn has_room_for(&self, mute: &Muted) -> bool {
        match mute {
            Muted::Category(name) => self.muted.len() < MAX_MUTED_CATEGORIES || self.muted.contains(name),
            Muted::Subject(mute) => {
                let mutes = self.settings().mutes;
                mutes.len() < MAX_MUTES || mutes.contains(mute)
            }
        }
    }

    /// Mutes something, once. Returns whether it is muted now: there may be no room.
    #[must_use]
    pub fn mute(&mut self, mute: Muted) -> bool {
        let has_room = self.has_room_for(&mute);
        if has_room {
            self.keep_muted(mute);
        }
        has_room
    }

    /// Adds a mute that was confirmed, once: there was room when it was made.
    pub fn keep_muted(&mut self, mute: Muted) {
        match mute {
            Muted::Category(name) => {
                if !self.muted.contains(&name) {
                    self.muted.push(name);
                }
            }
            Muted::Subject(mute) => {
                let mut settings = self.settings();
                settings.mute(mute);
                self.settings = SettingsDocument::from(&settings);
            }
        }
    }
}

/// Change of the preferences by a client; everything else stays as it is stored. It may be stored a little later than it is
/// made, when they were replaced meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreferenceChange {
    /// Moment of the change.
    pub at: Timestamp,
    /// Time zone of the device.
    pub time_zone: Option<String>,
    /// Language of the device.
    pub locale: Option<String>,
    /// Category or subject to mute.
    pub mute: Option<Muted>,
}

impl PreferenceChange {
    /// Mutes something.
    pub fn mute(at: Timestamp, mute: Muted) -> Self {
        Self { at, time_zone: None, locale: None, mute: Some(mute) }
    }

    /// Changes a document that was replaced last at `replaced`. Time zone and language of a device give way to what was wished
    /// after it logged in; a mute too much is better than a message that was not wanted.
    pub fn apply(&self, document: &mut PreferenceDocument, replaced: Option<Timestamp>) {
        if replaced.is_none_or(|replaced| replaced <= self.at) {
            for (own, new) in
                [(&mut document.time_zone, &self.time_zone), (&mut document.locale, &self.locale)]
            {
                if new.is_some() {
                    own.clone_from(new);
                }
            }
        }
        self.mute.iter().cloned().for_each(|mute| document.keep_muted(mute));
    }
}

/// Target of a user's mute: a message category, or the subject of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Muted {
    /// A category of messages.
    Category(String),
    /// An item, what it belongs to, or a trigger.
    Subject(Mute),
}

/// Preferences of a user.
#[derive(Clone, Debug, Default)]
pub struct Preferences {
    /// Own time zone.
    pub time_zone: Option<TimeZone>,
    /// Own quiet hours.
    pub quiet_hours: Option<QuietHours>,
    /// Own locale.
    pub locale: Option<Box<str>>,
    /// Message categories never to be sent.
    pub muted: BTreeSet<String>,
    /// Everything else.
    pub settings: Settings,
    /// Consent of the user.
    pub consent: Consent,
}

impl Preferences {
    /// Mute that silences an item: its kind and name; `None` if there is none. O(mutes).
    pub fn silenced(&self, item: &Item) -> Option<(&'static str, &str)> {
        self.settings.mutes.iter().find_map(|mute| Some((mute.silences(item)?, mute.name())))
    }

    /// Returns whether messages that this campaign sets off are muted.
    pub fn silences_campaign(&self, campaign: &str) -> bool {
        self.settings.mutes.iter().any(|mute| matches!(mute, Mute::Kind(name) if name == campaign))
    }

    /// Returns whether the user wants this category collected in a digest.
    pub fn wants_digest(&self, category: &str) -> bool {
        self.settings.digest.contains(category) || self.settings.digest.contains("*")
    }

    /// Returns whether the category may use the channel.
    pub fn allows(&self, category: &str, channel: Channel) -> bool {
        let blocked = |key: &str| {
            self.settings.blocked_channels.get(key).is_some_and(|blocked| blocked.contains(&channel))
        };
        !blocked(category) && !blocked("*")
    }
}

#[cfg(test)]
mod tests;
