//! Steps of a history as data: drawn from a seed, replayed, shortened, printed one a line. Numbers are taken modulo what there is,
//! so that a step makes sense whatever was left out before it.

use std::fmt;

use rand::RngExt;
use tidings::base::random::{ChaCha8Rng, rng};
use tidings::event::EventKind;
use tidings::feedback::FeedbackOutcome;
use tidings::notify::Priority;
use tidings::notify::policy::Purpose;

use crate::journal::Fate;
use crate::notifier::RoundFate;
use crate::push::{Illness, PushFate};
use crate::setting::{CATEGORIES, DEFINITIONS, ZONES};

/// Steps of a history, before what brings it to rest.
pub const STEPS: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemChange {
    Cheaper,
    Dearer,
    SoldOut,
    Back,
    Gone,
    New,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    OptOut(bool),
    Pause(u16),
    Mute(u8),
    MuteKind(u8),
    MuteItem(u8),
    Digest(u8),
    NoDigest,
    Block { push: bool, category: u8 },
    Quiet(u16, u16),
    Zone(u8),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    pub user: u8,
    /// To everybody.
    pub all: bool,
    pub category: u8,
    pub priority: Priority,
    pub collapses: bool,
    pub lives_min: u16,
    pub send_in_min: u16,
    pub directly: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Pass(u64),
    Jump(i64),
    Login {
        device: u8,
        resumes: bool,
        bare: bool,
        zone: Option<u8>,
    },
    Close {
        device: u8,
        told: bool,
    },
    Stall(u8),
    Flow(u8),
    Look(u8, bool),
    Ack(u8),
    Read {
        device: u8,
        back: u8,
        all: bool,
    },
    Seen(u8),
    Change {
        device: u8,
        back: u8,
        to: u8,
    },
    Feedback {
        device: u8,
        back: u8,
        outcome: FeedbackOutcome,
    },
    Mute {
        device: u8,
        back: u8,
        of: u8,
    },
    Ping(u8),
    Event {
        user: u8,
        kind: EventKind,
        item: u8,
        n: u8,
    },
    Api(Api),
    Ephemeral {
        user: u8,
        category: u8,
    },
    Fire {
        user: u8,
        trigger: u8,
        item: Option<u8>,
        same: bool,
    },
    Withdraw(u8),
    Switch {
        back: u8,
        pauses: bool,
    },
    HttpRead {
        user: u8,
        all: bool,
    },
    HttpSeen(u8),
    HttpChange {
        user: u8,
        back: u8,
        to: u8,
    },
    HttpMute {
        user: u8,
        category: u8,
    },
    Wish {
        user: u8,
        wish: Wish,
    },
    Consent {
        user: u8,
        purpose: Purpose,
        granted: bool,
    },
    Item {
        item: u8,
        change: ItemChange,
    },
    Model(u8),
    Definitions(u8),
    Subscribe(u8),
    Unsubscribe(u8),
    Crash(u8),
    Restart,
    Lease,
    Notice,
    Commit {
        server: u8,
        fate: Fate,
    },
    Round(RoundFate),
    Read1(u16),
    Push(PushFate),
    /// A push service falls ill, or is well again.
    PushService {
        service: u8,
        illness: Option<Illness>,
    },
    Full(u8),
    /// One user is merged into another.
    Merge {
        alias: u8,
        user: u8,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(ms) => write!(f, "{}.{:03} s pass", ms / 1_000, ms % 1_000),
            Self::Jump(ms) => write!(f, "the clock jumps by {ms} ms"),
            Self::Login { device, resumes, bare, zone } => {
                write!(f, "device {device} logs in")?;
                let zone = zone.map(|zone| ZONES[zone as usize % ZONES.len()]);
                zone.map_or(Ok(()), |zone| write!(f, " in {zone}"))?;
                f.write_str(if *bare {
                    ", minimal"
                } else if *resumes {
                    ", resuming"
                } else {
                    ""
                })
            }
            Self::Close { device, told: true } => write!(f, "device {device} closes"),
            Self::Close { device, told: false } => {
                write!(f, "the connection of device {device} dies unnoticed")
            }
            Self::Stall(device) => write!(f, "the connection of device {device} stands still"),
            Self::Flow(device) => write!(f, "the connection of device {device} moves"),
            Self::Look(device, true) => write!(f, "somebody looks at device {device}"),
            Self::Look(device, false) => write!(f, "device {device} is hidden"),
            Self::Ack(device) => write!(f, "device {device} acknowledges"),
            Self::Read { device, all: true, .. } => write!(f, "device {device} reads everything"),
            Self::Read { device, back, .. } => write!(f, "device {device} reads its {back}th newest message"),
            Self::Seen(device) => write!(f, "device {device} shows the list"),
            Self::Change { device, back, to } => {
                write!(
                    f,
                    "device {device} {} its {back}th newest message",
                    CHANGES[*to as usize % CHANGES.len()]
                )
            }
            Self::Feedback { device, back, outcome } => {
                write!(f, "device {device} reports {} of its {back}th newest message", outcome.name())
            }
            Self::Mute { device, back, of } => {
                let what = ["category", "kind", "item"][*of as usize % 3];
                write!(f, "device {device} mutes the {what} of its {back}th newest message")
            }
            Self::Ping(device) => write!(f, "device {device} pings"),
            Self::Event { user, kind, item, n } => {
                write!(f, "user {user}: {n} × {} of item {item}", kind.name())
            }
            Self::Api(api) => {
                let whom = if api.all { "everybody".to_owned() } else { format!("user {}", api.user) };
                let category = CATEGORIES[api.category as usize % CATEGORIES.len()];
                let Api { priority, lives_min, send_in_min, .. } = api;
                write!(f, "API message to {whom}: {category}, {}, lives {lives_min} min", priority.name())?;
                if *send_in_min > 0 {
                    write!(f, ", in {send_in_min} min")?;
                }
                f.write_str(if api.collapses { ", collapses" } else { "" })?;
                f.write_str(if api.directly { ", direct" } else { "" })
            }
            Self::Ephemeral { user, category } => {
                write!(f, "ephemeral message to user {user}, {}", CATEGORIES[*category as usize % 3])
            }
            Self::Fire { user, trigger, item, same } => {
                let name = TRIGGERS[*trigger as usize % TRIGGERS.len()];
                write!(f, "the shop fires {name} for user {user}, item {item:?}")?;
                f.write_str(if *same { ", the same event as before" } else { "" })
            }
            Self::Withdraw(back) => write!(f, "the shop takes back its {back}th newest message"),
            Self::Switch { back, pauses: true } => write!(f, "the shop pauses its {back}th newest message"),
            Self::Switch { back, .. } => write!(f, "the shop resumes its {back}th newest message"),
            Self::HttpRead { user, all: true } => write!(f, "user {user} reads everything over HTTP"),
            Self::HttpRead { user, .. } => write!(f, "user {user} reads the newest over HTTP"),
            Self::HttpSeen(user) => write!(f, "user {user} sees the list over HTTP"),
            Self::HttpChange { user, back, to } => {
                let verb = CHANGES[*to as usize % CHANGES.len()];
                write!(f, "user {user} {verb} the {back}th newest message over HTTP")
            }
            Self::HttpMute { user, category } => {
                write!(f, "user {user} mutes {} over HTTP", MUTABLE[*category as usize % MUTABLE.len()])
            }
            Self::Wish { user, wish } => write!(f, "user {user} replaces preferences: {wish:?}"),
            Self::Consent { user, purpose, granted } => {
                let verb = if *granted { "grants" } else { "refuses" };
                write!(f, "user {user} {verb} {}", purpose.name())
            }
            Self::Item { item, change } => write!(f, "item {item}: {change:?}"),
            Self::Model(version) => write!(f, "model {version} serves"),
            Self::Definitions(set) => write!(f, "definitions {set} are active"),
            Self::Subscribe(device) => write!(f, "device {device} subscribes to pushes"),
            Self::Unsubscribe(device) => write!(f, "device {device} unsubscribes"),
            Self::Crash(server) => write!(f, "server {server} dies"),
            Self::Restart => write!(f, "the holder of the lease starts again"),
            Self::Lease => write!(f, "the other server takes the lease"),
            Self::Notice => write!(f, "the server without the lease notices and ends"),
            Self::Commit { server, fate } => write!(f, "the next commit of server {server} {fate}"),
            Self::Round(fate) => write!(f, "the notifier's next round trip {fate}"),
            Self::Read1(ms) => write!(f, "the next read of a user takes {ms} ms"),
            Self::Push(fate) => write!(f, "the push service {fate}"),
            Self::PushService { service, illness } => write!(f, "push service {service}: {illness:?}"),
            Self::Merge { alias, user } => write!(f, "user {alias} is merged into user {user}"),
            Self::Full(user) => write!(f, "the mailbox of user {user} is full for one message"),
        }
    }
}

/// Changes of the inbox.
pub const CHANGES: [&str; 8] = [
    "reads",
    "marks as unread",
    "archives",
    "unarchives",
    "snoozes for a minute",
    "snoozes for an hour",
    "deletes",
    "marks as unread",
];
/// Triggers that the shop fires.
pub const TRIGGERS: [&str; 3] = ["announcement", "order_status", "price_drop"];
/// Categories that are muted over HTTP.
pub const MUTABLE: [&str; 5] = ["news", "promo", "announcements", "similar_items", "for_you"];

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
