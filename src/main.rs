//! The `tidings` command; everything is in the library.

fn main() -> std::process::ExitCode {
    few_arenas();
    tidings::app::cli::run()
}

/// Two of glibc's arenas instead of sixteen on two cores: ten thousand small, long-lived users spread over all of them
/// leave holes in each. Measured 2026-11-24: 17.5–18.3 instead of 19.7–21.9 KB a connected user, as many logins a second;
/// mimalloc 20–28 KB.
fn few_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: before any other thread runs; mallopt changes a setting and touches no memory of ours.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
