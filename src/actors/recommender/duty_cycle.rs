//! Training by turns: while the server itself is busy, its worker is stopped and continued, so that those who wake find an
//! idle core. A low priority alone does not give them one: a process that only counts, at the lowest priority and in a
//! session of its own, takes the p99 of pushes to about twice that at rest on a machine of two cores that are 70 % busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The worker's turn, and everybody else's. A training takes up to three and a half times as long.
const ON: Duration = Duration::from_millis(10);
const OFF: Duration = Duration::from_millis(25);
/// The server is busy when it uses more than this part of all cores: PostgreSQL uses about as much again for it.
const BUSY: f64 = 0.1;

/// Stops and continues a process until this is dropped, which leaves it running.
pub struct DutyCycle {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DutyCycle {
    /// For a child of this process that is not waited for while this lives, and that ends with its parent even when it is
    /// stopped (`PR_SET_PDEATHSIG`).
    pub fn take(pid: u32) -> std::io::Result<Self> {
        Self::take_while(pid, part_of_cores())
    }

    fn take_while(pid: u32, mut used: impl FnMut() -> f64 + Send + 'static) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("turns".to_owned()).spawn(move || {
            while !ended.load(Ordering::Acquire) {
                std::thread::sleep(ON);
                if used() > BUSY {
                    signal(pid, libc::SIGSTOP);
                    std::thread::sleep(OFF);
                    signal(pid, libc::SIGCONT);
                }
            }
        })?;
        Ok(Self { over, thread: Some(thread) })
    }
}

impl Drop for DutyCycle {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // It does not panic.
        }
    }
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: kill(2) takes numbers. The process has not been waited for: the number is still its own.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

/// Share of all cores that this process has used since the last call.
fn part_of_cores() -> impl FnMut() -> f64 + Send {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    let mut last = (Instant::now(), processor_time());
    move || {
        let now = (Instant::now(), processor_time());
        let used = now.1.saturating_sub(last.1).as_secs_f64();
        let passed = now.0.duration_since(last.0).as_secs_f64();
        last = now;
        used / passed.max(1e-3) / cores
    }
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes the structure that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn that_only_counts() -> Child {
        Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap()
    }

    /// From the state on: field 3 of proc(5)'s stat is the first.
    fn fields(child: &Child) -> Vec<String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_busy_server_gives_a_part_of_the_time_and_runs_on_afterwards() {
        let mut child = that_only_counts();
        let turns = DutyCycle::take_while(child.id(), || 2.0 * BUSY).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        drop(turns);
        let fields_now = fields(&child);
        let ticks = fields_now[11].parse::<u64>().unwrap() + fields_now[12].parse::<u64>().unwrap();
        // 29 of 100 at most, and what a late wake-up adds.
        assert!(ticks <= 60, "{ticks} ticks of 100");
        assert!(ticks > 0);
        assert_ne!(fields(&child)[0], "T");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn beside_a_server_at_rest_nothing_is_stopped() {
        let mut child = that_only_counts();
        let turns = DutyCycle::take_while(child.id(), || 0.5 * BUSY).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(300) {
            assert_ne!(fields(&child)[0], "T");
        }
        drop(turns);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_part_of_the_cores_is_that_of_this_process() {
        let mut used = part_of_cores();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(200) {
            std::hint::spin_loop();
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        let part = used();
        assert!(part > 0.1 / cores && part <= 1.1, "{part}");
    }
}
