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
    /// Webhooks that were delivered.
    WebhookDelivered,
    /// Attempts to deliver a webhook that failed, to be tried again.
    WebhookRetried,
    /// Webhooks given up: too old, or the endpoint is gone.
    WebhookGivenUp,
    /// Events removed because of their age.
    RemovedEvents,
    /// Decisions removed because of their age.
    RemovedDecisions,
    /// Messages removed because of their age.
    RemovedMessages,
    /// Entries of the audit log removed because of their age.
    RemovedAudit,
    /// Ended push subscriptions removed because of their age.
    RemovedSubscriptions,
    /// Broadcasts removed because of their age.
    RemovedBroadcasts,
    /// Lists of placements removed because of their age.
    RemovedLists,
    /// Keys of repeated requests and events removed because of their age.
    RemovedReceipts,
    /// TLS handshakes that went well.
    TlsDone,
    /// TLS handshakes that failed.
    TlsFailed,
    /// TLS handshakes that took too long.
    TlsTimedOut,
    /// TLS handshakes refused, since their address had too many under way.
    TlsRefused,
    /// Connections that spoke plain HTTP to the address with TLS.
    TlsPlain,
    /// Certificates read again.
    TlsReloaded,
    /// Certificates that could not be read again.
    TlsNotReloaded,
}

impl Count {
    /// Every counter.
    pub const ALL: [Self; 38] = [
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
        Self::WebhookDelivered,
        Self::WebhookRetried,
        Self::WebhookGivenUp,
        Self::RemovedEvents,
        Self::RemovedDecisions,
        Self::RemovedMessages,
        Self::RemovedAudit,
        Self::RemovedSubscriptions,
        Self::RemovedBroadcasts,
        Self::RemovedLists,
        Self::RemovedReceipts,
        Self::TlsDone,
        Self::TlsFailed,
        Self::TlsTimedOut,
        Self::TlsRefused,
        Self::TlsPlain,
        Self::TlsReloaded,
        Self::TlsNotReloaded,
    ];

