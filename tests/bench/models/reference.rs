//! The Python programs of `tests/reference`, in a virtual environment below `target` that is made when it is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process;

/// Python, or why there is none.
pub type Maybe = Result<Python, String>;

pub struct Python {
    program: PathBuf,
}

impl Python {
    /// Finds or makes the environment: `python3 -m venv`, then pip with the pinned requirements (network).
    pub fn prepare() -> Maybe {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/reference");
        let wanted = fs::read_to_string(programs().join("requirements.txt")).map_err(|e| e.to_string())?;
        let program = folder.join("bin/python");
        let stamp = folder.join("requirements.installed");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { program });
        }
        println!(
            "  making target/reference: a Python with {}",
            wanted.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        let failed = |what: &str, why: String| format!("{what} failed: {why}");
        process::lines(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .map_err(|why| failed("python3 -m venv (Debian: apt-get install python3-venv)", why))?;
        let mut pip = Command::new(&program);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
        process::lines(pip.arg(programs().join("requirements.txt")))
            .map_err(|why| failed("pip install", why))?;
        fs::write(&stamp, &wanted).map_err(|error| error.to_string())?;
        Ok(Self { program })
    }

    /// All JSON lines a program prints.
    pub fn lines(&self, program: &str, arguments: &[String]) -> Result<Vec<Value>, String> {
        let threads = process::THREADS.to_string();
        let mut command = Command::new(&self.program);
        command.arg(programs().join(program)).args(arguments).env("OMP_NUM_THREADS", threads);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        process::lines(&mut command).map_err(|why| format!("{program}: {why}"))
    }

    /// The first of them.
    pub fn line(&self, program: &str, arguments: &[String]) -> Result<Value, String> {
        let lines = self.lines(program, arguments)?;
        lines.into_iter().next().ok_or_else(|| format!("{program} printed no figures"))
    }

    /// As it calls itself.
    pub fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output();
        output
            .map_or_else(|error| error.to_string(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}
