//! Stretches of time over which something is counted.

use jiff::{
    Timestamp, ToSpan as _, Unit, ZonedRound,
    civil::{Date, Weekday},
    tz::{Offset, TimeZone},
};

/// Microseconds of a second, minute, hour and day.
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A stretch of the calendar, or of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
    /// From Monday on (ISO 8601).
    Week,
    Month,
    Year,
    /// Microseconds, counted from 1970 on.
    Span(i64),
}

/// How what is counted is told apart by time.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Begins anew with each stretch of the calendar in a time zone.
    Calendar(Period, TimeZone),
    /// The stretch that ends now.
    Sliding { length_us: i64 },
    /// Fills at a steady rate, up to `burst`; a claim waits for at most `wait_us`.
    Bucket { burst: i64, period_us: i64, wait_us: i64 },
    /// What is under way at a time.
    Concurrent,
    /// Never begins anew: credit that was paid for.
    Forever,
}

impl Period {
    pub const NAMED: [(&'static str, Period); 7] = [
        ("second", Period::Second),
        ("minute", Period::Minute),
        ("hour", Period::Hour),
        ("day", Period::Day),
        ("week", Period::Week),
        ("month", Period::Month),
        ("year", Period::Year),
    ];

    /// How long it is; of months and years, the longest of them.
    pub fn length_us(self) -> i64 {
        match self {
            Period::Second => SECOND,
            Period::Minute => MINUTE,
            Period::Hour => HOUR,
            Period::Day => DAY,
            Period::Week => 7 * DAY,
            Period::Month => 31 * DAY,
            Period::Year => 366 * DAY,
            Period::Span(us) => us,
        }
    }

    /// As in "this month" and "per month".
    pub fn name(self) -> String {
        let named = Period::NAMED.iter().find(|(_, period)| *period == self);
        named.map_or_else(|| format!("{} s", self.length_us() / SECOND), |(name, _)| (*name).to_owned())
    }

    /// The stretch that a moment lies in: its beginning and its end, in microseconds since 1970.
    pub fn around(self, now_us: i64, zone: &TimeZone) -> (i64, i64) {
        let steady = |length: i64, shift: i64| {
            let start = (now_us - shift).div_euclid(length) * length + shift;
            (start, start + length)
        };
        match self {
            Period::Second | Period::Minute | Period::Span(_) => steady(self.length_us().max(1), 0),
            Period::Hour | Period::Day if *zone == TimeZone::UTC => steady(self.length_us(), 0),
            // The first day of 1970 was a Thursday.
            Period::Week if *zone == TimeZone::UTC => steady(7 * DAY, 4 * DAY),
            Period::Month | Period::Year if *zone == TimeZone::UTC => {
                utc(self, now_us).unwrap_or_else(|| steady(self.length_us(), 0))
            }
            Period::Hour | Period::Day | Period::Week | Period::Month | Period::Year => {
                calendar(self, now_us, zone).unwrap_or_else(|| steady(self.length_us(), 0))
            }
        }
    }
}

/// The month or the year of a moment in UTC, as each call with a budget asks for it. `None` where the calendar ends.
fn utc(period: Period, now_us: i64) -> Option<(i64, i64)> {
    let date = Offset::UTC.to_datetime(Timestamp::from_microsecond(now_us).ok()?).date();
    let (first, last) = match period {
        Period::Month => (date.first_of_month(), date.last_of_month()),
        Period::Second
        | Period::Minute
        | Period::Hour
        | Period::Day
        | Period::Week
        | Period::Year
        | Period::Span(_) => (date.first_of_year(), date.last_of_year()),
    };
    let start_us = |date: Date| Some(Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_microsecond());
    Some((start_us(first)?, start_us(last.tomorrow().ok()?)?))
}

/// `None` where the calendar ends, which is in the year 9999.
fn calendar(period: Period, now_us: i64, zone: &TimeZone) -> Option<(i64, i64)> {
    let now = Timestamp::from_microsecond(now_us).ok()?.to_zoned(zone.clone());
    let (start, end) = match period {
        Period::Hour => {
            let round = ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Trunc);
            let start = now.round(round).ok()?;
            let end = start.checked_add(1.hour()).ok()?;
            (start, end)
        }
        Period::Week => {
            let days = now.date().weekday().since(Weekday::Monday);
            let start = now.date().checked_sub(i64::from(days).days()).ok()?.to_zoned(zone.clone()).ok()?;
            let end = start.date().checked_add(7.days()).ok()?.to_zoned(zone.clone()).ok()?;
            (start, end)
        }
        Period::Month => {
            let first = now.date().first_of_month();
            let next = first.checked_add(1.month()).ok()?;
            (first.to_zoned(zone.clone()).ok()?, next.to_zoned(zone.clone()).ok()?)
        }
        Period::Year => {
            let first = now.date().first_of_year();
            let next = first.checked_add(1.year()).ok()?;
            (first.to_zoned(zone.clone()).ok()?, next.to_zoned(zone.clone()).ok()?)
        }
        Period::Second | Period::Minute | Period::Day | Period::Span(_) => {
            let start = now.start_of_day().ok()?;
            let next = start.date().tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
            (start, next)
        }
    };
    Some((start.timestamp().as_microsecond(), end.timestamp().as_microsecond()))
}

