//! Faults of a command line, found before anything is done.

use tidings_core::base::nearest;

/// Wrong usage: exit code 2, as for what the parser of the command line refuses.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

impl Usage {
    /// With the whole chain of causes as its text.
    pub fn of(error: &anyhow::Error) -> anyhow::Error {
        Self(format!("{error:#}")).into()
    }

    /// An error with this text.
    pub fn error(text: impl Into<String>) -> anyhow::Error {
        Self(text.into()).into()
    }

    /// A name that is none of `names`, with the nearest of them.
    pub fn unknown(flag: &str, name: &str, names: &[&str]) -> anyhow::Error {
        let near = nearest(name, names.iter().copied()).map(|near| format!(", did you mean {near}?"));
        let near = near.unwrap_or_default();
        Self(format!("{flag}: there is no {name}{near}; there are {}", names.join(", "))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_all_are_listed() {
        let text = |name| Usage::unknown("--algorithm", name, &["ease", "ials"]).to_string();
        assert_eq!(text("esae"), "--algorithm: there is no esae, did you mean ease?; there are ease, ials");
        assert_eq!(text("banana"), "--algorithm: there is no banana; there are ease, ials");
    }
}
