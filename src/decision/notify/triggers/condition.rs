//! Conditions of triggers.

use serde::{Deserialize, Serialize};

use tidings_core::profile::attributes::MAX_CONDITIONS;
use tidings_core::profile::{AttributeCondition, Attributes, FeatureContext, Profile, SegmentId};

/// Condition of a trigger. Each kind is looked at where its cause happens: in the user's actor, when the catalogue changes, or on
/// request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The user has logged in and waits for an answer.
    Login,
    /// The user has just looked at an item.
    View,
    /// The user has just put an item into the cart.
    Cart,
    /// The same item was looked at so many times within so many minutes, and not bought.
    ViewedOften {
        /// Looks, 2…20.
        times: u32,
        /// Within, 1…10,080 minutes.
        within_min: u64,
    },
    /// An item has been in the cart for so long and was not bought.
    CartLeft {
        /// 1…10,080.
        minutes: u64,
    },
    /// An item of interest costs at least so much less than when the user last had to do with it, and than the lowest price
    /// of the 30 days before the reduction.
    PriceDrop {
        /// 0.1…99.
        percent: f64,
    },
    /// An item of interest can be bought again.
    BackInStock,
    /// A new item in a category that makes up at least this share of the user's interest.
    NewInCategory {
        /// 0.01…1.
        share: f64,
    },
    /// The user is here again after so many days without an event or a connection. Once an absence.
    WinBack {
        /// 1…365.
        days: u32,
    },
    /// Another model serves, and the user's list has changed.
    ModelRefreshed,
    /// The user meets a rule about segment, features and attributes. Once for each user.
    Segment {
        /// Rule to meet.
        rule: SegmentRule,
    },
    /// Once a day, all that was collected, in one message.
    Digest,
    /// The shop says so, about an order.
    OrderStatus,
    /// The shop says so.
    Api,
}

impl Condition {
    /// As on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::View => "view",
            Self::Cart => "cart",
            Self::ViewedOften { .. } => "viewed_often",
            Self::CartLeft { .. } => "cart_left",
            Self::PriceDrop { .. } => "price_drop",
            Self::BackInStock => "back_in_stock",
            Self::NewInCategory { .. } => "new_in_category",
            Self::WinBack { .. } => "win_back",
            Self::ModelRefreshed => "model_refreshed",
            Self::Segment { .. } => "segment",
            Self::Digest => "digest",
            Self::OrderStatus => "order_status",
            Self::Api => "api",
        }
    }

    /// Returns whether the shop itself sends the message, so that neither a model nor a profile has a part in it.
    pub fn is_said_by_shop(&self) -> bool {
        matches!(self, Self::OrderStatus | Self::Api)
    }

    /// Returns whether its message carries a recommended list, and not the item that set it off.
    pub fn recommends(&self) -> bool {
        matches!(
            self,
            Self::Login
                | Self::View
                | Self::Cart
                | Self::ModelRefreshed
                | Self::WinBack { .. }
                | Self::Digest
                | Self::Segment { .. }
        )
    }

    /// Reason for telling the one item, for a person; `None` where a model gives the reason.
    pub fn because(&self) -> Option<&'static str> {
        match self {
            Self::ViewedOften { .. } => Some("you looked at it several times"),
            Self::CartLeft { .. } => Some("it is in your cart"),
            Self::PriceDrop { .. } => Some("it costs less than before"),
            Self::BackInStock => Some("it can be bought again"),
            Self::NewInCategory { .. } => Some("new in a category you like"),
            Self::Digest => Some("collected for you"),
            _ => None,
        }
    }

    /// Bounds; what is wrong and how to put it right.
    pub(super) fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err(format!("{name} must be {low}…{high}, is {value}"))
            }
        };
        const WEEK_MIN: f64 = 10_080.0;
        match self {
            Self::ViewedOften { times, within_min } => within("times", f64::from(*times), 2.0, 20.0)
                .and_then(|()| within("within_min", *within_min as f64, 1.0, WEEK_MIN)),
            Self::CartLeft { minutes } => within("minutes", *minutes as f64, 1.0, WEEK_MIN),
            Self::PriceDrop { percent } => within("percent", *percent, 0.1, 99.0),
            Self::NewInCategory { share } => within("share", *share, 0.01, 1.0),
            Self::WinBack { days } => within("days", f64::from(*days), 1.0, 365.0),
            Self::Segment { rule } => rule.validate(),
            _ => Ok(()),
        }
    }
}

/// Rule about a user: all criteria present must hold; an absent one is not checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentRule {
    /// One of these segments, by letter.
    pub segments: Vec<String>,
    /// Purchases a month, at least.
    pub min_purchases_per_month: Option<f64>,
    /// Money spent, at least.
    pub min_monetary: Option<f64>,
    /// Days since the last purchase, at least; who never bought meets it.
    pub min_recency_days: Option<f64>,
    /// The same, at most; who never bought does not meet it.
    pub max_recency_days: Option<f64>,
    /// Conditions about attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeCondition>,
}

impl SegmentRule {
    fn validate(&self) -> Result<(), String> {
        let letter = |text: &String| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.segments.len() > 26 || !self.segments.iter().all(letter) {
            return Err("segments must be letters A…Z".to_owned());
        }
        let numbers =
            [self.min_purchases_per_month, self.min_monetary, self.min_recency_days, self.max_recency_days];
        if numbers.iter().flatten().any(|number| !number.is_finite()) {
            return Err("the rule's numbers must be finite".to_owned());
        }
        let says_nothing = self.segments.is_empty() && numbers.iter().all(Option::is_none);
        if says_nothing && self.attributes.is_empty() {
            return Err("the rule says nothing; name segments, a bound or attributes".to_owned());
        }
        if self.attributes.len() > MAX_CONDITIONS {
            return Err(format!("a rule has at most {MAX_CONDITIONS} conditions about attributes"));
        }
        self.attributes.iter().try_for_each(AttributeCondition::validate)
    }

    /// Returns whether the user meets the rule.
    pub fn holds<'a>(
        &self,
        profile: &Profile,
        segment: Option<SegmentId>,
        attributes: &Attributes,
        clock: impl Into<FeatureContext<'a>>,
    ) -> bool {
        let features = profile.features(clock);
        let recency = features.recency_days;
        let named = segment.map(|segment| segment.to_string());
        (self.segments.is_empty() || named.is_some_and(|name| self.segments.contains(&name)))
            && self.min_purchases_per_month.is_none_or(|least| features.purchases_per_month >= least)
            && self.min_monetary.is_none_or(|least| features.monetary >= least)
            && self.min_recency_days.is_none_or(|least| recency.is_none_or(|days| days >= least))
            && self.max_recency_days.is_none_or(|most| recency.is_some_and(|days| days <= most))
            && self.attributes.iter().all(|condition| condition.holds(attributes))
    }
}
