//! Readings of experiments over HTTP: the global slices (holdout, ordinary, random) and every experiment that decisions
//! were part of.

mod views;

use actix_web::{HttpResponse, web};
use serde_json::Value;

pub use self::views::described;
use self::views::{
    ArmLift, ArmView, ExperimentReading, NoSlices, ReadingQuery, ReadingView, Readings, SeenExperiment,
    SegmentUplift, SlicesReading, SlicesView,
};
use super::dto;
use super::error::ApiError;
use super::off_policy::{self, MAX_SEGMENTS};
use super::outcomes::days;
use crate::permit::{ReadFigures, With};
use tidings_actors::App;
use tidings_core::base::Timestamp;
use tidings_decision::decide::definitions::overlay;
use tidings_decision::feedback::experiments::{BUCKETS, MAX_ARMS, SAMPLE_RATIO_P, SampleRatio, Slices};
use tidings_decision::feedback::lift::{self, ArmOutcome, Metric, Reading};
use tidings_decision::feedback::uplift::{self, Told};
use tidings_store::experiments::{ArmUser, MAX_CHOICES};

/// The slice that gets no messages: the control of everything.
const HOLDOUT: &str = "holdout";
/// The slice that the learned policy decides about.
const ORDINARY: &str = "ordinary";
/// The slice that chance decides about.
const RANDOM: &str = "random";

/// One arm with its share in any unit.
struct ArmSum {
    name: String,
    share: f64,
    users: ArmOutcome,
}

/// The slices, and in short every experiment.
pub async fn readings(
    query: web::Query<ReadingQuery>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let days = days(query.days)?;
    let since = Timestamp::now().plus_days(-days);
    let window = app.state.rules().attribution_window;
    let configured = app.state.config.policy.clone();
    let shares_of = move |body: Option<&Value>| {
        let policy = body.and_then(|body| overlay(&configured, body).ok());
        let policy = policy.as_ref().unwrap_or(&configured);
        (policy.holdout, policy.random)
    };
    let money = app.state.catalogue.load().money().clone();
    let (slices, changed, choices, coins, names) = app
        .state
        .store
        .run(move |connection| {
            let changed = tidings_store::experiments::slices_changed_at(connection, shares_of)?
                .filter(|at| *at > since);
            let from = tidings_store::experiments::slices_since(connection, changed.unwrap_or(since))?;
            let users = from
                .map(|from| tidings_store::experiments::users(connection, None, from, window, &money))
                .transpose()?;
            let choices = tidings_store::experiments::variant_choices(connection, since)?;
            let coins = tidings_store::experiments::coin_decisions(
                connection,
                since,
                window,
                Timestamp::now(),
                MAX_CHOICES,
            )?;
            Ok((
                from.zip(users),
                changed,
                choices,
                coins,
                tidings_store::experiments::names(connection, since)?,
            ))
        })
        .await?;
    let slices = match &slices {
        Some((from, users)) => slices_view(*from, changed, users, &shares(&app)),
        None => SlicesReading::Nobody(NoSlices {
            note: format!(
                "Nobody was in the control group in this time{}. The comparison begins with the first decision that names one.",
                changed.map(|at| format!(" since the shares were changed at {at}")).unwrap_or_default()
            ),
        }),
    };
    let seen = |(name, arms_seen)| SeenExperiment { name, arms_seen };
    Ok(HttpResponse::Ok().json(Readings {
        days,
        slices,
        experiments: names.into_iter().map(seen).collect(),
        off_policy: off_policy::wordings(&choices),
        send: off_policy::sending(&coins, window),
    }))
}

