//! Master keys of encryption at rest, read where the settings say, and the check that they are those of the database.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use tidings_core::config::{Config, Encryption, MasterKeySource};
use tidings_decision::privacy::encryption::MasterKeys;
use tidings_store::{Store, encryption};

/// Most bytes of a file or an answer with master keys.
const MAX_BYTES: u64 = 64 << 10;

/// Switches encryption on if there are master keys. Refuses where they are not those that the database is encrypted under: what is there
/// could not be read, and a new key would hide the fault. Blocks.
pub fn enable(config: &Config, store: &Store) -> anyhow::Result<()> {
    let masters = read(&config.encryption).context("encryption")?;
    let needed = store.run_blocking(encryption::names)?;
    let Some(masters) = masters else {
        if !needed.is_empty() {
            bail!(
                "encryption: this database has encrypted fields and no master key is set; set encryption.master_key_file (or \
                 TIDINGS_ENCRYPTION_MASTER_KEY, or encryption.command). They are under master key {}",
                needed.join(", ")
            );
        }
        return Ok(());
    };
    if let Some(missing) = needed.iter().find(|name| masters.named(name).is_none()) {
        bail!(
            "encryption: data keys are under master key {missing}, which is not among those given ({}): the wrong key, or one that was \
             taken out before `tidings encryption rotate` had ended. Add it behind the current one",
            masters.names().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        );
    }
    let attributes = config.encryption.attributes.iter().map(|name| name.as_str().into());
    store.encrypt(masters, attributes.collect());
    Ok(())
}

/// The master keys of the settings; `None` where they name no source.
fn read(settings: &Encryption) -> anyhow::Result<Option<MasterKeys>> {
    let text = match settings.source() {
        MasterKeySource::None => return Ok(None),
        MasterKeySource::Text(text) => text.to_owned(),
        MasterKeySource::File(path) => {
            let metadata =
                fs::metadata(path).with_context(|| format!("encryption.master_key_file: {path}"))?;
            if metadata.permissions().mode() & 0o077 != 0 {
                bail!("encryption.master_key_file: others on this machine can read {path}: chmod 600 {path}");
            }
            if metadata.len() > MAX_BYTES {
                bail!("encryption.master_key_file: {path} is larger than {MAX_BYTES} bytes");
            }
            fs::read_to_string(path).with_context(|| format!("encryption.master_key_file: {path}"))?
        }
        MasterKeySource::Command(command) => {
            answer(command, Duration::from_millis(settings.command_timeout_ms))
                .context("encryption.command")?
        }
    };
    Ok(Some(MasterKeys::parse(&text)?))
}

/// Standard output of a program, within a time.
fn answer(command: &[String], timeout: Duration) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("no program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} can't be run"))?;
    let output = child.stdout.take().context("no output")?;
    let (done, answered) = mpsc::channel();
    let reader = thread::Builder::new().name("master-key".to_owned()).spawn(move || {
        let mut text = String::new();
        let read = output.take(MAX_BYTES).read_to_string(&mut text);
        // Nobody waits any more once the time is over.
        let _ = done.send(read.map(|_| text));
    });
    reader.context("no thread")?;
    let Ok(text) = answered.recv_timeout(timeout) else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{program} took longer than encryption.command_timeout_ms ({} ms)", timeout.as_millis());
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(text?)
}
