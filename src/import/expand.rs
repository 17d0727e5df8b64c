//! Files to read, their order and their names: those named by the caller, and those that a format finds in a directory or
//! archive.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::format::Format;
use super::input::{is_stdin, name as file_name};
use super::{container, database};

/// Files that a directory of MovieLens or Retailrocket may hold, each plain or with `.gz` behind.
const MOVIELENS_FILES: [&str; 8] = [
    "u.item",
    "u.data",
    "movies.dat",
    "ratings.dat",
    "movies.csv",
    "ratings.csv",
    "ml-100k.item",
    "ml-100k.inter",
];
const RETAILROCKET_FILES: [&str; 4] =
    ["category_tree.csv", "item_properties_part1.csv", "item_properties_part2.csv", "events.csv"];

/// Replaces directories, archives and workbooks by what the format finds in them; checks that everything is there before
/// anything is read.
pub fn expand(format: Format, given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let wanted: Option<&[&str]> = match format {
        Format::MovieLens => Some(&MOVIELENS_FILES),
        Format::RetailRocket => Some(&RETAILROCKET_FILES),
        _ => None,
    };
    let mut files = Vec::new();
    for path in given {
        if let Some(text) = path.to_str().filter(|_| !path.exists()) {
            database::refuse_others(text)?;
        }
        if is_stdin(path) {
            if wanted.is_some() {
                bail!("{} is of several files and can't be read from standard input", format.name());
            }
            if given.len() > 1 {
                bail!("standard input can't be one of several files");
            }
            files.push(path.clone());
        } else if database::url(path).is_some() || container::locate(path).1.is_some() {
            files.push(path.clone());
        } else if path.is_dir() {
            let Some(names) = wanted else { bail!("{} is a directory; name the files", path.display()) };
            let packed = names.iter().flat_map(|name| [path.join(name), path.join(format!("{name}.gz"))]);
            let found: Vec<PathBuf> = packed.filter(|file| file.is_file()).collect();
            files.extend(some_of(path, found, names)?);
        } else {
            match container::members(path).with_context(|| format!("cannot read {}", path.display()))? {
                None => files.push(path.clone()),
                Some(members) => match wanted {
                    None => files.extend(members),
                    Some(names) => {
                        let called = |name: &&str| {
                            let is_it =
                                |member: &&PathBuf| member.file_name().is_some_and(|last| last == *name);
                            members.iter().find(is_it).cloned()
                        };
                        files.extend(some_of(path, names.iter().filter_map(called).collect(), names)?);
                    }
                },
            }
        }
    }
    Ok(files)
}

fn some_of(path: &Path, found: Vec<PathBuf>, names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    if found.is_empty() {
        bail!("{} holds none of {}", path.display(), names.join(", "));
    }
    Ok(found)
}

/// The name shown to people: the file's last part, a database without its password, or "stdin".
pub fn name(path: &Path) -> String {
    database::url(path).map_or_else(|| file_name(path), database::shown)
}
