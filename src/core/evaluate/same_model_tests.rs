//! The bytes of a trained model, whatever else the machine does and on any number of threads.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;

use super::backtest::{Beside, train_against};
use crate::base::{Timestamp, random};
use crate::catalogue::Catalogue;
use crate::event::EventKind;
use crate::recommend::fixtures::{START, event, item};
use crate::recommend::train::{TrainingData, TrainingParameters};

const MINUTE: f64 = 1.0 / 1_440.0;
const USERS: u32 = 500;
const ITEMS: u32 = 120;

/// 500 users of four tastes, six visits each of three or four views, of which most end in a purchase.
fn visits() -> TrainingData {
    let mut rng = random::rng(1, "visits");
    let mut events = Vec::new();
    for user in 0..USERS {
        for visit in 0..6u32 {
            let day = f64::from(visit * 3) + 2.0 * rng.random::<f64>();
            let start = rng.random_range(0..ITEMS / 4);
            let mut last = 0;
            for step in 0..rng.random_range(3..5u32) {
                // Most go on to the next item of their taste.
                let at = if rng.random_bool(0.7) { start + step } else { rng.random_range(0..ITEMS / 4) };
                last = user % 4 * (ITEMS / 4) + at % (ITEMS / 4);
                events.push(event(user, EventKind::View, last, day + f64::from(step) * MINUTE));
            }
            if rng.random_bool(0.6) {
                events.push(event(user, EventKind::Purchase, last, day + 5.0 * MINUTE));
            }
        }
    }
    events.sort_by_key(|event| event.occurred_at);
    TrainingData { events, n_users: USERS as usize, ..TrainingData::default() }
}

fn artefact(data: &TrainingData, catalogue: &Catalogue, n_threads: usize) -> Vec<u8> {
    let parameters = TrainingParameters { n_threads, ..TrainingParameters::default() };
    let now = Timestamp::from_seconds(START).plus_days(20.0);
    let mut go = |_, _| ControlFlow::Continue(());
    let found = train_against(data, catalogue, now, &parameters, &Beside::default(), &mut go).unwrap();
    let model = found.trained.model;
    assert!(model.parameters.choice.is_some() && model.mix().is_some(), "nothing was chosen or learnt");
    assert!(model.sessions.is_taught() && !model.kinds.numbers.is_empty());
    model.encode().unwrap()
}

/// Ends the work beside a training, also where that fails.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// While every core has twice as many threads to run that never wait.
fn on_a_busy_machine<R>(work: impl FnOnce() -> R) -> R {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ended = Ended(&is_over);
        for _ in 0..2 * cores {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        work()
    })
}

#[test]
fn a_model_is_the_same_bytes_on_an_idle_and_a_busy_machine_and_on_any_number_of_threads() {
    let data = visits();
    let catalogue = Catalogue::from_items(
        (0..ITEMS).map(|id| item(id, ["Mug blue", "Watch steel", "Teapot green"][id as usize % 3], "Things")),
    );
    let idle = artefact(&data, &catalogue, 1);
    let busy = on_a_busy_machine(|| artefact(&data, &catalogue, 3));
    let differing = idle.iter().zip(&busy).position(|(a, b)| a != b);
    assert!(idle == busy, "the bytes differ from {differing:?} on");
}
