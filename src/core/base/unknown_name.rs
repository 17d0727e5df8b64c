//! Words for unknown fields and variants, with the nearest of those that were expected.

use super::nearest;

/// Names the nearest expected name in place of all of them: "unknown field `itmes`; did you mean `items`?". Messages about
/// something else, and those with no name near enough, stay as they are.
pub fn suggest_nearest(message: &str) -> String {
    let is_unknown = ["unknown field `", "unknown variant `"].iter().any(|start| message.contains(start));
    let Some((before, rest)) = message.split_once('`').filter(|_| is_unknown) else {
        return message.to_owned();
    };
    let Some((unknown, expected)) = rest.split_once('`') else { return message.to_owned() };
    match nearest(unknown, expected.split('`').skip(1).step_by(2)) {
        Some(name) => format!("{before}`{unknown}`; did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

/// Words for a field that is none of `names`: the nearest of them, or all.
pub fn unknown_field<'a>(field: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: String = field.chars().filter(|c| !c.is_control()).take(64).collect();
    match nearest(field, names.iter().copied()) {
        Some(name) => format!("there is no field \"{shown}\"; did you mean {name}?"),
        None => format!("there is no field \"{shown}\"; there are {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_replaces_the_list_where_one_is_near() {
        let of_two = "unknown field `catgory`, expected one of `name`, `category`";
        assert_eq!(suggest_nearest(of_two), "unknown field `catgory`; did you mean `category`?");
        let of_one = "unknown field `percnt`, expected `percent`";
        assert_eq!(suggest_nearest(of_one), "unknown field `percnt`; did you mean `percent`?");
        let variant = "unknown variant `pricedrop`, expected one of `login`, `price_drop` at line 1 column 9";
        assert_eq!(suggest_nearest(variant), "unknown variant `pricedrop`; did you mean `price_drop`?");
        for same in ["unknown field `dwell`, expected `name`", "missing field `name`", "unknown field `"] {
            assert_eq!(suggest_nearest(same), same);
        }
    }
}
