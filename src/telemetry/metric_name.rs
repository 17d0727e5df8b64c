//! Every metric, with its name and one line of help. A new variant can't be forgotten: each match is exhaustive.

/// Things that only ever grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Events stored.
    Events,
    /// Events already stored.
    Duplicates,
    /// Events refused.
    RejectedEvents,
    /// Events with a value pulled in to the largest believable.
    Winsorised,
    /// Messages stored and handed to a session.
    Pushes,
    /// Frames written to sockets.
    Frames,
    /// Decisions to send.
    Sends,
    /// Decisions to defer.
    Defers,
    /// Decisions to drop.
    Drops,
    /// Outcomes reported or proven.
    Feedback,
    /// Connections opened.
    Connects,
    /// Connections closed because the client read too slowly.
    SlowClients,
    /// Actor messages refused because a mailbox was full.
    MailboxFull,
    /// Trainings that ended with a model.
    Trainings,
    /// Commits that failed.
    FailedCommits,
    /// Messages that push services took.
    PushSent,
    /// Pushes put off to be tried again.
    PushRetried,
    /// Subscriptions that have ended.
    PushGone,
    /// Pushes that will never be taken.
    PushRefused,
    /// Pushes given up: expired, or shown by a page first.
    PushExpired,
}

impl Count {
    /// Every counter.
    pub const ALL: [Self; 20] = [
        Self::Events,
        Self::Duplicates,
        Self::RejectedEvents,
        Self::Winsorised,
        Self::Pushes,
        Self::Frames,
        Self::Sends,
        Self::Defers,
        Self::Drops,
        Self::Feedback,
        Self::Connects,
        Self::SlowClients,
        Self::MailboxFull,
        Self::Trainings,
        Self::FailedCommits,
        Self::PushSent,
        Self::PushRetried,
        Self::PushGone,
        Self::PushRefused,
        Self::PushExpired,
    ];

    /// Prometheus name (`_total` is added by the encoder) and help.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("tidings_events", "Events stored"),
            Self::Duplicates => ("tidings_events_duplicate", "Events that were already stored"),
            Self::RejectedEvents => ("tidings_events_rejected", "Events refused by validation"),
            Self::Winsorised => {
                ("tidings_events_winsorised", "Events with a value pulled in to the largest believable")
            }
            Self::Pushes => ("tidings_pushes", "Messages stored and handed to a session"),
            Self::Frames => ("tidings_frames", "Frames handed to sockets"),
            Self::Sends => ("tidings_decisions_send", "Decisions to send"),
            Self::Defers => ("tidings_decisions_defer", "Decisions to defer"),
            Self::Drops => ("tidings_decisions_drop", "Decisions to drop"),
            Self::Feedback => ("tidings_feedback", "Outcomes reported or proven"),
            Self::Connects => ("tidings_connects", "Connections opened"),
            Self::SlowClients => ("tidings_slow_clients", "Connections closed for reading too slowly"),
            Self::MailboxFull => ("tidings_mailbox_full", "Actor messages refused by a full mailbox"),
            Self::Trainings => ("tidings_trainings", "Trainings that ended with a model"),
            Self::FailedCommits => ("tidings_commits_failed", "Commits that failed"),
            Self::PushSent => ("tidings_webpush_sent", "Messages that push services took"),
            Self::PushRetried => ("tidings_webpush_retried", "Pushes put off to be tried again"),
            Self::PushGone => ("tidings_webpush_gone", "Push subscriptions that have ended"),
            Self::PushRefused => ("tidings_webpush_refused", "Pushes that will never be taken"),
            Self::PushExpired => {
                ("tidings_webpush_expired", "Pushes given up: expired, or shown by a page first")
            }
        }
    }
}

/// Things that go up and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Gauge {
    /// Users with an actor.
    ConnectedUsers,
    /// Open sockets.
    Connections,
    /// Version of the model set that serves.
    ModelVersion,
    /// Its age.
    ModelAge,
    /// Items in the catalogue.
    Items,
    /// Events stored since the model began to serve here.
    EventsSince,
    /// Drift of events over items since training, in thousandths.
    DriftItems,
    /// Drift of the feature that moved most, in thousandths.
    DriftFeatures,
    /// Version scored beside the one that serves.
    ShadowVersion,
    /// Share of the first ten that both would show, in thousandths.
    ShadowOverlap,
    /// Rank agreement on what both show, in thousandths.
    ShadowAgreement,
}

impl Gauge {
    /// Every gauge.
    pub const ALL: [Self; 11] = [
        Self::ConnectedUsers,
        Self::Connections,
        Self::ModelVersion,
        Self::ModelAge,
        Self::Items,
        Self::EventsSince,
        Self::DriftItems,
        Self::DriftFeatures,
        Self::ShadowVersion,
        Self::ShadowOverlap,
        Self::ShadowAgreement,
    ];

    /// Prometheus name and help.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnectedUsers => ("tidings_connected_users", "Users with at least one open connection"),
            Self::Connections => ("tidings_connections", "Open connections"),
            Self::ModelVersion => ("tidings_model_version", "Model version that serves; 0 = none"),
            Self::ModelAge => ("tidings_model_age_seconds", "Age of the model that serves"),
            Self::Items => ("tidings_items", "Items in the catalogue"),
            Self::EventsSince => {
                ("tidings_model_events_since", "Events stored since the model began to serve in this process")
            }
            Self::DriftItems => (
                "tidings_drift_items_permille",
                "Population stability index of events over items since training, in thousandths; above 250 = moved",
            ),
            Self::DriftFeatures => (
                "tidings_drift_features_permille",
                "Largest population stability index of a feature of active users, in thousandths",
            ),
            Self::ShadowVersion => {
                ("tidings_shadow_version", "Version scored beside the one that serves; 0 = none")
            }
            Self::ShadowOverlap => (
                "tidings_shadow_overlap_permille",
                "Mean share of the first ten that the shadow would show too, in thousandths",
            ),
            Self::ShadowAgreement => (
                "tidings_shadow_agreement_permille",
                "Mean Kendall's tau over what both would show, in thousandths",
            ),
        }
    }
}

/// Things that take time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Timing {
    /// From an event's arrival to the push it caused being handed to the socket.
    EventToPush,
    /// One group commit.
    Commit,
    /// One answer of the model set.
    Recommend,
    /// From a login frame to its welcome.
    Login,
}

impl Timing {
    /// Every timing.
    pub const ALL: [Self; 4] = [Self::EventToPush, Self::Commit, Self::Recommend, Self::Login];

    /// Name in `/admin/metrics`.
    pub fn key(self) -> &'static str {
        match self {
            Self::EventToPush => "event_to_push",
            Self::Commit => "commit",
            Self::Recommend => "recommend",
            Self::Login => "login",
        }
    }

    /// Prometheus name and help.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::EventToPush => {
                ("tidings_event_to_push_seconds", "From an event's arrival to its push at the socket")
            }
            Self::Commit => ("tidings_commit_seconds", "One group commit"),
            Self::Recommend => ("tidings_recommend_seconds", "One answer of the model set"),
            Self::Login => ("tidings_login_seconds", "From a login frame to its welcome"),
        }
    }
}
