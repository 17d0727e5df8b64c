//! Several things in one cell: category paths, addresses of pictures.

use super::fields::tidy;
use tidings_core::base::plain_words;

/// Returns whether a backslash before it makes an ordinary character of it, as in WooCommerce's `Food\, Beverages`.
fn is_separator(c: char) -> bool {
    matches!(c, ',' | '|' | ';')
}

/// Parts of a cell between separators. A separator behind a backslash is none; the backslash stays, for [`unescaped`].
pub fn parts(text: &str, separates: impl Fn(char) -> bool) -> Vec<&str> {
    let mut escaped = false;
    let mut ends = |c: char| {
        let is_end = separates(c) && !escaped;
        escaped = c == '\\';
        is_end
    };
    text.split(|c: char| ends(c)).collect()
}

/// A part of a cell without the backslashes before separators, tidied.
pub fn unescaped(part: &str) -> String {
    let mut plain = String::with_capacity(part.len());
    let mut letters = part.chars().peekable();
    while let Some(c) = letters.next() {
        if c != '\\' || !letters.peek().copied().is_some_and(is_separator) {
            plain.push(c);
        }
    }
    tidy(&plain)
}

/// The category paths of a cell, each from general to special. `A > B` and `A/B` are one path; several are apart by `|` or `;`, or
/// by commas where each part is a path with `>` (`Clothing > Tshirts, Clothing > Hoodies`), since commas stand in names as well. `Food\, Beverages` is one name.
pub fn categories(text: &str) -> Vec<Vec<String>> {
    let by_comma = parts(text, |c| c == ',');
    let cells = match by_comma.iter().all(|part| part.contains('>')) {
        true => by_comma,
        false => vec![text],
    };
    let cells = cells.into_iter().flat_map(|part| parts(part, |c| matches!(c, '|' | ';')));
    let path = |part: &str| -> Vec<String> {
        let levels: Vec<&str> =
            if part.contains('>') { part.split('>').collect() } else { part.split('/').collect() };
        levels.into_iter().map(unescaped).filter(|level| !level.is_empty()).collect()
    };
    cells.map(path).filter(|path| !path.is_empty()).collect()
}

/// The numbers of a vector: a JSON list, or numbers with blanks, semicolons or bars between. A comma outside of brackets may be a decimal
/// mark and is refused.
pub fn vector(text: &str) -> Result<Vec<f32>, String> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| {
            format!("embedding is no JSON list of numbers: {}", plain_words(&error.to_string()))
        });
    }
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '|'));
    let number = |part: &str| {
        part.parse::<f32>().map_err(|_| {
            format!("embedding is a JSON list of numbers such as [0.1, -2], or numbers with blanks between: {part:?}")
        })
    };
    parts.filter(|part| !part.is_empty()).map(number).collect()
}

/// The first of the addresses in a cell: they are apart by commas, bars, semicolons or blanks, perhaps as a JSON list.
pub fn first_address(text: &str) -> &str {
    let text = text.trim_start_matches(['[', '"', '\'', ' ']);
    let is_separator = |c: char| matches!(c, ',' | '|' | ';') || c.is_whitespace();
    // Addresses may have commas of their own: behind one that separates, a blank or another address begins.
    let ends = |at: usize, c: char| {
        let rest = text.get(at + c.len_utf8()..).unwrap_or_default();
        ["http://", "https://", "/", " "].iter().any(|begin| rest.starts_with(begin))
    };
    let mut places = text.char_indices();
    let end = places.find(|(at, c)| {
        matches!(c, '"' | '\'' | ']') || c.is_whitespace() || is_separator(*c) && ends(*at, *c)
    });
    text.get(..end.map_or(text.len(), |(at, _)| at)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_a_list_or_numbers_with_blanks_between() {
        for text in ["[0.5,-2, 1e-3]", "0.5 -2  1e-3", "0.5;-2;0.001", " [0.5, -2.0, 0.001] "] {
            assert_eq!(vector(text).as_deref(), Ok(&[0.5, -2.0, 0.001][..]), "{text}");
        }
        for text in ["0,5 -2", "[0.5", "[\"a\"]", "0.5,2", "{}"] {
            assert!(vector(text).unwrap_err().contains("JSON list"), "{text}");
        }
    }

    #[test]
    fn a_separator_behind_a_backslash_is_part_of_a_name() {
        assert_eq!(categories("Food\\, Beverages > Tea"), [["Food, Beverages", "Tea"]]);
        assert_eq!(categories("A > Food\\, B > C"), [["A", "Food, B", "C"]]);
        assert_eq!(parts("fresh\\, green,new", |c| c == ','), ["fresh\\, green", "new"]);
        assert_eq!(
            (unescaped("fresh\\, green").as_str(), unescaped("a\\b").as_str()),
            ("fresh, green", "a\\b")
        );
    }

    #[test]
    fn several_paths_in_one_cell_are_apart() {
        for (text, expected) in [
            (
                "Clothing > Tshirts, Clothing > Hoodies",
                vec![vec!["Clothing", "Tshirts"], vec!["Clothing", "Hoodies"]],
            ),
            ("Watches > Dive", vec![vec!["Watches", "Dive"]]),
            ("Watches/Dive", vec![vec!["Watches", "Dive"]]),
            ("Shoes|Sale", vec![vec!["Shoes"], vec!["Sale"]]),
            ("A > B ; A > C", vec![vec!["A", "B"], vec!["A", "C"]]),
            ("Food, Beverages & Tobacco > Tea", vec![vec!["Food, Beverages & Tobacco", "Tea"]]),
            ("Audio/Video > TVs", vec![vec!["Audio/Video", "TVs"]]),
            (" > ", vec![]),
        ] {
            assert_eq!(categories(text), expected, "{text}");
        }
    }

    #[test]
    fn the_first_address_of_a_list_counts() {
        let (a, b) = ("https://x.example/a.png", "https://x.example/b.png");
        for list in [
            format!("{a}, {b}"),
            format!("{a},{b}"),
            format!("{a}|{b}"),
            format!("{a} {b}"),
            format!("[\"{a}\", \"{b}\"]"),
            a.to_owned(),
        ] {
            assert_eq!(first_address(&list), a, "{list}");
        }
        let one = "https://x.example/w_100,h_200/a.png";
        assert_eq!(first_address(one), one);
        assert_eq!(first_address("/a.png, /b.png"), "/a.png");
        assert_eq!(first_address("a.png, b.png"), "a.png");
    }
}
