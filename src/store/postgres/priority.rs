//! Standing back: work that nobody waits for lets those who are being served run first.
//!
//! nice(2) alone does little for that on Linux. With autogroups (sched(7); the default of desktop and many server kernels)
//! it counts among the processes of one session only, and each process of PostgreSQL is a session of its own. So the
//! autogroup gets the niceness as well. And since EEVDF (Linux 6.6) a task that runs keeps the core for its time slice,
//! whoever wakes meanwhile, unless those who wake have asked for a shorter one (6.12): work that stands back asks for the
//! longest there is. With nice(2) alone pushes had a p99 of 3.4–4.0 × that at rest while models were trained, and while they
//! were trained in a session of their own 1.5–2.4 × (two shared cores).

use std::io;

/// Longest time slice that Linux gives (sched_setattr(2), clamped there), nanoseconds.
const LONGEST_SLICE: u64 = 100_000_000;

/// The calling thread and those it will make, as far as nice(2) goes; 0 changes nothing. Can't be taken back.
pub fn thread_stands_back(niceness: i32) -> io::Result<()> {
    lower(0, niceness)
}

/// This process, in a session of its own from here on; 0 changes nothing. Before it has threads.
pub fn process_stands_back(niceness: i32) -> io::Result<()> {
    if niceness > 0 {
        // SAFETY: setsid(2) takes nothing. Refused to the leader of a group, which is alone in its session.
        unsafe { libc::setsid() };
        lower_autogroup("self", niceness);
    }
    lower(0, niceness)
}

/// Another process, every thread of which is its first. Where we may not, it keeps its priority.
pub fn let_stand_back(pid: i32, niceness: i32) -> io::Result<()> {
    lower(pid, niceness)?;
    if niceness > 0 {
        lower_autogroup(&pid.to_string(), niceness);
    }
    Ok(())
}

fn lower_autogroup(process: &str, niceness: i32) {
    // Absent without autogroups, and then nice(2) is all it takes.
    let _ = std::fs::write(format!("/proc/{process}/autogroup"), niceness.to_string());
}

fn lower(id: i32, niceness: i32) -> io::Result<()> {
    if niceness <= 0 {
        return Ok(());
    }
    // SAFETY: setpriority(2) takes no pointers.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, id.cast_unsigned(), niceness) } != 0 {
        return Err(io::Error::last_os_error());
    }
    ask_for_long_slices(id, niceness);
    Ok(())
}

/// Older kernels ignore the wish.
#[cfg(target_os = "linux")]
fn ask_for_long_slices(id: i32, niceness: i32) {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: LONGEST_SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: sched_setattr(2) reads `size` bytes of the structure, which lives until it returns.
    unsafe { libc::syscall(libc::SYS_sched_setattr, id, &raw const attributes, 0) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_long_slices(_: i32, _: i32) {}
