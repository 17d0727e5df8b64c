//! Path below which a proxy shows the server.

use serde::{Deserialize, Serialize};

/// Longest base path, bytes.
const MAX_BYTES: usize = 128;
/// First segments of the server's own paths: below one of them a path would have two meanings.
const OWN: [&str; 8] = ["admin", "demo", "echo", "healthz", "metrics", "readyz", "v1", "ws"];

/// A path such as `/tidings`, without a slash at its end, or empty. Every route is there below it as well, so a proxy may
/// remove it from requests or leave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BasePath(String);

impl BasePath {
    /// The path as text, empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Rest of a request's path below the base, with its slash; `None` where the path is not below it. The base itself has an
    /// empty rest.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        path.strip_prefix(self.0.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The nearest path that would be accepted: one slash before each segment, no other characters.
fn cleaned(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_~.".contains(c);
    let segments = text.split('/').map(|segment| segment.chars().filter(|c| allowed(*c)).collect::<String>());
    segments
        .filter(|segment| !segment.trim_matches('.').is_empty())
        .fold(String::new(), |path, segment| path + "/" + &segment)
}

impl TryFrom<String> for BasePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text == "/" {
            return Ok(Self::default());
        }
        if text.len() > MAX_BYTES {
            return Err(format!("has {} bytes, at most {MAX_BYTES} are allowed", text.len()));
        }
        let near = cleaned(&text);
        if near != text {
            let hint = if near.is_empty() { String::new() } else { format!(", did you mean \"{near}\"?") };
            return Err(format!(
                "must be a path such as \"/tidings\", of letters, digits, \"-\", \"_\", \"~\" and \".\", without a slash at the end{hint}"
            ));
        }
        let first = text.split('/').nth(1).unwrap_or("");
        if OWN.contains(&first) {
            return Err(format!("must not begin with \"/{first}\", a path of the server itself"));
        }
        Ok(Self(text))
    }
}

impl From<BasePath> for String {
    fn from(path: BasePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Result<BasePath, String> {
        BasePath::try_from(text.to_owned())
    }

    #[test]
    fn requests_below_the_base_lose_it() {
        let base = base("/tidings").unwrap();
        assert_eq!(base.strip("/tidings/v1/items"), Some("/v1/items"));
        assert_eq!(base.strip("/tidings/"), Some("/"));
        assert_eq!(base.strip("/tidings"), Some(""));
        assert_eq!(base.strip("/tidingsx/v1"), None);
        assert_eq!(base.strip("/v1/items"), None);
        assert_eq!(BasePath::default().strip("/v1/items"), None);
    }

    #[test]
    fn a_bad_base_path_is_refused_with_the_nearest_good_one() {
        for good in ["", "/", "/tidings", "/a/b-c_d.e~f"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for (bad, near) in [
            ("tidings", "/tidings"),
            ("/tidings/", "/tidings"),
            ("//tidings//push", "/tidings/push"),
            ("/tid ings?", "/tidings"),
            ("/a/../b", "/a/b"),
        ] {
            assert!(base(bad).unwrap_err().contains(&format!("did you mean \"{near}\"")), "{bad}");
        }
        assert!(base("/v1/push").unwrap_err().contains("/v1"));
        assert!(base(&format!("/{}", "x".repeat(200))).unwrap_err().contains("128"));
        assert!(base("/..").is_err());
    }
}