/// A time zone by its name in the IANA database, as `Europe/Berlin`.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn stretches_of_the_calendar() {
        let check = |period: Period, zone_name: &str, now: &str, start: &str, end: &str| {
            let zone = zone(zone_name).unwrap();
            assert_eq!(period.around(us(now), &zone), (us(start), us(end)), "{period:?} {zone_name}");
        };
        let now = "2026-11-21T18:30:15.25Z";
        check(Period::Second, "UTC", now, "2026-11-21T18:30:15Z", "2026-11-21T18:30:16Z");
        check(Period::Minute, "Asia/Kolkata", now, "2026-11-21T18:30:00Z", "2026-11-21T18:31:00Z");
        check(Period::Hour, "UTC", now, "2026-11-21T18:00:00Z", "2026-11-21T19:00:00Z");
        check(Period::Hour, "Asia/Kolkata", now, "2026-11-21T18:30:00Z", "2026-11-21T19:30:00Z");
        check(Period::Day, "UTC", now, "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        check(Period::Day, "Asia/Tokyo", now, "2026-11-21T15:00:00Z", "2026-11-22T15:00:00Z");
        check(Period::Week, "UTC", now, "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
        check(Period::Week, "Asia/Tokyo", now, "2026-11-15T15:00:00Z", "2026-11-22T15:00:00Z");
        check(Period::Month, "UTC", now, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Period::Year, "UTC", now, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check(Period::Year, "America/New_York", now, "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z");
        check(
            Period::Span(5 * HOUR),
            "UTC",
            "1970-01-01T07:00:00Z",
            "1970-01-01T05:00:00Z",
            "1970-01-01T10:00:00Z",
        );
    }

    #[test]
    fn days_are_as_long_as_clocks_make_them() {
        let berlin = zone("Europe/Berlin").unwrap();
        let (start, end) = Period::Day.around(us("2026-10-25T12:00:00Z"), &berlin);
        assert_eq!(end - start, 25 * HOUR);
        let (start, end) = Period::Month.around(us("2026-03-31T21:59:59Z"), &berlin);
        assert_eq!((start, end), (us("2026-02-28T23:00:00Z"), us("2026-03-31T22:00:00Z")));
    }

    #[test]
    fn every_moment_lies_in_its_stretch_and_stretches_follow_each_other() {
        let zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]
            .map(|name| zone(name).unwrap());
        for zone in &zones {
            for (_, period) in Period::NAMED {
                let mut now = us("2026-01-01T00:00:00Z");
                for _ in 0..40 {
                    let (start, end) = period.around(now, zone);
                    assert!(start <= now && now < end, "{period:?}");
                    assert_eq!(period.around(end, zone).0, end, "{period:?}");
                    now = end + (end - start) / 3;
                }
            }
        }
    }
}
