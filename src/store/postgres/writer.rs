//! A session of one's own for an actor that commits all the time, on a thread of its own: no waiting for a connection
//! behind long reads, no question before each commit whether the connection still lives, and statements planned once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::pool::Store;

/// A connection unused for longer is asked whether it still lives.
const TRUSTED: Duration = Duration::from_secs(1);
/// Its statements go by keys and bring their rows along, so that no value makes another plan better, and planning them costs
/// more than running them. A plan lasts: none is to read whole tables because they were small when it was made.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// Runs one piece of work after another. The thread and its connection end when every clone is dropped and what waits is
/// done.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// A session for an actor, named for its thread. Connects when it is first used.
    pub fn writer(&self, name: &str) -> Writer {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let mut session = Session { store: self.clone(), connection: None };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                job(&mut session);
            }
        });
        if let Err(error) = thread {
            log::error!("no thread for {name} error={error}"); // Each `run` is an error then.
        }
        Writer { jobs }
    }
}

impl Writer {
    /// Runs `work` on the session's thread, after what was given before. It has to return what went wrong as an error: after
    /// one the connection is asked whether it still lives.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |session: &mut Session| {
            // Nobody waits any more: the work is done all the same.
            let _ = reply.send(session.run(work));
        });
        self.jobs.send(job).map_err(|_| StoreError::Interrupted)?;
        answer.await.map_err(|_| StoreError::Interrupted)?
    }
}

struct Session {
    store: Store,
    /// With the moment it was last known to live; none before the first use and after it was lost.
    connection: Option<(PgConnection, Instant)>,
}

impl Session {
    /// A panic of `work` is an error, and the connection, in whatever state, is given up.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.living()?;
        let result =
            catch_unwind(AssertUnwindSafe(|| work(&mut connection))).map_err(|_| StoreError::Interrupted)?;
        if result.is_ok() || (!connection.is_broken() && connection.ping().is_ok()) {
            self.connection = Some((connection, Instant::now()));
        }
        result
    }

    fn living(&mut self) -> Result<PgConnection, StoreError> {
        if let Some((mut connection, since)) = self.connection.take()
            && (since.elapsed() < TRUSTED || connection.ping().is_ok())
        {
            return Ok(connection);
        }
        let mut connection = self.store.connect_alone()?;
        connection.batch_execute(SETTINGS)?;
        Ok(connection)
    }
}
