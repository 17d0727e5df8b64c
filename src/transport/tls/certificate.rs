//! The certificate that serves and its private key: read from two PEM files, checked against each other, replaced whole.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use tidings_core::base::Timestamp;
use tidings_core::config::Tls;

/// Largest file of the two, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A certificate that expires in fewer days is warned of.
const WARN_DAYS: f64 = 14.0;

/// A pair of files that can't serve.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("{setting}: {file}: {error}")]
    File {
        /// Setting that names the file.
        setting: &'static str,
        /// Path of the file.
        file: String,
        /// The cause.
        error: io::Error,
    },
    /// A file has nothing that is wanted of it.
    #[error("{setting}: {file}: {message}")]
    Content {
        /// Setting that names the file.
        setting: &'static str,
        /// Path of the file.
        file: String,
        /// The fault, and the fix.
        message: String,
    },
    /// The key is another certificate's.
    #[error(
        "tls.key_file: {key} is not the key of the first certificate in {certificate}; the server's own certificate comes first, those of its authorities after it"
    )]
    Mismatch {
        /// Path of the certificates.
        certificate: String,
        /// Path of the key.
        key: String,
    },
    /// A certificate that has expired would replace one that has not.
    #[error("tls.certificate_file: {file} expired at {at}")]
    Expired {
        /// Path of the certificates.
        file: String,
        /// End of its validity.
        at: Timestamp,
    },
}

/// A certificate with its key, as read at one moment.
#[derive(Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    /// Names and addresses that it is for.
    pub names: Vec<String>,
    /// End of its validity.
    pub expires_at: Timestamp,
    /// True if accounts other than the owner of the key's file can read it.
    pub key_is_open: bool,
}

impl Certificate {
    /// Reads the pair of files. The key must be that of the first certificate.
    pub fn read(tls: &Tls, provider: &CryptoProvider) -> Result<Self, CertificateError> {
        const CERTIFICATE: &str = "tls.certificate_file";
        const KEY: &str = "tls.key_file";
        let (certificate_file, key_file) = (&tls.certificate_file, &tls.key_file);
        let wrong = |setting, file: &str, message: String| CertificateError::Content {
            setting,
            file: file.to_owned(),
            message,
        };
        let (pem, _) = read(CERTIFICATE, certificate_file)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(CERTIFICATE, certificate_file, format!("no PEM: {error}")))?;
        let Some(first) = chain.first() else {
            let message = "has no certificate; PEM begins with -----BEGIN CERTIFICATE-----".to_owned();
            return Err(wrong(CERTIFICATE, certificate_file, message));
        };
        let described = X509::from_der(first).map_err(|error| {
            wrong(CERTIFICATE, certificate_file, format!("the first certificate is none: {error}"))
        })?;
        let not_after = described.tbs_certificate.validity.not_after.to_unix_duration();
        let (pem, metadata) = read(KEY, key_file)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let message =
                "has no private key without a passphrase; PEM begins with -----BEGIN PRIVATE KEY-----";
            wrong(KEY, key_file, message.to_owned())
        })?;
        let names = names(&described);
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                CertificateError::Mismatch { certificate: certificate_file.clone(), key: key_file.clone() }
            }
            error => wrong(
                KEY,
                key_file,
                format!("{error}; RSA from 2,048 bits, P-256, P-384 and Ed25519 can serve"),
            ),
        })?;
        Ok(Self {
            key: Arc::new(key),
            names,
            expires_at: Timestamp::from_millis(i64::try_from(not_after.as_millis()).unwrap_or(i64::MAX)),
            key_is_open: metadata.permissions().mode() & 0o077 != 0,
        })
    }

    /// Days until it expires; negative once it has.
    pub fn days_left(&self, now: Timestamp) -> f64 {
        self.expires_at.days_since(now)
    }

    /// Fault that whoever runs the server should know of now; `None` where there is none.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let days = self.days_left(now);
        match () {
            () if days < 0.0 => Some(format!(
                "the certificate has expired, clients refuse it: renew it expired_at={}",
                self.expires_at
            )),
            () if days < WARN_DAYS => Some(format!(
                "the certificate expires soon: renew it days={days:.1} expires_at={}",
                self.expires_at
            )),
            () if self.key_is_open => {
                Some("others on this machine can read the private key: chmod 600 tls.key_file".to_owned())
            }
            () => None,
        }
    }
}

/// The DNS names and addresses that a certificate is for (RFC 5280 §4.2.1.6).
fn names(certificate: &X509) -> Vec<String> {
    let Ok(Some((_, alternatives))) = certificate.tbs_certificate.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(AsRef::<str>::as_ref(name).to_owned()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
            bytes @ [_, _, _, _] => {
                <[u8; 4]>::try_from(bytes).ok().map(|v4| std::net::Ipv4Addr::from(v4).to_string())
            }
            bytes => <[u8; 16]>::try_from(bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    };
    alternatives.0.iter().filter_map(name).collect()
}

fn read(setting: &'static str, file: &str) -> Result<(Vec<u8>, Metadata), CertificateError> {
    let told = |error| CertificateError::File { setting, file: file.to_owned(), error };
    let metadata = fs::metadata(file).map_err(told)?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(told(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes"))));
    }
    Ok((fs::read(file).map_err(told)?, metadata))
}

/// Length and time of change of both files, as far as they are there.
type Stamp = [Option<(u64, SystemTime)>; 2];

fn stamp(tls: &Tls) -> Stamp {
    [&tls.certificate_file, &tls.key_file].map(|file| {
        let metadata = fs::metadata(Path::new(file)).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

/// The certificate that new connections are shown.
#[derive(Debug)]
pub struct Serving {
    tls: Tls,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<Certificate>,
    /// The files as they were when they were read last.
    seen: ArcSwap<Stamp>,
}

impl Serving {
    /// Reads the pair of files of the settings.
    pub fn read(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Self, CertificateError> {
        let seen = stamp(tls);
        let current = Certificate::read(tls, &provider)?;
        Ok(Self {
            tls: tls.clone(),
            provider,
            current: ArcSwap::from_pointee(current),
            seen: ArcSwap::from_pointee(seen),
        })
    }

    /// The certificate that serves.
    pub fn current(&self) -> Arc<Certificate> {
        self.current.load_full()
    }

    /// Returns whether the files are others than those that were read last. A pair of which one is missing is being replaced.
    pub fn has_changed(&self) -> bool {
        let now = stamp(&self.tls);
        now.iter().all(Option::is_some) && now != **self.seen.load()
    }

    /// Reads the files again. What can't serve, or has expired while the current one has not, changes nothing.
    pub fn reload(&self, now: Timestamp) -> Result<Arc<Certificate>, CertificateError> {
        self.seen.store(Arc::new(stamp(&self.tls)));
        let new = Certificate::read(&self.tls, &self.provider)?;
        if new.days_left(now) < 0.0 && self.current.load().days_left(now) >= 0.0 {
            let file = self.tls.certificate_file.clone();
            return Err(CertificateError::Expired { file, at: new.expires_at });
        }
        let new = Arc::new(new);
        self.current.store(Arc::clone(&new));
        Ok(new)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}
