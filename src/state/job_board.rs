//! Progress of the training that runs or ran last.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use tidings_core::base::Timestamp;
use tidings_core::recommend::train::Stage;
use tidings_store::jobs::JobRow;

/// A training that is about to begin.
pub fn training(now: Timestamp) -> JobRow {
    JobRow {
        job_id: Uuid::now_v7(),
        kind: "train".to_owned(),
        state: "running".to_owned(),
        stage: Stage::Read.name().to_owned(),
        progress: 0.0,
        message: None,
        created_at: now,
        finished_at: None,
    }
}

/// The job that runs or ran last, for whoever asks.
#[derive(Default)]
pub struct JobBoard {
    current: Mutex<Option<JobRow>>,
    cancel: AtomicBool,
}

impl JobBoard {
    /// The current or last job.
    pub fn current(&self) -> Option<JobRow> {
        self.current.lock().clone()
    }

    /// Returns whether that job is the one that runs.
    pub fn is_running(&self, job: Uuid) -> bool {
        self.current().is_some_and(|current| current.job_id == job && current.finished_at.is_none())
    }

    /// Asks the job to stop; false when it is not the one that runs.
    pub fn cancel(&self, job: Uuid) -> bool {
        let running = self.is_running(job);
        if running {
            self.cancel.store(true, Ordering::Release);
        }
        running
    }

    /// A training begins.
    pub fn begin(&self, job: JobRow) {
        self.cancel.store(false, Ordering::Release);
        *self.current.lock() = Some(job);
    }

    /// Notes how far it is; breaks when somebody asked it to stop.
    pub fn progress(&self, stage: Stage, share: f32) -> ControlFlow<()> {
        if let Some(job) = &mut *self.current.lock() {
            job.stage = stage.name().to_owned();
            job.progress = share.clamp(0.0, 1.0);
        }
        if self.cancel.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The training ended; `None` if none had begun.
    pub fn end(&self, state: &str, message: String) -> Option<JobRow> {
        let mut current = self.current.lock();
        let job = current.as_mut()?;
        state.clone_into(&mut job.state);
        if state == "succeeded" {
            job.progress = 1.0;
        }
        job.message = Some(message);
        job.finished_at = Some(Timestamp::now());
        Some(job.clone())
    }
}
