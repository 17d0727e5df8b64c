//! Shape of a JSON text: its elements, its depth and the memory of its tree, counted before anything is parsed.
//!
//! A parsed tree takes many times the bytes of its text: `{"":0}` is 6 bytes of text and a map node of over 600 in memory, so 4 MiB of
//! them took 290 MiB. The scan follows strings and brackets only. It accepts texts that are no JSON; the parser refuses them.

/// Memory of a JSON object with one field, bytes: a node of a B-tree map (11 names and values).
const OBJECT_BYTES: usize = 640;
/// Memory of a JSON array with one element, bytes: the first allocation of a vector has room for four.
const ARRAY_BYTES: usize = 160;
/// Memory of one more field of an object, bytes, its text left out: nodes filled in order are half empty.
const FIELD_BYTES: usize = 128;
/// Memory of one more element of an array, bytes: vectors double.
const ELEMENT_BYTES: usize = 64;
/// Deepest nesting; the parser's own limit is 128.
pub const MAX_DEPTH: usize = 64;

/// Memory and depth of the tree that a JSON text would be parsed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonShape {
    /// Upper bound of the tree's memory without the text of strings, bytes.
    pub tree_bytes: usize,
    /// The same without the outermost object or array and its places: what a type of its fields keeps as trees.
    pub inner_bytes: usize,
    /// Deepest nesting of objects and arrays.
    pub depth: usize,
}

impl JsonShape {
    /// Shape of a text. O(length), no allocation.
    pub fn of(json: &[u8]) -> Self {
        let mut shape = Self { tree_bytes: ELEMENT_BYTES, inner_bytes: 0, depth: 0 };
        // A bit for each open bracket, 1 = object; what is deeper than the bits is refused for its depth.
        let (mut depth, mut kinds) = (0usize, 0u128);
        for (_, byte) in Structure::of(json) {
            let bytes = match byte {
                b'{' | b'[' => {
                    depth += 1;
                    kinds = kinds << 1 | u128::from(byte == b'{');
                    shape.depth = shape.depth.max(depth);
                    if byte == b'{' { OBJECT_BYTES } else { ARRAY_BYTES }
                }
                b',' if kinds & 1 == 1 => FIELD_BYTES,
                b',' => ELEMENT_BYTES,
                _ => {
                    depth = depth.saturating_sub(1);
                    kinds >>= 1;
                    continue;
                }
            };
            shape.tree_bytes += bytes;
            shape.inner_bytes += if depth > 1 { bytes } else { 0 };
        }
        shape
    }

    /// Returns whether a tree of this shape, made of `json`, may be built: at most twice the text, or `floor` bytes, and not too deep.
    pub fn fits(self, json: &[u8], floor: usize) -> bool {
        self.tree_bytes <= floor.max(json.len().saturating_mul(2)) && self.depth <= MAX_DEPTH
    }
}

/// Fault of an array that is not to be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayFault {
    /// It has more elements than allowed.
    TooMany,
    /// Its brackets do not close, or something follows them.
    Unbalanced,
}

/// Texts of the elements of an array, at most `max`, in their order; the text begins with `[`. Elements are not parsed: one may be no
/// JSON. Stops at the first element too many. O(length), memory only for the list.
pub fn elements(json: &str, max: usize) -> Result<Vec<&str>, ArrayFault> {
    let mut found = Vec::new();
    let (mut depth, mut begin) = (0usize, 0usize);
    for (place, byte) in Structure::of(json.as_bytes()) {
        match (byte, depth) {
            (b'{' | b'[', 0) => {
                depth = 1;
                begin = place + 1;
            }
            (b'{' | b'[', _) => depth += 1,
            (b',', 1) if found.len() == max => return Err(ArrayFault::TooMany),
            (b',', 1) => {
                found.push(json.get(begin..place).unwrap_or_default().trim_ascii());
                begin = place + 1;
            }
            (b',', _) => {}
            (_, 1) => {
                let last = json.get(begin..place).unwrap_or_default().trim_ascii();
                let is_rest_blank = json.get(place + 1..).is_some_and(|rest| rest.trim_ascii().is_empty());
                return match (is_rest_blank && byte == b']', last.is_empty() && found.is_empty()) {
                    (false, _) => Err(ArrayFault::Unbalanced),
                    (true, true) => Ok(found),
                    (true, false) if found.len() == max => Err(ArrayFault::TooMany),
                    (true, false) => {
                        found.push(last);
                        Ok(found)
                    }
                };
            }
            (_, 0) => return Err(ArrayFault::Unbalanced),
            (_, _) => depth -= 1,
        }
    }
    Err(ArrayFault::Unbalanced)
}

/// Returns whether the text is one object and nothing behind it, by its brackets.
pub fn is_one_object(json: &str) -> bool {
    let mut depth = 0usize;
    let json = json.trim_ascii();
    for (place, byte) in Structure::of(json.as_bytes()) {
        match byte {
            b'{' | b'[' => depth += 1,
            b',' => {}
            _ if depth <= 1 => return json.starts_with('{') && place + 1 == json.len(),
            _ => depth -= 1,
        }
    }
    false
}

/// Brackets and commas outside of strings, each with its place.
struct Structure<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Structure<'a> {
    fn of(json: &'a [u8]) -> Self {
        Self { json, at: 0 }
    }

    /// The place behind a string whose quote was the byte before.
    fn skip_string(&mut self) {
        while let Some(byte) = self.json.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
    }
}

