//! From the source to the server and back: a batch is read while the one before it is posted, and is acknowledged to its source
//! once the server has stored or refused all of it. A crash at any point leads to records that are read again, and their events
//! are known to the server by their ids.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tidings_core::base::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{RejectSettings, Settings, SourceSettings};
use crate::deliver::{Client, Delivered, Deliverer};
use crate::observe::{self, Observed};
use crate::rejects::{self, RejectFile, Share};
use crate::source::backoff::Backoff;
use crate::source::{
    Batch, Next, Record, Source, SourceError, mysql_binlog, nats, postgres_outbox, redis_stream,
};
use crate::translate::{Outgoing, Refusal, Translator};

/// With `--once`, the longest time that server or source may be away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time that batches under way are given when the process is to end, all of them together.
const GRACE: Duration = Duration::from_secs(10);
/// Time between two looks at what waits in the source.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest time for such a look.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Reason that pulling ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration names something that is not so.
    #[error("{0}")]
    Configuration(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// Pulls until SIGTERM, or with `once` until the present end of the source.
pub fn run(settings: Settings, once: bool) -> Result<(), Failure> {
    let settings = Rc::new(settings);
    actix_rt::System::new().block_on(async move {
        let stop = watch_signals().map_err(|error| Failure::Failed(error.to_string()))?;
        let (batch, name) = (settings.batch, settings.name.clone());
        match settings.source.clone() {
            SourceSettings::Redis(redis) => {
                drive(settings, redis_stream::RedisStream::new(redis, &name, batch, once), once, stop).await
            }
            SourceSettings::PostgresOutbox(outbox) => {
                drive(settings, postgres_outbox::Outbox::new(outbox, &name, batch, once), once, stop).await
            }
            SourceSettings::Nats(nats) => {
                drive(settings, nats::JetStream::new(nats, &name, batch, once), once, stop).await
            }
            SourceSettings::MysqlBinlog(binlog) => {
                drive(settings, mysql_binlog::Binlog::new(binlog, batch, once), once, stop).await
            }
            #[cfg(feature = "kafka")]
            SourceSettings::Kafka(kafka) => {
                drive(settings, crate::source::kafka::Kafka::new(kafka, &name, batch, once), once, stop).await
            }
            #[cfg(not(feature = "kafka"))]
            SourceSettings::Kafka(_) => {
                drop((batch, name, stop));
                Err(Failure::Configuration("this tidings-pull was built without Kafka".to_owned()))
            }
        }
    })
}

/// The moment by which to end, once SIGTERM or SIGINT came.
type Stop = watch::Receiver<Option<Instant>>;

fn watch_signals() -> std::io::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (send, receive) = watch::channel(None);
    actix_rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log::info!("ending: what is under way is stored and acknowledged first");
        // Nobody listens any more if everything has ended already.
        let _ = send.send(Some(Instant::now() + GRACE));
        std::future::pending::<()>().await;
    });
    Ok(receive)
}

async fn drive<S: Source>(
    settings: Rc<Settings>,
    mut source: S,
    once: bool,
    mut stop: Stop,
) -> Result<(), Failure> {
    let observed = observe(&settings).await?;
    let mut sender = Sender::new(&settings, once)?;
    let mut settler = Settler::new(&settings, Rc::clone(&observed), once);
    let mut current: Option<Batch<S::Mark>> = None;
    let mut looked: Option<Instant> = None;
    loop {
        let posting = sender.post(current.take());
        let reading = read(&mut source, &observed, once);
        let (posted, next) = both(posting, reading, &mut stop).await;
        observed.set_server_up(sender.deliverer.is_up());
        if let Some(posted) = posted.transpose()?.flatten() {
            let settling = settler.settle(&mut source, posted);
            match in_time(settling, &mut stop).await {
                Some(settled) => settled?,
                None => {
                    log::warn!(
                        "the source did not take what is stored or refused in time: it will be read again"
                    );
                    break;
                }
            }
        }
        match next.transpose()? {
            Some(Next::Batch(batch)) => current = Some(batch),
            Some(Next::Idle) => observed.set_age(0.0),
            Some(Next::End) | None => break,
        }
        if looked.is_none_or(|looked| looked.elapsed() > LOOK_EVERY) {
            looked = Some(Instant::now());
            let behind = tokio::time::timeout(LOOK_PATIENCE, source.behind()).await;
            observed.set_behind(behind.ok().flatten());
        }
    }
    let [records, stored, duplicates, items, refused, skipped] = observed.counts();
    log::info!(
        "ended: records={records} stored={stored} duplicates={duplicates} items={items} refused={refused} skipped={skipped}"
    );
    Ok(())
}

