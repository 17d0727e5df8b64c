//! The input under which the process is aborted: by a full stack, by an allocation that is too large, by a panic in a panic, or by the
//! watch over inputs that take too long. It is written to a file without allocating anything.

use std::ffi::CString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Longest time that an input may take on the clock.
const PATIENCE: Duration = Duration::from_secs(60);

static PATH: OnceLock<CString> = OnceLock::new();
static INPUT: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);
/// Inputs begun.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Says which input is next; it must live until the next call.
pub fn note(input: &[u8]) {
    LENGTH.store(0, SeqCst);
    INPUT.store(input.as_ptr().cast_mut(), SeqCst);
    LENGTH.store(input.len(), SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

extern "C" fn write_input(_: libc::c_int) {
    let (input, length) = (INPUT.load(SeqCst), LENGTH.load(SeqCst));
    let Some(path) = PATH.get() else { return };
    // SAFETY: open, write and close may be called from a handler; the input lives until the next is noted.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, 0o644);
        libc::write(file, input.cast(), length);
        libc::close(file);
        let words = b"fuzz: aborted; the input is in ";
        libc::write(2, words.as_ptr().cast(), words.len());
        libc::write(2, path.as_ptr().cast(), path.as_bytes().len());
        libc::write(2, b"\n".as_ptr().cast(), 1);
    }
}

/// Writes the input to `path` when the process is aborted, and aborts it under an input that takes too long.
pub fn watch(path: &std::path::Path) {
    let path = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    if PATH.set(path).is_err() {
        return;
    }
    // SAFETY: a handler that calls only what handlers may call.
    unsafe { libc::signal(libc::SIGABRT, write_input as *const () as libc::sighandler_t) };
    std::thread::spawn(|| {
        let mut before = COUNT.load(SeqCst);
        loop {
            std::thread::sleep(PATIENCE);
            let now = COUNT.load(SeqCst);
            if now == before {
                std::process::abort();
            }
            before = now;
        }
    });
}

/// No input is under way; the watch has nothing to wait for.
pub fn rest() {
    COUNT.fetch_add(1, SeqCst);
}
