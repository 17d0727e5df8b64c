//! The postmaster as a child that lives and dies with us.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::binaries::Binaries;
use super::error::{ClusterError, last_lines};
use super::place::Place;

/// Interval between checks whether it is ready.
const POLL: Duration = Duration::from_millis(2);
/// A log larger than this, in bytes, is begun anew at start.
const MAX_LOG: u64 = 16 << 20;
/// Permissions of the log.
const LOG_MODE: u32 = 0o600;

/// A running postmaster; stops when dropped.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: u32,
    state: Arc<State>,
}

/// Shared with the thread that waits on the process.
#[derive(Debug, Default)]
struct State {
    /// True once the process has ended. While it is false and locked, the pid is surely still the postmaster's.
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Postmaster {
    /// Starts it and waits until it takes connections.
    pub(super) fn start(binaries: &Binaries, place: &Place, timeout: Duration) -> Result<Self, ClusterError> {
        let log_path = place.log_path();
        let log = open_log(&log_path)?;
        let log_start = log.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        let mut command = binaries.postgres();
        command
            .arg("-D")
            .arg(place.cluster_dir())
            .current_dir(place.cluster_dir())
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(ClusterError::file("open", &log_path))?)
            .stderr(log)
            // A Ctrl-C in the terminal is for us: we drain first, then stop it.
            .process_group(0);
        place.account().apply(&mut command);
        end_with_parent(&mut command);
        let state = Arc::new(State::default());
        let pid = spawn_kept(command, Arc::clone(&state)).map_err(ClusterError::file("run", "postgres"))?;
        let postmaster = Self { pid, state };
        postmaster.wait_until_ready(place.cluster_dir(), timeout).map_err(|reason| {
            ClusterError::NotReady(format!("{reason}: {}", log_since(&log_path, log_start)))
        })?;
        Ok(postmaster)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn is_running(&self) -> bool {
        !*self.state.ended.lock()
    }

    /// Fast shutdown, immediate after 30 s, kill after another 10.
    pub(super) fn stop(&self) {
        for (signal, patience) in [(libc::SIGINT, 30), (libc::SIGQUIT, 10), (libc::SIGKILL, 10)] {
            let mut ended = self.state.ended.lock();
            if *ended {
                return;
            }
            if signal != libc::SIGINT {
                log::warn!("postgresql takes long to stop pid={} signal={signal}", self.pid);
            }
            // SAFETY: sends a signal; the process is not reaped while `ended` is locked and false.
            unsafe { libc::kill(self.pid.cast_signed(), signal) };
            self.state.changed.wait_for(&mut ended, Duration::from_secs(patience));
        }
    }

    /// Line 8 of `postmaster.pid` says `ready` once connections are taken.
    fn wait_until_ready(&self, cluster_dir: &Path, timeout: Duration) -> Result<(), &'static str> {
        let deadline = Instant::now() + timeout;
        let pid_file = cluster_dir.join("postmaster.pid");
        loop {
            if !self.is_running() {
                return Err("it ended");
            }
            // Of this postmaster: the file may still be another's.
            if let Ok(text) = fs::read_to_string(&pid_file)
                && text.lines().next() == Some(self.pid.to_string().as_str())
                && text.lines().nth(7).is_some_and(|status| status.trim() == "ready")
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err("it was not ready in time");
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks the kernel for a fast shutdown when the thread that spawns `command` dies, for example by a SIGKILL of all of us.
fn end_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: runs between fork and exec, after the change of user (which would clear the setting); both calls are
    // async-signal-safe and touch no memory.
    unsafe {
        command.pre_exec(move || {
            #[cfg(target_os = "linux")]
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                return Err(io::Error::last_os_error());
            }
            // We died in between: nobody would ever stop it.
            if libc::getppid().cast_unsigned() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Spawns from a thread of its own that lives until the process has ended: the kernel's setting goes by thread, and a
/// worker that comes and goes would take PostgreSQL with it.
fn spawn_kept(mut command: Command, state: Arc<State>) -> io::Result<u32> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("postgresql".into()).spawn(move || match command.spawn() {
        Ok(child) => {
            let _ = sender.send(Ok(child.id()));
            wait(child, &state);
        }
        Err(error) => {
            let _ = sender.send(Err(error));
        }
    })?;
    receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it ended")))
}

fn wait(mut child: Child, state: &State) {
    // Without reaping: its pid stays taken until `ended` says so, and no signal can hit a stranger.
    // SAFETY: `info` is a valid place for the answer, which is not read.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        while libc::waitid(libc::P_PID, child.id(), &mut info, libc::WEXITED | libc::WNOWAIT) != 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
    let mut ended = state.ended.lock();
    let status = child.wait();
    *ended = true;
    state.changed.notify_all();
    drop(ended);
    match status {
        Ok(status) if status.success() => log::info!("postgresql stopped pid={}", child.id()),
        Ok(status) => log::error!("postgresql ended by itself pid={} {status}", child.id()),
        Err(error) => log::error!("postgresql can't be waited for pid={}: {error}", child.id()),
    }
}

/// Opens the log, which nobody else may read.
fn open_log(path: &Path) -> Result<File, ClusterError> {
    let too_long = fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_LOG);
    if too_long {
        let _ = fs::remove_file(path);
    }
    let log = OpenOptions::new().append(true).create(true).mode(LOG_MODE).open(path);
    // An older version may have made it readable.
    log.and_then(|log| log.set_permissions(Permissions::from_mode(LOG_MODE)).map(|()| log))
        .map_err(ClusterError::file("open", path))
}

/// Text logged since `start`, its end.
fn log_since(path: &Path, start: u64) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_string(&mut text)
    });
    match read {
        Ok(_) if !text.trim().is_empty() => last_lines(&text, 4),
        _ => format!("see {}", path.display()),
    }
}
