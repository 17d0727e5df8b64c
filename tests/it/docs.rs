//! The documentation: links that resolve, commands and settings that exist, examples that the server accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tidings::config::Layered;

use crate::helpers::client::Client;
use crate::helpers::markdown::{Step, anchors, links, named_after, steps};
use crate::helpers::shop::shop;

/// Most lines of the README.
const MAX_README_LINES: usize = 150;
/// Pages outside of `docs/`.
const PAGES: [&str; 8] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "clients/js/README.md",
    "src/ARCHITECTURE.md",
    "migrations/README.md",
    "tests/reference/README.md",
];

#[test]
fn every_metric_is_documented() {
    use tidings::telemetry::{Count, Gauge, PUSH_SERVICES, Ratio, Timing};
    let guide = read("docs/guide.md");
    let counts = Count::ALL.iter().map(|count| (count.describe().0, count.outcome()));
    let gauges = Gauge::ALL.iter().map(|gauge| (gauge.describe().0, None));
    let ratios = Ratio::ALL.iter().map(|ratio| (ratio.describe().0, None));
    let timings = Timing::ALL.iter().map(|timing| (timing.describe().0, None));
    let is_row = |line: &&str| line.starts_with("| `tidings_");
    let rows: Vec<&str> = guide.lines().filter(is_row).collect();
    let of_services = PUSH_SERVICES.iter().map(|name| (*name, None));
    for (name, outcome) in counts.chain(gauges).chain(ratios).chain(timings).chain(of_services) {
        let row =
            rows.iter().find(|row| row.contains(&format!("`{name}`")) || row.contains(&format!("`{name}{{")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in docs/guide.md"));
        assert!(
            outcome.is_none_or(|outcome| row.contains(&format!("\"{outcome}\""))),
            "{outcome:?} of {name}: {row}"
        );
    }
    for named in rows.iter().flat_map(|row| row.split('`').filter(|part| part.starts_with("tidings_"))) {
        let name = named.split('{').next().unwrap();
        let exists = Count::ALL.iter().any(|count| count.describe().0 == name)
            || Gauge::ALL.iter().any(|gauge| gauge.describe().0 == name)
            || Ratio::ALL.iter().any(|ratio| ratio.describe().0 == name)
            || Timing::ALL.iter().any(|timing| timing.describe().0 == name)
            || PUSH_SERVICES.contains(&name);
        assert!(exists, "{name} of docs/guide.md does not exist");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a folder with this end of their names, by their paths from the root of the repository.
fn files_below(folder: &str, end: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&path, end));
        } else if path.ends_with(end) {
            found.push(path);
        }
    }
    found
}

fn pages() -> Vec<String> {
    let mut pages = files_below("docs", ".md");
    assert!(!pages.is_empty());
    pages.extend(PAGES.map(str::to_owned));
    pages
}

/// Links of a page to files or headings that do not exist.
fn broken_links(page: &str, text: &str) -> Vec<String> {
    let page_path = root().join(page);
    let resolves = |link: &str| {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { page_path.clone() } else { page_path.with_file_name(path) };
        let has_anchor = || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
        target.exists() && (anchor.is_empty() || has_anchor())
    };
    let broken = links(text).into_iter().filter(|link| !resolves(link));
    broken.map(|link| format!("{page}: {link}")).collect()
}

fn make_targets() -> BTreeSet<String> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let makefile = read("Makefile");
    let rules = makefile.lines().filter_map(|line| line.split_once(':'));
    rules.filter(|(name, _)| is_name(name)).map(|(name, _)| name.to_owned()).collect()
}

/// Subcommands that `tidings --help` lists.
fn subcommands() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_tidings")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = help.split_once("Commands:").unwrap();
    let (commands, _) = rest.split_once("Options:").unwrap();
    // What goes on from the line before is indented further.
    let entries = commands.lines().filter_map(|line| line.strip_prefix("  "));
    let entries = entries.filter(|entry| !entry.starts_with(' '));
    entries.filter_map(|entry| entry.split_whitespace().next()).map(str::to_owned).collect()
}

