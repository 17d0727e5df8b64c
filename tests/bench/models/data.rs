//! What there is to measure on. Layout, `.gz` or plain: `SET/SPLIT/{train,valid,test}.csv` (`user,item,ts`, of several kinds of
//! behaviour `user,item,ts,kind`; valid may be missing), `SET/{train_full,train_valid,test}.txt` (sessions), `SET/baskets.txt`, `golden/`, `kmeans/points*.csv`,
//! `online-shoppers/online_shoppers_intention.csv`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::text;

pub struct Data {
    pub root: PathBuf,
    /// Folders with interactions, below the root.
    pub splits: Vec<String>,
    /// Folders with sessions.
    pub sessions: Vec<(String, Sessions)>,
    /// Files of baskets, by folder.
    pub baskets: Vec<(String, String)>,
}

pub struct Sessions {
    pub train: String,
    pub valid: Option<String>,
    pub test: String,
}

impl Data {
    /// From `TIDINGS_DATA`, else `../shared/data` beside the checkout; empty where there is no such folder.
    pub fn find() -> Self {
        let root = crate::models_data::folder();
        let root = fs::canonicalize(&root).unwrap_or(root);
        let mut data =
            Self { root: root.clone(), splits: Vec::new(), sessions: Vec::new(), baskets: Vec::new() };
        for set in folders(&root) {
            if let (Some(train), Some(test)) = (file(&set, "train_full.txt"), file(&set, "test.txt")) {
                let valid = file(&set, "train_valid.txt");
                data.sessions.push((below(&root, &set), Sessions { train, valid, test }));
            }
            if let Some(path) = file(&set, "baskets.txt") {
                data.baskets.push((below(&root, &set), path));
            }
            for split in std::iter::once(set.clone()).chain(folders(&set)) {
                if file(&split, "train.csv").is_some() && file(&split, "test.csv").is_some() {
                    data.splits.push(below(&root, &split));
                }
            }
        }
        data
    }

    /// One table of a split.
    pub fn table(&self, split: &str, part: &str) -> Option<String> {
        file(&self.root.join(split), &format!("{part}.csv"))
    }

    /// Whether the training rows of a split come with their kinds: then purchases are to be found.
    pub fn has_kinds(&self, split: &str) -> bool {
        let Some(path) = self.table(split, "train") else { return false };
        let Ok(bytes) = fs::File::open(&path) else { return false };
        let mut header = String::new();
        let read = match path.ends_with(".gz") {
            true => BufReader::new(flate2::read::GzDecoder::new(bytes)).read_line(&mut header),
            false => BufReader::new(bytes).read_line(&mut header),
        };
        read.is_ok() && header.trim_end().split(',').any(|column| column == "kind")
    }

    /// A file, `.gz` or plain.
    pub fn file(&self, name: &str) -> Option<String> {
        file(&self.root, name)
    }

    /// Why a row about it has no number.
    pub fn lacks(&self, what: &str) -> String {
        format!("{what} is not in {} (TIDINGS_DATA)", self.root.display())
    }

    /// One split of each set, the random one where there is one.
    pub fn one_of_each_set(&self) -> Vec<&str> {
        let set = |split: &str| split.split('/').next().unwrap_or_default().to_owned();
        let mut chosen: Vec<&str> = Vec::new();
        for split in &self.splits {
            match chosen.iter_mut().find(|other| set(other) == set(split)) {
                Some(other) if split.ends_with("r80") => *other = split,
                Some(_) => {}
                None => chosen.push(split),
            }
        }
        chosen
    }
}

fn file(folder: &Path, name: &str) -> Option<String> {
    [format!("{name}.gz"), name.to_owned()]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| text(&path))
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn below(root: &Path, path: &Path) -> String {
    text(path.strip_prefix(root).unwrap_or(path))
}
