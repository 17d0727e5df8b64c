//! Events, as NDJSON to `POST /v1/events`.

use awc::http::Method;

use super::answer::{Answer, Refusal, Rejected};
use super::{Delivered, Deliverer, Fatal, Reply};

/// Largest body of a request, bytes; a server that takes less is sent halves.
const MAX_BODY_BYTES: usize = 2 << 20;

impl Deliverer {
    /// Posts lines in order, one request after another.
    pub(super) async fn events(&self, lines: Vec<(usize, String)>) -> Result<Delivered, Fatal> {
        let mut delivered = Delivered::default();
        let mut waiting = chunks(lines);
        while let Some(chunk) = waiting.pop() {
            let reply = self
                .ask(async || {
                    self.client.send(Method::POST, "/v1/events", "application/x-ndjson", body(&chunk)).await
                })
                .await?;
            match reply {
                Reply::Done(body) => read(&body, &chunk, &mut delivered)?,
                Reply::TooLarge if chunk.len() > 1 => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    waiting.push(second.to_vec());
                    waiting.push(first.to_vec());
                }
                Reply::TooLarge => {
                    refuse(&chunk, "is larger than the server takes (server.max_body_bytes)", &mut delivered)
                }
                Reply::Refused(Refusal { rejected, .. }) if !rejected.is_empty() => {
                    name(rejected, &chunk, &mut delivered);
                }
                // Of a whole request: what is wrong is ours, so only one that holds a single event says anything of it.
                Reply::Refused(Refusal { message, .. }) if chunk.len() == 1 => {
                    refuse(&chunk, &message, &mut delivered);
                }
                Reply::Refused(Refusal { code, message, .. }) => {
                    return Err(Fatal(format!("the server refuses a request of events: {message} ({code})")));
                }
                Reply::Missing | Reply::Later { .. } => {
                    return Err(Fatal("the server has no /v1/events: is [server] url right?".to_owned()));
                }
            }
        }
        Ok(delivered)
    }
}

fn body(chunk: &[(usize, String)]) -> Vec<u8> {
    let mut body = Vec::with_capacity(chunk.iter().map(|(_, line)| line.len() + 1).sum());
    for (_, line) in chunk {
        body.extend_from_slice(line.as_bytes());
        body.push(b'\n');
    }
    body
}

/// Pieces of bounded size, the last one first.
fn chunks(lines: Vec<(usize, String)>) -> Vec<Vec<(usize, String)>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for (index, line) in lines {
        if bytes + line.len() > MAX_BODY_BYTES && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += line.len() + 1;
        chunk.push((index, line));
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks.reverse();
    chunks
}

fn read(body: &[u8], chunk: &[(usize, String)], delivered: &mut Delivered) -> Result<(), Fatal> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        Fatal(format!("the server's answer can't be read: {error}: is [server] url right?"))
    })?;
    delivered.stored += answer.accepted;
    delivered.duplicates += answer.duplicates;
    name(answer.rejected, chunk, delivered);
    Ok(())
}

/// Notes each refused event of a chunk with its reason.
fn name(rejected: Vec<Rejected>, chunk: &[(usize, String)], delivered: &mut Delivered) {
    for rejected in rejected {
        if let Some((index, _)) = chunk.get(rejected.index) {
            delivered.refused.push((*index, rejected.reason()));
        }
    }
}

fn refuse(chunk: &[(usize, String)], reason: &str, delivered: &mut Delivered) {
    delivered.refused.extend(chunk.iter().map(|(index, _)| (*index, reason.to_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_the_order_and_the_bound() {
        let lines: Vec<(usize, String)> = (0..5).map(|index| (index, "x".repeat(1 << 20))).collect();
        let mut chunks = chunks(lines);
        let mut order = Vec::new();
        while let Some(chunk) = chunks.pop() {
            assert!(body(&chunk).len() <= MAX_BODY_BYTES);
            order.extend(chunk.into_iter().map(|(index, _)| index));
        }
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn refusals_find_their_records() {
        let chunk = [(4, String::new()), (9, String::new())];
        let mut delivered = Delivered::default();
        let body = br#"{"accepted":1,"duplicates":0,"rejected":[{"index":1,"code":"too_old","field":"occurred_at","message":"no"}]}"#;
        read(body, &chunk, &mut delivered).unwrap();
        assert_eq!((delivered.stored, delivered.refused), (1, vec![(9, "no (too_old)".to_owned())]));
        assert!(read(b"<html>", &chunk, &mut Delivered::default()).is_err());
    }
}
