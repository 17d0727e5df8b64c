//! `tidings tls`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::say;
use crate::app::usage::Usage;
use tidings_core::base::Timestamp;
use tidings_core::config::Config;
use tidings_transport::tls::{Certificate, Handshakes};

/// Longest validity of a certificate for trying, days.
const MAX_DAYS: u32 = 825;

/// Operations on the certificate.
#[derive(Debug, Subcommand)]
pub enum TlsAction {
    /// Check the certificate and the key that the settings name: whether they belong together, for which names, until when.
    Check,
    /// Make a certificate for trying that no browser trusts, and its key.
    SelfSigned(SelfSignedArgs),
}

/// A certificate for trying.
#[derive(Debug, Args)]
pub struct SelfSignedArgs {
    /// Name or address of the server; may be repeated [default: localhost and 127.0.0.1].
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Directory for certificate.pem and key.pem.
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Valid for this many days.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

/// Runs it.
pub fn run(config: &Config, action: &TlsAction) -> anyhow::Result<()> {
    match action {
        TlsAction::Check => check(config),
        TlsAction::SelfSigned(args) => self_signed(args),
    }
}

fn check(config: &Config) -> anyhow::Result<()> {
    if !config.tls.is_on() {
        return Err(Usage::error("TLS is off; set tls.certificate_file and tls.key_file"));
    }
    let (certificate, now) = (Certificate::read(&config.tls, &Handshakes::provider())?, Timestamp::now());
    say(&format!(
        "names {}, expires {} (in {:.0} days), the key matches",
        certificate.names.join(" "),
        certificate.expires_at,
        certificate.days_left(now).floor()
    ))?;
    match certificate.warning(now) {
        Some(warning) if certificate.days_left(now) < 0.0 => bail!(warning),
        Some(warning) => say(&format!("warning: {warning}")),
        None => Ok(()),
    }
}

fn self_signed(args: &SelfSignedArgs) -> anyhow::Result<()> {
    if !(1..=MAX_DAYS).contains(&args.days) {
        return Err(Usage::error(format!("--days must be 1 to {MAX_DAYS}")));
    }
    let hosts = match args.hosts.as_slice() {
        [] => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        hosts => hosts.to_vec(),
    };
    let wrong = |error: rcgen::Error| {
        Usage::error(format!("--host: {error}: names or addresses, such as push.shop.example"))
    };
    let name = hosts.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(hosts).map_err(wrong)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = Timestamp::now();
    // Whole days (UTC).
    let day = |at: Timestamp| {
        let date = at.to_jiff().to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (params.not_before, params.not_after) =
        (day(now.plus_days(-1.0)), day(now.plus_days(f64::from(args.days) + 1.0)));
    let key = KeyPair::generate().context("no key")?;
    let certificate = params.self_signed(&key).map_err(wrong)?;
    fs::create_dir_all(&args.directory)
        .with_context(|| format!("cannot make {}", args.directory.display()))?;
    let (certificate_file, key_file) =
        (args.directory.join("certificate.pem"), args.directory.join("key.pem"));
    if let Some(there) = [&certificate_file, &key_file].into_iter().find(|file| file.exists() && !args.force)
    {
        bail!("{} is there already; --force replaces it", there.display());
    }
    put(&key_file, &key.serialize_pem(), 0o600)?;
    put(&certificate_file, &certificate.pem(), 0o644)?;
    say("# for trying: no browser trusts it")?;
    say("[tls]")?;
    say(&format!("certificate_file = {:?}", absolute(&certificate_file)))?;
    say(&format!("key_file = {:?}", absolute(&key_file)))
}

fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()
}

/// Writes a file beside its place and moves it there: a server that reads the pair again never finds half of one.
fn put(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let unfinished = file.with_extension("pem.new");
    let _ = fs::remove_file(&unfinished);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&unfinished)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
