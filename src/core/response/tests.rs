use jiff::tz::TimeZone;
use rand::RngExt;

use crate::base::random;
use crate::catalogue::Catalogue;
use crate::profile::Profile;

use super::*;

fn go_on(_: f32) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

/// A shop whose segment A clicks (0.3) and B hardly does (0.05); who dismissed more clicks less, mutes more.
fn shop(n: i64) -> (Vec<Message>, Vec<f64>) {
    let mut rng = random::rng(1, "shop");
    let mut truth = Vec::new();
    let messages = (0..n).map(|index| {
        let segment = u8::from(rng.random::<f32>() < 0.5);
        let dismissed: u32 = rng.random_range(0..6);
        let contact = Contact {
            last_week: 10,
            last_day: rng.random_range(0..9),
            dismissed_last_week: dismissed,
            ..Contact::default()
        };
        let click = if segment == 0 { 0.45 } else { 0.08 } * 0.8f64.powi(dismissed as i32);
        truth.push(click);
        let clicked = rng.random::<f64>() < click;
        let muted = rng.random::<f64>() < 0.01 * f64::from(dismissed);
        let sent_at = at(index * 30);
        let (profile, catalogue) = (Profile::default(), Catalogue::default());
        let situation = Situation {
            profile: &profile,
            contact,
            items: &[],
            catalogue: &catalogue,
            zone: &TimeZone::UTC,
            now: sent_at,
            clock: sent_at.into(),
        };
        Message {
            sent_at,
            trigger: if index % 3 == 0 { "cart" } else { "view" }.to_owned(),
            category: "similar_items".to_owned(),
            segment: Some(segment),
            features: features(&situation).to_vec(),
            after: PerResponse {
                click: clicked.then_some(Millis::seconds(4)),
                purchase: None,
                mute: muted.then_some(Millis::seconds(9)),
            },
        }
    });
    (messages.collect(), truth)
}

fn fit(messages: &[Message]) -> Fitted {
    let threads = Threads::new(2).unwrap();
    let now = messages.last().map_or(at(0), |message| message.sent_at) + Millis::hours(1);
    ResponseModel::fit(messages, now, 1, &threads, go_on).unwrap()
}

fn click(model: &ResponseModel, message: &Message) -> f64 {
    f64::from(
        model.probabilities(&message.trigger, &message.category, message.segment, &message.features).click,
    )
}

#[test]
fn who_clicks_is_told_from_who_does_not_and_the_rates_hold() {
    for n in [1_500, 6_000] {
        let (messages, truth) = shop(n);
        let Fitted { model, held_out } = fit(&messages);
        let report = model.report(Response::Click).unwrap();
        let wanted = if n > MAX_LINEAR_ROWS as i64 { Basis::Trees } else { Basis::Logistic };
        assert_eq!(report.basis, wanted);
        let (later, _) = shop(n);
        let error = later.iter().zip(&truth).map(|(message, p)| (click(&model, message) - p).abs());
        let error = error.sum::<f64>() / n as f64;
        assert!(error < 0.05, "{n}: {error}");
        let mean = |segment| {
            let of: Vec<f64> = messages
                .iter()
                .filter(|message| message.segment == Some(segment))
                .map(|message| click(&model, message))
                .collect();
            of.iter().sum::<f64>() / of.len() as f64
        };
        assert!(mean(0) > 4.0 * mean(1), "{} {}", mean(0), mean(1));
        // Held out: as many clicks as said.
        let said: f64 = held_out.click.iter().map(|(p, _)| p).sum();
        let came = held_out.click.iter().filter(|(_, clicked)| *clicked).count() as f64;
        assert!((came / said - 1.0).abs() < 0.02, "{came} of {said}");
    }
}

#[test]
fn the_same_messages_give_the_same_model_and_it_survives_storage() {
    let (messages, _) = shop(1_000);
    let one = fit(&messages).model;
    assert_eq!(one, fit(&messages).model);
    assert!(one.is_sound());
    let stored: ResponseModel = postcard::from_bytes(&postcard::to_stdvec(&one).unwrap()).unwrap();
    assert_eq!(stored, one);
}

#[test]
fn little_data_means_base_rates_and_the_report_says_what_is_missing() {
    let (mut messages, _) = shop(150);
    let model = fit(&messages).model;
    let Some(Report { basis: Basis::BaseRates(reason), .. }) = model.report(Response::Click) else {
        panic!("a model from nothing")
    };
    assert!(reason.starts_with("not enough data: needs 200 messages"), "{reason}");
    let of = |segment| model.probabilities("view", "similar_items", Some(segment), &[]).click;
    assert!(of(0) > of(1));
    // Nobody ever bought: unlikely, never impossible.
    let p = model.probabilities("view", "similar_items", Some(0), &[]).purchase;
    assert!(p > 0.0 && p < 0.01, "{p}");
    messages.clear();
    let nothing = fit(&messages).model;
    assert_eq!(nothing.probabilities("login", "for_you", None, &[]), rates::PRIOR);
    assert_eq!(
        ResponseModel::default().probabilities("login", "for_you", None, &[f32::NAN; 27]),
        rates::PRIOR
    );
}

#[test]
fn messages_too_young_to_be_answered_do_not_count() {
    let (messages, _) = shop(1_000);
    let threads = Threads::new(1).unwrap();
    let now = messages[499].sent_at + Millis::seconds(4);
    let fitted = ResponseModel::fit(&messages, now, 1, &threads, go_on).unwrap();
    assert_eq!(fitted.model.report(Response::Click).unwrap().messages, 500);
}

#[test]
fn rows_that_make_no_sense_give_numbers() {
    let (mut messages, _) = shop(600);
    for (index, message) in messages.iter_mut().enumerate() {
        match index % 4 {
            0 => message.features = vec![f32::NAN; FEATURE_NAMES.len()],
            1 => message.features = vec![1e30; FEATURE_NAMES.len()],
            2 => message.features.clear(),
            _ => message.segment = None,
        }
    }
    let model = fit(&messages).model;
    for message in &messages {
        let p = click(&model, message);
        assert!(p > 0.0 && p < 1.0);
    }
    let unheard_of = model.probabilities("new trigger", "new category", Some(200), &[f32::NAN; 27]);
    assert!(unheard_of.click > 0.0 && unheard_of.click < 1.0);
}

#[test]
fn it_stops_when_told_to() {
    let (messages, _) = shop(400);
    let threads = Threads::new(1).unwrap();
    let mut heard = 0;
    let stopped = ResponseModel::fit(&messages, at(1_000_000), 1, &threads, |_| {
        heard += 1;
        if heard == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(stopped.is_none() && heard == 40);
}

#[test]
fn a_user_of_whom_nothing_is_known_has_features_too() {
    let (profile, catalogue) = (Profile::default(), Catalogue::default());
    // Sunday 18:00 in New York, Sunday 23:00 in UTC.
    let now = Timestamp::parse("2026-01-04T23:00:00Z").unwrap();
    let situation = Situation {
        profile: &profile,
        contact: Contact::default(),
        items: &[],
        catalogue: &catalogue,
        zone: &TimeZone::get("America/New_York").unwrap(),
        now,
        clock: now.into(),
    };
    let row = features(&situation);
    let of = |name: &str| row[FEATURE_NAMES.iter().position(|known| *known == name).unwrap()];
    assert!((of("hour_sin") + 1.0).abs() < 1e-6 && of("hour_cos").abs() < 1e-6);
    assert_eq!((of("weekday"), of("weekend"), of("messages_last_day")), (6.0, 1.0, 0.0));
    assert!(of("minutes_since_last_message").is_nan() && of("best_price").is_nan());
}
