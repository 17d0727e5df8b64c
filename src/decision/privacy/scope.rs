//! Scopes of API keys: an area of the API, to read or to write as well.

use std::fmt;
use std::str::FromStr;

use tidings_core::base::nearest;

/// Area of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// `/v1/events`, and frames of streams.
    Events,
    /// `/v1/items`.
    Items,
    /// Lists of recommendations.
    Recommendations,
    /// `/v1/notifications` and `/v1/triggers`.
    Notifications,
    /// `/v1/users`, `/v1/topics` and `/v1/erasures`.
    Users,
    /// `/v1/webhooks` and `/v1/webpush`.
    Webhooks,
    /// `/v1/sources`.
    Sources,
    /// `/admin`, `/v1/admin` and `/v1/people`.
    Admin,
}

impl Area {
    /// Every area.
    pub const ALL: [Self; 8] = [
        Self::Events,
        Self::Items,
        Self::Recommendations,
        Self::Notifications,
        Self::Users,
        Self::Webhooks,
        Self::Sources,
        Self::Admin,
    ];

    /// Name in scopes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Items => "items",
            Self::Recommendations => "recommendations",
            Self::Notifications => "notifications",
            Self::Users => "users",
            Self::Webhooks => "webhooks",
            Self::Sources => "sources",
            Self::Admin => "admin",
        }
    }
}

/// An area, to read or to write as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The area.
    pub area: Area,
    /// True if it includes writing.
    pub write: bool,
}

/// A text that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is no scope{}; a scope is area:read or area:write with one of events, items, recommendations, notifications, users, webhooks, sources, admin",
    near.map(|near| format!(", did you mean {near}?")).unwrap_or_default()
)]
pub struct ScopeError {
    text: String,
    near: Option<&'static str>,
}

impl Scope {
    /// Scope that a request needs, by the pattern of its route; `None` for a path that needs none.
    pub fn of_route(method: &str, pattern: &str) -> Option<Self> {
        let mut parts = pattern.trim_start_matches('/').split('/');
        let area = match (parts.next()?, parts.next().unwrap_or_default()) {
            ("admin", _) | ("v1", "admin" | "people") => Area::Admin,
            ("v1", "items") if pattern.ends_with("/similar") => Area::Recommendations,
            ("v1", "users") if pattern.ends_with("/recommendations") => Area::Recommendations,
            ("v1", "recommend" | "recommendations") => Area::Recommendations,
            ("v1", "events" | "sse" | "connections") => Area::Events,
            ("v1", "items" | "embeddings") => Area::Items,
            ("v1", "notifications" | "triggers") => Area::Notifications,
            ("v1", "users" | "topics" | "erasures") => Area::Users,
            ("v1", "webhooks" | "webpush") => Area::Webhooks,
            ("v1", "sources") => Area::Sources,
            _ => return None,
        };
        // A list of recommendations is asked for with a body.
        let reads = matches!(method, "GET" | "HEAD") || area == Area::Recommendations;
        Some(Self { area, write: !reads })
    }

    /// Returns whether whoever has this one has that one too.
    pub fn includes(self, other: Self) -> bool {
        self.area == other.area && (self.write || !other.write)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (area, right) = text.split_once(':').unwrap_or((text, ""));
        let names = || Area::ALL.into_iter().map(Area::name);
        let refused = |near| ScopeError { text: text.chars().take(64).collect(), near };
        let known = Area::ALL.into_iter().find(|known| known.name() == area);
        let area = known.ok_or_else(|| refused(nearest(area, names())))?;
        match right {
            "read" => Ok(Self { area, write: false }),
            "write" => Ok(Self { area, write: true }),
            _ => Err(refused(None)),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.name(), if self.write { "write" } else { "read" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_as_it_is_written() {
        for text in ["events:write", "items:read", "admin:write"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let error = "event:write".parse::<Scope>().unwrap_err().to_string();
        assert!(error.contains("did you mean events?"), "{error}");
        assert!("events".parse::<Scope>().is_err() && "events:all".parse::<Scope>().is_err());
    }

    #[test]
    fn writing_includes_reading_of_the_same_area() {
        let scope = |text: &str| text.parse::<Scope>().unwrap();
        assert!(scope("items:write").includes(scope("items:read")));
        assert!(!scope("items:read").includes(scope("items:write")));
        assert!(!scope("items:write").includes(scope("users:read")));
    }

    #[test]
    fn each_route_has_its_scope() {
        let of = |method, pattern| Scope::of_route(method, pattern).map(|scope| scope.to_string());
        for (method, pattern, scope) in [
            ("POST", "/v1/events", "events:write"),
            ("POST", "/v1/recommend", "recommendations:read"),
            ("GET", "/v1/users/{id}/recommendations", "recommendations:read"),
            ("GET", "/v1/users/{id}/profile", "users:read"),
            ("POST", "/v1/users/{id}/merge", "users:write"),
            ("GET", "/admin/metrics", "admin:read"),
            ("POST", "/v1/admin/keys", "admin:write"),
            ("DELETE", "/v1/notifications/{id}", "notifications:write"),
        ] {
            assert_eq!(of(method, pattern).as_deref(), Some(scope), "{method} {pattern}");
        }
        assert_eq!(of("GET", "/healthz"), None);
    }
}
