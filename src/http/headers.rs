//! Headers of answers: the policy of pages, and rates (draft-ietf-httpapi-ratelimit-headers-10, RFC 6585 §4).

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use tidings_state::limiter::Limited;

/// Scripts and styles only from here; pictures from shops; connections to this server.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: https:; style-src 'self'; script-src 'self'; \
     connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Tells a client its rate and how much of it is left.
pub fn rate(limited: &Limited, headers: &mut HeaderMap) {
    let Limited { policy, rate, verdict, .. } = limited;
    let policy_text = format!("\"{policy}\";q={};w={}", rate.quota, rate.window_s);
    let left = format!("\"{policy}\";r={};t={}", verdict.remaining, verdict.reset_s());
    for (name, text) in [(RATE_LIMIT_POLICY, policy_text), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    if !verdict.allowed {
        headers.insert(RETRY_AFTER, HeaderValue::from(verdict.reset_s().max(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_core::base::rate::{Rate, Verdict};

    #[test]
    fn the_answer_tells_the_policy_and_what_is_left_of_it() {
        let told = |verdict| {
            let allowed = Rate { quota: 300, window_s: 10 };
            let mut headers = HeaderMap::new();
            rate(
                &Limited { policy: "user", setting: "limits.user_per_s", rate: allowed, verdict },
                &mut headers,
            );
            let value = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (value(RATE_LIMIT_POLICY), value(RATE_LIMIT), value(RETRY_AFTER))
        };
        let policy = Some("\"user\";q=300;w=10".to_owned());
        assert_eq!(
            told(Verdict { allowed: true, remaining: 298, reset_us: 66_666 }),
            (policy.clone(), Some("\"user\";r=298;t=1".to_owned()), None)
        );
        assert_eq!(
            told(Verdict { allowed: false, remaining: 0, reset_us: 1_500_000 }),
            (policy, Some("\"user\";r=0;t=2".to_owned()), Some("2".to_owned()))
        );
    }
}
