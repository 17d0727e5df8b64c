//! Bounds of a template's memory and time, at its check and when it is rendered.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::template::Part;
use super::super::*;
use super::one;

/// The largest context that the API lets through.
fn large() -> Value {
    let text = "a".repeat(2_048);
    let item = json!({"item_id": text[..128], "title": text, "price": 1e9, "currency": "EUR", "category": text[..256],
                      "brand": text[..256], "url": text, "stock": 1});
    json!({"user": {"user_id": 7}, "item": item, "items": vec![item; 10], "count": 10, "now": "2026-01-01T00:00:00Z",
           "event": {"list": vec![1; 1_000], "text": text[..1_900]}, "locale": "en"})
}

/// Texts that grow exponentially by names, lists, filters or blocks.
fn growing() -> [String; 7] {
    let doubling = format!("{{% set a = 'x' %}}{}{{{{ a }}}}", "{%set a=a~a%}".repeat(31));
    let lists = format!(
        "{{% set a = [1] %}}{}{{% if a == b %}}x{{% endif %}}",
        "{%set a=[a,a]%}{%set b=[a,a]%}".repeat(25)
    );
    let added = format!("{{% set a = 'x' %}}{}{{{{ a }}}}", "{%set a=a+a%}".repeat(31));
    let joined = format!("{{% set a = event.text %}}{}{{{{ a }}}}", "{%set a=a|join(a)%}".repeat(6));
    let captured = format!("{{% set a = 'x' %}}{}{{{{ a }}}}", "{%set a%}{{a}}{{a}}{%endset%}".repeat(31));
    let with =
        format!("{}x{}", "{% with a = (a or 'x') ~ (a or 'x') %}".repeat(31), "{% endwith %}".repeat(31));
    let upper = format!("{{{{ items{} }}}}", "|upper".repeat(60));
    [doubling, lists, added, joined, captured, with, upper]
}

/// Products, loops in loops, recursion, calls and other statements without a bound.
const UNBOUNDED: [&str; 18] = [
    "{% set s = 'x' * 100000000 %}{% for i in items %}{{ s }}{% endfor %}",
    "{{ 'x' * 100000000 }}",
    "{{ 100000000 * event.text }}",
    "{{ event.text * event.n }}",
    "{{ event.text * count }}",
    "{{ items * 1000000 | join }}",
    "{% for i in items * 100000000 %}x{% endfor %}",
    "{% for i in items %}{% set a = (a or 'x') ~ (a or 'x') %}{% endfor %}{{ a }}",
    "{% for c in event.text %}{% set a = (a or 'x') + (a or 'x') %}{{ a }}{% endfor %}",
    "{% for i in items %}{% for j in items %}{% for k in items %}{% for l in items %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in items recursive %}{{ loop(items) }}{% endfor %}",
    "{% for i in items %}{{ loop.cycle() }}{% endfor %}",
    "{{ 'x'|join('y', *items) }}",
    "{{ items[5:1:-1] }}",
    "{% filter upper %}{% for i in items %}{{ items }}{% endfor %}{% endfilter %}",
    "{{ 1 | plural(other=event.text ~ event.text) }}",
    "{% macro m() %}x{% endmacro %}",
    "{% include 't/a/en/title' %}",
];

#[test]
fn a_template_without_bounds_is_refused_at_its_place() {
    let (began, growing) = (Instant::now(), growing());
    for source in growing.iter().map(String::as_str).chain(UNBOUNDED) {
        let source = source.get(..2_048).unwrap_or(source);
        let error = Templates::new([&one(source)]).unwrap_err();
        assert!(error.position.is_some(), "{source}: {error}");
        assert!(validate(&one(source), []).is_err());
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn long_texts_in_filters_count_as_steps_and_all_texts_of_a_check_together() {
    let list = json!({"event": {"list": vec![1; 600]}});
    for filter in ["upper", "lower|title", "trim('abcdefghabcdefghabcdefghabcdefghabcdefghx')", "length"] {
        let source = format!(
            "{{% set a = '{}' * 20 %}}{{% for b in event.list %}}{{% if a|{filter} == b %}}x{{% endif %}}{{% endfor %}}",
            "x".repeat(100)
        );
        let Some(Err(error)) = Templates::new([&one(&source)]).unwrap().render("t", 0, "en", &list) else {
            panic!("{filter}")
        };
        assert!(error.message.contains("too many steps"), "{filter}: {error}");
    }
    // All texts of one check together are limited.
    let (templates, left) = (Templates::new([&one("x")]).unwrap(), Cell::new(1));
    let write = || templates.written("t", "a", "en", Part::Title, &list, &left);
    assert_eq!(write().unwrap(), "x");
    assert!(write().unwrap_err().message.contains("too many steps in all"));
}

#[test]
fn steps_and_output_of_a_render_are_limited() {
    let began = Instant::now();
    let words = large();
    for source in [
        "{% for i in items %}{{ items }}{{ items }}{% endfor %}",
        "{% for a in event.list %}{% for b in event.list %}{% for c in event.list %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in event.list %}{{ items ~ items }}{% endfor %}",
        "{% for a in event.list %}{% if items ~ items == event ~ items %}x{% endif %}{% endfor %}",
        "{% for a in event.text %}{{ event }}{% endfor %}",
    ] {
        match Templates::new([&one(source)]) {
            Err(error) => assert!(error.position.is_some(), "{source}: {error}"),
            Ok(templates) => {
                let said = templates.render("t", 0, "en", &words).unwrap();
                assert!(
                    said.is_ok_and(|said| said.content.title.chars().count() <= MAX_TITLE_CHARS)
                        || source.contains("event.list")
                );
            }
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
