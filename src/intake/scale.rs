//! Scales of ratings: `1-10`, `0-100`, turned into one to five stars.

use std::str::FromStr;

/// The range in which the ratings of a source lie; stars unless stated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scale(Option<(f64, f64)>);

/// A text that is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a range of ratings such as 1-10 or 0-100")]
pub struct ScaleError(String);

impl FromStr for Scale {
    type Err = ScaleError;

    fn from_str(text: &str) -> Result<Self, ScaleError> {
        let (least, most) = text
            .split_once("..")
            .or_else(|| text.split_once(['-', '–', ':']))
            .ok_or_else(|| ScaleError(text.to_owned()))?;
        match (least.trim().parse::<f64>(), most.trim().parse::<f64>()) {
            (Ok(least), Ok(most)) if least.is_finite() && most.is_finite() && least < most => {
                Ok(Self(Some((least, most))))
            }
            _ => Err(ScaleError(text.to_owned())),
        }
    }
}

impl Scale {
    /// Stars of a rating: the least of the scale is one, the most is five. Without a scale the rating itself, which may be
    /// impossible.
    pub fn stars(self, rating: Option<f64>) -> Result<f64, String> {
        let rating = rating.ok_or("a rate gives its stars, value is missing")?;
        match self.0 {
            None => Ok(rating),
            Some((least, most)) if (least..=most).contains(&rating) => {
                Ok(1.0 + 4.0 * (rating - least) / (most - least))
            }
            Some((least, most)) => Err(format!("value is not within the scale {least}-{most}: \"{rating}\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_are_spread_over_the_stars() {
        let scale: Scale = "1-10".parse().unwrap();
        assert_eq!(scale.stars(Some(1.0)), Ok(1.0));
        assert_eq!(scale.stars(Some(10.0)), Ok(5.0));
        assert_eq!(scale.stars(Some(5.5)), Ok(3.0));
        assert!(scale.stars(Some(11.0)).unwrap_err().contains("1-10"));
        assert!(scale.stars(None).is_err());
        assert_eq!("0-100".parse::<Scale>().unwrap().stars(Some(25.0)), Ok(2.0));
        assert_eq!(Scale::default().stars(Some(8.0)), Ok(8.0));
        for wrong in ["10", "10-1", "a-b", "1-1", ""] {
            assert!(wrong.parse::<Scale>().is_err(), "{wrong}");
        }
    }
}
