//! Table `jobs`: long work that an administrator or a schedule started.

use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use uuid::Uuid;

use crate::postgres::StoreError;
use crate::postgres::convert::{from_pg, to_pg};
use tidings_core::base::Timestamp;
use tidings_schema::jobs as table;

/// One job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// UUIDv7.
    pub job_id: Uuid,
    /// `train`, `import`, …
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Current stage of the work.
    pub stage: String,
    /// Share done, 0…1.
    pub progress: f32,
    /// Outcome of the job, in words.
    pub message: Option<String>,
    /// Moment of the request.
    pub created_at: Timestamp,
    /// Moment of the end.
    pub finished_at: Option<Timestamp>,
}

type Columns = (Uuid, String, String, String, f32, Option<String>, PgTimestamp, Option<PgTimestamp>);

fn from_columns(row: Columns) -> JobRow {
    let (job_id, kind, state, stage, progress, message, created_at, finished_at) = row;
    JobRow {
        job_id,
        kind,
        state,
        stage,
        progress,
        message,
        created_at: from_pg(created_at),
        finished_at: finished_at.map(from_pg),
    }
}

/// Adds the job or replaces what is stored of it.
pub fn save(conn: &mut PgConnection, job: &JobRow) -> Result<(), StoreError> {
    let changing = (
        table::state.eq(&job.state),
        table::stage.eq(&job.stage),
        table::progress.eq(job.progress),
        table::message.eq(&job.message),
        table::finished_at.eq(job.finished_at.map(to_pg)),
    );
    diesel::insert_into(table::table)
        .values((
            table::job_id.eq(job.job_id),
            table::kind.eq(&job.kind),
            table::created_at.eq(to_pg(job.created_at)),
            changing,
        ))
        .on_conflict(table::job_id)
        .do_update()
        .set(changing)
        .execute(conn)?;
    Ok(())
}

/// The job, if it was ever saved.
pub fn find(conn: &mut PgConnection, job_id: Uuid) -> Result<Option<JobRow>, StoreError> {
    Ok(table::table.find(job_id).first::<Columns>(conn).optional()?.map(from_columns))
}

/// Ends, as failed, the jobs that a server which is gone left unfinished; how many. Run once at start.
pub fn fail_unfinished(conn: &mut PgConnection, now: Timestamp) -> Result<usize, StoreError> {
    let changed = diesel::update(table::table)
        .filter(table::state.eq_any(["queued", "running"]))
        .set((
            table::state.eq("failed"),
            table::message.eq("the server stopped before it ended"),
            table::finished_at.eq(to_pg(now)),
        ))
        .execute(conn)?;
    Ok(changed)
}
