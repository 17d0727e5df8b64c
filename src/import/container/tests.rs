use super::*;
use std::io::Write;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A file with these bytes, and what its text is.
fn read(bytes: &[u8]) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("file");
    std::fs::write(&path, bytes)?;
    let mut text = String::new();
    open(&path, &BytesRead::default(), Shape::Table)?.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_table_may_begin_with_the_letters_of_another_format() {
    for text in [
        "ORCAMENTO;valor\n1;2\n",
        "ORC,a\n1,2\n",
        "BZhash,b\n1,2\n",
        "PAR1,PAR2\n1,2\n",
        "PAR1\tb\n",
        "PGDMP,b\n",
        "ARROW1,b\n",
    ] {
        assert_eq!(read(text.as_bytes()).unwrap(), text);
    }
    for (bytes, name) in [
        (&b"ORC\x11\x00\x00\x0a"[..], "an ORC file"),
        (b"BZh91AY&SY\x1b\x07", "bzip2"),
        (b"PGDMP\x01\x0e", "pg_dump"),
        (b"ARROW1\0\0", "Arrow"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_member_is_read_from_its_archive_and_never_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let outside = directory.path().join("outside.csv");
    std::fs::write(&outside, "secret\n").unwrap();
    let path = directory.path().join("a.zip");
    for name in
        [outside.to_str().unwrap(), "../outside.csv", "in/../../outside.csv", "C:\\rows.csv", "\\rows.csv"]
    {
        std::fs::write(&path, archive(&[("rows.csv", b"a\n"), (name, b"b\n")])).unwrap();
        let error = members(&path).unwrap_err().to_string();
        assert!(error.contains("leads out of it"), "{name}: {error}");
    }
    std::fs::write(&path, archive(&[("in/rows..csv", b"a\n")])).unwrap();
    assert_eq!(members(&path).unwrap(), Some(vec![path.join("in/rows..csv")]));
}

#[test]
fn archives_within_one_another_are_bounded() {
    let one = archive(&[("rows.csv", b"a\n1\n")]);
    let two = archive(&[("one.zip", &one)]);
    let three = archive(&[("two.zip", &two)]);
    assert_eq!(read(&two).unwrap(), "a\n1\n");
    let error = read(&three).unwrap_err().to_string();
    assert!(error.contains("unpack it first"), "{error}");
}
