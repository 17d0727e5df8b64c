//! Categories for a catalogue that has none, from the words of its titles.
//!
//! The last noun of an English product title is what the thing is: "white hanging heart T-light HOLDER", "jumbo BAG
//! red retrospot" once colours, sizes and patterns at the end are passed over. A word is taken for the name of a
//! category if it heads enough titles (one in 450 of the catalogue, at least 3) and ends at least a third of the
//! titles in which it occurs at all, which words for motifs and materials don't. An item belongs to the last such word
//! of its title; without one it has no category. On Online Retail this gives some 80 categories ("Bags",
//! "Candles", "Holders") to seven in ten of 3,800 items.

use std::collections::{HashMap, HashSet};

/// A word names a category only if it heads this part of the titles.
const MIN_SHARE: f64 = 1.0 / 450.0;
/// And at least this many.
const MIN_TITLES: usize = 3;
/// And ends this part of the titles in which it occurs.
const MIN_HEAD_RATIO: f64 = 1.0 / 3.0;

/// Words a title may end in that are no category: colours, sizes, patterns, motifs, occasions.
const MODIFIERS: &str = "AMBER AMETHYST AQUA BLACK BLUE BRONZE BROWN CLEAR COLOUR COLOURED COPPER CREAM GOLD GREEN GREY \
    IVORY LILAC MINT MULTICOLOUR NATURAL OLIVE ORANGE PINK PURPLE RED RUBY SILVER TURQUOISE WHITE YELLOW \
    ASSORTED ASST GIANT JUMBO LARGE LONG MEDIUM MINI OVAL ROUND SHORT SMALL SQUARE TALL PCS PIECE \
    ANTIQUE ARTIFICIAL BAROQUE CHECK DESIGN DOT DOTTY EDWARDIAN FELT FINISH FLOCK FLORAL FONT FRENCH GINGHAM HANGING LONDON PAINTED \
    PAISLEY POLKADOT RETRO RETROSPOT SCANDISPOT SPOT STRIPE STYLE VINTAGE WOODEN \
    APPLE BABUSHKA BIRD BUNNY BUTTERFLY CAT CHARLIE CHICK CHICKEN DAISY DOG DOLLY FAIRY FLOWER HEART HEN LEAF LOLA OWL PARADE \
    RABBIT ROSE SKULL SPACEBOY STAR STRAWBERRY SWEETHEART TOADSTOOL WOODLAND \
    BIRTHDAY BOY CHILDREN CHOCOLATE CHRISTMAS COSY COTTAGE EASTER GARDEN GIRL HOME KITCHEN LACE LOVE MAGIC PANTRY PARTY SETTING SWEET WICKER";

/// Words after which a title says what comes with the thing or what it is for.
const ASIDES: [&str; 6] = ["WITH", "IN", "FOR", "FROM", "W", "ON"];

/// A category for each title, in order; `None` for those whose head word is rare. O(number of words).
pub fn categorise(titles: &[Option<String>]) -> Vec<Option<String>> {
    let modifiers: HashSet<String> = MODIFIERS.split_whitespace().map(singular).collect();
    let titles: Vec<Vec<String>> =
        titles.iter().map(|title| nouns(title.as_deref().unwrap_or(""), &modifiers)).collect();
    let mut heads: HashMap<&str, usize> = HashMap::new();
    let mut all: HashMap<&str, usize> = HashMap::new();
    for title in &titles {
        if let Some(head) = title.last() {
            *heads.entry(head).or_default() += 1;
        }
        for word in title.iter().collect::<HashSet<_>>() {
            *all.entry(word).or_default() += 1;
        }
    }
    let enough = MIN_TITLES.max((titles.len() as f64 * MIN_SHARE).ceil() as usize);
    let names: HashSet<&str> = heads
        .into_iter()
        .filter(|(word, n)| {
            let of = all.get(word).copied().unwrap_or(0);
            *n >= enough && *n as f64 >= of as f64 * MIN_HEAD_RATIO
        })
        .map(|(word, _)| word)
        .collect();
    titles
        .iter()
        .map(|title| title.iter().rev().find(|word| names.contains(word.as_str())).map(|word| plural(word)))
        .collect()
}

