//! Title and body as a person reads them, and how long they may be.

/// Longest title, characters; a longer one is cut at a word.
pub const MAX_TITLE_CHARS: usize = 80;
/// Longest body, characters; a longer one is cut at a word.
pub const MAX_BODY_CHARS: usize = 200;

/// Text that a person reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// One line, at most 80 characters.
    pub title: String,
    /// One sentence, at most 200 characters.
    pub body: String,
}

/// One line without control characters, at most `max` characters, cut after a whole word where there is one.
pub fn shorten(text: &str, max: usize) -> String {
    let clean: String = text
        .split(|c: char| c.is_control() || c == ' ')
        .filter(|word| !word.is_empty())
        .fold(String::with_capacity(text.len()), |mut line, word| {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            line
        });
    if clean.chars().count() <= max {
        return clean;
    }
    let cut: String = clean.chars().take(max.saturating_sub(1)).collect();
    let whole = cut.rsplit_once(' ').map_or(cut.as_str(), |(before, _)| before);
    format!("{}…", whole.trim_end())
}
