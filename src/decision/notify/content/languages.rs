//! Language matching: the closest of the languages that a template has to the one that a reader wants.
//!
//! BCP 47 lookup (RFC 4647 §3.4) alone finds no `zh-hant` for `zh-TW` and no `pt-pt` for `pt-AO`: both sides are completed by
//! CLDR's likely subtags (`zh-TW` is `zh-Hant-TW`) and compared along CLDR's parents (`en-AU` → `en-001` → `en`), after UTS #35
//! §4.4. Extensions (`-u-co-phonebk`) say nothing of the language and are ignored. ICU4X holds the data.

use icu_locale::fallback::LocaleFallbacker;
use icu_locale::{DataLocale, LanguageIdentifier, Locale, LocaleCanonicalizer, LocaleExpander};

/// Longest tag that is looked at, bytes; RFC 5646 §4.4.1 asks for 35 at least.
const MAX_TAG_BYTES: usize = 64;

/// Languages whose readers read the other as well: desired, supported. CLDR's `languageMatching` up to a distance of 10, in
/// its order, and the two written forms of Norwegian.
const RELATED: [(&str, &str); 16] = [
    ("nb", "no"),
    ("no", "nb"),
    ("nn", "nb"),
    ("nn", "no"),
    ("nb", "nn"),
    ("no", "nn"),
    ("hr", "bs"),
    ("bs", "hr"),
    ("sr", "bs"),
    ("bs", "sr"),
    ("gsw", "de"),
    ("lb", "de"),
    ("da", "no"),
    ("da", "nb"),
    ("no", "da"),
    ("nb", "da"),
];

/// A language tag, prepared for matching.
#[derive(Clone, Debug, PartialEq)]
pub struct Language {
    /// Canonical, without extensions: `zh-TW`.
    tag: LanguageIdentifier,
    /// With likely script and region: `zh-Hant-TW`.
    full: LanguageIdentifier,
    /// The tag and its parents, narrow to wide, each with likely script and region.
    parents: Vec<LanguageIdentifier>,
}

/// Returns whether a text is the tag of a language, for what is stored as a user's: at most 64 bytes, and its language of two or three
/// letters, as all that are registered. Reading a tag ([`Language::parse`]) is more lenient.
pub fn is_language_tag(text: &str) -> bool {
    text.len() <= MAX_TAG_BYTES
        && !text.chars().any(char::is_control)
        && canonical(text).is_some_and(|tag| tag.language.as_str().len() <= 3)
}

/// Distance of two languages; less is closer. `None` for different languages.
type Distance = (u8, usize, usize, bool);

impl Language {
    /// Reads a tag as clients send it: `de-AT-u-co-phonebk`, `pt_BR`, `en_US.UTF-8`. `None` if it names no language.
    pub fn parse(tag: &str) -> Option<Self> {
        let tag = canonical(tag)?;
        let expander = LocaleExpander::new_extended();
        let full = |mut tag: LanguageIdentifier| {
            expander.maximize(&mut tag);
            tag
        };
        let parents = parents(&tag).map(&full).collect();
        Some(Self { full: full(tag.clone()), tag, parents })
    }

    /// Returns whether both are of one language, whatever script and region.
    pub fn is_same_language(&self, other: &Self) -> bool {
        self.full.language == other.full.language
    }

    fn distance(&self, offered: &Self) -> Option<Distance> {
        let other_tag = self.tag != offered.tag;
        if !self.is_same_language(offered) {
            let pair = (self.full.language.as_str(), offered.full.language.as_str());
            return RELATED.iter().position(|related| *related == pair).map(|place| (3, place, 0, other_tag));
        }
        if self.full.script != offered.full.script {
            return Some((2, 0, 0, other_tag));
        }
        let common = self.parents.iter().enumerate().find_map(|(up, parent)| {
            let down = offered.parents.iter().position(|other| other == parent)?;
            Some((0, up, down, other_tag))
        });
        Some(common.unwrap_or((1, 0, 0, other_tag)))
    }
}

/// A tag in its canonical form, without extensions: `he` for `iw`. `None` if it names no language.
pub(super) fn canonical(tag: &str) -> Option<LanguageIdentifier> {
    let mut locale = parse(tag).filter(|locale| !locale.id.language.is_unknown())?;
    LocaleCanonicalizer::new_extended().canonicalize(&mut locale);
    Some(locale.id)
}

/// The tag and its parents in CLDR, narrow to wide, without the root: `en-AU`, `en-001`, `en`.
pub(super) fn parents(tag: &LanguageIdentifier) -> impl Iterator<Item = LanguageIdentifier> + use<> {
    let fallbacker = LocaleFallbacker::new().for_config(Default::default());
    let mut fallback = fallbacker.fallback_for(DataLocale::from(tag));
    let all = std::iter::from_fn(move || {
        // The root has no parent to step to.
        let next = (!fallback.get().is_unknown()).then(|| fallback.get().into_locale().id)?;
        fallback.step();
        Some(next)
    });
    all.take(8)
}

