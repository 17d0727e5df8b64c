//! Type of a file, by its first bytes and whatever its name: text, gzip or zstd around text, a zip archive, a workbook, Parquet;
//! or a format that is named with the cure. A member of an archive and a sheet of a workbook have paths of their own:
//! `export.zip/orders.csv`, `book.xlsx/Orders`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use zip::ZipArchive;

use super::input::{BytesRead, Counting, Source, is_stdin};
use super::produced::{Output, Shape, produce};
use super::sheets;
use super::text::printable;

const BUFFER_BYTES: usize = 256 * 1024;
/// Largest archive, workbook or Parquet file that is taken from standard input or from inside another one.
const MAX_IN_MEMORY: u64 = 1 << 30;
/// Archives within one another. There are some that hold themselves.
const MAX_DEPTH: u32 = 2;
/// Bytes in which a file that is no text is told.
const LOOKED_AT: usize = 8 * 1024;
/// Fault of a file that can be read only as a whole.
const SAVE_IT: &str =
    "is inside of another one or on standard input, and larger than 1 GiB: unpack or save it first";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
    Zip,
    Parquet,
}

impl Kind {
    fn of(head: &[u8]) -> Self {
        match head {
            // RFC 1952 §2.3.1, RFC 8878 §3.1.1, APPNOTE §4.3.7 (and of one without members), Parquet's format, in which a
            // header of Thrift follows: a table may have a column PAR1.
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            [b'P', b'A', b'R', b'1', 1..=8 | 0x0e..=0x1f, ..] => Self::Parquet,
            _ => Self::Plain,
        }
    }
}

/// Formats that are not read: first bytes, name, cure.
const OTHERS: [(&[u8], &str, &str); 15] = [
    (
        b"\xd0\xcf\x11\xe0",
        "an old Excel workbook (.xls), or one with a password",
        "save it as .xlsx without one, or as CSV",
    ),
    (b"BZh", "packed with bzip2", "unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it: unxz FILE"),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it: lz4 -d FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it: 7z x FILE"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it: unrar x FILE"),
    (b"%PDF", "a PDF", "export the rows behind it as CSV"),
    (b"SQLite format 3\0", "an SQLite database", "sqlite3 -header -csv FILE 'SELECT …' > rows.csv"),
    (b"ORC", "an ORC file", "write it as Parquet or CSV"),
    (b"Obj\x01", "an Avro file", "write it as Parquet, NDJSON or CSV"),
    (b"ARROW1", "an Arrow file", "write it as Parquet or CSV"),
    (b"\x89PNG", "a picture", "name the file of the rows"),
    (b"\xff\xd8\xff", "a picture", "name the file of the rows"),
    (b"\x80\x04", "a Python pickle", "write it as Parquet or CSV"),
    (b"PGDMP", "a dump of pg_dump", "restore it, then import from postgres://…, or COPY the table to CSV"),
];

/// A file in which one can go back and forth.
trait Seekable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Seekable for T {}

/// The file of a path, and the member or sheet of it that the rest of the path names.
pub fn locate(path: &Path) -> (PathBuf, Option<String>) {
    if path.exists() || is_stdin(path) {
        return (path.to_owned(), None);
    }
    let container = path.ancestors().skip(1).find(|above| above.is_file());
    let inner =
        container.and_then(|above| path.strip_prefix(above).ok()).map(|rest| rest.display().to_string());
    match (container, inner) {
        (Some(container), Some(inner)) => (container.to_owned(), Some(inner)),
        _ => (path.to_owned(), None),
    }
}

/// Paths of what an archive or a workbook holds; `None` for any other file.
pub fn members(path: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let mut file = open_file(path)?;
    if Kind::of(&head(&mut file)?) != Kind::Zip {
        return Ok(None);
    }
    let found = match archive_of(&mut file)? {
        Archive::Workbook => sheets::names(BufReader::new(file))?,
        Archive::Files(names) => names,
    };
    refuse_leading_out(&found)?;
    Ok(Some(found.into_iter().map(|name| path.join(name)).collect()))
}

/// Refuses an archive or a workbook one of whose parts has such a name.
fn refuse_leading_out(names: &[String]) -> anyhow::Result<()> {
    match names.iter().find(|name| leads_out(name)) {
        Some(name) => {
            bail!("holds {:?}, which leads out of it; pack it anew without such a path", printable(name))
        }
        None => Ok(()),
    }
}

/// Returns whether the name of a member is a path of the file system rather than one inside of its archive.
fn leads_out(name: &str) -> bool {
    let is_drive = name.get(1..2) == Some(":") && name.starts_with(|c: char| c.is_ascii_alphabetic());
    name.starts_with(['/', '\\']) || is_drive || name.split(['/', '\\']).any(|part| part == "..")
}

