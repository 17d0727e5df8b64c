//! Markdown as far as the documentation uses it: links, headings, commands, steps of examples.

use std::collections::BTreeSet;

use serde_json::Value;

/// Lines, each with whether it is part of a fenced block; without the fences.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut is_fenced = false;
    text.lines().filter_map(move |line| {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
            return None;
        }
        Some((line, is_fenced))
    })
}

/// Targets of the links of a page, without those to other sites.
pub fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    for (line, _) in lines(text).filter(|(_, is_fenced)| !is_fenced) {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target).filter(|target| !target.contains("://")));
    }
    links
}

/// Anchors of the headings, as GitHub makes them.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let headings = lines(text).filter(|(line, is_fenced)| !is_fenced && line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    headings.map(|(line, _)| anchor(line)).collect()
}

/// Code of a page: spans in backticks, and the commands of fenced blocks.
fn code(text: &str) -> Vec<&str> {
    let mut code = Vec::new();
    for (line, is_fenced) in lines(text) {
        if is_fenced {
            code.extend(line.strip_prefix("$ "));
        } else {
            code.extend(line.split('`').skip(1).step_by(2));
        }
    }
    code
}

/// Names that follow a program's in the code of a page: targets, subcommands.
pub fn named_after<'a>(program: &str, text: &'a str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for code in code(text) {
        let words: Vec<&str> = code.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0] == program) {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
            let name = pair[1].split(|c| !is_name(c)).next().unwrap_or("");
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                names.insert(name);
            }
        }
    }
    names
}

/// A step of an example.
pub enum Step {
    /// `→`: a frame of the client.
    Send(String),
    /// `←`: fields of a frame of the server; `…` stands for others.
    Receive(Value),
    /// `$ curl`.
    Request { method: String, path: String, body: String },
}

/// Steps of the examples of a page, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut fenced = lines(text).filter(|(_, is_fenced)| *is_fenced).map(|(line, _)| line);
    while let Some(line) = fenced.next() {
        if let Some(frame) = line.strip_prefix("→ ") {
            steps.push(Step::Send(frame.to_owned()));
        } else if let Some(frame) = line.strip_prefix("← ") {
            steps.push(Step::Receive(serde_json::from_str(&frame.replace(",…", "")).unwrap()));
        } else if let Some(command) = line.strip_prefix("$ curl ") {
            let mut command = command.to_owned();
            while command.matches('\'').count() % 2 == 1 {
                command = format!("{command}\n{}", fenced.next().expect("a quote that is closed"));
            }
            steps.push(request(&command));
        }
    }
    steps
}

/// The arguments of `curl`: `-X METHOD localhost:8080/PATH -d 'BODY'`, of which only the address is needed.
fn request(arguments: &str) -> Step {
    let (mut method, mut url, mut body) = ("GET".to_owned(), String::new(), String::new());
    let mut words = words(arguments).into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-X" => method = words.next().unwrap(),
            "-d" => body = words.next().unwrap(),
            _ if url.is_empty() => url = word,
            _ => panic!("not understood: curl {arguments}"),
        }
    }
    let path = url.strip_prefix("localhost:8080").unwrap_or_else(|| panic!("not of this server: {url}"));
    Step::Request { method, path: path.to_owned(), body }
}

/// Words of a command; single quotes keep blanks.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in command.split('\'').enumerate() {
        match place % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
}
