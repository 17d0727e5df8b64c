//! The `tidings` command; everything is in the library.

fn main() -> std::process::ExitCode {
    tidings::app::cli::run()
}
