//! The months by which the calls of a large journal are kept apart, so that an old one goes at once.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A month with a table of its own, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Month(Date);

/// Moments outside of these years belong to clocks that are wrong, and share one table.
const YEARS: std::ops::Range<i16> = 2020..2100;

impl Month {
    /// The month of a moment, in microseconds since 1970.
    pub(crate) fn of(at_us: i64) -> Option<Month> {
        let date = Timestamp::from_microsecond(at_us).ok()?.to_zoned(TimeZone::UTC).date();
        YEARS.contains(&date.year()).then(|| Month(date.first_of_month()))
    }

    pub(crate) fn next(self) -> Month {
        Month(self.0.last_of_month().tomorrow().unwrap_or(self.0))
    }

    pub(crate) fn table(self) -> String {
        format!("calls_{:04}_{:02}", self.0.year(), self.0.month())
    }

    /// The month that a table is of.
    pub(crate) fn of_table(table: &str) -> Option<Month> {
        let (year, month) = table.strip_prefix("calls_")?.split_once('_')?;
        Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().map(Month)
    }

    /// Its first moment, and the first after it.
    pub(crate) fn bounds_us(self) -> (i64, i64) {
        let first_us = |date: Date| {
            date.to_zoned(TimeZone::UTC).map_or(i64::MAX, |start| start.timestamp().as_microsecond())
        };
        (first_us(self.0), first_us(self.next().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other() {
        let december = Month::of(1_798_761_599_999_999).unwrap();
        assert_eq!(december.table(), "calls_2026_12");
        assert_eq!(Month::of_table("calls_2026_12"), Some(december));
        assert_eq!((Month::of_table("calls_other"), Month::of_table("calls_2026_13")), (None, None));
        assert_eq!(december.next().table(), "calls_2027_01");
        assert_eq!(december.bounds_us().1, december.next().bounds_us().0);
        assert_eq!(Month::of(1_798_761_600_000_000), Some(december.next()));
        assert_eq!((Month::of(1), Month::of(i64::MAX)), (None, None));
    }
}