/// The metrics page and the reports to the server.
async fn observe(settings: &Settings) -> Result<Rc<Observed>, Failure> {
    let source = &settings.source;
    let observed = Rc::new(Observed::new(&settings.name, source.from().name(), source.describe()));
    if let Some(listen) = &settings.listen {
        observe::serve(listen, Rc::clone(&observed)).await.map_err(Failure::Configuration)?;
    }
    let client = Client::new(&settings.server).map_err(Failure::Configuration)?;
    actix_rt::spawn(observe::report(client, settings.name.clone(), Rc::clone(&observed)));
    Ok(observed)
}

/// Both, beside each other. When the process is to end, only what is being posted, while there is time; what was being read is read
/// again by the next process.
async fn both<P, R>(
    posting: impl Future<Output = P>,
    reading: impl Future<Output = R>,
    stop: &mut Stop,
) -> (Option<P>, Option<R>) {
    let (mut posting, mut reading) = (pin!(posting), pin!(reading));
    let (mut posted, mut next) = (None, None);
    while posted.is_none() || next.is_none() {
        tokio::select! {
            biased;
            end = stopped(stop) => {
                if posted.is_none() {
                    posted = tokio::time::timeout_at(end, posting).await.ok();
                }
                return (posted, None);
            }
            value = &mut posting, if posted.is_none() => posted = Some(value),
            value = &mut reading, if next.is_none() => next = Some(value),
        }
    }
    (posted, next)
}

/// Waits until the process is to end; the moment by which.
async fn stopped(stop: &mut Stop) -> Instant {
    let end = stop.wait_for(Option::is_some).await.ok().and_then(|end| *end);
    match end {
        Some(end) => end,
        None => std::future::pending().await,
    }
}

/// The work's result; `None` if the process is to end and the work is not done by then.
async fn in_time<T>(work: impl Future<Output = T>, stop: &mut Stop) -> Option<T> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => Some(done),
        end = stopped(stop) => tokio::time::timeout_at(end, work).await.ok(),
    }
}

