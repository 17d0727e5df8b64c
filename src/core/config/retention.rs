//! Settings of how long data is kept.

use serde::{Deserialize, Serialize};

use super::bounds::within;
use super::error::ConfigError;

/// Days for which data is kept; 0 = until its user is erased, where a setting says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Events, since they were received; 0 = until their user is erased.
    pub events_days: u32,
    /// Decisions; 0 = until their user is erased.
    pub decisions_days: u32,
    /// Messages that have expired, with the feedback to them; the newest of each user stays. 0 = until their user is erased.
    pub messages_days: u32,
    /// Entries of the audit log; 0 = for ever.
    pub audit_days: u32,
    /// Finished deliveries of webhooks.
    pub webhook_log_days: u32,
    /// Push subscriptions that have ended, with the reason.
    pub ended_subscriptions_days: u32,
    /// Broadcasts, since their time.
    pub broadcasts_days: u32,
    /// Keys of requests and messages, by which a repeated one is known.
    pub receipts_days: u32,
    /// Keys of events, by which a repeated one is known.
    pub event_receipts_days: u32,
    /// Lists of placements, by which events that name one are counted; 0 = none is kept.
    pub lists_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events_days: 1_095,
            decisions_days: 400,
            messages_days: 400,
            audit_days: 1_095,
            webhook_log_days: 7,
            ended_subscriptions_days: 90,
            broadcasts_days: 100,
            receipts_days: 7,
            event_receipts_days: 30,
            lists_days: 30,
        }
    }
}

/// Longest time, 100 years.
const MOST: u32 = 36_500;

impl Retention {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("retention.events_days", self.events_days, 0, MOST)?;
        within("retention.decisions_days", self.decisions_days, 0, MOST)?;
        within("retention.messages_days", self.messages_days, 0, MOST)?;
        within("retention.audit_days", self.audit_days, 0, MOST)?;
        within("retention.webhook_log_days", self.webhook_log_days, 1, 90)?;
        within("retention.ended_subscriptions_days", self.ended_subscriptions_days, 1, MOST)?;
        within("retention.broadcasts_days", self.broadcasts_days, 91, MOST)?;
        within("retention.receipts_days", self.receipts_days, 1, 90)?;
        within("retention.event_receipts_days", self.event_receipts_days, 1, 365)?;
        within("retention.lists_days", self.lists_days, 0, 365)
    }

    /// Days for which rows of a table are kept; `None` = until their user is erased, or changes them.
    pub fn of_table(&self, table: &str) -> Option<u32> {
        let days = match table {
            "events" => self.events_days,
            "decisions" => self.decisions_days,
            "notifications" | "feedback" => self.messages_days,
            "broadcast_recipients" => self.broadcasts_days,
            "lists" => self.lists_days,
            _ => 0,
        };
        (days > 0).then_some(days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_without_a_time_are_kept_until_their_user_is_erased() {
        let retention = Retention { decisions_days: 0, ..Retention::default() };
        let days = ["events", "feedback", "decisions", "consents"].map(|table| retention.of_table(table));
        assert_eq!(days, [Some(1_095), Some(400), None, None]);
    }
}
