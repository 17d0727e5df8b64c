//! What decides: off-policy estimates on public data and a known truth, learned choices against simulated shoppers, the time
//! of a decision, and how soon feedback changes the next one.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::{Value, json};
use tidings::base::random::rng;
use tidings::base::{ItemId, NotificationId, Timestamp};
use tidings::demo::simulation::{Hours, Strategy, Tally, Volume, Words, World, run as simulate};
use tidings::evaluate::off_policy::{LoggedChoice, TargetPolicy, estimate};
use tidings::feedback::learner::{Contact, Learner, UserLearning};
use tidings::feedback::volume::Worth;
use tidings::notify::policy::{Candidate, Channel, Moment, Outcome, Precondition, Preferences};
use tidings::notify::{PolicyState, Priority, Sent, decide};
use tidings::response::Probabilities;
use uuid::Uuid;

use crate::http::Http;
use crate::load;
use crate::models_data;
use crate::report::{Aim, Report, percentile};
use crate::server::{FREE_DEMO, Server, data_dir, tidings};

/// Worlds that simulated rows are summed over.
const SEEDS: std::ops::Range<u64> = 101..106;
/// Messages a week and shopper, where volume is fixed.
const WEEKLY: usize = 5;
const DECISIONS: usize = 20_000;
const FEEDBACKS: usize = 300;

pub fn run(report: &mut Report) {
    report.setting("worlds", format!("seeds {}…{}", SEEDS.start, SEEDS.end - 1));
    report.setting("messages a week where volume is fixed", WEEKLY);
    open_bandit(report);
    known_truth(report);
    shoppers(report);
    decisions(report);
    feedback(report);
}

