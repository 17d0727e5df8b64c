//! Reading single fields as people's files write them: plain numbers, ids, kinds, header names.

use tidings_core::base::ExternalId;
use tidings_core::event::EventKind;

/// A finite decimal number; the reason names the column.
pub fn number(text: &str, column: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{column} is not a number: {text:?}")),
    }
}

/// Returns whether a text is a number as spreadsheets shorten long ones, `4,00638E+12`: an id that was saved so has lost its last digits.
pub fn is_shortened(text: &str) -> bool {
    let Some((number, power)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = number.split_once(['.', ',']).unwrap_or((number, ""));
    let is_power = power.strip_prefix('+').is_some_and(|power| power.len() >= 2 && digits(power));
    is_power && whole.len() == 1 && digits(whole) && digits(decimals)
}

/// An id; the reason names the column.
pub fn id(text: &str, column: &str) -> Result<ExternalId, String> {
    if is_shortened(text.trim()) {
        return Err(format!(
            "{column} is a long number that a spreadsheet has shortened, its last digits are lost: format the column as text and \
             export it anew: {text:?}"
        ));
    }
    ExternalId::parse(text.trim()).map_err(|error| format!("{column}: {error}"))
}

/// A kind by our name or by what other systems call it, in any case, with or without `_`, `-` and spaces.
pub fn kind(text: &str) -> Option<EventKind> {
    let name = squeeze(text);
    if let Some(kind) = EventKind::ALL.into_iter().find(|kind| squeeze(kind.name()) == name) {
        return Some(kind);
    }
    Some(match name.as_str() {
        "pageview" | "productview" | "viewitem" | "itemview" | "click" | "detail" => EventKind::View,
        "query" | "sitesearch" => EventKind::Search,
        "cart" | "basket" | "addtobasket" | "addcart" => EventKind::AddToCart,
        "removefrombasket" | "removecart" | "removefromcart" => EventKind::RemoveFromCart,
        "buy" | "bought" | "order" | "sale" | "transaction" | "checkout" => EventKind::Purchase,
        "refund" | "returned" | "cancel" | "cancellation" => EventKind::Return,
        "favourite" | "favorite" | "wishlist" | "bookmark" => EventKind::Like,
        "rating" | "review" | "stars" => EventKind::Rate,
        _ => return None,
    })
}

/// Letters and digits only, lower case: "Customer ID", "customer_id" and "CustomerID" are one header name.
pub fn squeeze(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Runs of white space become one blank, ends are trimmed, control characters go.
pub fn tidy(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_many_names() {
        for (name, expected) in [
            ("view", EventKind::View),
            ("Add-To-Cart", EventKind::AddToCart),
            ("addtocart", EventKind::AddToCart),
            ("transaction", EventKind::Purchase),
            ("REFUND", EventKind::Return),
        ] {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
        assert_eq!(kind("dance"), None);
        assert_eq!(kind(""), None);
    }

    #[test]
    fn an_id_that_lost_its_digits_is_refused() {
        for text in ["4,00638E+12", "4.00638E+12", "4E+12", "4.00638e+12"] {
            assert!(id(text, "item_id").unwrap_err().starts_with("item_id is a long number"), "{text}");
        }
        for text in ["4E12", "85123E2", "12.5E+12", "E+12", "4,0X38E+12", "4E+1", "4006380000000"] {
            assert!(id(text, "item_id").is_ok(), "{text}");
        }
    }

    #[test]
    fn titles_are_tidied() {
        assert_eq!(tidy("  WHITE   METAL\tLANTERN \n"), "WHITE METAL LANTERN");
    }
}
