//! Reasons why a reader of Kafka that ends when everything is read was given no partition: without one it would wait for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_core::base::nearest;

/// A topic may be made by the broker when it is first asked for.
const MADE_WITHIN: Duration = Duration::from_secs(5);
/// By then a group has shared its partitions out, also a new one, and one of which a reader was killed.
const SHARED_WITHIN: Duration = Duration::from_secs(60);

/// The fault with its cure; `None` while a partition may still come. `named`: the topics to read, of which one that begins with `^`
/// is a pattern; `there`: those that the brokers show, with their numbers of partitions.
pub fn fault(
    named: &[String],
    there: &BTreeMap<String, usize>,
    group: &str,
    waited: Duration,
) -> Option<String> {
    if waited < MADE_WITHIN {
        return None;
    }
    let has_partitions = |name: &String| there.get(name).is_some_and(|partitions| *partitions > 0);
    let missing = named.iter().find(|name| !name.starts_with('^') && !has_partitions(name));
    if let Some(name) = missing {
        let others = there.iter().filter(|(_, partitions)| **partitions > 0).map(|(name, _)| name.as_str());
        return Some(match (there.contains_key(name), nearest(name, others)) {
            (true, _) => format!(
                "kafka.topics: \"{name}\" has no partitions, so there is nothing to read: give it one"
            ),
            (false, Some(other)) => format!(
                "kafka.topics: there is no topic \"{name}\" at kafka.brokers, or it may not be read; did you mean \"{other}\"?"
            ),
            (false, None) => format!(
                "kafka.topics: there is no topic \"{name}\" at kafka.brokers, or it may not be read: create it, or name another"
            ),
        });
    }
    (waited >= SHARED_WITHIN).then(|| {
        format!(
            "no partition of kafka.topics was given to this reader in {} s: a pattern among them meets no topic, or others of the group \
             \"{group}\" read all of them; stop those, or set another kafka.group",
            waited.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(named: &[&str], waited_s: u64) -> Option<String> {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let there = [("shop-events", 4), ("orders", 1), ("empty", 0)];
        let there = there.into_iter().map(|(name, partitions)| (name.to_owned(), partitions)).collect();
        fault(&named, &there, "tidings-shop", Duration::from_secs(waited_s))
    }

    #[test]
    fn a_topic_that_is_not_there_is_named_with_the_nearest_one() {
        let text = of(&["orders", "shop-event"], 5).unwrap();
        assert!(
            text.contains("no topic \"shop-event\"") && text.contains("did you mean \"shop-events\"?"),
            "{text}"
        );
        let text = of(&["clicks"], 5).unwrap();
        assert!(text.contains("no topic \"clicks\"") && text.contains("create it"), "{text}");
        assert!(of(&["empty"], 5).unwrap().contains("\"empty\" has no partitions"));
    }

    #[test]
    fn what_may_still_come_is_waited_for_and_not_for_ever() {
        assert_eq!(of(&["clicks"], 4), None, "the broker may make it");
        for named in [["orders"], ["^shop-.*"]] {
            assert_eq!(of(&named, 59), None, "the group may share out");
            let text = of(&named, 60).unwrap();
            assert!(text.contains("in 60 s") && text.contains("\"tidings-shop\""), "{text}");
        }
    }
}
