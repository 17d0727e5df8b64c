//! `tidings-pull` with the configurations that `docs/sources.md` prints.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use super::server::Server;

/// A puller's configuration in a directory of its own.
pub struct Puller {
    directory: tempfile::TempDir,
    config: PathBuf,
}

/// The program, which lies beside the server's.
fn program() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tidings")).with_file_name("tidings-pull");
    assert!(program.is_file(), "{} is not built: cargo build -p tidings-pull", program.display());
    program
}

/// The first block of a language below a heading of `docs/sources.md`.
pub fn block(heading: &str, language: &str) -> String {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/sources.md")).unwrap();
    let (_, section) =
        page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

impl Puller {
    /// The printed configuration of a source, with other addresses; each replaced text must be there.
    pub fn configured(heading: &str, url: &str, replaced: &[(&str, &str)]) -> Self {
        let mut text = block(heading, "toml");
        for (from, to) in [("http://127.0.0.1:8080", url)].iter().chain(replaced) {
            assert!(text.contains(from), "{heading} does not say {from}");
            text = text.replace(from, to);
        }
        Self::of(&text)
    }

    /// A configuration as it is.
    pub fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("pull.toml");
        std::fs::write(&config, text).unwrap();
        Self { directory, config }
    }

    /// The same with more lines at the end, which may add tables.
    pub fn with(self, lines: &str) -> Self {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, format!("{text}\n{lines}\n")).unwrap();
        self
    }

    /// The same with one text replaced.
    pub fn replacing(self, from: &str, to: &str) -> Self {
        self.rewrite(from, to);
        self
    }

    /// Replaces one text of the configuration, for the next start.
    pub fn rewrite(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&self.config, text.replace(from, to)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(&self.config).args(arguments);
        command.env("TIDINGS_LOG", std::env::var("TIDINGS_LOG").unwrap_or("warn".to_owned()));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Reads to the present end.
    pub fn once(&self) {
        let output = self.run(&["--once"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn spawn(&self) -> Child {
        self.command(&[]).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Starts it and kills it (SIGKILL) in the middle of its work, again and again; `worked` waits until it has done some: how much is
    /// told to it, another number each time.
    pub fn killed(&self, times: usize, mut worked: impl FnMut(usize)) {
        for time in 0..times {
            let mut child = self.spawn();
            worked(1 + time * 37 % 30);
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lines of the rejects file.
    pub fn rejects(&self) -> Vec<serde_json::Value> {
        let files = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(|path| path.to_string_lossy().ends_with(".rejects.ndjson"));
        let text = file.map(|file| std::fs::read_to_string(file).unwrap()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The address that `[server] url` takes.
pub fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}
