//! Watch over PostgreSQL. One that was stopped, or whose machine or disk hangs, takes requests and answers none: nothing that
//! waits for it ends by itself, since neither a time limit of PostgreSQL's own nor an error of the connection ever comes. So it is
//! asked all the time over a connection of its own, and whoever waits for something else can see whether that is answered.

use std::sync::{Arc, Weak};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Pause between two questions.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// No answer for this long: PostgreSQL hangs. Slow queries of others do not delay the answer.
const HANGS_AFTER: Duration = Duration::from_secs(2);
/// The question is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look that comes later than this says that this process was not run, and nothing of PostgreSQL.
const TOO_LATE: Duration = Duration::from_millis(500);

/// Answers of one database, shared by all clones of its store.
pub(super) struct Watch {
    hangs: watch::Sender<bool>,
    /// Moment of the question that has no answer yet; `None` = all are answered.
    asked_at: Mutex<Option<Instant>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { hangs: watch::Sender::new(false), asked_at: Mutex::new(None) }
    }
}

impl Watch {
    /// Begins to ask the database of a URL, on two threads that end with the last owner.
    pub(super) fn keep_asking(self: &Arc<Self>, url: String) {
        let watch = Arc::downgrade(self);
        let asked = Builder::new().name("database-asked".to_owned()).spawn(move || ask(&url, &watch));
        let watch = Arc::downgrade(self);
        let looked = Builder::new().name("database-watched".to_owned()).spawn(move || look(&watch));
        for error in [asked, looked].into_iter().filter_map(Result::err) {
            log::error!("nobody sees whether PostgreSQL answers: no thread error={error}");
        }
    }

    /// Returns whether PostgreSQL takes requests and answers none.
    pub(super) fn hangs(&self) -> bool {
        *self.hangs.borrow()
    }

    /// Resolves when PostgreSQL hangs; at once if it does already.
    pub(super) async fn until_it_hangs(&self) {
        let mut hangs = self.hangs.subscribe();
        if hangs.wait_for(|hangs| *hangs).await.is_err() {
            std::future::pending().await // The sender is `self`'s: it lives.
        }
    }
}

/// Asks, waits for the answer, and asks again, until the store has gone.
fn ask(url: &str, watch: &Weak<Watch>) {
    let mut connection = None;
    while let Some(watch) = watch.upgrade() {
        *watch.asked_at.lock() = Some(Instant::now());
        connection = answer(connection, url);
        *watch.asked_at.lock() = None;
        drop(watch);
        thread::sleep(ASK_EVERY);
    }
}

/// The connection after an answer; none after an error, which is an answer too: it comes at once everywhere else as well.
fn answer(connection: Option<PgConnection>, url: &str) -> Option<PgConnection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => {
            let mut connection = PgConnection::establish(url).ok()?;
            connection.batch_execute("SET application_name = 'tidings watch'").ok()?;
            connection
        }
    };
    connection.batch_execute("SELECT 1").ok()?;
    Some(connection)
}

fn look(watch: &Weak<Watch>) {
    let mut last = Instant::now();
    while let Some(watch) = watch.upgrade() {
        let mut asked_at = watch.asked_at.lock();
        if last.elapsed() > TOO_LATE {
            *asked_at = asked_at.map(|_| Instant::now());
        }
        last = Instant::now();
        let hangs = asked_at.is_some_and(|at| at.elapsed() > HANGS_AFTER);
        drop(asked_at);
        let has_changed = watch.hangs.send_if_modified(|before| std::mem::replace(before, hangs) != hangs);
        match (has_changed, hangs) {
            (true, true) => {
                log::error!("PostgreSQL does not answer: requests that need it are refused until it does")
            }
            (true, false) => log::info!("PostgreSQL answers again"),
            (false, _) => {}
        }
        drop(watch);
        thread::sleep(LOOK_EVERY);
    }
}
