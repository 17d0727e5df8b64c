//! `tidings pull`: gives way to the program `tidings-pull` that lies beside this one, so that no client library of a message queue
//! comes into the server.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

/// Name of the subcommand.
const NAME: &str = "pull";

/// Arguments behind `tidings pull`; `None` for every other command. Taken as typed, since `--config` is another file there.
pub fn arguments(typed: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut typed = typed.skip(1);
    (typed.next()? == NAME).then(|| typed.collect())
}

/// Becomes `tidings-pull`; returns only with an error.
pub fn exec(arguments: &[OsString]) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("the path of this program")?;
    let program = own.with_file_name("tidings-pull");
    if !program.is_file() {
        anyhow::bail!(
            "{} is not there: it is a program of its own. Build it with cargo build --release -p tidings-pull --features kafka, \
             and put it beside this one",
            program.display()
        );
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(error).with_context(|| format!("{} can't be run", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_pull_is_passed_on_as_typed() {
        let typed =
            |line: &str| arguments(line.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter());
        assert_eq!(typed("tidings pull --config a.toml --once").unwrap(), ["--config", "a.toml", "--once"]);
        assert_eq!(typed("tidings serve pull"), None);
        assert_eq!(typed("tidings"), None);
    }
}
