//! A training that somebody asked for, in the audit log: the request before it starts, and its end with what it stores last.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::base::{ModelVersion, Timestamp};
use crate::privacy::audit::AuditEntry;

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
        self.at(json!({"state": "started", "job": self.job}))
    }

    /// Entry of the end with a model that is stored, and serves if it passed the gate.
    pub fn with_model(&self, version: ModelVersion, serves: bool) -> AuditEntry {
        self.at(json!({"state": "succeeded", "job": self.job, "version": version, "serves": serves}))
    }

    /// Entry of another end.
    pub fn without_model(&self, state: &str) -> AuditEntry {
        self.at(json!({"state": state, "job": self.job}))
    }

    fn at(&self, mut stage: Value) -> AuditEntry {
        if let Some(fields) = stage.as_object_mut().filter(|_| self.job.is_none()) {
            fields.remove("job");
        }
        self.entry.at_stage(Timestamp::now(), &stage)
    }
}
