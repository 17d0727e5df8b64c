//! Placements: places of a shop where lists stand, each with filters, rules and a fallback of its own.

use serde::{Deserialize, Serialize};

use crate::base::{Timestamp, ZonedMoment};

use super::item_filter::{FilterError, ItemFilter};

/// Most items of a list.
pub const MAX_N: usize = 200;
/// Most rules of a placement.
pub const MAX_RULES: usize = 32;
/// Longest name of a placement or a rule, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Kind of items that a list is to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    /// Items that the user has not had to do with, and consumable ones that are due again.
    #[default]
    New,
    /// Items to go on with: carted, liked or viewed again and again and not bought, or bought and due again.
    Continue,
    /// Both, in the order in which they are likely to be turned to; where that could not be learnt, every third place for what to go
    /// on with.
    Both,
}

impl Wants {
    /// Returns whether it is what lists hold where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether it wants items to go on with.
    pub fn continues(self) -> bool {
        self != Self::New
    }

    /// Returns whether it wants items that the user has not had to do with.
    pub fn news(self) -> bool {
        self != Self::Continue
    }
}

/// Items by what is on hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Stock {
    /// Only what can be bought now.
    #[default]
    In,
    /// Sold-out items, too.
    Any,
}

/// Filler of a list that is too short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// The most popular items.
    Popular,
    /// The newest items.
    Newest,
    /// The most popular items of a category, then its newest.
    #[serde(deserialize_with = "path")]
    Category(Vec<String>),
}

fn path<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(crate::catalogue::category_path(deserializer)?.unwrap_or_default())
}

/// One rule: which items, what happens to them, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementRule {
    /// Name of the rule in answers.
    pub name: String,
    /// Items that it is about.
    pub filter: ItemFilter,
    /// Place from 1 at which the first of them stands; the others follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<usize>,
    /// Share by which their scores rise, 0…10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost: Option<f32>,
    /// Share by which their scores fall, 0…1; 1 puts them last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bury: Option<f32>,
    /// Takes them out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove: bool,
    /// Most items pinned; absent = as many as the filter names, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
    /// First moment of the rule; absent = always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ZonedMoment>,
    /// Moment at which it ends; absent = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<ZonedMoment>,
}

/// Effect of a rule on its items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Stands at this place, from 0.
    Pin(usize),
    /// Scores are multiplied by this.
    Weigh(f32),
    /// Is taken out.
    Remove,
}

/// Part of a placement that put an item where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// A rule, by its place among the placement's rules.
    Rule(u8),
    /// A fallback, by its place among the placement's fallbacks.
    Fallback(u8),
}

/// A placement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name by which requests ask for it.
    pub name: String,
    /// Version of the definition; 0 for one that ships.
    #[serde(skip)]
    pub version: i32,
    /// Items of a list where the request does not say, 1…200.
    #[serde(default = "ten")]
    pub n: usize,
    /// Kind of items that it is to hold.
    #[serde(default)]
    pub wants: Wants,
    /// Items that may stand there.
    #[serde(default, skip_serializing_if = "ItemFilter::is_empty")]
    pub filter: ItemFilter,
    /// Items by what is on hand.
    #[serde(default)]
    pub stock: Stock,
    /// Rules, in order; of two pins for one place the later moves on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PlacementRule>,
    /// As `recommend.diversity`, 0…0.9; absent = that setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f64>,
    /// Most items of one category path while there are others; absent = any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_category: Option<usize>,
    /// Fillers of a list that is too short, in order; an empty list leaves it short.
    #[serde(default = "popular_then_newest")]
    pub fallback: Vec<Fallback>,
}

fn ten() -> usize {
    10
}

fn popular_then_newest() -> Vec<Fallback> {
    vec![Fallback::Popular, Fallback::Newest]
}

impl PlacementRule {
    /// Effect of the rule; `None` unless it is exactly one.
    pub fn action(&self) -> Option<Action> {
        let pin = self.pin.map(|place| Action::Pin(place.saturating_sub(1)));
        let boost = self.boost.map(|share| Action::Weigh(1.0 + share));
        let bury = self.bury.map(|share| Action::Weigh(1.0 - share));
        let mut all = [pin, boost, bury, self.remove.then_some(Action::Remove)].into_iter().flatten();
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }

