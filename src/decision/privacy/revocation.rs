//! Revoked tokens: one by its id, those of a subject, or all, up to a moment.

use std::collections::{HashMap, HashSet};

use tidings_core::base::Timestamp;

/// Tokens that a revocation covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The token with this `jti`.
    Token(String),
    /// Tokens of this subject that were issued before the moment.
    Subject(String, Timestamp),
    /// Every token that was issued before the moment.
    All(Timestamp),
}

/// All revocations of one moment.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    tokens: HashSet<String>,
    subjects: HashMap<String, Timestamp>,
    all: Option<Timestamp>,
}

impl FromIterator<Revoked> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revoked>>(revoked: I) -> Self {
        let mut all = Self::default();
        for one in revoked {
            match one {
                Revoked::Token(id) => {
                    all.tokens.insert(id);
                }
                Revoked::Subject(subject, before) => {
                    let known = all.subjects.entry(subject).or_insert(before);
                    *known = (*known).max(before);
                }
                Revoked::All(before) => all.all = all.all.max(Some(before)),
            }
        }
        all
    }
}

impl Revocations {
    /// Returns whether a token is revoked. One without `iat` was issued at an unknown moment: before each of them.
    pub fn cover(&self, id: Option<&str>, subject: &str, issued_at: Option<Timestamp>) -> bool {
        let is_before = |moment: Timestamp| issued_at.is_none_or(|issued_at| issued_at < moment);
        id.is_some_and(|id| self.tokens.contains(id))
            || self.subjects.get(subject).is_some_and(|moment| is_before(*moment))
            || self.all.is_some_and(is_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_covers_what_was_issued_before_it() {
        let at = Timestamp::from_seconds;
        let revoked: Revocations = [
            Revoked::Token("a".into()),
            Revoked::Subject("17".into(), at(100)),
            Revoked::Subject("17".into(), at(50)),
            Revoked::All(at(10)),
        ]
        .into_iter()
        .collect();
        assert!(revoked.cover(Some("a"), "1", Some(at(1_000))));
        assert!(!revoked.cover(Some("b"), "1", Some(at(1_000))));
        assert!(revoked.cover(None, "17", Some(at(99))), "the later one counts");
        assert!(!revoked.cover(None, "17", Some(at(100))));
        assert!(revoked.cover(None, "1", Some(at(9))) && !revoked.cover(None, "1", Some(at(10))));
        assert!(revoked.cover(None, "17", None), "no iat");
    }
}