/// Refuses a file that can't be opened, that is of a format that is not read, or that has not the member it is asked for.
pub fn check(path: &Path) -> anyhow::Result<()> {
    let (container, inner) = locate(path);
    let mut file = open_file(&container)?;
    match (Kind::of(&head(&mut file)?), inner) {
        (Kind::Zip, Some(inner)) => match archive_of(file)? {
            Archive::Files(names) if !names.contains(&inner) => bail!("{}", no_member(&inner, &names)),
            Archive::Files(_) | Archive::Workbook => Ok(()),
        },
        (Kind::Zip | Kind::Parquet, None) => Ok(()),
        (_, Some(_)) => bail!("{} is neither an archive nor a workbook", container.display()),
        (_, None) => stream(file).map(drop).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn no_member(inner: &str, names: &[String]) -> String {
    format!("there is no {inner:?} in it; there are {}", listed(names))
}

/// Opens a file as text, whatever it is, or standard input for `-`.
pub fn open(path: &Path, bytes: &BytesRead, shape: Shape) -> anyhow::Result<Source> {
    if is_stdin(path) {
        return whole_or_stream(io::stdin(), None, bytes, shape, MAX_DEPTH);
    }
    let (container, inner) = locate(path);
    let mut file = open_file(&container)?;
    match Kind::of(&head(&mut file)?) {
        Kind::Parquet => parquet_file(file, bytes, shape),
        Kind::Zip => zip(Counting::new(file, bytes), inner, shape, MAX_DEPTH),
        _ if inner.is_some() => bail!("{} is neither an archive nor a workbook", container.display()),
        _ => stream(Counting::new(file, bytes)),
    }
}

/// As [`open`], for rows under a header, uncounted.
pub fn open_text(path: &Path) -> anyhow::Result<Source> {
    open(path, &BytesRead::default(), Shape::Table).with_context(|| format!("cannot read {}", path.display()))
}

fn open_file(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// The first bytes, without moving on.
fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head)
}

/// From a source that can't go back: what needs to be seen as a whole is kept in memory.
fn whole_or_stream(
    raw: impl Read + Send + 'static,
    inner: Option<String>,
    bytes: &BytesRead,
    shape: Shape,
    depth: u32,
) -> anyhow::Result<Source> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    match Kind::of(raw.fill_buf()?) {
        Kind::Zip => zip(Counting::new(Cursor::new(in_memory(raw)?), bytes), inner, shape, depth),
        Kind::Parquet => parquet_bytes(in_memory(raw)?, shape),
        _ => stream(Counting::new(raw, bytes)),
    }
}

fn in_memory(raw: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    raw.take(MAX_IN_MEMORY + 1).read_to_end(&mut whole)?;
    if whole.len() as u64 > MAX_IN_MEMORY {
        bail!("the file {SAVE_IT}");
    }
    Ok(whole)
}

/// Text, plain or packed with gzip (several members too) or zstd.
pub fn stream(raw: impl Read + Send + 'static) -> anyhow::Result<Source> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    let kind = Kind::of(raw.fill_buf()?);
    let mut source: Source = match kind {
        Kind::Gzip => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))),
        Kind::Zstd => Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(raw)?)),
        _ => Box::new(raw),
    };
    let beginning = source.fill_buf().context("can't be unpacked, it may be cut off")?;
    if kind != Kind::Plain && Kind::of(beginning) != Kind::Plain {
        bail!("is packed twice: unpack it once");
    }
    refuse_others(beginning)?;
    Ok(source)
}

/// Names what is no text; none of it is shown.
fn refuse_others(beginning: &[u8]) -> anyhow::Result<()> {
    let looked_at = beginning.get(..LOOKED_AT).unwrap_or(beginning);
    // A header may begin with the same letters: ORCAMENTO, BZhash.
    let is_theirs = |magic: &[u8]| {
        beginning.starts_with(magic)
            && (!magic.iter().all(u8::is_ascii_alphanumeric) || has_controls(looked_at))
    };
    if let Some((_, name, cure)) = OTHERS.iter().find(|(magic, ..)| is_theirs(magic)) {
        bail!("is {name}; {cure}");
    }
    if beginning.get(257..262).is_some_and(|name| name == b"ustar") {
        bail!("is a tar archive; unpack it: tar xf FILE");
    }
    if looked_at.contains(&0) && !is_utf16(looked_at) {
        bail!(
            "is not text but binary data; give CSV, NDJSON, .xlsx or Parquet, or one of these in gzip, zstd or zip"
        );
    }
    Ok(())
}

