//! Destination of an export: standard output, or a file that appears whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::format::Packing;

const BUFFER_BYTES: usize = 256 * 1024;

/// A writer that counts the bytes that leave.
pub struct Counted {
    inner: Box<dyn Write + Send>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

enum Stream {
    Plain(BufWriter<Counted>),
    Gzip(Box<GzEncoder<BufWriter<Counted>>>),
    Zstd(Box<zstd::Encoder<'static, BufWriter<Counted>>>),
}

/// The file, under a name of its own until it is whole.
struct Place {
    temporary: PathBuf,
    file: PathBuf,
}

/// An open destination. Dropped before [`Destination::finish`], it leaves nothing behind.
pub struct Destination {
    stream: Stream,
    place: Option<Place>,
}

impl Destination {
    /// Opens a file, or standard output.
    pub fn open(file: Option<&Path>, packing: Packing) -> anyhow::Result<Self> {
        let (inner, place): (Box<dyn Write + Send>, _) = match file {
            None => (Box::new(io::stdout()), None),
            Some(file) => {
                let mut name = file.file_name().context("the path names no file")?.to_owned();
                name.push(format!(".{}.partial", std::process::id()));
                let temporary = file.with_file_name(name);
                let open = File::create(&temporary)
                    .with_context(|| format!("cannot write {}", temporary.display()))?;
                (Box::new(open), Some(Place { temporary, file: file.to_owned() }))
            }
        };
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, Counted { inner, bytes: 0 });
        let stream = match packing {
            Packing::None => Stream::Plain(buffered),
            Packing::Gzip => Stream::Gzip(Box::new(GzEncoder::new(buffered, Compression::default()))),
            Packing::Zstd => {
                Stream::Zstd(Box::new(zstd::Encoder::new(buffered, zstd::DEFAULT_COMPRESSION_LEVEL)?))
            }
        };
        Ok(Self { stream, place })
    }

    /// Writes what is buffered and gives the file its name; bytes written. An existing file of that name is replaced.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        let bytes = match &mut self.stream {
            Stream::Plain(buffered) => end(buffered)?,
            Stream::Gzip(packed) => {
                packed.try_finish()?;
                end(packed.get_mut())?
            }
            Stream::Zstd(packed) => {
                packed.do_finish()?;
                end(packed.get_mut())?
            }
        };
        if let Some(Place { temporary, file }) = &self.place {
            std::fs::rename(temporary, file).with_context(|| format!("cannot write {}", file.display()))?;
            self.place = None;
        }
        Ok(bytes)
    }
}

fn end(buffered: &mut BufWriter<Counted>) -> io::Result<u64> {
    buffered.flush()?;
    Ok(buffered.get_ref().bytes)
}

impl Write for Destination {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write(buffer),
            Stream::Gzip(stream) => stream.write(buffer),
            Stream::Zstd(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.flush(),
            Stream::Gzip(stream) => stream.flush(),
            Stream::Zstd(stream) => stream.flush(),
        }
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            // Nobody to tell: the error that led here is told already.
            let _ = std::fs::remove_file(&place.temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.csv");
        std::fs::write(&file, "before").unwrap();
        let mut given_up = Destination::open(Some(&file), Packing::None).unwrap();
        given_up.write_all(b"half").unwrap();
        drop(given_up);
        assert_eq!(std::fs::read(&file).unwrap(), b"before");
        let mut whole = Destination::open(Some(&file), Packing::None).unwrap();
        whole.write_all(b"whole").unwrap();
        assert_eq!(whole.finish().unwrap(), 5);
        assert_eq!(std::fs::read(&file).unwrap(), b"whole");
        assert_eq!(names(dir.path()), ["events.csv"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Destination::open(Some(Path::new("/nowhere/a.csv")), Packing::None).err().unwrap();
        assert!(format!("{error:#}").contains("/nowhere/a.csv"), "{error:#}");
    }
}
