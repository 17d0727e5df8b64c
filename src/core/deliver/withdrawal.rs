//! Reasons to take a message off every device.

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
}

impl Withdrawal {
    /// On the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadElsewhere => "read_elsewhere",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }
}
