//! Items, to `PUT /v1/items` and `DELETE /v1/items/{id}`, in the order of the records.

use awc::http::Method;
use tidings_core::base::ExternalId;
use tidings_core::catalogue::NewItem;

use super::action::Action;
use super::answer::{Answer, Refusal, Rejected};
use super::{Delivered, Deliverer, Fatal, Reply};

/// Items in a request.
const MAX_ITEMS: usize = 1_000;

type Put = (usize, Box<NewItem>);

impl Deliverer {
    /// Puts and deletes in order.
    pub(super) async fn items(&self, actions: Vec<(usize, Action)>) -> Result<Delivered, Fatal> {
        let mut delivered = Delivered::default();
        let mut together: Vec<Put> = Vec::new();
        for (index, action) in actions {
            match action {
                Action::Put(item) => together.push((index, item)),
                Action::Delete(id) => {
                    self.put(std::mem::take(&mut together), &mut delivered).await?;
                    self.delete(index, &id, &mut delivered).await?;
                }
            }
            if together.len() >= MAX_ITEMS {
                self.put(std::mem::take(&mut together), &mut delivered).await?;
            }
        }
        self.put(together, &mut delivered).await?;
        Ok(delivered)
    }

    /// Puts items in one request. One that is refused without naming them is halved until what is wrong stands alone.
    async fn put(&self, items: Vec<Put>, delivered: &mut Delivered) -> Result<(), Fatal> {
        let mut waiting = vec![items];
        while let Some(mut items) = waiting.pop() {
            if items.is_empty() {
                continue;
            }
            let list: Vec<&NewItem> = items.iter().map(|(_, item)| &**item).collect();
            let body = serde_json::to_vec(&list).map_err(|error| Fatal(error.to_string()))?;
            let send =
                async || self.client.send(Method::PUT, "/v1/items", "application/json", body.clone()).await;
            match self.ask(send).await? {
                Reply::Done(body) => {
                    let answer: Answer = serde_json::from_slice(&body).unwrap_or_default();
                    delivered.items += items.len().saturating_sub(answer.rejected.len()) as u64;
                    name(answer.rejected, &items, delivered);
                }
                Reply::Refused(Refusal { rejected, .. }) if !rejected.is_empty() => {
                    name(rejected, &items, delivered);
                }
                Reply::Refused(_) | Reply::TooLarge if items.len() > 1 => {
                    let second = items.split_off(items.len() / 2);
                    waiting.push(second);
                    waiting.push(items);
                }
                Reply::Refused(Refusal { code, message, .. }) => {
                    delivered
                        .refused
                        .extend(items.iter().map(|(index, _)| (*index, format!("{message} ({code})"))));
                }
                Reply::TooLarge => {
                    let reason = "is larger than the server takes (server.max_body_bytes)";
                    delivered.refused.extend(items.iter().map(|(index, _)| (*index, reason.to_owned())));
                }
                Reply::Missing | Reply::Later { .. } => {
                    return Err(Fatal("the server has no /v1/items: is [server] url right?".to_owned()));
                }
            }
        }
        Ok(())
    }

    /// One that is not there is deleted.
    async fn delete(&self, index: usize, id: &ExternalId, delivered: &mut Delivered) -> Result<(), Fatal> {
        let path = format!("/v1/items/{}", escape(&id.to_string()));
        match self.ask(async || self.client.send(Method::DELETE, &path, "", Vec::new()).await).await? {
            Reply::Done(_) | Reply::Missing => delivered.items += 1,
            Reply::Refused(Refusal { code, message, .. }) => {
                delivered.refused.push((index, format!("{message} ({code})")));
            }
            Reply::TooLarge | Reply::Later { .. } => {
                return Err(Fatal("the server does not delete items: is [server] url right?".to_owned()));
            }
        }
        Ok(())
    }
}

/// Notes each refused item of a request with its reason.
fn name(rejected: Vec<Rejected>, items: &[Put], delivered: &mut Delivered) {
    for rejected in rejected {
        if let Some((index, _)) = items.get(rejected.index) {
            delivered.refused.push((*index, rejected.reason()));
        }
    }
}

/// Percent-encodes everything but letters, digits and `-._~` (RFC 3986).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn an_id_is_one_segment_of_the_path() {
        assert_eq!(escape("A1-b"), "A1-b");
        assert_eq!(escape("a/b ü"), "a%2Fb%20%C3%BC");
    }
}