    /// Returns whether it is in force.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.from.as_ref().is_none_or(|from| from.at() <= now)
            && self.until.as_ref().is_none_or(|until| now < until.at())
    }

    /// Most items that it pins.
    pub fn most_pinned(&self) -> usize {
        self.most.unwrap_or(self.filter.items.len().max(1))
    }

    fn validate(&self) -> Result<(), FilterError> {
        let fail = |field, message: &str| {
            Err(FilterError { field, message: format!("rule \"{}\": {message}", self.name) })
        };
        if !is_name(&self.name) {
            return fail("rules", "its name needs 1…64 bytes without control characters");
        }
        self.filter.validate().or_else(|error| fail("rules", &error.to_string()))?;
        if self.action().is_none() {
            return fail("rules", "needs exactly one of pin, boost, bury and remove");
        }
        if self.filter.is_empty() {
            return fail("rules", "its filter must name something: as it is, it would hold for every item");
        }
        if self.pin.is_some_and(|place| !(1..=MAX_N).contains(&place)) {
            return fail("rules", "pin must be a place 1…200");
        }
        if self.boost.is_some_and(|share| !(0.0..=10.0).contains(&share)) {
            return fail("rules", "boost must be 0…10");
        }
        if self.bury.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return fail("rules", "bury must be 0…1");
        }
        if self.most.is_some_and(|most| !(1..=MAX_N).contains(&most))
            || (self.most.is_some() && self.pin.is_none())
        {
            return fail("rules", "most must be 1…200, and goes with pin only");
        }
        match (&self.from, &self.until) {
            (Some(from), Some(until)) if from.at() >= until.at() => {
                fail("rules", "from must be before until")
            }
            _ => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control)
}

impl Placement {
    /// Without rules.
    pub fn plain(name: &str, n: usize, wants: Wants) -> Self {
        Self {
            name: name.to_owned(),
            version: 0,
            n,
            wants,
            filter: ItemFilter::NONE,
            stock: Stock::In,
            rules: Vec::new(),
            diversity: None,
            max_per_category: None,
            fallback: popular_then_newest(),
        }
    }

    /// Checks every bound.
    pub fn validate(&self) -> Result<(), FilterError> {
        let fail = |field, message: &str| Err(FilterError { field, message: message.to_owned() });
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !is_name(&self.name) || !self.name.bytes().all(is_plain) {
            return fail("name", "1…64 letters, digits and _ - . only");
        }
        if !(1..=MAX_N).contains(&self.n) {
            return fail("n", "must be 1…200");
        }
        self.filter.validate().or_else(|error| fail("filter", &error.to_string()))?;
        if self.rules.len() > MAX_RULES {
            return fail("rules", "at most 32");
        }
        self.rules.iter().try_for_each(PlacementRule::validate)?;
        let mut names: Vec<&str> = self.rules.iter().map(|rule| rule.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return fail("rules", "two rules have the same name");
        }
        if self.diversity.is_some_and(|share| !(0.0..=0.9).contains(&share)) {
            return fail("diversity", "must be 0…0.9");
        }
        if self.max_per_category.is_some_and(|most| !(1..=MAX_N).contains(&most)) {
            return fail("max_per_category", "must be 1…200");
        }
        if self.fallback.len() > 8 || self.fallback.contains(&Fallback::Category(Vec::new())) {
            return fail("fallback", "at most 8, and a category needs a name");
        }
        Ok(())
    }

    /// Returns whether items that are sold out may stand there.
    pub fn any_stock(&self) -> bool {
        self.stock == Stock::Any
    }

    /// Name of the part that touched an item: of a rule, or `fallback:popular`.
    pub fn name_of(&self, touch: Touch) -> Option<String> {
        match touch {
            Touch::Rule(place) => self.rules.get(usize::from(place)).map(|rule| rule.name.clone()),
            Touch::Fallback(place) => {
                let fallback = self.fallback.get(usize::from(place))?;
                Some(match fallback {
                    Fallback::Popular => "fallback:popular".to_owned(),
                    Fallback::Newest => "fallback:newest".to_owned(),
                    Fallback::Category(path) => format!("fallback:category {}", path.join(" > ")),
                })
            }
        }
    }

