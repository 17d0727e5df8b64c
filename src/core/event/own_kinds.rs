//! Kinds of events that a shop defines itself, by name. Each has a weight as a sign of interest, which the event carries along,
//! so that profiles and models count it without asking for its name.

use super::kind::{EventKind, OwnKind};
use crate::base::nearest;

/// One kind of the shop's own.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    name: String,
    kind: OwnKind,
    /// Events of it are accepted; one that was taken out of the configuration is only read.
    is_active: bool,
}

/// The kinds of the shop's own, beside the built-in ones. Empty by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnKinds(Vec<Named>);

impl OwnKinds {
    /// None.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// Adds a kind that is accepted (`is_active`) or only read.
    pub fn add(&mut self, name: &str, kind: OwnKind, is_active: bool) {
        self.0.retain(|known| known.kind.code() != kind.code() && known.name != name);
        self.0.push(Named { name: name.to_owned(), kind, is_active });
    }

    /// The kind of this name, built-in or accepted; else what to say about it, with the nearest name.
    pub fn find(&self, name: &str) -> Result<EventKind, String> {
        let own = || self.0.iter().find(|known| known.is_active && known.name == name);
        if let Some(kind) =
            EventKind::from_name(name).or_else(|| own().map(|known| EventKind::Own(known.kind)))
        {
            return Ok(kind);
        }
        let names = self.names();
        let meant = nearest(name, names.iter().copied());
        let meant = meant.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Err(format!("must be one of {}{meant}", names.join(", ")))
    }

    /// Names of the built-in kinds, and of those that are accepted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        names.extend(self.0.iter().filter(|known| known.is_active).map(|known| known.name.as_str()));
        names
    }

    /// The name of a kind; of one that nobody knows any more `own`.
    pub fn name_of(&self, kind: EventKind) -> &str {
        let EventKind::Own(own) = kind else { return kind.name() };
        self.0.iter().find(|known| known.kind.code() == own.code()).map_or("own", |known| &known.name)
    }

    /// From the code in the database; `None` for one that is neither built in nor known here.
    pub fn from_code(&self, code: i16) -> Option<EventKind> {
        let own = || self.0.iter().find(|known| known.kind.code() == code);
        EventKind::from_code(code).or_else(|| own().map(|known| EventKind::Own(known.kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_name_and_code() {
        let mut kinds = OwnKinds::default();
        kinds.add("wishlist", OwnKind::new(100, 0.5, true), true);
        kinds.add("quiz", OwnKind::new(101, 0.0, false), false);
        let wishlist = kinds.find("wishlist").unwrap();
        assert_eq!((wishlist.code(), wishlist.interest(), wishlist.needs_item()), (100, 0.5, true));
        assert_eq!(kinds.from_code(100), Some(wishlist));
        assert_eq!(kinds.name_of(wishlist), "wishlist");
        assert_eq!(kinds.find("view"), Ok(EventKind::View));
        assert_eq!(kinds.find("wish_list").unwrap_err().split("; ").last(), Some("did you mean wishlist?"));
        // Taken out of the configuration: read, and no longer accepted.
        assert!(kinds.find("quiz").is_err());
        assert_eq!(kinds.from_code(101).map(|kind| kinds.name_of(kind).to_owned()).as_deref(), Some("quiz"));
        assert_eq!(kinds.from_code(150), None);
        assert!(OwnKinds::default().find("dance").unwrap_err().starts_with("must be one of view, search"));
    }
}