/// Whether a frame has each field shown: lists in their length and kind, everything else as it is.
fn has_fields(frame: &Value, shown: &Value) -> bool {
    shown.as_object().unwrap().iter().all(|(name, shown)| match (shown, &frame[name]) {
        (Value::Array(shown), Value::Array(list)) => {
            shown.len() == list.len() && list.iter().all(|one| one.is_number() == shown[0].is_number())
        }
        (shown, value) => shown == value,
    })
}

#[test]
fn the_readme_is_short() {
    let n = read("README.md").lines().count();
    assert!(n <= MAX_README_LINES, "{n} lines");
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<String> = pages().iter().flat_map(|page| broken_links(page, &read(page))).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let wrong = "[a](no-such-file.md), [b](README.md#no-such-heading), [c](README.md#figures), [d](LICENSE)";
    assert_eq!(broken_links("README.md", wrong).len(), 2);
}

#[test]
fn the_map_of_the_code_names_tests_that_exist() {
    let map = read("src/ARCHITECTURE.md");
    let sources: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files_below(folder, ".rs"))
        .map(|file| read(&file))
        .collect();
    let is_test = |name: &&str| {
        name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let named: Vec<&str> = map.split('`').skip(1).step_by(2).filter(is_test).collect();
    assert!(!named.is_empty());
    let unknown: Vec<&&str> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_command_exists() {
    let (targets, subcommands) = (make_targets(), subcommands());
    let mut n = 0;
    for page in pages() {
        let text = read(&page);
        for (program, known) in [("make", &targets), ("tidings", &subcommands)] {
            for name in named_after(program, &text) {
                assert!(known.contains(name), "{page}: {program} {name}");
                n += 1;
            }
        }
    }
    assert!(n > 20, "{n} commands found");
    assert_eq!(named_after("make", "run `A=b make bench…`, never make it").into_iter().next(), Some("bench"));
}

#[test]
fn the_settings_page_lists_every_setting_with_its_default() {
    let page = read("docs/settings.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: BTreeMap<&str, &str> =
        rows.map(|(key, rest)| (key, rest.split(" | ").next().unwrap_or(""))).collect();
    let settings = Layered::default().settings();
    let known: BTreeSet<&str> = settings.iter().map(|setting| setting.key.as_str()).collect();
    assert_eq!(listed.keys().copied().collect::<BTreeSet<_>>(), known);
    // The page tells the default caps in words.
    for setting in settings.iter().filter(|setting| setting.key != "policy.caps") {
        assert_eq!(listed[setting.key.as_str()], format!("`{}`", setting.value), "{}", setting.key);
    }
}

#[test]
fn the_smallest_client_of_the_readme_works() {
    let (_database, server) = shop(&[]);
    let mut client = Client::connect(server.address);
    let mut received = 0;
    for step in steps(&read("README.md")) {
        match step {
            Step::Send(frame) => client.send_text(&frame),
            Step::Receive(shown) => {
                let frame = client.expect(shown["type"].as_str().unwrap());
                assert!(has_fields(&frame, &shown), "{frame} is not {shown}");
                received += 1;
            }
            Step::Request { method, path, body } => {
                let sent = server.http().send(&method, &path, "application/json", body.as_bytes());
                assert_eq!(sent.unwrap().status, 202, "{method} {path}");
            }
        }
    }
    assert_eq!(received, 2);
}

#[test]
fn the_server_accepts_every_request_of_the_guide() {
    let (_database, server) = shop(&[]);
    let mut http = server.http();
    let mut n = 0;
    for page in ["docs/guide.md", "docs/experiments.md", "docs/lists.md"] {
        for step in steps(&read(page)) {
            let Step::Request { method, path, body } = step else { panic!("{page}: a frame") };
            let answer = http.send(&method, &path, "application/json", body.as_bytes()).unwrap();
            assert!((200..300).contains(&answer.status), "{page}: {method} {path}: {answer:?}");
            n += 1;
        }
    }
    assert!(n > 10, "{n} requests found");
}