/// One experiment by name.
pub async fn reading(
    path: web::Path<String>,
    query: web::Query<ReadingQuery>,
    app: web::Data<App>,
    _caller: With<ReadFigures>,
) -> Result<HttpResponse, ApiError> {
    let days = days(query.days)?;
    let since = Timestamp::now().plus_days(-days);
    let window = app.state.rules().attribution_window;
    let name = path.into_inner();
    let asked = name.clone();
    let money = app.state.catalogue.load().money().clone();
    let (definition, from, users) = app
        .state
        .store
        .run(move |connection| {
            let definition = tidings_store::experiment_definitions::definition(connection, &asked)?;
            let changed = definition.as_ref().and_then(|defined| defined.changed_at);
            let from = changed.map_or(since, |at| at.max(since));
            Ok((
                definition,
                from,
                tidings_store::experiments::users(connection, Some(&asked), from, window, &money)?,
            ))
        })
        .await?;
    if users.is_empty() && definition.is_none() {
        return Err(ApiError::NotFound("this experiment"));
    }
    let changed = definition.as_ref().and_then(|defined| defined.changed_at).filter(|at| *at > since);
    let (arms, note) = match definition.as_ref().and_then(|defined| defined_arms(&defined.body)) {
        Some(arms) => (arms, changed.map(|at| begins_anew("the arms were", at))),
        None => (
            seen_arms(&users),
            Some(
                "no definition is stored: equal shares are assumed, the first arm by name is the control"
                    .to_owned(),
            ),
        ),
    };
    let arms = sums(arms, &users);
    let reading = reading_view(&arms, &Metric::ALL);
    Ok(HttpResponse::Ok().json(ExperimentReading { name, days, from, restarted_at: changed, note, reading }))
}

/// Reason why a reading is shorter than it was asked to be.
fn begins_anew(what: &str, at: Timestamp) -> String {
    format!(
        "{what} changed at {at}, and who is in which was drawn anew: the reading begins there, and what users did before is not \
         counted"
    )
}

/// Name and share of each arm, the control first; `None` where the body says no arms.
fn defined_arms(body: &Value) -> Option<Vec<(String, f64)>> {
    let arms = body["arms"].as_array()?;
    let arm = |arm: &Value| Some((arm["name"].as_str()?.to_owned(), arm["share"].as_f64()?));
    arms.iter().take(MAX_ARMS).map(arm).collect()
}

fn seen_arms(users: &[ArmUser]) -> Vec<(String, f64)> {
    let names: std::collections::BTreeSet<&str> = users.iter().map(|user| user.arm.as_str()).collect();
    names.into_iter().take(MAX_ARMS).map(|name| (name.to_owned(), 1.0)).collect()
}

fn sums(arms: Vec<(String, f64)>, users: &[ArmUser]) -> Vec<ArmSum> {
    let mut sums: Vec<ArmSum> =
        arms.into_iter().map(|(name, share)| ArmSum { name, share, users: ArmOutcome::default() }).collect();
    for user in users {
        if let Some(arm) = sums.iter_mut().find(|arm| arm.name == user.arm) {
            arm.users.add(&user.outcome);
        }
    }
    sums
}

/// Metrics by which the control group can be compared. It gets order updates and answers to logins only, so its clicks are of other
/// messages than everybody else's.
const OF_CONTROL_GROUP: [Metric; 3] = [Metric::Conversion, Metric::Revenue, Metric::OptOut];

/// Arms, the check of their sizes and the lifts, or in words why there are none.
fn reading_view(arms: &[ArmSum], compared: &[Metric]) -> ReadingView {
    let pairs: Vec<(ArmOutcome, f64)> = arms.iter().map(|arm| (arm.users, arm.share)).collect();
    let Reading { sample_ratio, arms: lifts } = lift::read(&pairs, compared);
    let whole: f64 = arms.iter().map(|arm| arm.share).sum();
    let described = arms.iter().map(|arm| ArmView {
        name: arm.name.clone(),
        share: arm.share / whole,
        users: arm.users.users(),
        metrics: Metric::ALL
            .iter()
            .filter_map(|metric| Some((name_of(*metric)?, arm.users.measured(*metric))))
            .collect(),
    });
    let lifts = arms.iter().skip(1).zip(lifts);
    ReadingView {
        control: arms.first().map(|arm| arm.name.clone()),
        arms: described.collect(),
        blocked: blocked(&sample_ratio, arms),
        sample_ratio,
        lifts: lifts.map(|(arm, metrics)| ArmLift { arm: arm.name.clone(), metrics }).collect(),
    }
}

