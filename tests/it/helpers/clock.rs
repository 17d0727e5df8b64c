//! Times of the day that fit the present one: a test that names fixed ones fails at some minute of the day.

use tidings::base::Timestamp;

/// Begin and end of quiet hours that have begun and last two hours at least, in a zone so many hours ahead of UTC.
pub fn quiet_now(ahead_of_utc_h: i64) -> [String; 2] {
    let hour = Timestamp::now().as_seconds() / 3_600 + ahead_of_utc_h;
    [-1, 3].map(|hours| format!("{:02}:00", (hour + hours).rem_euclid(24)))
}

/// A morning in a month, as a clock on the wall shows it.
pub fn morning_in_a_month() -> String {
    let day = Timestamp::now().plus_days(30.0).to_string();
    format!("{}T09:00", day.split('T').next().unwrap())
}
