//! Web Push as decisions and requests see it: the server's keys, who has a subscription, and how push services do.

use std::sync::OnceLock;

use arc_swap::ArcSwap;
use dashmap::DashSet;

use tidings_core::base::UserId;
use tidings_decision::deliver::push_services::ServiceStatus;
use tidings_transport::webpush::VapidKeys;

/// Purpose that the report secret is derived for.
const REPORT_PURPOSE: &str = "tidings web push report";

/// Web Push state of a server beside the outbox.
#[derive(Default)]
pub struct PushState {
    keys: OnceLock<(VapidKeys, [u8; 32])>,
    /// Users with at least one subscription: what a decision about an absent user asks.
    subscribed: DashSet<UserId>,
    /// Push services, those in trouble first; a bounded number, replaced whole by the sender.
    pub services: ArcSwap<Vec<ServiceStatus>>,
}

impl PushState {
    /// At start, once; without it nothing is pushed.
    pub fn enable(&self, keys: VapidKeys, subscribed: Vec<UserId>) {
        let secret = keys.derive(REPORT_PURPOSE);
        let _ = self.keys.set((keys, secret));
        for user in subscribed {
            self.subscribed.insert(user);
        }
    }

    /// The server's key pair; `None` when Web Push is off.
    pub fn keys(&self) -> Option<&VapidKeys> {
        self.keys.get().map(|(keys, _)| keys)
    }

    /// Signs reports of service workers; `None` when Web Push is off.
    pub fn report_secret(&self) -> Option<&[u8; 32]> {
        self.keys.get().map(|(_, secret)| secret)
    }

    /// Returns whether a message could reach this user while nobody looks.
    pub fn reaches(&self, user: UserId) -> bool {
        self.subscribed.contains(&user)
    }

    /// After subscriptions came or went: of these `users` those in `subscribed` have some.
    pub fn note(&self, users: &[UserId], subscribed: &[UserId]) {
        for user in users {
            if subscribed.contains(user) {
                self.subscribed.insert(*user);
            } else {
                self.subscribed.remove(user);
            }
        }
    }
}