fn name_of(metric: Metric) -> Option<String> {
    serde_json::to_value(metric).ok()?.as_str().map(str::to_owned)
}

fn blocked(check: &SampleRatio, arms: &[ArmSum]) -> Option<String> {
    if !check.blocked {
        return None;
    }
    if let Some(arm) = arms.iter().find(|arm| arm.share <= 0.0 && arm.users.users() > 0) {
        return Some(format!(
            "Not read: {} users of this time are in {}, whose share is 0 now. The shares were changed in the configuration; look \
             at a time since then.",
            arm.users.users(),
            arm.name
        ));
    }
    Some(format!(
        "Not read: the arms do not have the sizes they should (p {:.1e}, below {SAMPLE_RATIO_P}, whenever looked at). Users got lost \
         on one side; find out where before you believe any difference.",
        check.p
    ))
}

/// As the policy that holds says.
fn shares(app: &App) -> Slices {
    let rules = app.state.rules();
    Slices::of_shares(rules.holdout, rules.random)
}

fn slices_view(
    from: Timestamp,
    changed: Option<Timestamp>,
    users: &[ArmUser],
    shares: &Slices,
) -> SlicesReading {
    let rest = BUCKETS.saturating_sub(shares.holdout).saturating_sub(shares.uniform);
    let arms = [(HOLDOUT, shares.holdout), (ORDINARY, rest), (RANDOM, shares.uniform)];
    let arms = arms.map(|(name, share)| (name.to_owned(), f64::from(share))).to_vec();
    let sums = sums(arms, users);
    let reading = reading_view(&sums, &OF_CONTROL_GROUP);
    let open = reading.blocked.is_none();
    let note = changed.map(|at| {
        format!(
            "The shares of the control group and of the random test were changed at {at}: the reading begins after that."
        )
    });
    SlicesReading::Compared(Box::new(SlicesView {
        from,
        restarted_at: changed,
        note,
        reading,
        attribution: open.then(|| attribution(users)),
        uplift: open.then(|| uplift_by_segment(users)),
    }))
}

/// Messaged: everybody who was not held out.
fn attribution(users: &[ArmUser]) -> lift::Attribution {
    let (mut messaged, mut holdout) = (ArmOutcome::default(), ArmOutcome::default());
    let mut last_touch = 0.0;
    for user in users {
        if user.arm == HOLDOUT {
            holdout.add(&user.outcome);
        } else {
            messaged.add(&user.outcome);
            last_touch += f64::from(u8::from(user.last_touch));
        }
    }
    lift::holdout_corrected(&messaged, &holdout, last_touch)
}

/// Share of buyers that messages add, by segment, the greatest first; segments with nobody in them are left out.
fn uplift_by_segment(users: &[ArmUser]) -> Vec<SegmentUplift> {
    let none = MAX_SEGMENTS;
    let told = users.iter().map(|user| Told {
        stratum: user.segment.map_or(none, |segment| usize::from(segment).min(none)),
        messaged: user.arm != HOLDOUT,
        converted: user.outcome.converted,
    });
    uplift::by_stratum(told, none + 1)
        .into_iter()
        .filter(|row| row.messaged + row.held_out > 0)
        .map(|row| {
            let segment = u8::try_from(row.stratum).ok().filter(|_| row.stratum < none);
            SegmentUplift {
                segment: dto::segment(segment),
                messaged: row.messaged,
                held_out: row.held_out,
                uplift: row.uplift,
                difference: row.difference,
                too_few: row.too_few,
            }
        })
        .collect()
}