/// Parses what can be parsed of a tag, leaving off its end.
fn parse(tag: &str) -> Option<Locale> {
    let tag = tag.trim().split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    let mut rest = tag.get(..tag.len().min(MAX_TAG_BYTES)).unwrap_or_default();
    while !rest.is_empty() {
        if let Ok(locale) = Locale::try_from_str(rest) {
            return Some(locale);
        }
        rest = rest.rsplit_once('-').map_or("", |(before, _)| before);
    }
    None
}

/// The place of the offered language that is closest to the wanted one: the same tag, else the same language in the same
/// script, with the nearest common parent, else in another script, else a related language. `None` if there is no such
/// language. O(offered).
pub fn closest<'a>(wanted: &Language, offered: impl IntoIterator<Item = &'a Language>) -> Option<usize> {
    let distances =
        offered.into_iter().enumerate().filter_map(|(place, one)| Some((wanted.distance(one)?, place)));
    distances.min().map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn match_of<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
        let languages: Vec<Language> = offered.iter().map(|tag| Language::parse(tag).unwrap()).collect();
        closest(&Language::parse(wanted)?, &languages).map(|place| offered[place])
    }

    #[test]
    fn the_closest_language_that_is_there_is_chosen() {
        let shop = [
            "en", "de", "de-at", "zh-hant", "zh", "pt-br", "pt-pt", "sr", "sr-latn", "es", "es-419", "en-gb",
            "nb",
        ];
        for (wanted, expected) in [
            ("zh-TW", "zh-hant"),
            ("zh-HK", "zh-hant"),
            ("zh-Hant-MO", "zh-hant"),
            ("zh-CN", "zh"),
            ("zh-SG", "zh"),
            ("cmn", "zh"),
            ("de-AT-u-co-phonebk", "de-at"),
            ("de-CH", "de"),
            ("de-DE-1996", "de"),
            ("gsw", "de"),
            ("pt", "pt-br"),
            ("pt-BR", "pt-br"),
            ("pt_BR.UTF-8", "pt-br"),
            ("pt-AO", "pt-pt"),
            ("sr", "sr"),
            ("sr-RS", "sr"),
            ("sr-ME", "sr-latn"),
            ("sh", "sr-latn"),
            ("es-MX", "es-419"),
            ("es-ES", "es"),
            ("en", "en"),
            ("en-US", "en"),
            ("en-AU", "en-gb"),
            ("no", "nb"),
            ("nn-NO", "nb"),
            ("da", "nb"),
        ] {
            assert_eq!(match_of(wanted, &shop), Some(expected), "{wanted}");
        }
    }

    #[test]
    fn fewer_languages_still_give_the_closest() {
        for (wanted, offered, expected) in [
            ("zh-TW", &["en", "zh"][..], Some("zh")),
            ("zh-TW", &["en", "zh-hk", "zh"], Some("zh-hk")),
            ("pt-BR", &["en", "pt-pt"], Some("pt-pt")),
            ("sr-Latn", &["en", "sr"], Some("sr")),
            ("nb", &["en", "no"], Some("no")),
            ("iw", &["en", "he"], Some("he")),
            ("tl", &["en", "fil"], Some("fil")),
            ("fr-CA", &["en", "fr", "fr-ch"], Some("fr")),
            ("de-AT", &["en", "de-ch"], Some("de-ch")),
            ("ja", &["en", "de"], None),
            ("", &["en"], None),
            ("!!", &["en"], None),
            ("x-private", &["en"], None),
        ] {
            assert_eq!(match_of(wanted, offered), expected, "{wanted} of {offered:?}");
        }
    }

    #[test]
    fn a_users_language_is_one_that_there_may_be() {
        for tag in ["de", "de-AT", "pt_BR.UTF-8", "gsw", "zh-Hant-TW", "de-AT-u-co-phonebk"] {
            assert!(is_language_tag(tag), "{tag}");
        }
        for text in ["", "!!", "german", "x-private", "d", "de\n", &"de-".repeat(30)] {
            assert!(!is_language_tag(text), "{text}");
        }
    }

    #[test]
    fn no_tag_is_too_odd_to_be_read() {
        for tag in
            ["de-AT-u-co-phonebk-x-shop", "de--AT", "de-AT-", "DE", "_", "é", &"de-".repeat(1_000), "de\u{0}"]
        {
            let _ = Language::parse(tag);
        }
        assert_eq!(match_of("de-AT-???", &["de"]), Some("de"));
    }
}
