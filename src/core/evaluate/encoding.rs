//! Columns of text as numbers for a classifier: what reads as numbers stays, true and false become 1 and 0, anything
//! else gets a column for each of its most frequent values (one-hot). Empty, `?`, `NA` and `NaN` are missing.

use std::collections::HashMap;

/// Most values of a text column that get a column of their own; the rest share "all zero".
const MAX_VALUES: usize = 32;

/// Rows of numbers and what the columns are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// `column`, or `column=value` for one value of a text column.
    pub names: Vec<String>,
    /// n × `names.len()`, row-major; NaN = missing.
    pub values: Vec<f32>,
}

/// A number, or 1 and 0 for true and false; `Some(NaN)` for a missing value, `None` for text.
pub fn number(text: &str) -> Option<f32> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "" | "?" | "na" | "nan" | "null" => Some(f32::NAN),
        "true" | "yes" => Some(1.0),
        "false" | "no" => Some(0.0),
        _ => text.parse().ok(),
    }
}

/// Encodes named columns of equal length; values of text columns by frequency, ties by first appearance. O(cells).
pub fn encode(columns: &[(String, Vec<String>)]) -> Encoded {
    let mut names = Vec::new();
    let mut encoded: Vec<Vec<f32>> = Vec::new();
    for (name, texts) in columns {
        if let Some(numbers) = texts.iter().map(|text| number(text)).collect() {
            names.push(name.clone());
            encoded.push(numbers);
            continue;
        }
        for value in frequent(texts) {
            names.push(format!("{name}={value}"));
            encoded.push(texts.iter().map(|text| f32::from(u8::from(text.trim() == value))).collect());
        }
    }
    let n = columns.first().map_or(0, |(_, texts)| texts.len());
    let mut values = Vec::with_capacity(n * encoded.len());
    for row in 0..n {
        values.extend(encoded.iter().map(|column| column.get(row).copied().unwrap_or(f32::NAN)));
    }
    Encoded { names, values }
}

fn frequent(texts: &[String]) -> Vec<&str> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (first, text) in texts.iter().enumerate() {
        counts.entry(text.trim()).or_insert((0, first)).0 += 1;
    }
    let mut values: Vec<_> = counts.into_iter().collect();
    values.sort_unstable_by(|(_, (a, a_first)), (_, (b, b_first))| b.cmp(a).then(a_first.cmp(b_first)));
    values.into_iter().take(MAX_VALUES).map(|(value, _)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_text_gets_a_column_a_value() {
        let column = |name: &str, texts: &[&str]| {
            (name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        let columns = [
            column("pages", &["1", "", "2.5"]),
            column("weekend", &["TRUE", "FALSE", "TRUE"]),
            column("month", &["Feb", "Mar", "Mar"]),
        ];
        let encoded = encode(&columns);
        assert_eq!(encoded.names, ["pages", "weekend", "month=Mar", "month=Feb"]);
        assert_eq!(encoded.values[..4], [1.0, 1.0, 0.0, 1.0]);
        assert!(encoded.values[4].is_nan());
        assert_eq!(encoded.values[5..], [0.0, 1.0, 0.0, 2.5, 1.0, 1.0, 0.0]);
        assert_eq!(encode(&[]), Encoded::default());
    }
}