/// Reads the next batch; a source that is away is tried until it is back.
async fn read<S: Source>(source: &mut S, observed: &Observed, once: bool) -> Result<Next<S::Mark>, Failure> {
    let began = Instant::now();
    let mut backoff = Backoff::default();
    loop {
        match source.next().await {
            Ok(next) => {
                if backoff.is_waiting() {
                    log::info!("the source answers again");
                }
                observed.set_source(None);
                return Ok(next);
            }
            Err(SourceError::Wrong(message)) => return Err(Failure::Failed(message)),
            Err(SourceError::Away(message)) => {
                if !backoff.is_waiting() {
                    log::warn!("the source can't be read now, trying until it can: {message}");
                }
                if once && began.elapsed() > PATIENCE {
                    return Err(Failure::Failed(format!(
                        "the source could not be read for a minute: {message}"
                    )));
                }
                observed.set_source(Some(message));
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// A batch that the server has stored or refused.
struct Posted<M> {
    mark: M,
    records: Vec<Record>,
    delivered: Delivered,
    skipped: usize,
    /// Refused records that say nothing of the mapping.
    past: usize,
}

/// Translates and posts.
struct Sender {
    translator: Translator,
    deliverer: Deliverer,
}

impl Sender {
    fn new(settings: &Settings, once: bool) -> Result<Self, Failure> {
        let patience = once.then_some(PATIENCE);
        let deliverer = Deliverer::new(&settings.server, settings.batch.in_flight, patience);
        Ok(Self {
            translator: Translator::new(&settings.name, &settings.records),
            deliverer: deliverer.map_err(Failure::Configuration)?,
        })
    }

    /// Returns once each record of the batch is stored or refused.
    async fn post<M>(&mut self, batch: Option<Batch<M>>) -> Result<Option<Posted<M>>, Failure> {
        let Some(Batch { records, mark }) = batch else { return Ok(None) };
        let now = Timestamp::now();
        let (mut outgoing, mut refused) = (Vec::with_capacity(records.len()), Vec::new());
        let (mut skipped, mut past) = (0, 0);
        for (index, record) in records.iter().enumerate() {
            match self.translator.translate(record, now) {
                Ok(made) => {
                    skipped += made.iter().filter(|one| matches!(one, Outgoing::Skipped(_))).count();
                    outgoing.extend(made.into_iter().map(|one| (index, one)));
                }
                Err(refusal) => {
                    past += usize::from(matches!(refusal, Refusal::Past(_)));
                    refused.push((index, refusal.to_string()));
                }
            }
        }
        let mut delivered =
            self.deliverer.deliver(outgoing).await.map_err(|error| Failure::Failed(error.to_string()))?;
        delivered.refused.extend(refused);
        Ok(Some(Posted { mark, records, delivered, skipped, past }))
    }
}

/// Keeps what was refused and acknowledges what is done.
struct Settler {
    name: String,
    file: Option<RejectFile>,
    topic: Option<String>,
    stop_share: f64,
    place: String,
    share: Share,
    observed: Rc<Observed>,
    once: bool,
}

impl Settler {
    fn new(settings: &Settings, observed: Rc<Observed>, once: bool) -> Self {
        let RejectSettings { file, topic, stop_share } = &settings.rejects;
        let path = file.as_ref().map(|path| path.display().to_string());
        Self {
            name: settings.name.clone(),
            file: file.as_deref().map(RejectFile::new),
            topic: topic.clone(),
            stop_share: *stop_share,
            place: topic.clone().or(path).unwrap_or_default(),
            share: Share::default(),
            observed,
            once,
        }
    }

    /// Keeps what was refused before the batch is acknowledged.
    async fn settle<S: Source>(&mut self, source: &mut S, posted: Posted<S::Mark>) -> Result<(), Failure> {
        let Posted { mark, records, delivered, skipped, past } = posted;
        if !delivered.refused.is_empty() {
            let lines: Vec<String> = delivered
                .refused
                .iter()
                .filter_map(|(index, reason)| Some(rejects::line(&self.name, records.get(*index)?, reason)))
                .collect();
            self.keep(source, lines).await?;
            log::warn!(
                "{} of {} records are refused; the reasons are in {}",
                delivered.refused.len(),
                records.len(),
                self.place
            );
        }
        self.share.note(records.len().saturating_sub(past), delivered.refused.len().saturating_sub(past));
        self.observed.delivered(records.len(), skipped, &delivered);
        if let Some(share) = self.share.get().filter(|share| *share > self.stop_share) {
            return Err(Failure::Failed(format!(
                "{:.0} % of the latest records are refused, more than rejects.stop_share, {:.0} %: nothing more is acknowledged, so that nothing is lost. The reasons are in {}; mend [records] and start again",
                share * 100.0,
                self.stop_share * 100.0,
                self.place
            )));
        }
        if let Some(at) = records.last().and_then(|record| record.at) {
            self.observed.set_age((Timestamp::now().millis_since(at).0 as f64 / 1e3).max(0.0));
        }
        match source.acknowledge(mark).await {
            Ok(()) => Ok(()),
            Err(SourceError::Wrong(message)) => Err(Failure::Failed(message)),
            Err(SourceError::Away(message)) => {
                log::warn!("what is stored could not be acknowledged, it will be read again: {message}");
                Ok(())
            }
        }
    }

    /// Keeps lines in the topic, those that are too long for it in the file; without a topic, all in the file.
    async fn keep<S: Source>(&mut self, source: &mut S, lines: Vec<String>) -> Result<(), Failure> {
        let fits = |line: &String| self.topic.is_some() && line.len() <= rejects::MAX_TOPIC_BYTES;
        let (lines, long): (Vec<String>, Vec<String>) = lines.into_iter().partition(fits);
        if let Some(file) = &mut self.file {
            let written = file.write(&long);
            written.map_err(|error| Failure::Failed(format!("rejects.file {}: {error}", file.path())))?;
        }
        let Some(topic) = self.topic.as_ref().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let began = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            match source.reject(topic, &lines).await {
                Ok(()) => return Ok(()),
                Err(SourceError::Wrong(message)) => return Err(Failure::Failed(message)),
                Err(SourceError::Away(message)) if self.once && began.elapsed() > PATIENCE => {
                    return Err(Failure::Failed(format!("rejects.topic {topic}: {message}")));
                }
                Err(SourceError::Away(message)) => {
                    if !backoff.is_waiting() {
                        log::warn!("rejects.topic {topic}: {message}");
                    }
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