/// Returns whether there are bytes that no text has.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// A mark at the beginning, or nothing but zeros at every other place, as Latin letters have.
fn is_utf16(text: &[u8]) -> bool {
    let zeros = |odd: usize| text.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    text.starts_with(b"\xff\xfe")
        || text.starts_with(b"\xfe\xff")
        || (even.min(odd) == 0 && even.max(odd) * 3 >= text.len())
}

enum Archive {
    Workbook,
    /// Files of an archive, hidden ones left out.
    Files(Vec<String>),
}

/// Tells what a zip file is by what it holds.
fn archive_of(file: impl Read + Seek) -> anyhow::Result<Archive> {
    let archive = ZipArchive::new(file).context("the zip archive can't be read, it may be cut off")?;
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.into_owned()).collect();
    // Before hidden ones are left out: `..` begins with a dot too.
    refuse_leading_out(&names)?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has("xl/workbook.xml") {
        return Ok(Archive::Workbook);
    }
    if has("xl/workbook.bin") || has("content.xml") || has("word/document.xml") {
        bail!("is a binary Excel workbook or an OpenDocument file; save it as .xlsx, or as CSV");
    }
    let is_hidden = |name: &str| name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
    let files = names.into_iter().filter(|name| !name.ends_with('/') && !is_hidden(name));
    let files: Vec<String> = files.collect();
    if files.is_empty() { bail!("the zip archive holds no file") } else { Ok(Archive::Files(files)) }
}

/// Opens a member; `depth` is how many archives may lie within one another, this one included.
fn zip(
    mut file: impl Seekable + 'static,
    inner: Option<String>,
    shape: Shape,
    depth: u32,
) -> anyhow::Result<Source> {
    let Some(depth) = depth.checked_sub(1) else {
        bail!("is an archive in an archive in an archive: unpack it first");
    };
    let archive = archive_of(&mut file)?;
    let is_workbook = matches!(archive, Archive::Workbook);
    let inner = match (inner, archive) {
        (Some(sheet), Archive::Workbook) => sheet,
        (Some(inner), Archive::Files(names)) if names.contains(&inner) => inner,
        (Some(inner), Archive::Files(names)) => bail!("{}", no_member(&inner, &names)),
        (None, Archive::Workbook) => only(sheets::names(BufReader::new(&mut file))?)?,
        (None, Archive::Files(names)) => only(names)?,
    };
    file.seek(SeekFrom::Start(0))?;
    if is_workbook {
        let write = move |output: &mut Output| sheets::write(BufReader::new(file), &inner, output);
        return Ok(produce("sheet", write)?);
    }
    let unpacked = produce("unzip", move |output| unpack(file, &inner, output))?;
    whole_or_stream(unpacked, None, &BytesRead::default(), shape, depth)
}

fn unpack(file: impl Seekable, inner: &str, output: &mut Output) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(file)?;
    let mut member = archive.by_name(inner).with_context(|| {
        format!("{inner:?} can't be unpacked; pack it anew, with deflate and no password")
    })?;
    io::copy(&mut member, output).with_context(|| format!("{inner:?} can't be unpacked"))?;
    Ok(())
}

fn only(names: Vec<String>) -> anyhow::Result<String> {
    match names.as_slice() {
        [only] => Ok(only.clone()),
        names => {
            bail!("holds {}: name one, as FILE/{}", listed(names), names.first().map_or("", |name| name))
        }
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("{name:?}")).collect();
    let rest = names.len() - shown.len();
    if rest > 0 { format!("{} and {rest} more", shown.join(", ")) } else { shown.join(", ") }
}

#[cfg(feature = "parquet")]
fn parquet_file(file: File, bytes: &BytesRead, shape: Shape) -> anyhow::Result<Source> {
    let (length, read) = (file.metadata()?.len(), BytesRead::clone(bytes));
    let write = move |output: &mut Output| {
        let result = super::parquet_rows::write(file, shape, output);
        read.fetch_add(length, std::sync::atomic::Ordering::Relaxed);
        result
    };
    Ok(produce("parquet", write)?)
}

#[cfg(feature = "parquet")]
fn parquet_bytes(whole: Vec<u8>, shape: Shape) -> anyhow::Result<Source> {
    let whole = bytes::Bytes::from(whole);
    Ok(produce("parquet", move |output| super::parquet_rows::write(whole, shape, output))?)
}

#[cfg(not(feature = "parquet"))]
fn parquet_file(_: File, _: &BytesRead, _: Shape) -> anyhow::Result<Source> {
    bail!("is a Parquet file, and this build is without the feature `parquet`; write it as CSV")
}

#[cfg(not(feature = "parquet"))]
fn parquet_bytes(_: Vec<u8>, _: Shape) -> anyhow::Result<Source> {
    bail!("is a Parquet file, and this build is without the feature `parquet`; write it as CSV")
}

#[cfg(test)]
mod tests;
