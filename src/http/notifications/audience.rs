//! Audiences of a request, against the database: who exists, and whether anybody is in a segment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::ApiError;
use crate::topics::unknown_topic;
use tidings_actors::App;
use tidings_core::base::{ExternalId, FieldError};
use tidings_core::profile::{SegmentId, encrypted_among};
use tidings_decision::notify::message::{Addressed, Audience};
use tidings_store::{Connection, StoreError, audiences, topics, users};

/// Facts from the database about the audiences of a request. Asked only for what is not known from memory.
#[derive(Default)]
pub(super) struct Known {
    /// Segments of the model or with somebody in them, 0 = A.
    segments: BTreeSet<u8>,
    /// Segments that somebody is in.
    inhabited: BTreeSet<u8>,
    has_anybody: bool,
    /// Topics of the request that somebody ever followed, each with the number who do.
    topics: BTreeMap<String, i64>,
    /// Names of topics, for an error.
    topic_names: Vec<String>,
    /// Named users that do not exist.
    pub(super) unknown: Vec<ExternalId>,
    /// Of named users that something is accepted for once: other ids of the same person.
    names: HashMap<ExternalId, Vec<ExternalId>>,
}

/// Those of the topics that somebody ever followed, with the number who do; and names for an error if one is not among them.
fn followed(
    connection: &mut Connection,
    named: Vec<String>,
) -> Result<(BTreeMap<String, i64>, Vec<String>), StoreError> {
    if named.is_empty() {
        return Ok((BTreeMap::new(), Vec::new()));
    }
    let known = topics::counts(connection, &named)?;
    let names = if known.len() < named.len() { topics::names(connection)? } else { Vec::new() };
    Ok((known, names))
}

/// Refuses an audience by attributes that are encrypted, which PostgreSQL can't read.
pub(super) fn searchable(app: &App, addressed: &Addressed) -> Result<(), FieldError> {
    let (Audience::Meeting(conditions), encrypted) =
        (&addressed.audience, &app.state.config.encryption.attributes)
    else {
        return Ok(());
    };
    let is_encrypted = |name: &str| encrypted.iter().any(|encrypted| encrypted == name);
    let Some(name) = encrypted_among(conditions, is_encrypted) else { return Ok(()) };
    let message = format!(
        "the attribute \"{name}\" is encrypted (encryption.attributes), so no audience can be chosen by it: name the users (user_ids), let a \
         trigger have a rule on it, which is judged after decryption, or take it out of encryption.attributes"
    );
    Err(FieldError { code: "encrypted_attribute", field: "to".into(), message })
}

impl Known {
    pub(super) async fn of(app: &App, checked: &[(usize, Addressed)]) -> Result<Self, ApiError> {
        let mut asked: BTreeSet<&ExternalId> = BTreeSet::new();
        let mut is_wide = false;
        let mut topics: BTreeSet<&str> = BTreeSet::new();
        let mut keyed: BTreeSet<&ExternalId> = BTreeSet::new();
        for (_, addressed) in checked {
            match &addressed.audience {
                Audience::Users(_) if addressed.ephemeral => {}
                Audience::Users(users) => {
                    if addressed.dedupe_key.is_some() && app.registry.aliases.any() {
                        keyed.extend(users);
                    }
                    // Who has an actor is known.
                    asked.extend(users.iter().filter(|user| app.registry.get(user).is_none()));
                }
                Audience::Topic(topic) => {
                    topics.insert(topic);
                }
                Audience::Segment(_) | Audience::Meeting(_) | Audience::Everyone => is_wide = true,
            }
        }
        if asked.is_empty() && !is_wide && topics.is_empty() && keyed.is_empty() {
            return Ok(Self::default());
        }
        let topics: Vec<String> = topics.into_iter().map(str::to_owned).collect();
        let [asked, keyed] =
            [asked, keyed].map(|some| some.into_iter().cloned().collect::<Vec<ExternalId>>());
        let mut known = app
            .state
            .store
            .run(move |connection: &mut Connection| {
                let found = users::find_many(connection, &asked)?;
                let unknown = asked.into_iter().filter(|user| !found.contains_key(user)).collect();
                let (followed, topic_names) = followed(connection, topics)?;
                let names =
                    if keyed.is_empty() { HashMap::new() } else { users::other_names(connection, &keyed)? };
                let known = Self { unknown, names, topics: followed, topic_names, ..Self::default() };
                if !is_wide {
                    return Ok(known);
                }
                let inhabited: BTreeSet<u8> =
                    audiences::inhabited_segments(connection)?.into_iter().collect();
                let has_anybody = audiences::has_anybody(connection)?;
                Ok(Self { segments: inhabited.clone(), inhabited, has_anybody, ..known })
            })
            .await?;
        if let Some(segmentation) = &app.state.models.load().segmentation {
            known.segments.extend(segmentation.summaries().iter().map(|summary| summary.segment.0));
        }
        Ok(known)
    }

    /// Ids of the person whom an id names, that one first.
    pub(super) fn names<'a>(&'a self, user: &'a ExternalId) -> impl Iterator<Item = &'a ExternalId> {
        std::iter::once(user).chain(self.names.get(user).into_iter().flatten())
    }

    /// Refuses an audience of nobody. A message that waits for its time may find somebody by then, an ephemeral one nobody.
    pub(super) fn check(&self, addressed: &Addressed) -> Result<(), FieldError> {
        let wrong = |code, field: &'static str, message: String| Err(FieldError::new(code, field, message));
        let is_now = addressed.send_at.is_none() && !addressed.ephemeral;
        match addressed.audience {
            Audience::Topic(ref topic) => match self.topics.get(&**topic) {
                None => wrong("unknown_topic", "topic", unknown_topic(topic, &self.topic_names)),
                Some(0) if is_now => {
                    wrong("nobody", "topic", format!("nobody follows the topic \"{topic}\""))
                }
                Some(_) => Ok(()),
            },
            Audience::Segment(segment) if !self.segments.contains(&segment) => {
                let names: Vec<String> =
                    self.segments.iter().map(|segment| SegmentId(*segment).to_string()).collect();
                let there_are = match names.is_empty() {
                    true => "there is none before the first training".to_owned(),
                    false => format!("there are {}", names.join(", ")),
                };
                let message = format!("there is no segment {}; {there_are}", SegmentId(segment));
                wrong("unknown_segment", "segment", message)
            }
            Audience::Segment(segment) if is_now && !self.inhabited.contains(&segment) => {
                wrong("nobody", "segment", format!("nobody is in segment {}", SegmentId(segment)))
            }
            Audience::Everyone if is_now && !self.has_anybody => {
                wrong("nobody", "to", "nobody is known yet".to_owned())
            }
            _ => Ok(()),
        }
    }
}
