//! Audiences of a request, against the database: who exists, and whether anybody is in a segment.

use std::collections::BTreeSet;

use crate::actors::App;
use crate::base::ExternalId;
use crate::http::error::ApiError;
use crate::notify::message::{Addressed, Audience, MessageError};
use crate::profile::SegmentId;
use crate::store::{Connection, audiences, users};

/// Facts from the database about the audiences of a request. Asked only for what is not known from memory.
#[derive(Default)]
pub(super) struct Known {
    /// Segments of the model or with somebody in them, 0 = A.
    segments: BTreeSet<u8>,
    /// Segments that somebody is in.
    inhabited: BTreeSet<u8>,
    has_anybody: bool,
    /// Named users that do not exist.
    pub(super) unknown: Vec<ExternalId>,
}

impl Known {
    pub(super) async fn of(app: &App, checked: &[(usize, Addressed)]) -> Result<Self, ApiError> {
        let mut asked: BTreeSet<&ExternalId> = BTreeSet::new();
        let mut is_wide = false;
        for (_, addressed) in checked {
            match &addressed.audience {
                Audience::Users(_) if addressed.ephemeral => {}
                Audience::Users(users) => {
                    // Who has an actor is known.
                    asked.extend(users.iter().filter(|user| app.registry.get(user).is_none()));
                }
                Audience::Segment(_) | Audience::Everyone => is_wide = true,
            }
        }
        if asked.is_empty() && !is_wide {
            return Ok(Self::default());
        }
        let asked: Vec<ExternalId> = asked.into_iter().cloned().collect();
        let mut known = app
            .state
            .store
            .run(move |connection: &mut Connection| {
                let found = users::find_many(connection, &asked)?;
                let unknown = asked.into_iter().filter(|user| !found.contains_key(user)).collect();
                if !is_wide {
                    return Ok(Self { unknown, ..Self::default() });
                }
                let inhabited: BTreeSet<u8> =
                    audiences::inhabited_segments(connection)?.into_iter().collect();
                let has_anybody = audiences::has_anybody(connection)?;
                Ok(Self { segments: inhabited.clone(), inhabited, has_anybody, unknown })
            })
            .await?;
        if let Some(segmentation) = &app.state.models.load().segmentation {
            known.segments.extend(segmentation.summaries().iter().map(|summary| summary.segment.0));
        }
        Ok(known)
    }

    /// Refuses an audience of nobody. A message that waits for its time may find somebody by then, an ephemeral one nobody.
    pub(super) fn check(&self, addressed: &Addressed) -> Result<(), MessageError> {
        let wrong = |code, field, message| Err(MessageError { code, field, message });
        let is_now = addressed.send_at.is_none() && !addressed.ephemeral;
        match addressed.audience {
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
