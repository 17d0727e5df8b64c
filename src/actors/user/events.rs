//! Events of a client: validated, stored, answered, and only then folded into the user's state.

use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::UserActor;
use super::replies::Replies;
use crate::ingest::messages::{IngestError, Origin};
use tidings_core::base::Timestamp;
use tidings_core::event::{Admission, Event, NewEvent, RawEvent, Speaker, erased_user};
use tidings_decision::decide::Input;
use tidings_decision::deliver::{Frame, frames};
use tidings_store::events::Appended;
use tidings_telemetry::Count;

/// Refused events of one frame that are answered one by one.
const MAX_ERRORS: usize = 64;

/// The client's id of an event, echoed in the answer.
type ClientId = Option<serde_json::Value>;

impl UserActor {
    /// Validates, hands over for commit, and folds in what was stored.
    pub(super) fn events(
        &mut self,
        mut to: Replies,
        raws: Vec<RawEvent>,
        speaker: Speaker,
        at: Instant,
        context: &mut Context<Self>,
    ) {
        let catalogue = self.app.catalogue.load_full();
        let admission = Admission::new(speaker, &self.app.config, &catalogue, Timestamp::now())
            .with_kinds(&self.app.event_kinds);
        let single = raws.len() == 1;
        let mut good: Vec<NewEvent> = Vec::with_capacity(raws.len());
        let mut ids = Vec::with_capacity(raws.len());
        let mut refused = Vec::new();
        for raw in raws {
            let event_id = raw.event_id.clone();
            match admission.admit(raw, Some(&self.user)) {
                Ok(event) => {
                    good.push(event);
                    ids.push(event_id);
                }
                Err(error) => {
                    refused.push(frames::error(error.code, &error.to_string(), false, event_id.as_ref()))
                }
            }
        }
        self.app.metrics.add(Count::RejectedEvents, refused.len() as u64);
        self.send_errors(&mut to, refused, false, context);
        if good.is_empty() {
            return to.finish();
        }
        let (app, ingest) = (Arc::clone(&self.app), Arc::clone(&self.mailboxes.ingest));
        let commit = async move { ingest.ingest(good, at, Origin::UserActor, &app).await };
        context.spawn(commit.into_actor(self).map(move |outcome, actor, context| match outcome {
            Ok(appended) if appended.contains(&Appended::Erased) => {
                let error = erased_user().to_string();
                let errors =
                    ids.iter().map(|id| frames::error("erased_user", &error, false, id.as_ref())).collect();
                actor.send_errors(&mut to, errors, false, context);
                to.finish();
            }
            Ok(appended) => {
                actor.answer(to, &ids, &appended, single, context);
                let events: Vec<Event> = appended.iter().filter_map(Appended::stored).collect();
                actor.happened(Input::EventsStored(events), Some(at), context);
            }
            Err(error) => actor.refuse(to, &ids, error, context),
        }));
    }

    fn answer(
        &mut self,
        mut to: Replies,
        ids: &[ClientId],
        appended: &[Appended],
        single: bool,
        context: &mut Context<Self>,
    ) {
        let duplicates = appended.iter().filter(|appended| appended.stored().is_none()).count();
        let frame = match (single, ids) {
            (true, [id]) => frames::accepted(id.as_ref(), duplicates > 0),
            _ => frames::accepted_many(appended.len() - duplicates, duplicates),
        };
        self.reply(&mut to, vec![frame], context);
        to.finish();
    }

    fn refuse(&mut self, mut to: Replies, ids: &[ClientId], error: IngestError, context: &mut Context<Self>) {
        let code = match error {
            IngestError::Overloaded => "overloaded",
            IngestError::Unavailable => "unavailable",
        };
        let message = error.to_string();
        let errors = ids.iter().map(|id| frames::error(code, &message, true, id.as_ref())).collect();
        self.send_errors(&mut to, errors, true, context);
        to.finish();
    }

    /// One frame an event, up to [`MAX_ERRORS`], then one for the rest: a large batch must not fill its sender's own pipe.
    fn send_errors(
        &mut self,
        to: &mut Replies,
        mut errors: Vec<Frame>,
        temporary: bool,
        context: &mut Context<Self>,
    ) {
        let more = errors.len().saturating_sub(MAX_ERRORS);
        errors.truncate(MAX_ERRORS);
        if more > 0 {
            let message = format!("{more} more events of this frame were refused");
            errors.push(frames::error("more_refused", &message, temporary, None));
        }
        self.reply(to, errors, context);
    }
}
