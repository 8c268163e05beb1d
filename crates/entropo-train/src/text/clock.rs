//! `strftime` for templates that tell the model the date.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// A point in time by the calendar, in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    year: i64,
    month: usize,
    day: i64,
    day_of_year: i64,
    weekday: usize,
    seconds: i64,
}

impl Date {
    /// The date of `time`; times before 1970 count as 1970.
    pub(super) fn new(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as i64;
        let days = seconds / 86_400;
        let (mut year, mut left) = (1970, days);
        while left >= days_in_year(year) {
            left -= days_in_year(year);
            year += 1;
        }
        let (day_of_year, mut month) = (left, 1);
        while left >= days_in_month(year, month) {
            left -= days_in_month(year, month);
            month += 1;
        }
        let weekday = usize::try_from(days % 7).unwrap_or(0);
        Self { year, month, day: left + 1, day_of_year: day_of_year + 1, weekday, seconds: seconds % 86_400 }
    }

    /// Python's `strftime` for `%Y %y %m %d %e %j %B %b %A %a %H %I %M %S %p %F %T %%`; `None` if `format` asks for
    /// anything else.
    pub(super) fn format(&self, format: &str) -> Option<String> {
        let mut out = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character == '%' {
                self.write_field(&mut out, characters.next()?)?;
            } else {
                out.push(character);
            }
        }
        Some(out)
    }

    fn write_field(&self, out: &mut String, field: char) -> Option<()> {
        let month = MONTHS.get(self.month.checked_sub(1)?)?;
        let weekday = WEEKDAYS.get(self.weekday)?;
        let (hour, minute, second) = (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        match field {
            'Y' => write!(out, "{}", self.year),
            'y' => write!(out, "{:02}", self.year % 100),
            'm' => write!(out, "{:02}", self.month),
            'd' => write!(out, "{:02}", self.day),
            'e' => write!(out, "{:2}", self.day),
            'j' => write!(out, "{:03}", self.day_of_year),
            'B' => write!(out, "{month}"),
            'b' => write!(out, "{month:.3}"),
            'A' => write!(out, "{weekday}"),
            'a' => write!(out, "{weekday:.3}"),
            'H' => write!(out, "{hour:02}"),
            'I' => write!(out, "{:02}", (hour + 11) % 12 + 1),
            'M' => write!(out, "{minute:02}"),
            'S' => write!(out, "{second:02}"),
            'p' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            'F' => write!(out, "{}-{:02}-{:02}", self.year, self.month, self.day),
            'T' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            '%' => write!(out, "%"),
            _ => return None,
        }
        .ok()
    }
}

fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: i64, month: usize) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64, format: &str) -> Option<String> {
        Date::new(UNIX_EPOCH + Duration::from_secs(seconds)).format(format)
    }

    /// Expected values from Python's `datetime.fromtimestamp(…, timezone.utc).strftime(…)`.
    #[test]
    fn dates_as_python_writes_them() {
        assert_eq!(at(0, "%d %b %Y, %A").as_deref(), Some("01 Jan 1970, Thursday"));
        assert_eq!(at(951_782_399, "%Y-%m-%d %H:%M:%S %j").as_deref(), Some("2000-02-28 23:59:59 059"));
        assert_eq!(at(951_782_400, "%F %T %a").as_deref(), Some("2000-02-29 00:00:00 Tue"));
        assert_eq!(at(4_107_542_400, "%B %e %y %I %p").as_deref(), Some("March  1 00 12 AM"));
        assert_eq!(at(1_735_689_599, "%d %B %Y %I%p %j%%").as_deref(), Some("31 December 2024 11PM 366%"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert_eq!(at(0, "%Q"), None);
        assert_eq!(at(0, "half %"), None);
    }
}
