//! What a process and its children have used, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// Clock ticks a second (`USER_HZ`, 100 on every Linux).
const TICKS: f64 = 100.0;

struct Stat {
    parent: u32,
    name: String,
    cpu_s: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        cpu_s: (fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS,
    })
}

/// The process and everything under it, but not PostgreSQL, which is counted apart.
fn family(root: u32) -> (Vec<u32>, Vec<u32>) {
    let all: HashMap<u32, Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let (mut own, mut database) = (vec![root], Vec::new());
    for pid in all.keys().filter(|pid| **pid != root) {
        let mut postgres = false;
        let mut at = *pid;
        while let Some(stat) = all.get(&at) {
            postgres |= stat.name.starts_with("postgres");
            if stat.parent == root {
                if postgres {
                    database.push(*pid)
                } else {
                    own.push(*pid)
                }
                break;
            }
            at = stat.parent;
        }
    }
    (own, database)
}

/// CPU seconds: of the server, and of its PostgreSQL.
pub fn cpu_seconds(root: u32) -> (f64, f64) {
    let (own, database) = family(root);
    let sum = |pids: &[u32]| pids.iter().filter_map(|pid| Some(stat(*pid)?.cpu_s)).sum();
    (sum(&own), sum(&database))
}

/// Resident bytes of the server, its children included (PostgreSQL not); shared pages are counted once.
pub fn resident_bytes(root: u32) -> f64 {
    let resident = |pid: &u32| -> Option<f64> {
        let field = |file: &str, name: &str| -> Option<f64> {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1024.0)
        };
        field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:"))
    };
    family(root).0.iter().filter_map(resident).sum()
}

/// The PostgreSQL processes of a server, or only the one that keeps the others.
pub fn database(root: u32, postmaster_only: bool) -> Vec<u32> {
    let mut pids = family(root).1;
    pids.retain(|pid| !postmaster_only || stat(*pid).is_some_and(|stat| stat.parent == root));
    pids
}
