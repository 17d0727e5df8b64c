//! Each step as a line of a printed history.

use std::fmt;

use super::{Api, CHANGES, MUTABLE, Step, TRIGGERS};
use crate::setting::{CATEGORIES, ZONES};

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(ms) => write!(f, "{}.{:03} s pass", ms / 1_000, ms % 1_000),
            Self::Jump(ms) => write!(f, "the clock jumps by {ms} ms"),
            Self::Login { .. }
            | Self::Close { .. }
            | Self::Stall(_)
            | Self::Flow(_)
            | Self::Look(..)
            | Self::Ack(_)
            | Self::Read { .. }
            | Self::Seen(_)
            | Self::Change { .. }
            | Self::Feedback { .. }
            | Self::Mute { .. }
            | Self::Ping(_) => self.fmt_of_device(f),
            Self::Api(api) => api.fmt(f),
            Self::Event { user, kind, item, n } => {
                write!(f, "user {user}: {n} × {} of item {item}", kind.name())
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
            Self::HttpRead { .. }
            | Self::HttpSeen(_)
            | Self::HttpChange { .. }
            | Self::HttpMute { .. }
            | Self::Wish { .. }
            | Self::Consent { .. } => self.fmt_of_user(f),
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

impl Step {
    /// A device's connection and its frames.
    fn fmt_of_device(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            _ => Ok(()),
        }
    }

    /// Requests over HTTP in a user's name.
    fn fmt_of_user(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = if self.all { "everybody".to_owned() } else { format!("user {}", self.user) };
        let category = CATEGORIES[self.category as usize % CATEGORIES.len()];
        let Api { priority, lives_min, send_in_min, .. } = self;
        write!(f, "API message to {whom}: {category}, {}, lives {lives_min} min", priority.name())?;
        if *send_in_min > 0 {
            write!(f, ", in {send_in_min} min")?;
        }
        f.write_str(if self.collapses { ", collapses" } else { "" })?;
        f.write_str(if self.directly { ", direct" } else { "" })
    }
}
