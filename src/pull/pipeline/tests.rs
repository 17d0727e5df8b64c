use super::*;
use crate::source::{Change, Content};

/// A source that hands out what it is given and acknowledges, or never does.
struct Fake {
    hangs: bool,
    acknowledged: usize,
    rejected: Vec<String>,
}

impl Source for Fake {
    type Mark = ();

    async fn next(&mut self) -> Result<Next<()>, SourceError> {
        Ok(Next::End)
    }

    async fn acknowledge(&mut self, (): ()) -> Result<(), SourceError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.acknowledged += 1;
        Ok(())
    }

    async fn reject(&mut self, _: &str, lines: &[String]) -> Result<(), SourceError> {
        self.rejected.extend_from_slice(lines);
        Ok(())
    }

    async fn behind(&mut self) -> Option<u64> {
        None
    }
}

fn fake(hangs: bool) -> Fake {
    Fake { hangs, acknowledged: 0, rejected: Vec::new() }
}

fn settings(rejects: &str) -> Settings {
    let text = format!("name = \"a\"\n[redis]\nurl = \"redis://h\"\nstream = \"s\"\n[rejects]\n{rejects}");
    Settings::parse(&text, None, |_| None).unwrap()
}

fn settler(settings: &Settings) -> Settler {
    let observed = Rc::new(Observed::new("a", "redis", String::new()));
    Settler::new(settings, observed, false)
}

/// Refused records, of which `past` say nothing of the mapping.
fn refused(n: usize, past: usize, content: &str) -> Posted<()> {
    let record = |index| Record {
        id: format!("s/{index}"),
        at: None,
        change: Change::New,
        content: Content::Text(content.as_bytes().to_vec()),
    };
    let delivered =
        Delivered { refused: (0..n).map(|index| (index, "no".to_owned())).collect(), ..Delivered::default() };
    Posted { mark: (), records: (0..n).map(record).collect(), delivered, skipped: 0, past }
}

#[actix_rt::test]
async fn records_that_come_too_late_are_kept_and_reading_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rejects");
    let settings = settings(&format!("file = {:?}", file.display().to_string()));
    let (mut settler, mut source) = (settler(&settings), fake(false));
    settler.settle(&mut source, refused(500, 500, "{}")).await.unwrap();
    assert_eq!((source.acknowledged, std::fs::read_to_string(&file).unwrap().lines().count()), (1, 500));
    let error = settler.settle(&mut source, refused(500, 0, "{}")).await.unwrap_err().to_string();
    assert!(error.contains("stop_share") && source.acknowledged == 1, "{error}");
}

#[actix_rt::test]
async fn a_record_too_long_for_the_topic_is_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rejects");
    let mut settings = settings("topic = \"t\"");
    settings.rejects.file = Some(file.clone());
    let (mut settler, mut source) = (settler(&settings), fake(false));
    settler.settle(&mut source, refused(2, 0, "short")).await.unwrap();
    assert!(source.rejected.len() == 2 && !file.exists());
    let long = "x".repeat(1 << 20);
    settler.settle(&mut source, refused(1, 0, &long)).await.unwrap();
    assert!(source.rejected.len() == 2 && std::fs::read_to_string(&file).unwrap().contains(&long));
}

#[actix_rt::test]
async fn a_source_that_takes_nothing_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rejects");
    let settings = settings(&format!("file = {:?}", file.display().to_string()));
    let (mut settler, mut source) = (settler(&settings), fake(true));
    let (send, mut stop) = watch::channel(None);
    send.send(Some(Instant::now())).unwrap();
    assert!(in_time(settler.settle(&mut source, refused(1, 0, "{}")), &mut stop).await.is_none());
    let (_send, mut stop) = watch::channel(None);
    let mut source = fake(false);
    assert!(in_time(settler.settle(&mut source, refused(1, 0, "{}")), &mut stop).await.is_some());
}
