//! Events of a client: validated, stored, answered, and only then folded into the user's state.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use tokio::time::timeout;

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

/// Longest wait of a client for the commit of its events: it keeps them and sends them again, and is not left without an answer by a
/// database that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// The client's id of an event, echoed in the answer.
type ClientId = Option<serde_json::Value>;

/// A commit that is under way.
type Commit = Pin<Box<dyn Future<Output = Result<Vec<Appended>, IngestError>>>>;

/// Events of a frame whose commit is waited for.
struct Asked {
    ids: Vec<ClientId>,
    single: bool,
    at: Instant,
}

/// Refusal of events by the rate of their user.
struct OverRate {
    code: &'static str,
    message: String,
    temporary: bool,
}

impl OverRate {
    fn frame(&self, id: Option<&serde_json::Value>) -> Frame {
        frames::error(self.code, &self.message, self.temporary, id)
    }
}

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
        if let Some(error) = self.over_rate(speaker, good.len()) {
            self.app.metrics.add(Count::RejectedEvents, good.len() as u64);
            let errors = ids.iter().map(|id| error.frame(id.as_ref())).collect();
            self.send_errors(&mut to, errors, error.temporary, context);
            return to.finish();
        }
        self.commit(to, good, Asked { ids, single, at }, context);
    }

    fn commit(&mut self, to: Replies, good: Vec<NewEvent>, asked: Asked, context: &mut Context<Self>) {
        let at = asked.at;
        let (app, ingest) = (Arc::clone(&self.app), Arc::clone(&self.mailboxes.ingest));
        let mut commit: Commit =
            Box::pin(async move { ingest.ingest(good, at, Origin::UserActor, &app).await });
        let waited = async move {
            match timeout(PATIENCE, &mut commit).await {
                Ok(outcome) => Ok(outcome),
                Err(_) => Err(commit),
            }
        };
        context.spawn(waited.into_actor(self).map(move |waited, actor, context| match waited {
            Ok(outcome) => actor.committed(to, &asked, outcome, context),
            Err(commit) => {
                actor.refuse(to, &asked.ids, IngestError::Unavailable, context);
                // What is stored in the end counts, though nobody waits for the answer.
                context.spawn(commit.into_actor(actor).map(move |outcome, actor, context| {
                    if let Ok(appended) = outcome {
                        actor.fold_in(&appended, at, context);
                    }
                }));
            }
        }));
    }

    /// The refusal of more events than the user may tell of; the shop may tell of any number.
    fn over_rate(&self, speaker: Speaker, n: usize) -> Option<OverRate> {
        let limited = match speaker {
            Speaker::Client => self.app.limiter.events(&self.user, n)?,
            Speaker::Shop => return None,
        };
        if limited.verdict.allowed {
            return None;
        }
        let (quota, setting) = (limited.rate.quota, limited.setting);
        Some(match quota as usize >= n {
            true => OverRate {
                code: "rate_limited",
                message: format!(
                    "too many events: {quota} in {} s are allowed ({setting}), try again in {} s",
                    limited.rate.window_s,
                    limited.verdict.reset_s().max(1)
                ),
                temporary: true,
            },
            false => OverRate {
                code: "too_many_events",
                message: format!("a user may tell of {quota} events at once ({setting}), these are {n}"),
                temporary: false,
            },
        })
    }

    fn committed(
        &mut self,
        mut to: Replies,
        asked: &Asked,
        outcome: Result<Vec<Appended>, IngestError>,
        context: &mut Context<Self>,
    ) {
        match outcome {
            Ok(appended) if appended.contains(&Appended::Erased) => {
                let error = erased_user().to_string();
                let refusal = |id: &ClientId| frames::error("erased_user", &error, false, id.as_ref());
                self.send_errors(&mut to, asked.ids.iter().map(refusal).collect(), false, context);
                to.finish();
            }
            Ok(appended) => {
                self.answer(to, &asked.ids, &appended, asked.single, context);
                self.fold_in(&appended, asked.at, context);
            }
            Err(error) => self.refuse(to, &asked.ids, error, context),
        }
    }

    fn fold_in(&mut self, appended: &[Appended], at: Instant, context: &mut Context<Self>) {
        let events: Vec<Event> = appended.iter().filter_map(Appended::stored).collect();
        self.happened(Input::EventsStored(events), Some(at), context);
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
