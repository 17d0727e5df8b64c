//! Reasons to take a message off every device, and to put it back.

use super::standing::Standing;

/// Reason why a message is no longer to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Opened on another device.
    ReadElsewhere,
    /// Its time is over.
    Expired,
    /// A newer one says the same.
    Superseded,
    /// The shop took it back.
    Withdrawn,
    /// Its user put it into the archive.
    Archived,
    /// Its user put it off.
    Snoozed,
    /// Its user deleted it.
    Deleted,
}

impl Withdrawal {
    /// On the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadElsewhere => "read_elsewhere",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
            Self::Archived => "archived",
            Self::Snoozed => "snoozed",
            Self::Deleted => "deleted",
        }
    }
}

/// Reason why a message is to be listed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restoration {
    /// Marked as not opened.
    Unread,
    /// Taken out of the archive, as one that was opened.
    Unarchived,
    /// The time for which it was put off is over.
    Returned,
}

impl Restoration {
    /// On the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Unarchived => "unarchived",
            Self::Returned => "returned",
        }
    }
}

/// News for the devices about a message whose standing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// No longer to be shown as it was.
    Gone(Withdrawal),
    /// To be listed again.
    Back(Restoration),
}

impl News {
    /// Of a change from one standing to another; `None` where it is the same.
    pub fn between(before: Standing, after: Standing) -> Option<Self> {
        match (before, after) {
            (before, after) if before == after => None,
            (_, Standing::Archived) => Some(Self::Gone(Withdrawal::Archived)),
            (_, Standing::Snoozed) => Some(Self::Gone(Withdrawal::Snoozed)),
            (Standing::Unread, Standing::Read) => Some(Self::Gone(Withdrawal::ReadElsewhere)),
            (_, Standing::Read) => Some(Self::Back(Restoration::Unarchived)),
            (_, Standing::Unread) => Some(Self::Back(Restoration::Unread)),
        }
    }
}
