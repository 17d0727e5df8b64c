//! `docs/import.md`: its commands run as printed, and print what is shown.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A command, and the lines that are shown below it.
struct Shown {
    command: String,
    lines: Vec<String>,
}

/// Commands of the fenced blocks of a page. A document that is given by `<<'END'` and lines that end in a backslash go on.
fn commands(page: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    for block in page.split("```").skip(1).step_by(2) {
        let mut lines = block.lines().skip(1);
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else {
                shown.last_mut().expect("a command before its output").lines.push(line.to_owned());
                continue;
            };
            let mut command = first.to_owned();
            while command.ends_with('\\') || command.contains("<<'END'") && !command.ends_with("\nEND") {
                command = format!("{command}\n{}", lines.next().expect("a command that ends"));
            }
            shown.push(Shown { command, lines: Vec::new() });
        }
    }
    shown
}

/// Whether a line is what is shown, `…` standing for anything.
fn is_shown(line: &str, shown: &str) -> bool {
    let mut rest = line;
    shown.trim_end().split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn every_command_of_the_page_prints_what_is_shown() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/import.md")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
    let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
    let (mut n, mut lines) = (0, 0);
    for Shown { command, lines: shown } in commands(&page) {
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(directory.path())
            .env_remove("DATABASE_URL")
            .env("PATH", &path)
            .env("TIDINGS_SERVER_DATA_DIR", directory.path().join("data"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut printed = text.lines();
        for shown in &shown {
            assert!(
                printed.any(|line| is_shown(line, shown)),
                "{command}\ndoes not print\n{shown}\nbut\n{text}"
            );
            lines += 1;
        }
        n += 1;
    }
    assert!(n > 8 && lines > 25, "{n} commands, {lines} lines");
}
