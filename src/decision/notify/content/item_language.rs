//! Language in which a reader sees items: the closest of those that an item has words in.

use tidings_core::catalogue::Item;

use super::languages::{Language, closest};

/// Wish of one reader.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemLanguage {
    tag: String,
    wanted: Option<Language>,
}

impl ItemLanguage {
    /// From a BCP 47 tag; without one, or with one that names no language, items are shown in their own.
    pub fn of(locale: Option<&str>) -> Self {
        let tag = locale.unwrap_or_default();
        Self { tag: tag.to_owned(), wanted: Language::parse(tag) }
    }

    /// Tag of the closest language of an item; `None` = the item's own words. O(languages of the item).
    pub fn choose<'a>(&self, item: &'a Item) -> Option<&'a str> {
        let wanted = self.wanted.as_ref()?;
        // What most shops say needs no look into the tables of languages.
        if let Some(same) = item.languages().find(|tag| tag.eq_ignore_ascii_case(&self.tag)) {
            return Some(same);
        }
        let (tags, offered): (Vec<&str>, Vec<Language>) =
            item.languages().filter_map(|tag| Some((tag, Language::parse(tag)?))).unzip();
        tags.get(closest(wanted, &offered)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::{ExternalId, ItemId, Timestamp};
    use tidings_core::catalogue::{Local, LocalPrices, Translation};

    #[test]
    fn the_closest_language_is_chosen_and_the_own_one_where_none_is() {
        let words = |tag: &str| (tag.to_owned(), Translation::default());
        let translations = ["de", "de-CH", "pt-PT", "zh-Hant"].map(words).into();
        let named = Item::named(ItemId(0), ExternalId::Integer(0), Timestamp::from_seconds(0));
        let item = Item { local: Local::of(translations, LocalPrices::new()), ..named };
        for (locale, expected) in [
            (Some("DE"), Some("de")),
            (Some("de-AT"), Some("de")),
            (Some("de-CH"), Some("de-CH")),
            (Some("pt-BR"), Some("pt-PT")),
            (Some("zh-TW"), Some("zh-Hant")),
            (Some("fr"), None),
            (Some("!"), None),
            (None, None),
        ] {
            assert_eq!(ItemLanguage::of(locale).choose(&item), expected, "{locale:?}");
        }
    }
}
