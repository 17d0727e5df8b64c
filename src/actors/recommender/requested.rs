//! A training that somebody asked for, in the audit log: the request before it starts, and its end with what it stores last.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use tidings_core::base::{ModelVersion, Timestamp};
use tidings_decision::privacy::audit::AuditEntry;

/// Request for a training.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Requested {
    entry: AuditEntry,
    /// `None` for a command.
    job: Option<Uuid>,
}

impl Requested {
    /// The request of this entry.
    pub fn new(entry: &AuditEntry, job: Option<Uuid>) -> Self {
        Self { entry: entry.clone(), job }
    }

    /// Entry of the start.
    pub fn started(&self) -> AuditEntry {
        self.at(Stage { state: "started", ..Stage::default() })
    }

    /// Entry of the end with a model that is stored, and serves if it passed the gate.
    pub fn with_model(&self, version: ModelVersion, serves: bool) -> AuditEntry {
        self.at(Stage {
            state: "succeeded",
            version: Some(version),
            serves: Some(serves),
            ..Stage::default()
        })
    }

    /// Entry of another end.
    pub fn without_model(&self, state: &str) -> AuditEntry {
        self.at(Stage { state, ..Stage::default() })
    }

    fn at(&self, stage: Stage<'_>) -> AuditEntry {
        let stage = serde_json::to_value(Stage { job: self.job, ..stage }).unwrap_or_default();
        self.entry.at_stage(Timestamp::now(), &stage)
    }
}

/// Values that the log keeps of a stage.
#[derive(Default, Serialize)]
struct Stage<'a> {
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<ModelVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serves: Option<bool>,
}