fn off_policy(log: &str, target: &str) -> Option<Value> {
    let log = models_data::path(&format!("open-bandit/{log}"))?;
    let target = match target.ends_with(".csv") {
        true => models_data::path(&format!("open-bandit/{target}"))?.display().to_string(),
        false => target.to_owned(),
    };
    let output = tidings()
        .args(["off-policy", "--json", "--log"])
        .arg(log)
        .args(["--target", &target])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Figures computed with pandas from the same files.
fn open_bandit(report: &mut Report) {
    report.section("Open Bandit, log random, policy Thompson sampling");
    for (campaign, ips, snips, sample) in
        [("men", 0.004_546, 0.004_616, 2_480.0), ("women", 0.006_809, 0.006_805, 1_962.0)]
    {
        let log = format!("random/{campaign}/{campaign}.csv.gz");
        let Some(found) = off_policy(&log, &format!("pi_bts_{campaign}.csv")) else {
            report.absent(&format!("Open Bandit, {campaign}"), "the data is not there (TIDINGS_DATA)");
            continue;
        };
        let value = |name: &str| found["estimates"][name]["value"].as_f64().unwrap();
        report.row(
            &format!("{campaign}: IPS apart from {ips}"),
            (value("ips") - ips).abs(),
            "",
            Aim::AtMost(1e-6),
        );
        report.row(
            &format!("{campaign}: SNIPS apart from {snips}"),
            (value("snips") - snips).abs(),
            "",
            Aim::AtMost(1e-6),
        );
        let effective = found["effective_sample_size"].as_f64().unwrap();
        report.row(
            &format!("{campaign}: effective sample size apart from {sample}"),
            (effective - sample).abs(),
            "",
            Aim::AtMost(0.5),
        );
    }
    if let Some(found) = off_policy("bts/women/women.csv.gz", "uniform") {
        let refused = found["estimates"].is_null() && found["refusal"]["reason"] == "effective_sample";
        report.row(
            "women, uniform policy on the log of the other: refused (1 = yes)",
            f64::from(u8::from(refused)),
            "",
            Aim::AtLeast(1.0),
        );
        report.row(
            "its effective sample size",
            found["effective_sample_size"].as_f64().unwrap(),
            "",
            Aim::None,
        );
    }
}

/// 200 logs of 2,000 choices over three strata and four actions; the log favours low actions, the policy high ones.
fn known_truth(report: &mut Report) {
    const LOGGED: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
    const TARGET: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
    const LOGS: u64 = 200;
    let truth = |stratum: usize, action: usize| 0.05 + 0.04 * action as f64 + 0.1 * stratum as f64;
    let value: f64 = (0..3).flat_map(|x| (0..4).map(move |a| TARGET[a] * truth(x, a) / 3.0)).sum();
    let target = TargetPolicy::new(4, TARGET.repeat(3)).unwrap();
    let mut errors = [Vec::new(), Vec::new()];
    for seed in 0..LOGS {
        let mut draws = rng(seed, "known truth");
        let rows: Vec<LoggedChoice> = (0..2_000)
            .map(|_| {
                let stratum = draws.random_range(0..3);
                let mut u: f64 = draws.random();
                let action = LOGGED
                    .iter()
                    .position(|p| {
                        u -= p;
                        u < 0.0
                    })
                    .unwrap_or(3);
                let reward = f64::from(u8::from(draws.random::<f64>() < truth(stratum, action)));
                LoggedChoice { stratum, action, reward, propensity: LOGGED[action] }
            })
            .collect();
        let found = estimate(&rows, &target).unwrap().estimates.unwrap();
        errors[0].push(found.snips.value - value);
        errors[1].push(found.dr.value - value);
    }
    report.section("a known truth, 200 logs");
    for (name, errors) in [("SNIPS", &errors[0]), ("DR", &errors[1])] {
        let n = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / n;
        let variance = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (n - 1.0);
        report.row(
            &format!("{name}: bias in standard errors"),
            (mean / (variance / n).sqrt()).abs(),
            "",
            Aim::AtMost(2.0),
        );
    }
}

fn over_worlds(world: World, strategy: &Strategy) -> Tally {
    let mut all = Tally::default();
    for seed in SEEDS {
        all.add(&simulate(&World { seed, ..world }, strategy));
    }
    all
}

fn gain(new: f64, old: f64) -> f64 {
    100.0 * (new / old - 1.0)
}

fn shoppers(report: &mut Report) {
    report.section("simulated shoppers (tidings simulate)");
    let world = World { users: 1_000, days: 28, warm_up_days: 28, seed: 0 };
    report.setting("shoppers a world", world.users);
    report.setting("days, after as many to learn in", world.days);
    let policy = Strategy::named("default").unwrap();
    let fixed = Strategy { volume: weekly(false), ..policy.clone() };
    let even = over_worlds(world, &Strategy { words: Words::Even, ..fixed.clone() });
    words_and_hours(report, world, &fixed, &even);
    volume(report, world, &fixed, &even);
    whole_policy(report, world, &policy);
}

fn weekly(learned: bool) -> Volume {
    Volume::Weekly { mean: WEEKLY, learned }
}

fn words_and_hours(report: &mut Report, world: World, fixed: &Strategy, even: &Tally) {
    let learned = over_worlds(world, fixed);
    report.row(
        "wording: recovering softmax against even, click-through",
        gain(learned.click_through(), even.click_through()),
        "%",
        Aim::AtLeast(5.0),
    );
    let hours = |hours| over_worlds(world, &Strategy { hours, words: Words::Even, ..fixed.clone() });
    let (random, learned) = (hours(Hours::Random), hours(Hours::Learned));
    report.row(
        "send time: learned against a random hour, clicks a message",
        gain(learned.click_through(), random.click_through()),
        "%",
        Aim::AtLeast(70.0),
    );
    report.row(
        "send time: messages of the learned, of those at random",
        learned.sent as f64 / random.sent as f64,
        "×",
        Aim::None,
    );
}

fn volume(report: &mut Report, world: World, fixed: &Strategy, even: &Tally) {
    let rules = &fixed.rules;
    let allotted =
        over_worlds(world, &Strategy { volume: weekly(true), words: Words::Even, ..fixed.clone() });
    report.row(
        "volume: learned against an even split, utility",
        gain(allotted.utility(rules), even.utility(rules)),
        "%",
        Aim::AtLeast(7.0),
    );
    report.row(
        "volume: its messages, of the even split's",
        allotted.sent as f64 / even.sent as f64,
        "×",
        Aim::AtMost(1.0),
    );
    report.row(
        "volume: its opt-outs, of the even split's",
        allotted.opt_outs as f64 / even.opt_outs.max(1) as f64,
        "×",
        Aim::AtMost(1.0),
    );
}

fn whole_policy(report: &mut Report, world: World, policy: &Strategy) {
    let everything = over_worlds(world, &Strategy::named("everything").unwrap());
    let whole = over_worlds(world, policy);
    report.row(
        "whole policy: opt-outs, of those who are told everything at once",
        whole.opt_outs as f64 / everything.opt_outs as f64,
        "×",
        Aim::AtMost(0.5),
    );
    report.row(
        "whole policy: conversion, of theirs",
        whole.conversion() / everything.conversion(),
        "×",
        Aim::AtLeast(1.0),
    );
    report.row(
        "whole policy: purchases, of theirs",
        whole.purchases as f64 / everything.purchases as f64,
        "×",
        Aim::AtLeast(1.0),
    );
    report.row(
        "whole policy: messages, of theirs",
        whole.sent as f64 / everything.sent as f64,
        "×",
        Aim::None,
    );
}

/// All steps with fifty messages remembered, the price of attention and the wording; one thread.
fn decisions(report: &mut Report) {
    let strategy = Strategy::named("default").unwrap();
    let begin = Timestamp(1_800_000_000_000_000);
    let (mut learner, mut user, mut state) =
        (Learner::default(), UserLearning::default(), PolicyState::default());
    for n in 0..50u32 {
        let (id, at) =
            (NotificationId(Uuid::from_u128(u128::from(n) + 1)), begin.plus_days(f64::from(n) * 0.12 - 6.5));
        learner.note_sent(
            &mut user,
            Contact { id, at, hour: (n % 24) as u8, segment: Some(1), last_week: n as usize, wording: None },
        );
        let plain = Sent::plain(id, at, "for_you", Channel::Socket);
        state.note_sent(Sent { items: [ItemId(n), ItemId(n + 1)].into(), clicked: n % 7 == 0, ..plain });
    }
    let items = [ItemId(900), ItemId(901), ItemId(902), ItemId(903), ItemId(904)];
    let candidate = Candidate {
        category: "for_you",
        campaign: "view",
        priority: Priority::Normal,
        items: &items,
        subject: None,
        needs_items: true,
        solicited: false,
        said_by_shop: false,
        from_profile: true,
        is_digest: false,
        truth: Precondition::Holds,
        dedupe_key: None,
        expires_at: begin.plus_days(1.0),
    };
    let preferences = Preferences::default();
    let mut draws = rng(1, "wording");
    let times: Vec<f64> = (0..DECISIONS)
        .map(|_| {
            let began = Instant::now();
            let moment = Moment {
                expected: Some(Probabilities { click: 0.2, purchase: 0.02, mute: 0.001 }),
                attention_price: learner.attention_price(&user, 50, &Worth::default()),
                ..Moment::at(begin)
            };
            let decision = decide(&candidate, &moment, &state, &strategy.rules, &preferences);
            let names = ["a", "b", "c", "d"];
            let said = learner.choose_wording(&user, "view", &names, &[0, 1, 2, 3], begin, &mut draws);
            assert_eq!(decision.outcome, Outcome::Send, "a step that ends early would be no measure");
            black_box((decision, said));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    report.section("speed");
    report.row("a decision, all steps, one core, median", percentile(&times, 0.5), "µs", Aim::AtMost(50.0));
    report.row("a decision, all steps, one core, p99", percentile(&times, 0.99), "µs", Aim::None);
}

/// A user mutes the category of a message and looks at something else: until the decision that says why nothing comes.
fn feedback(report: &mut Report) {
    let directory = data_dir();
    let server = Server::start("demo", directory.path(), &FREE_DEMO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let latencies: Vec<f64> =
        (1..=FEEDBACKS as i64).map(|user| runtime.block_on(mute_and_look(&server, user))).collect();
    report.setting("mutes", FEEDBACKS);
    report.row(
        "feedback → changed decision stored and shown, p50",
        percentile(&latencies, 0.5),
        "ms",
        Aim::None,
    );
    report.row(
        "feedback → changed decision stored and shown, p99",
        percentile(&latencies, 0.99),
        "ms",
        Aim::AtMost(1_000.0),
    );
}

async fn mute_and_look(server: &Server, user: i64) -> f64 {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let mut socket = load::login(server.address, user).await;
    let view =
        |item: i64| Message::text(json!({"type": "event", "kind": "view", "item_id": item}).to_string());
    socket.send(view(101 + user % 50)).await.unwrap();
    let push = loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let frame: Value = serde_json::from_str(text.as_str()).unwrap();
        if frame["trigger"] == "view" {
            break frame;
        }
    };
    let mute = json!({"type": "feedback", "notification_id": push["notification_id"], "outcome": "muted"});
    let began = Instant::now();
    socket.send(Message::text(mute.to_string())).await.unwrap();
    socket.send(view(160 + user % 50)).await.unwrap();
    let path = format!("/admin/decisions?user_id={user}&limit=10");
    loop {
        let answer = Http::connect(server.address).get(&path).json();
        let changed = answer["decisions"].as_array().unwrap().iter().any(|one| {
            one["trigger"] == "view"
                && one["outcome"] == "drop"
                && one["reasons"][0].as_str().is_some_and(|said| said.starts_with("muted"))
        });
        if changed {
            return began.elapsed().as_secs_f64() * 1e3;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no changed decision for user {user}: {answer}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