/// Words of the thing itself, in the singular, without modifiers at the end.
fn nouns(title: &str, modifiers: &HashSet<String>) -> Vec<String> {
    let mut words = Vec::new();
    let upper = title.to_uppercase();
    let main = upper.split([',', '(']).next().unwrap_or("");
    for word in main.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\'')) {
        let word = word.trim_matches(['-', '\'']);
        if ASIDES.contains(&word) && !words.is_empty() {
            break;
        }
        // "SET OF 6", "40CM", "PC" and single letters name nothing.
        if word.chars().count() > 2 && !word.contains(|c: char| c.is_ascii_digit()) {
            words.push(singular(word));
        }
    }
    while words.last().is_some_and(|word| modifiers.contains(word)) {
        words.pop();
    }
    words
}

/// "BOXES" → "BOX", "LILIES" → "LILY", "CARDS" → "CARD"; "GLASS" and "CHRISTMAS" stay.
fn singular(word: &str) -> String {
    let word = word.strip_suffix("'S").unwrap_or(word);
    if word.len() <= 3 || word.ends_with("SS") || word.ends_with("US") || word.ends_with("AS") {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("IES")
        && stem.len() > 2
    {
        return format!("{stem}Y");
    }
    for ending in ["SSES", "SHES", "CHES", "XES"] {
        if word.ends_with(ending) {
            return word.strip_suffix("ES").unwrap_or(word).to_owned();
        }
    }
    word.strip_suffix('S').unwrap_or(word).to_owned()
}

/// "BOX" → "Boxes": the name of the category.
fn plural(word: &str) -> String {
    let lower = word.to_lowercase();
    let mut letters = lower.chars();
    let capital: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    if word == "CUTLERY" || word == "BUNTING" || word == "INCENSE" {
        return capital;
    }
    if let Some(stem) = capital.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'o', 'u'])
    {
        return format!("{stem}ies");
    }
    let hisses = ["s", "x", "ch", "sh"].iter().any(|ending| capital.ends_with(ending));
    format!("{capital}{}", if hisses { "es" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(titles: &[&str]) -> Vec<Option<String>> {
        categorise(&titles.iter().map(|title| Some((*title).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn the_head_noun_is_found_behind_colours_and_before_what_comes_with_it() {
        let found = categories(&[
            "JUMBO BAG RED RETROSPOT",
            "LUNCH BAG",
            "BAGS WITH POLKADOTS",
            "PINK BAG (SMALL)",
            "GLASS JAR",
            "WALL CLOCK",
        ]);
        let bags = Some("Bags".to_owned());
        assert_eq!(found, [bags.clone(), bags.clone(), bags.clone(), bags, None, None]);
    }

    #[test]
    fn a_word_that_mostly_stands_before_another_is_no_category() {
        let mut titles = vec!["CHILDREN TEA", "ENGLISH TEA", "ROSE TEA"];
        titles.extend(["TEA TOWEL"; 7]);
        let found = categories(&titles);
        assert_eq!(found[0], None);
        assert_eq!(found[9].as_deref(), Some("Towels"));
    }

    #[test]
    fn no_title_no_category() {
        assert_eq!(categorise(&[None, Some(String::new()), Some("60 CM".into())]), [None, None, None]);
        assert_eq!(categorise(&[]), Vec::<Option<String>>::new());
    }

    #[test]
    fn one_and_many() {
        for (many, one, name) in [
            ("BOXES", "BOX", "Boxes"),
            ("DOILIES", "DOILY", "Doilies"),
            ("CARDS", "CARD", "Cards"),
            ("GLASSES", "GLASS", "Glasses"),
            ("TRAYS", "TRAY", "Trays"),
            ("DISHES", "DISH", "Dishes"),
            ("CASES", "CASE", "Cases"),
        ] {
            assert_eq!(singular(many), one);
            assert_eq!(singular(one), one);
            assert_eq!(plural(one), name);
        }
    }
}
