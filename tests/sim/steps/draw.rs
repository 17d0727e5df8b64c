//! Draws the steps of a history from its seed.

use rand::RngExt;
use tidings::base::random::{ChaCha8Rng, rng};
use tidings::event::EventKind;
use tidings::feedback::FeedbackOutcome;
use tidings::notify::Priority;
use tidings::notify::policy::Purpose;

use super::{Api, ItemChange, Step, Wish};
use crate::journal::Fate;
use crate::notifier::RoundFate;
use crate::push::{Illness, PushFate};
use crate::setting::DEFINITIONS;

/// Steps of a history, before what brings it to rest.
pub const STEPS: usize = 200;

fn pick<T: Copy>(random: &mut ChaCha8Rng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

fn time(random: &mut ChaCha8Rng) -> Step {
    Step::Pass(match random.random_range(0..20) {
        0..6 => random.random_range(1..40),
        6..11 => random.random_range(40..1_200),
        11..15 => random.random_range(1_200..15_000),
        15..18 => random.random_range(15_000..600_000),
        18 => random.random_range(600_000..7_200_000),
        _ => random.random_range(3_600_000..50_000_000),
    })
}

fn wish(random: &mut ChaCha8Rng) -> Wish {
    match random.random_range(0..14) {
        0 => Wish::OptOut(true),
        1 => Wish::OptOut(false),
        2 => Wish::Pause(random.random_range(1..600)),
        3 => Wish::Mute(random.random_range(0..5)),
        4 => Wish::MuteKind(random.random_range(0..3)),
        5 => Wish::MuteItem(random.random_range(0..10)),
        6 | 7 => Wish::Digest(random.random_range(0..5)),
        8 => Wish::NoDigest,
        9 => Wish::Block { push: random.random(), category: random.random_range(0..4) },
        10 => Wish::Quiet(random.random_range(0..1_440), random.random_range(0..1_440)),
        11 => Wish::Zone(random.random_range(0..6)),
        _ => Wish::Nothing,
    }
}

fn api(random: &mut ChaCha8Rng) -> Step {
    let user = random.random_range(0..3);
    Step::Api(Api {
        user,
        all: random.random_bool(0.15),
        category: random.random_range(0..3),
        priority: pick(
            random,
            &[Priority::Low, Priority::Normal, Priority::Normal, Priority::High, Priority::Transactional],
        ),
        collapses: random.random_bool(0.2),
        lives_min: pick(random, &[1, 5, 60, 600, 1_440]),
        send_in_min: if random.random_bool(0.2) { random.random_range(1..300) } else { 0 },
        directly: random.random_bool(0.5),
    })
}

fn fault(random: &mut ChaCha8Rng) -> Step {
    let server = random.random_range(0..2);
    match random.random_range(0..14) {
        0..2 => Step::Commit { server, fate: Fate::Fails },
        2..4 => Step::Commit { server, fate: Fate::Unanswered },
        4 => Step::Commit { server, fate: Fate::Slow(random.random_range(5..2_000)) },
        5 => Step::Commit { server, fate: Fate::AnswersLate(random.random_range(1..2_000)) },
        6 => Step::Commit { server, fate: Fate::AnswersBackwards },
        7 => Step::Round(if random.random() { RoundFate::Fails } else { RoundFate::Unanswered }),
        8 => Step::Read1(random.random_range(1..1_500)),
        9 => Step::Push(pick(
            random,
            &[PushFate::Unfit, PushFate::Refused, PushFate::Later, PushFate::TakenUnanswered, PushFate::Gone],
        )),
        12..14 => Step::PushService {
            service: random.random_range(0..2),
            illness: pick(random, &[Some(Illness::Hangs), Some(Illness::Fails), None]),
        },
        _ => Step::Full(random.random_range(0..3)),
    }
}

fn server(random: &mut ChaCha8Rng) -> Step {
    match random.random_range(0..9) {
        0..3 => Step::Crash(random.random_range(0..2)),
        3..5 => Step::Lease,
        5 => Step::Notice,
        6 => Step::Merge { alias: random.random_range(0..3), user: random.random_range(0..3) },
        _ => Step::Restart,
    }
}

fn client(random: &mut ChaCha8Rng) -> Step {
    let device = random.random_range(0..6);
    let back = random.random_range(0..4);
    match random.random_range(0..34) {
        30.. => Step::Change { device, back, to: random.random_range(0..8) },
        0..7 => Step::Login {
            device,
            resumes: random.random_bool(0.7),
            bare: random.random_bool(0.15),
            zone: random.random_bool(0.4).then(|| random.random_range(0..6)),
        },
        7..10 => Step::Close { device, told: random.random_bool(0.6) },
        10 => Step::Stall(device),
        11..13 => Step::Flow(device),
        13..17 => Step::Look(device, random.random_bool(0.6)),
        17..21 => Step::Ack(device),
        21 | 22 => Step::Read { device, back, all: random.random_bool(0.3) },
        23 => Step::Seen(device),
        24..26 => Step::Feedback { device, back, outcome: pick(random, &FeedbackOutcome::ALL) },
        26 => Step::Mute { device, back, of: random.random_range(0..3) },
        27 => Step::Ping(device),
        28 => Step::Subscribe(device),
        _ => {
            if random.random_bool(0.4) {
                Step::Unsubscribe(device)
            } else {
                Step::Subscribe(device)
            }
        }
    }
}

fn shop(random: &mut ChaCha8Rng) -> Step {
    let user = random.random_range(0..3);
    match random.random_range(0..29) {
        24..26 => Step::HttpChange { user, back: random.random_range(0..4), to: random.random_range(0..8) },
        26.. => Step::Switch { back: random.random_range(0..4), pauses: random.random_bool(0.5) },
        0..8 => api(random),
        8..13 => Step::Fire {
            user,
            trigger: pick(random, &[0, 0, 0, 1, 1, 2]),
            item: random.random_bool(0.3).then(|| random.random_range(0..10)),
            same: random.random_bool(0.2),
        },
        13 => Step::Ephemeral { user, category: random.random_range(0..3) },
        14 | 15 => Step::Withdraw(random.random_range(0..4)),
        16 => Step::HttpRead { user, all: random.random() },
        17 => Step::HttpSeen(user),
        18 => Step::HttpMute { user, category: random.random_range(0..5) },
        19 => Step::Wish { user, wish: wish(random) },
        20 => Step::Consent { user, purpose: pick(random, &Purpose::ALL), granted: random.random_bool(0.5) },
        21 => Step::Item {
            item: random.random_range(0..10),
            change: pick(
                random,
                &[
                    ItemChange::Cheaper,
                    ItemChange::Cheaper,
                    ItemChange::Dearer,
                    ItemChange::SoldOut,
                    ItemChange::Back,
                    ItemChange::Gone,
                    ItemChange::New,
                ],
            ),
        },
        22 => Step::Model(random.random_range(0..3)),
        _ => Step::Definitions(random.random_range(0..DEFINITIONS as u8)),
    }
}

fn event(random: &mut ChaCha8Rng) -> Step {
    let kind = pick(
        random,
        &[
            EventKind::View,
            EventKind::View,
            EventKind::View,
            EventKind::AddToCart,
            EventKind::AddToCart,
            EventKind::RemoveFromCart,
            EventKind::Purchase,
            EventKind::Like,
        ],
    );
    let n = pick(random, &[1, 1, 1, 2, 4]);
    Step::Event { user: random.random_range(0..3), kind, item: random.random_range(0..10), n }
}

/// The steps of a seed.
pub fn draw(seed: u64) -> Vec<Step> {
    let mut random = rng(seed, "history");
    let mut steps = Vec::with_capacity(STEPS + 8);
    while steps.len() < STEPS {
        match random.random_range(0..100) {
            0..38 => steps.push(time(&mut random)),
            38..61 => steps.push(client(&mut random)),
            61..82 => steps.push(shop(&mut random)),
            82..88 => steps.push(event(&mut random)),
            88..94 => steps.push(fault(&mut random)),
            94..97 => steps.push(server(&mut random)),
            97 => {
                let far = random.random_bool(0.3);
                let ms = if far {
                    random.random_range(1_000..7_200_000)
                } else {
                    random.random_range(-60_000..60_000)
                };
                steps.push(Step::Jump(ms));
            }
            98 => {
                // Somebody busy: frames closer together than a second.
                let device = random.random_range(0..6);
                for _ in 0..random.random_range(3..14) {
                    steps.push(Step::Ping(device));
                    steps.push(Step::Pass(random.random_range(200..900)));
                }
            }
            _ => {
                // More than memory holds.
                if random.random_bool(0.02) {
                    let user = random.random_range(0..3);
                    let priority =
                        pick(&mut random, &[Priority::Low, Priority::Normal, Priority::Transactional]);
                    for n in 0..140 {
                        let last = if n == 139 { Priority::Low } else { priority };
                        steps.push(Step::Api(Api {
                            user,
                            all: false,
                            category: 2,
                            priority: last,
                            collapses: false,
                            lives_min: 1_440,
                            send_in_min: 0,
                            directly: true,
                        }));
                    }
                    steps.push(Step::Pass(500));
                }
            }
        }
    }
    steps
}
