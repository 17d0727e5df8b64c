//! Users who are not here but can be pushed to. Whoever has been away for long is to be won back, once an absence; and
//! when something that waits for an absent user is due, that user's actor is started for it, judges it as it would for
//! somebody present, and ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::registry::Registry;
use super::user::launcher::UserLauncher;
use super::user::messages::UserMessage;
use tidings_core::base::{Millis, Timestamp};
use tidings_decision::decide::Input;
use tidings_decision::notify::triggers::Condition;
use tidings_state::AppState;
use tidings_store::deferred::{self, DeferredRow};
use tidings_store::{StoreError, returns};

/// Interval between looks for what is due.
const LOOK: Duration = Duration::from_secs(2);
/// Interval at which users to win back are looked for; absences are counted in days.
const LOOK_FOR_AWAY: Duration = Duration::from_secs(600);
/// Actors woken at a time, and the pause before the next: bounds what a full digest hour costs those who are here.
const PAGE: i64 = 256;
const PAUSE: Duration = Duration::from_millis(200);
/// One that is still there this long after its user was woken was not understood: once more.
const AGAIN: Duration = Duration::from_secs(60);
/// Users won back by one look.
const MAX_AWAY: i64 = 10_000;

/// Runs until the server goes down. An error is logged, and what it was about comes up again with the next look.
pub async fn look_after(state: Arc<AppState>, launcher: Arc<UserLauncher>, registry: Arc<Registry>) {
    let mut woken = HashMap::new();
    let mut looked_for_away: Option<Instant> = None;
    while !state.draining.load(Ordering::Acquire) {
        if looked_for_away.is_none_or(|when| when.elapsed() >= LOOK_FOR_AWAY) {
            looked_for_away = Some(Instant::now());
            match win_back(&state, &registry).await {
                Ok(0) => {}
                Ok(users) => log::info!("users to be won back users={users}"),
                Err(error) => log::error!("users to be won back are not known error={error}"),
            }
        }
        if let Err(error) = wake(&state, &launcher, &mut woken).await {
            log::error!("what is due for absent users is not known error={error}");
        }
        if let Err(error) = bring_back(&state, &launcher, &mut woken).await {
            log::error!("messages that came back are not known error={error}");
        }
        woken.retain(|_, when: &mut Instant| when.elapsed() < AGAIN);
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets the triggers for absence wait for everybody they concern.
async fn win_back(state: &AppState, registry: &Registry) -> Result<usize, StoreError> {
    let (definitions, now) = (state.definitions.load(), Timestamp::now());
    let rows: Vec<(DeferredRow, Millis)> = definitions
        .triggers
        .iter()
        .filter(|definition| state.is_pushable(&definition.name))
        .filter_map(|definition| {
            let Condition::WinBack { days } = definition.when else { return None };
            let expires_at = now + definition.expires_after(definitions.rules.expires_after);
            let row = DeferredRow::unaddressed(&definition.name, &definition.category, now, expires_at);
            Some((row, Millis::hours(24 * u64::from(days))))
        })
        .collect();
    let work = move |connection: &mut tidings_store::Connection| {
        rows.iter().try_fold(0, |sum, (row, away)| {
            Ok(sum + deferred::hold_for_away(connection, row, *away, MAX_AWAY)?)
        })
    };
    let _steady = registry.aliases.steady().await;
    state.store.run_patiently(work).await
}

/// Wakes everybody for whom something is due, a page at a time.
async fn wake(
    state: &AppState,
    launcher: &UserLauncher,
    woken: &mut HashMap<Uuid, Instant>,
) -> Result<(), StoreError> {
    let mut after = (Timestamp(0), Uuid::nil());
    loop {
        let not_for = state.config.webpush.not_for.clone();
        let page = state
            .store
            .run_patiently(move |connection| {
                deferred::due_for_push(connection, Timestamp::now(), after, &not_for, PAGE)
            })
            .await?;
        for due in &page {
            woken.entry(due.held_id).or_insert_with(|| {
                // A full mailbox, or an actor on its way out: the next look but a few.
                let fired = UserMessage::Happened(Input::DueInStore(due.held_id));
                let _ = launcher.get_or_start(&due.user).offer(fired);
                Instant::now()
            });
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE && !state.draining.load(Ordering::Acquire) => {
                after = (last.until, last.held_id);
                tokio::time::sleep(PAUSE).await;
            }
            _ => return Ok(()),
        }
    }
}

/// Tells the actors of users with a subscription of messages that came back from a snooze, a page at a time: until that is
/// decided they come up again.
async fn bring_back(
    state: &AppState,
    launcher: &UserLauncher,
    woken: &mut HashMap<Uuid, Instant>,
) -> Result<(), StoreError> {
    let not_for = state.config.webpush.not_for.clone();
    let page = state
        .store
        .run_patiently(move |connection| returns::due(connection, Timestamp::now(), &not_for, PAGE))
        .await?;
    for (user, message) in page {
        woken.entry(message.id.0).or_insert_with(|| {
            // A full mailbox, or an actor on its way out: the next look but a few.
            let ended = UserMessage::Happened(Input::SnoozeEnded(Box::new(message)));
            let _ = launcher.get_or_start(&user).offer(ended);
            Instant::now()
        });
    }
    Ok(())
}