    /// Prometheus name (`_total` is added by the encoder) and help. Outcomes of one thing share both.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::Events | Self::Duplicates | Self::RejectedEvents => {
                ("tidings_events", "Events taken in, by outcome")
            }
            Self::Winsorised => {
                ("tidings_events_winsorised", "Events with a value pulled in to the largest believable")
            }
            Self::Pushes => ("tidings_pushes", "Messages stored and handed to a session"),
            Self::Frames => ("tidings_frames", "Frames handed to sockets"),
            Self::Sends | Self::Defers | Self::Drops => ("tidings_decisions", "Decisions, by outcome"),
            Self::Feedback => ("tidings_feedback", "Outcomes reported or proven"),
            Self::Connects => ("tidings_connects", "Connections opened"),
            Self::SlowClients => ("tidings_slow_clients", "Connections closed for reading too slowly"),
            Self::MailboxFull => ("tidings_mailbox_full", "Actor messages refused by a full mailbox"),
            Self::Trainings => ("tidings_trainings", "Trainings that ended with a model"),
            Self::FailedCommits => ("tidings_commits_failed", "Commits that failed"),
            Self::PushSent | Self::PushRetried | Self::PushGone | Self::PushRefused | Self::PushExpired => {
                ("tidings_webpush", "Attempts to hand a message to a push service, by outcome")
            }
            Self::WebhookDelivered | Self::WebhookRetried | Self::WebhookGivenUp => {
                ("tidings_webhooks", "Attempts to deliver a webhook, by outcome")
            }
            Self::RemovedEvents
            | Self::RemovedDecisions
            | Self::RemovedMessages
            | Self::RemovedAudit
            | Self::RemovedSubscriptions
            | Self::RemovedBroadcasts
            | Self::RemovedLists
            | Self::RemovedReceipts => {
                ("tidings_retention_removed", "Rows removed because of their age, by kind as the outcome")
            }
            Self::TlsDone | Self::TlsFailed | Self::TlsTimedOut | Self::TlsRefused | Self::TlsPlain => {
                ("tidings_tls_handshakes", "TLS handshakes of clients, by outcome")
            }
            Self::TlsReloaded | Self::TlsNotReloaded => {
                ("tidings_tls_reloads", "Certificates read again, by outcome")
            }
        }
    }

    /// Value of the label `outcome`; `None` for a counter without labels.
    pub fn outcome(self) -> Option<&'static str> {
        match self {
            Self::Events => Some("stored"),
            Self::Duplicates => Some("duplicate"),
            Self::RejectedEvents => Some("rejected"),
            Self::Sends => Some("send"),
            Self::Defers => Some("defer"),
            Self::Drops => Some("drop"),
            Self::PushSent => Some("sent"),
            Self::PushRetried => Some("retried"),
            Self::PushGone => Some("gone"),
            Self::PushRefused => Some("refused"),
            Self::PushExpired => Some("expired"),
            Self::WebhookDelivered => Some("delivered"),
            Self::WebhookRetried => Some("retried"),
            Self::WebhookGivenUp => Some("given_up"),
            Self::RemovedEvents => Some("events"),
            Self::RemovedDecisions => Some("decisions"),
            Self::RemovedMessages => Some("messages"),
            Self::RemovedAudit => Some("audit"),
            Self::RemovedSubscriptions => Some("subscriptions"),
            Self::RemovedBroadcasts => Some("broadcasts"),
            Self::RemovedLists => Some("lists"),
            Self::RemovedReceipts => Some("receipts"),
            Self::TlsDone => Some("done"),
            Self::TlsFailed => Some("failed"),
            Self::TlsTimedOut => Some("timeout"),
            Self::TlsRefused => Some("refused"),
            Self::TlsPlain => Some("plain"),
            Self::TlsReloaded => Some("done"),
            Self::TlsNotReloaded => Some("failed"),
            _ => None,
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
    /// Version scored beside the one that serves.
    ShadowVersion,
    /// Webhooks that wait to be delivered.
    WebhooksWaiting,
    /// End of the certificate's validity.
    CertificateExpiry,
}

impl Gauge {
    /// Every gauge.
    pub const ALL: [Self; 9] = [
        Self::ConnectedUsers,
        Self::Connections,
        Self::ModelVersion,
        Self::ModelAge,
        Self::Items,
        Self::EventsSince,
        Self::ShadowVersion,
        Self::WebhooksWaiting,
        Self::CertificateExpiry,
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
            Self::ShadowVersion => {
                ("tidings_shadow_version", "Version scored beside the one that serves; 0 = none")
            }
            Self::WebhooksWaiting => ("tidings_webhooks_waiting", "Webhooks that wait to be delivered"),
            Self::CertificateExpiry => (
                "tidings_tls_certificate_expiry_timestamp_seconds",
                "Unix time at which the certificate that serves expires; 0 = TLS is off",
            ),
        }
    }
}

/// Indices and shares, which go up and down and have fractions; not a number while there is nothing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Ratio {
    /// Drift of events over items since training.
    DriftItems,
    /// Drift of the feature that moved most.
    DriftFeatures,
    /// Share of the first ten that both models would show.
    ShadowOverlap,
    /// Rank agreement on what both models show.
    ShadowAgreement,
}

impl Ratio {
    /// Every ratio.
    pub const ALL: [Self; 4] =
        [Self::DriftItems, Self::DriftFeatures, Self::ShadowOverlap, Self::ShadowAgreement];

    /// Prometheus name and help.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::DriftItems => (
                "tidings_drift_items",
                "Population stability index of events over items since training; above 0.25 = moved",
            ),
            Self::DriftFeatures => (
                "tidings_drift_features",
                "Largest population stability index of a feature of active users; above 0.25 = moved",
            ),
            Self::ShadowOverlap => (
                "tidings_shadow_overlap_ratio",
                "Mean share of the first ten items that the shadow would show too, 0 to 1",
            ),
            Self::ShadowAgreement => {
                ("tidings_shadow_agreement", "Mean Kendall's tau over what both models would show, -1 to 1")
            }
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
