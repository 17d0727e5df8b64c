//! HTTP to the server, with its answers sorted by what to do next.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use awc::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use awc::http::{Method, StatusCode};

use super::answer::{self, Refusal};
use crate::config::ServerSettings;

/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer read: one reason for each of ten thousand events.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Longest wait that the server's `Retry-After` is believed.
const MAX_RETRY_AFTER_S: u64 = 300;

/// A fault that trying again does not mend, with its cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// Answer of the server.
#[derive(Debug)]
pub enum Reply {
    /// Done; the body.
    Done(Vec<u8>),
    /// The request is not what it should be.
    Refused(Refusal),
    /// The request is larger than the server takes.
    TooLarge,
    /// No such thing.
    Missing,
    /// It may work later.
    Later {
        /// Description of what happened.
        reason: String,
        /// Wait that the server asks for before the next try.
        wait: Option<Duration>,
    },
}

/// Kept connections to one server.
pub struct Client {
    http: awc::Client,
    base: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
    /// True if the file has been read: if it is not there later, it is being replaced.
    was_read: Cell<bool>,
}

impl Client {
    /// Nothing is sent yet.
    pub fn new(settings: &ServerSettings) -> Result<Self, String> {
        let connector = awc::Connector::new()
            .rustls_0_23(Arc::new(crate::tls::client_config()?))
            .timeout(Duration::from_secs(10))
            .limit(0);
        let http = awc::Client::builder().connector(connector).timeout(TIMEOUT).disable_redirects().finish();
        Ok(Self {
            http,
            base: settings.url.trim_end_matches('/').to_owned(),
            token: settings.token.clone(),
            token_file: settings.token_file.clone(),
            was_read: Cell::new(false),
        })
    }

    /// The token; a file is read each time, so that it can be replaced while this runs.
    fn token(&self) -> Result<Result<Option<String>, Reply>, Fatal> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(Ok(Some(token.clone()))),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(token) => {
                    self.was_read.set(true);
                    Ok(Ok(Some(token.trim().to_owned())))
                }
                Err(error) => {
                    let reason = format!("server.token_file {}: {error}", path.display());
                    if self.was_read.get() {
                        Ok(Err(Reply::Later { reason, wait: None }))
                    } else {
                        Err(Fatal(reason))
                    }
                }
            },
            (None, None) => Ok(Ok(None)),
        }
    }

    /// Sends one request.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Reply, Fatal> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        let token = match self.token()? {
            Ok(token) => token,
            Err(later) => return Ok(later),
        };
        if let Some(token) = token {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        if !kind.is_empty() {
            request = request.insert_header((CONTENT_TYPE, kind));
        }
        let mut response = match request.send_body(body).await {
            Ok(response) => response,
            Err(error) => return Ok(Reply::Later { reason: format!("{}: {error}", self.base), wait: None }),
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = after.map(|seconds: u64| Duration::from_secs(seconds.min(MAX_RETRY_AFTER_S)));
        let body = match response.body().limit(MAX_ANSWER_BYTES).await {
            Ok(body) => body.to_vec(),
            Err(error) => return Ok(Reply::Later { reason: format!("{}: {error}", self.base), wait: None }),
        };
        self.sort(status, path, body, wait)
    }

    fn sort(
        &self,
        status: StatusCode,
        path: &str,
        body: Vec<u8>,
        wait: Option<Duration>,
    ) -> Result<Reply, Fatal> {
        if status.is_success() {
            return Ok(Reply::Done(body));
        }
        let refusal = answer::refusal(&body);
        let Refusal { code, message, .. } = &refusal;
        match status.as_u16() {
            400 if code == "too_many_events" || code == "too_many_items" => Ok(Reply::TooLarge),
            413 => Ok(Reply::TooLarge),
            400 | 409 | 422 => Ok(Reply::Refused(refusal)),
            404 if code == "not_found" => Ok(Reply::Missing),
            // The file may be replaced at any moment: the next try reads it anew.
            401 if self.token_file.is_some() => Ok(Reply::Later {
                reason: format!(
                    "the server refuses the token in server.token_file ({message}); a new one comes from `tidings token --role \
                     service`"
                ),
                wait,
            }),
            401 => Err(Fatal(format!(
                "the server refuses the token ({message}): make one with `tidings token --role service` and name it in \
                 [server] token_file"
            ))),
            403 => Err(Fatal(format!(
                "the server does not permit this ({message}): the token needs the role service"
            ))),
            408 | 425 | 429 | 500 | 502..=504 => {
                Ok(Reply::Later { reason: format!("{status} from {}: {message}", self.base), wait })
            }
            _ => {
                Err(Fatal(format!("{status} from {}{path}: is this a Tidings server? {message}", self.base)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A server that takes one token only, for so many requests; the tokens it was sent.
    fn server(takes: &'static str, requests: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            (0..requests)
                .map(|_| {
                    let (mut socket, _) = listener.accept().unwrap();
                    let lines = BufReader::new(socket.try_clone().unwrap()).lines().map_while(Result::ok);
                    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                    let token = head.iter().find_map(|line| {
                        line.to_lowercase().strip_prefix("authorization: bearer ").map(str::to_owned)
                    });
                    let token = token.unwrap_or_default();
                    let status = if token == takes { "200 OK" } else { "401 Unauthorized" };
                    write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}")
                        .unwrap();
                    token
                })
                .collect()
        });
        (address, serving)
    }

    #[actix_rt::test]
    async fn a_token_that_is_refused_is_read_anew_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let (url, serving) = server("new", 2);
        let client =
            Client::new(&ServerSettings { url, token: None, token_file: Some(file.clone()) }).unwrap();
        let ask = async || client.send(Method::GET, "/", "", Vec::new()).await;
        assert!(ask().await.is_err(), "a file that never was there is a fault of the configuration");
        std::fs::write(&file, "old\n").unwrap();
        let Reply::Later { reason, .. } = ask().await.unwrap() else { panic!("not for later") };
        assert!(reason.contains("token_file") && !reason.contains("old"), "{reason}");
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(ask().await, Ok(Reply::Later { .. })), "it is being replaced");
        std::fs::write(&file, "new\n").unwrap();
        assert!(matches!(ask().await, Ok(Reply::Done(_))));
        assert_eq!(serving.join().unwrap(), ["old", "new"]);
    }

    #[actix_rt::test]
    async fn a_token_of_the_configuration_that_is_refused_ends_the_puller() {
        let (url, serving) = server("new", 1);
        let client =
            Client::new(&ServerSettings { url, token: Some("old".to_owned()), token_file: None }).unwrap();
        let error = client.send(Method::GET, "/", "", Vec::new()).await.unwrap_err().to_string();
        assert!(error.contains("tidings token"), "{error}");
        serving.join().unwrap();
    }
}
