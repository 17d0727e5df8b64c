//! Planted faults: each breaks one promise of the store, the network or the shell, so that a check which can't find it is
//! known to be worthless.

use std::fmt;

/// One fault of the simulated surroundings, switched on for a whole history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every third commit is confirmed and stores nothing.
    ConfirmsWithoutStoring,
    /// A deferred trigger is deleted although the commit that resolves it failed.
    ReleasesFailedCommits,
    /// A ticket is settled when it is handed to the user's actor.
    SettlesTooEarly,
    /// `Effect::Reload` is ignored.
    IgnoresReload,
    /// A user who is read has been given nothing.
    ForgetsGiven,
    /// A message whose commit went unanswered is missing when the user is read again.
    ForgetsUnconfirmed,
    /// Consent is not read.
    ForgetsConsent,
    /// Preferences that a client set are not stored.
    DropsPreferences,
    /// Decisions read a clock that is an hour behind after a change of daylight saving.
    ClockKeepsOldOffset,
    /// Missed frames are sent in reverse.
    ReplaysBackwards,
    /// A resume replays only the newest missed frame, and says that it is complete.
    ReplaysTheLastOnly,
    /// Commits of a server that has lost the lease are accepted.
    AcceptsLosersCommits,
    /// A withdrawal is not sent to the user's last connection.
    WithdrawalSkipsADevice,
    /// Counts are not sent to the user's first connection.
    CountsSkipADevice,
    /// The catalogue changes and keeps its version.
    CatalogueKeepsVersion,
    /// A postponed message is offered again at once.
    PostponesByNothing,
    /// Every second timer is lost.
    LosesTimers,
    /// The wait of a timer counts from the moment before.
    TimersAreLate,
    /// All push services share one budget and one breaker.
    OneBreakerForAll,
    /// A change of the inbox that is older than the one that is stored is applied.
    AppliesOlderChanges,
    /// A merge does not move messages.
    MergeLeavesMessages,
    /// A user is read again before the rows of the merged one are moved.
    ReadsBeforeTheMerge,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 22] = [
        Self::ConfirmsWithoutStoring,
        Self::ReleasesFailedCommits,
        Self::SettlesTooEarly,
        Self::IgnoresReload,
        Self::ForgetsGiven,
        Self::ForgetsUnconfirmed,
        Self::ForgetsConsent,
        Self::DropsPreferences,
        Self::ClockKeepsOldOffset,
        Self::ReplaysBackwards,
        Self::ReplaysTheLastOnly,
        Self::AcceptsLosersCommits,
        Self::WithdrawalSkipsADevice,
        Self::CountsSkipADevice,
        Self::CatalogueKeepsVersion,
        Self::PostponesByNothing,
        Self::LosesTimers,
        Self::TimersAreLate,
        Self::OneBreakerForAll,
        Self::AppliesOlderChanges,
        Self::MergeLeavesMessages,
        Self::ReadsBeforeTheMerge,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfirmsWithoutStoring => "every third commit is confirmed and stores nothing",
            Self::ReleasesFailedCommits => "a deferred trigger is deleted by a commit that failed",
            Self::SettlesTooEarly => "a ticket is settled when it is handed over",
            Self::IgnoresReload => "the shell ignores Reload",
            Self::ForgetsGiven => "a user who is read has been given nothing",
            Self::ForgetsUnconfirmed => "unanswered commits are missing when the user is read again",
            Self::ForgetsConsent => "consent is not read",
            Self::DropsPreferences => "preferences set by a client are not stored",
            Self::ClockKeepsOldOffset => "the clock is an hour behind after a change of daylight saving",
            Self::ReplaysBackwards => "missed frames are sent in reverse",
            Self::ReplaysTheLastOnly => "a resume replays the newest missed frame only",
            Self::AcceptsLosersCommits => "commits of the server that lost the lease are accepted",
            Self::WithdrawalSkipsADevice => "a withdrawal is not sent to one of several devices",
            Self::CountsSkipADevice => "counts are not sent to one of several devices",
            Self::CatalogueKeepsVersion => "the catalogue changes and keeps its version",
            Self::PostponesByNothing => "a postponed message is offered again at once",
            Self::LosesTimers => "every second timer is lost",
            Self::TimersAreLate => "timers fire a minute late",
            Self::OneBreakerForAll => "push services share one budget and one breaker",
            Self::AppliesOlderChanges => "a change of the inbox that comes late undoes a later one",
            Self::MergeLeavesMessages => "a merge does not move messages",
            Self::ReadsBeforeTheMerge => "a user is read again before the rows of the merged one are moved",
        })
    }
}
