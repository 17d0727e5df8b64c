//! Words that stand for a value that is not there.

/// Words that are missing values unless others are stated alone.
const WORDS: [&str; 16] = [
    "null",
    "(null)",
    "none",
    "(none)",
    "nan",
    "nat",
    "n/a",
    "#n/a",
    "<na>",
    "nil",
    "undefined",
    "(not set)",
    "(not provided)",
    "\\N",
    "-",
    "NA",
];

/// Words that stand for a missing value, in any case; the empty text always does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(Vec<String>);

impl Default for Missing {
    fn default() -> Self {
        Self(WORDS.map(str::to_owned).to_vec())
    }
}

impl Missing {
    /// The usual words and those stated, or only those stated.
    pub fn new(stated: Vec<String>, only: bool) -> Self {
        let usual = if only { Self(Vec::new()) } else { Self::default() };
        Self(usual.0.into_iter().chain(stated.into_iter().map(|word| word.trim().to_owned())).collect())
    }

    /// Returns whether a trimmed text stands for nothing.
    pub fn is_missing(&self, text: &str) -> bool {
        text.is_empty() || self.0.iter().any(|word| word.eq_ignore_ascii_case(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_words_are_missing_and_others_can_be_stated() {
        let usual = Missing::default();
        for text in ["", "NULL", "None", "(not set)", "nan", "NaN", "N/A", "\\N", "-"] {
            assert!(usual.is_missing(text), "{text}");
        }
        assert!(!usual.is_missing("0") && !usual.is_missing("Nancy"));
        let more = Missing::new(vec!["0".into()], false);
        assert!(more.is_missing("0") && more.is_missing("null"));
        let only = Missing::new(vec!["0".into()], true);
        assert!(only.is_missing("0") && !only.is_missing("null") && only.is_missing(""));
    }
}
