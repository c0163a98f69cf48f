//! `Retry-After` (RFC 9110 §10.2.3): seconds or a date, believed between 0 and
//! [`LONGEST_WAIT`] (HOST-073).

use core::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::time::Timestamp;

/// Longest wait a server can ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The wait that a server asks for; `None` if it asks for none that can be read, which leaves the
/// default back-off.
#[must_use]
pub fn read_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut fields = headers.get_all(RETRY_AFTER).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let text = field.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().map_or(LONGEST_WAIT, Duration::from_secs);
        return Some(seconds.min(LONGEST_WAIT));
    }
    let date = imf_fixdate(text)?;
    now.plausible().then(|| now.until(date).min(LONGEST_WAIT))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; the weekday is not believed.
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = |piece: &str, digits: usize| -> Option<i64> {
        let plain = piece.len() == digits && piece.bytes().all(|byte| byte.is_ascii_digit());
        if plain { piece.parse().ok() } else { None }
    };
    let (_, date) = text.split_once(", ")?;
    let mut pieces = date.split(' ');
    let day = number(pieces.next()?, 2).filter(|day| (1..=31).contains(day))?;
    let month = pieces.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year = number(pieces.next()?, 4)?;
    let mut clock = pieces.next()?.split(':');
    let hour = number(clock.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(clock.next()?, 2).filter(|minute| *minute < 60)?;
    let second = number(clock.next()?, 2).filter(|second| *second <= 60)?;
    if clock.next().is_some() || pieces.next() != Some("GMT") || pieces.next().is_some() {
        return None;
    }
    let days = days_before(year, i64::try_from(month).ok()?) + day - 1;
    Some(Timestamp::from_unix(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Days from 1970-01-01 to the first of a month (counted from zero), for years of four digits.
fn days_before(year: i64, month: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let shifted = (month + 10) % 12;
    let year = if month < 2 { year - 1 } else { year };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (shifted * 153 + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests;
