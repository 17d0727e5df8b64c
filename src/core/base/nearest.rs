//! The nearest of some known names to one that is not among them, for error messages that suggest what was meant.

/// The name at the least edit distance from `word`, ignoring case, ties to the first. Not if more than a third of its characters
/// (at least one, for names of three and more) would have to change: then the name that begins with the word, or with which the
/// word begins, up to a `_`. `None` without either. O(names · length²).
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let names: Vec<&'a str> = names.into_iter().collect();
    least_distant(word, &names).or_else(|| {
        let word = word.to_lowercase();
        let begins = |whole: &str, part: &str| {
            part.len() >= 3 && whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('_'))
        };
        names.into_iter().find(|name| begins(name, &word) || begins(&word, name))
    })
}

fn least_distant<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).take(64).collect();
    let allowed = (word.len() / 3).max(usize::from(word.len() >= 3));
    names
        .iter()
        .map(|name| (distance(&word, &name.chars().flat_map(char::to_lowercase).collect::<Vec<_>>()), *name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut left_of_a = None;
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left_of_b = None;
        for (j, &to) in b.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut least =
                (at(&last, j) + usize::from(from != to)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if left_of_a == Some(to) && left_of_b == Some(from) && j > 0 {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
            left_of_b = Some(to);
        }
        before = std::mem::replace(&mut last, row);
        left_of_a = Some(from);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["item", "items", "user", "count", "price_before"];
        for (word, expected) in [
            ("itm", Some("item")),
            ("itmes", Some("items")),
            ("Item", Some("item")),
            ("coutn", Some("count")),
            ("pricebefore", Some("price_before")),
            ("price", Some("price_before")),
            ("user_name", Some("user")),
            ("customer", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }
}
