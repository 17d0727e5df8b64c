//! Uplift on generated logs with known effects: how far Qini coefficient and policy value are from the truth, and which learner
//! ranks best.

use std::ops::ControlFlow;
use std::time::Instant;

use rand::RngExt;
use tidings::base::random::rng;
use tidings::ml::threads::Threads;
use tidings::response::uplift::{Learner, Options, Report as Found, TreatmentLog, measure, qini_coefficient};

use crate::report::{Aim, Report};

/// Logs of each kind.
const LOGS: u64 = 20;
const ROWS: usize = 4_000;
const COLUMNS: usize = 5;

type OfRow = fn(&[f32]) -> f64;

/// Outcomes of 0 and 1: base rate, effect and probability of treatment by features in −1…1.
struct Scenario {
    name: &'static str,
    base: OfRow,
    effect: OfRow,
    propensity: OfRow,
    /// Whether the probability of treatment is in the log.
    is_logged: bool,
}

fn side(row: &[f32], column: usize) -> bool {
    row[column] > 0.0
}

fn scenarios() -> [Scenario; 4] {
    let even: OfRow = |_| 0.5;
    // Few are treated, and mostly those who buy anyway.
    let tenth: OfRow = |row| if side(row, 1) { 0.16 } else { 0.04 };
    let uneven: OfRow = |row| if side(row, 1) { 0.6 } else { 0.15 } + 0.1 * f64::from(row[2]);
    let small: OfRow = |row| if side(row, 0) { 0.2 } else { -0.05 };
    [
        Scenario {
            name: "linear",
            base: |row| 0.4 + 0.1 * f64::from(row[1]),
            effect: |row| 0.05 + 0.2 * f64::from(row[0]),
            propensity: even,
            is_logged: true,
        },
        Scenario {
            name: "step",
            base: |_| 0.3,
            effect: |row| if row[0] > 0.2 && row[1] > -0.5 { 0.3 } else { -0.1 },
            propensity: even,
            is_logged: true,
        },
        Scenario {
            name: "tenth treated, logged",
            base: uneven,
            effect: small,
            propensity: tenth,
            is_logged: true,
        },
        Scenario {
            name: "tenth treated, estimated",
            base: uneven,
            effect: small,
            propensity: tenth,
            is_logged: false,
        },
    ]
}

/// A log, the effect of each row, and its expected outcome untreated.
fn draw(scenario: &Scenario, seed: u64) -> (TreatmentLog, Vec<f64>, Vec<f64>) {
    let mut draws = rng(seed, "uplift bench");
    let mut log = TreatmentLog { width: COLUMNS, n_users: ROWS, ..TreatmentLog::default() };
    let (mut effects, mut bases, mut propensities) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..ROWS as u32 {
        let row: Vec<f32> = (0..COLUMNS).map(|_| draws.random_range(-1.0..1.0)).collect();
        let (base, effect, propensity) =
            ((scenario.base)(&row), (scenario.effect)(&row), (scenario.propensity)(&row));
        let treated = draws.random::<f64>() < propensity;
        let expected = base + if treated { effect } else { 0.0 };
        log.outcomes.push(f64::from(u8::from(draws.random::<f64>() < expected)));
        log.treated.push(treated);
        log.users.push(user);
        log.values.extend(row);
        effects.push(effect);
        bases.push(base);
        propensities.push(propensity);
    }
    log.propensities = scenario.is_logged.then_some(propensities);
    (log, effects, bases)
}

fn find(log: &TreatmentLog, seed: u64, threads: &Threads) -> Found {
    let options = Options { folds: 5, seed };
    measure(log, &Learner::ALL, options, threads, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Sums over logs: error and its variance.
#[derive(Clone, Copy, Default)]
struct Errors(f64, f64);

impl Errors {
    fn add(&mut self, error: f64, standard_error: f64) {
        self.0 += error;
        self.1 += standard_error * standard_error;
    }

    /// Of the mean error, in standard errors.
    fn apart(self) -> f64 {
        if self.1 > 0.0 { (self.0 / self.1.sqrt()).abs() } else { 0.0 }
    }
}

pub fn run(report: &mut Report) {
    let threads = Threads::new(0).unwrap();
    report.setting("logs of a kind", LOGS);
    report.setting("rows of a log", ROWS);
    let begin = Instant::now();
    for scenario in scenarios() {
        report.section(scenario.name);
        let (mut qini, mut value) = ([Errors::default(); 3], [Errors::default(); 3]);
        let (mut truths, mut told) = ([0.0; 3], [0u64; 3]);
        for seed in 0..LOGS {
            let (log, effects, bases) = draw(&scenario, seed);
            for (at, one) in find(&log, seed, &threads).learners.iter().enumerate() {
                let truth = qini_coefficient(&one.ranks, &effects);
                truths[at] += truth / LOGS as f64;
                qini[at].add(one.qini.value - truth, one.qini.standard_error);
                let Some(policy) = one.policy else { continue };
                told[at] += 1;
                let rows = bases.iter().zip(&effects).zip(&one.predicted);
                let sum: f64 =
                    rows.map(|((base, effect), p)| base + if *p > 0.0 { *effect } else { 0.0 }).sum();
                value[at].add(policy.value.value - sum / ROWS as f64, policy.value.standard_error);
            }
        }
        for (at, learner) in Learner::ALL.iter().enumerate() {
            let name = learner.name();
            report.row(&format!("{name}: true Qini of its ranking"), truths[at], "", Aim::None);
            report.row(&format!("{name}: logs of which it can tell"), told[at] as f64, "", Aim::None);
            report.row(&format!("{name}: Qini, mean error"), qini[at].apart(), "SE", Aim::AtMost(2.0));
            report.row(
                &format!("{name}: policy value, mean error"),
                value[at].apart(),
                "SE",
                Aim::AtMost(2.0),
            );
        }
        let [t, x, dr] = truths;
        if scenario.name.starts_with("tenth") {
            report.row("the better of X and DR, true Qini of T's", x.max(dr) / t, "×", Aim::AtLeast(1.0));
        }
    }
    report.row(
        "a log, all three learners",
        begin.elapsed().as_secs_f64() / (4 * LOGS) as f64,
        "s",
        Aim::None,
    );
    nothing_to_find(report, &threads);
}

/// A treatment without any effect: one learner in forty may seem to rank.
fn nothing_to_find(report: &mut Report, threads: &Threads) {
    let none = Scenario {
        name: "none",
        base: |row| 0.4 + 0.3 * f64::from(row[0]),
        effect: |_| 0.0,
        propensity: |_| 0.5,
        is_logged: true,
    };
    let told: usize = (0..LOGS)
        .map(|seed| {
            let found = find(&draw(&none, seed).0, seed, threads);
            found.learners.iter().filter(|one| one.refusal.is_none()).count()
        })
        .sum();
    report.section("no effect");
    let share = 100.0 * told as f64 / (3 * LOGS) as f64;
    report.row("learners that claim to know whom it helps", share, "%", Aim::AtMost(5.0));
}
