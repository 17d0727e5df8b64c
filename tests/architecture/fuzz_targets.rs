//! The targets of fuzzing and their seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Most bytes of all seeds.
const MAX_BYTES: u64 = 256 << 10;

#[test]
fn every_target_has_seeds_and_every_seed_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let text = fs::read_to_string(folder.join("targets/lib.rs")).unwrap();
    let targets: BTreeSet<&str> =
        text.split("target(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    // Seeds that are made.
    let made: BTreeSet<&str> = text
        .match_indices("seeds: secrets::")
        .map(|(at, _)| text[at..].split("target(\"").nth(1).unwrap().split('"').next().unwrap())
        .collect();
    assert!(targets.len() > 20, "{targets:?}");
    let (mut seeded, mut bytes) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(folder.join("seeds")).unwrap() {
        let entry = entry.unwrap();
        let files: Vec<_> = fs::read_dir(entry.path()).unwrap().collect();
        assert!(!files.is_empty(), "{:?} is empty", entry.path());
        bytes += files.iter().map(|file| file.as_ref().unwrap().metadata().unwrap().len()).sum::<u64>();
        seeded.insert(entry.file_name().into_string().unwrap());
    }
    let seeded: BTreeSet<&str> = seeded.iter().map(String::as_str).chain(made).collect();
    assert_eq!(targets, seeded);
    assert!(bytes <= MAX_BYTES, "the seeds have {bytes} bytes");
}