impl Iterator for Structure<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(byte) = self.json.get(self.at) {
            let place = self.at;
            self.at += 1;
            match byte {
                b'"' => self.skip_string(),
                b'{' | b'[' | b'}' | b']' | b',' => return Some((place, *byte)),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn elements_are_cut_at_the_commas_of_the_array_alone() {
        for (text, expected) in [
            ("[]", &[][..]),
            (" [ ] ", &[]),
            ("[1]", &["1"]),
            (r#"[ {"a":[1,2]} , "],[" ,3]"#, &[r#"{"a":[1,2]}"#, r#""],[""#, "3"]),
            (r#"["\"],",{"b":"\\"}]"#, &[r#""\"],""#, r#"{"b":"\\"}"#]),
            ("[1,]", &["1", ""]),
            ("[,]", &["", ""]),
            ("[nonsense,{]}]", &["nonsense"]),
        ] {
            let found = elements(text, 9);
            match expected {
                ["nonsense"] => assert_eq!(found, Err(ArrayFault::Unbalanced), "{text}"),
                expected => assert_eq!(found.unwrap(), expected, "{text}"),
            }
        }
        for text in ["[1", "[1}", "[1] 2", "[[1]", "7", "", "]", "{\"a\":1}"] {
            assert_eq!(elements(text, 9), Err(ArrayFault::Unbalanced), "{text}");
        }
    }

    #[test]
    fn the_count_ends_at_the_first_element_too_many() {
        assert_eq!(elements("[1,2,3]", 3).unwrap().len(), 3);
        assert_eq!(elements("[1,2,3,4]", 3), Err(ArrayFault::TooMany));
        // Whatever follows is not looked at.
        assert_eq!(elements("[1,2,3,4,", 3), Err(ArrayFault::TooMany));
    }

    #[test]
    fn the_outermost_object_is_no_part_of_what_is_inside() {
        let inner = |text: &str| JsonShape::of(text.as_bytes()).inner_bytes;
        assert_eq!(inner(r#"{"a":1,"b":"[{,"}"#), 0);
        assert_eq!(inner(r#"{"a":1,"b":[1,2],"c":{"d":1,"e":2}}"#), 160 + 64 + 640 + 128);
        let deep = JsonShape::of(&[b'['; 500]);
        assert!(deep.depth == 500 && !deep.fits(&[b'['; 500], usize::MAX));
    }

    #[test]
    fn one_object_is_told_from_several_and_from_none() {
        for text in [r#"{"a":{"b":[1]}}"#, " {\n\"a\": \"}\"\n} ", "{}"] {
            assert!(is_one_object(text), "{text}");
        }
        for text in ["{}{}", "{}\n{}", "[{}]", "{", "{bad\n{}", "7", "", "{} 1"] {
            assert!(!is_one_object(text), "{text}");
        }
    }

    #[test]
    fn a_tree_that_would_grow_out_of_its_text_does_not_fit() {
        let repeated = |one: &str| format!("[{}]", vec![one; 20_000].join(","));
        let name = |n: usize| format!("\"{n}\":0");
        let names = format!("{{{}}}", (0..200_000).map(name).collect::<Vec<_>>().join(","));
        let deep = [vec!["["; 100].concat(), vec!["]"; 100].concat()].concat();
        for text in [
            repeated(r#"{"":0}"#),
            repeated("[0]"),
            repeated("\"\"").repeat(4),
            names,
            deep,
            "{\"a\":".repeat(50_000),
            "[".repeat(500_000),
        ] {
            assert!(!JsonShape::of(text.as_bytes()).fits(text.as_bytes(), 1 << 20), "{:.30}", text);
        }
        let event = json!({"kind": "view", "user_id": "u1", "item_id": "i2"}).to_string();
        let long = json!({"title": "x".repeat(3 << 20)}).to_string();
        for text in [event, long, format!("[{}]", vec!["\"user-12345\""; 10_000].join(","))] {
            assert!(JsonShape::of(text.as_bytes()).fits(text.as_bytes(), 1 << 20), "{:.30}", text);
        }
    }

    /// Memory of a tree without the text of its strings, as its types are laid out.
    fn memory(value: &Value) -> usize {
        let own = std::mem::size_of::<Value>();
        match value {
            Value::Array(values) if values.is_empty() => own,
            Value::Array(values) => own + values.iter().map(memory).sum::<usize>().max(4 * own),
            Value::Object(fields) if fields.is_empty() => own,
            Value::Object(fields) => {
                let node = 11 * (own + std::mem::size_of::<String>()) + 16;
                // Filled in order, all but the last node are half full.
                let nodes = 1 + fields.len().saturating_sub(6).div_ceil(6);
                own + nodes * node + fields.values().map(|value| memory(value) - own).sum::<usize>()
            }
            _ => own,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\,{}\\[\\]]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 200, 12, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..12).prop_map(Value::from),
                proptest::collection::btree_map("[a-z\",}]{0,4}", inner, 0..12)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(8_259), ..ProptestConfig::default() })]

        /// The estimate is no less than what the tree takes.
        #[test]
        fn the_estimate_is_an_upper_bound(value in value()) {
            let text = value.to_string();
            let shape = JsonShape::of(text.as_bytes());
            prop_assert!(shape.tree_bytes >= memory(&value), "{} < {}: {text}", shape.tree_bytes, memory(&value));
        }

        /// Elements are those that the parser finds.
        #[test]
        fn elements_are_those_of_the_parser(values in proptest::collection::vec(value(), 0..8), pretty in any::<bool>()) {
            let whole = Value::Array(values.clone());
            let text = if pretty { serde_json::to_string_pretty(&whole).unwrap() } else { whole.to_string() };
            let found: Vec<Value> =
                elements(&text, 8).unwrap().iter().map(|one| serde_json::from_str(one).unwrap()).collect();
            prop_assert_eq!(found, values);
        }
    }
}