    /// Filters of the rules that remove, now.
    pub fn removing(&self, now: Timestamp) -> impl Iterator<Item = &ItemFilter> {
        let active = self.rules.iter().filter(move |rule| rule.remove && rule.is_active(now));
        active.map(|rule| &rule.filter)
    }
}

/// Placements that the server ships: home page, item page, cart and e-mail.
pub fn defaults() -> Vec<Placement> {
    vec![
        Placement { max_per_category: Some(4), ..Placement::plain("home", 10, Wants::Both) },
        Placement::plain("item", 10, Wants::New),
        Placement::plain("cart", 6, Wants::New),
        Placement { max_per_category: Some(3), ..Placement::plain("email", 6, Wants::Both) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn placement(rule: serde_json::Value) -> Result<Placement, String> {
        let body = json!({"name": "home", "rules": [rule]});
        let placement: Placement = serde_json::from_value(body).map_err(|error| error.to_string())?;
        placement.validate().map_err(|error| error.to_string())?;
        Ok(placement)
    }

    #[test]
    fn the_shipped_ones_are_valid_and_read_back_as_written() {
        for placement in defaults() {
            placement.validate().unwrap();
            let text = serde_json::to_string(&placement).unwrap();
            assert_eq!(serde_json::from_str::<Placement>(&text).unwrap(), placement);
        }
    }

    #[test]
    fn a_rule_holds_from_its_start_to_its_end() {
        let berlin = placement(json!({"name": "advent", "filter": {"tags": ["advent"]}, "boost": 1.0,
            "from": "2026-11-29T00:00[Europe/Berlin]", "until": "2026-12-24T18:00:00+01:00"}))
        .unwrap();
        let rule = &berlin.rules[0];
        let at = |text: &str| Timestamp::parse(text).unwrap();
        assert!(!rule.is_active(at("2026-11-28T22:59:59Z")) && rule.is_active(at("2026-11-28T23:00:00Z")));
        assert!(rule.is_active(at("2026-12-24T16:59:59Z")) && !rule.is_active(at("2026-12-24T17:00:00Z")));
        assert_eq!(rule.action(), Some(Action::Weigh(2.0)));
    }

    #[test]
    fn a_rule_that_can_not_be_meant_is_refused_with_its_name() {
        let tagged = json!({"tags": ["sale"]});
        for (rule, message) in [
            (json!({"name": "a", "filter": tagged}), "needs exactly one of pin, boost, bury and remove"),
            (json!({"name": "a", "filter": tagged, "pin": 1, "boost": 1.0}), "needs exactly one of"),
            (json!({"name": "a", "filter": {}, "boost": 1.0}), "would hold for every item"),
            (json!({"name": "a", "filter": tagged, "pin": 0}), "a place 1…200"),
            (json!({"name": "a", "filter": tagged, "boost": 11.0}), "boost must be 0…10"),
            (json!({"name": "a", "filter": tagged, "bury": 1.5}), "bury must be 0…1"),
            (json!({"name": "a", "filter": tagged, "bury": 0.5, "most": 2}), "goes with pin only"),
            (json!({"name": "a", "filter": {"min_price": -1.0}, "remove": true}), "rule \"a\": min_price"),
            (
                json!({"name": "a", "filter": tagged, "remove": true, "from": "2026-12-01T00:00:00"}),
                "time zone",
            ),
            (
                json!({"name": "a", "filter": tagged, "remove": true, "from": "2026-12-02T00:00:00Z",
                "until": "2026-12-01T00:00:00Z"}),
                "from must be before until",
            ),
            (json!({"name": "a", "filter": tagged, "buried": 0.5}), "unknown field `buried`"),
        ] {
            let error = placement(rule.clone()).unwrap_err();
            assert!(error.contains(message), "{rule}: {error}");
        }
    }
}
