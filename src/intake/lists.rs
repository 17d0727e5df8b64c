//! Several things in one cell: category paths, addresses of pictures.

use super::fields::tidy;

/// The category paths of a cell, each from general to special. `A > B` and `A/B` are one path; several are apart by `|` or `;`, or
/// by commas where each part is a path with `>` (`Clothing > Tshirts, Clothing > Hoodies`), since commas stand in names as well.
pub fn categories(text: &str) -> Vec<Vec<String>> {
    let by_comma: Vec<&str> = text.split(',').collect();
    let parts: Vec<&str> = match by_comma.iter().all(|part| part.contains('>')) {
        true => by_comma,
        false => text.split(['|', ';']).collect(),
    };
    let parts = parts.into_iter().flat_map(|part| part.split(['|', ';']));
    let path = |part: &str| -> Vec<String> {
        let levels: Vec<&str> =
            if part.contains('>') { part.split('>').collect() } else { part.split('/').collect() };
        levels.into_iter().map(tidy).filter(|level| !level.is_empty()).collect()
    };
    parts.map(path).filter(|path| !path.is_empty()).collect()
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
