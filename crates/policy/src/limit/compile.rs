//! From what is written of a limit to the limit.

use std::sync::Arc;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    AlgorithmSpec, BudgetSpec, Exceeded, ExceededSpec, Limit, LimitSpec, Meter, ModeSpec, Only, Period,
    Terms, UnpricedSpec, Window, zone,
};
use crate::{config::span, ledger::OnFailure};

/// A field's path and what is wrong with it.
type Fault = (String, String);

/// Whose limits are compiled.
pub(crate) struct Holder {
    pub(crate) id: Uuid,
    /// As `team search`.
    pub(crate) shown: Arc<str>,
}

/// Gives a limit its meaning.
pub(crate) fn limit(spec: &LimitSpec, holder: &Holder) -> Result<Limit, Vec<Fault>> {
    let mut faults = Vec::new();
    let counted = [
        (Meter::Requests, spec.requests.map(|count| count.0)),
        (Meter::Tokens, spec.tokens.map(|count| count.0)),
        (Meter::InputTokens, spec.input_tokens.map(|count| count.0)),
        (Meter::OutputTokens, spec.output_tokens.map(|count| count.0)),
        (Meter::Money, spec.usd.map(|usd| usd.0.picodollars())),
        (Meter::Concurrency, spec.concurrent.map(|count| count.0)),
    ];
    let counted: Vec<(Meter, i64)> =
        counted.into_iter().filter_map(|(meter, amount)| Some((meter, amount?))).collect();
    let [(meter, amount)] = counted.as_slice() else {
        let message = "counts one of requests, tokens, input_tokens, output_tokens, usd and concurrent";
        return Err(vec![(String::new(), message.to_owned())]);
    };
    let (meter, amount) = (*meter, *amount);
    let terms = Meant::of(&spec.terms, &mut faults);
    let window = if meter == Meter::Concurrency {
        let misplaced = [
            ("per", spec.per.is_some()),
            ("algorithm", spec.algorithm.is_some()),
            ("burst", spec.burst.is_some()),
            ("wait", spec.wait.is_some()),
        ];
        for (name, _) in misplaced.into_iter().filter(|(_, said)| *said) {
            faults.push((name.to_owned(), "means nothing for calls at a time; take it out".to_owned()));
        }
        Window::Concurrent
    } else {
        match period(spec.per.as_deref()) {
            Ok(period) => over_time(spec, period, amount, &terms.zone, &mut faults),
            Err(message) => {
                faults.push(("per".to_owned(), message));
                Window::Forever
            }
        }
    };
    let name = spec.name.clone().unwrap_or_else(|| match spec.per.as_deref() {
        Some(per) => format!("{} per {per}", meter.name()),
        None => "concurrent requests".to_owned(),
    });
    let made = terms.limit(holder, Said { name, meter, amount, window, budget: false });
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

/// Gives a budget its meaning.
pub(crate) fn budget(spec: &BudgetSpec, holder: &Holder) -> Result<Limit, Vec<Fault>> {
    let mut faults = Vec::new();
    let terms = Meant::of(&spec.terms, &mut faults);
    let window = match spec.per.as_deref() {
        None => {
            if spec.carry_over {
                let message =
                    "means nothing for credit, which never renews by itself; take it out, or write per";
                faults.push(("carry_over".to_owned(), message.to_owned()));
            }
            Window::Forever
        }
        Some(per) => match period(Some(per)) {
            Ok(period) => Window::Calendar(period, terms.zone.clone()),
            Err(message) => {
                faults.push(("per".to_owned(), message));
                Window::Forever
            }
        },
    };
    if spec.carry_over && !spec.terms.each.is_empty() {
        let message = "is for what is counted together; take it or each out";
        faults.push(("carry_over".to_owned(), message.to_owned()));
    }
    let name = spec.name.clone().unwrap_or_else(|| match spec.per.as_deref() {
        Some(per) => format!("budget per {per}"),
        None => "credit".to_owned(),
    });
    let amount = spec.usd.0.picodollars();
    let mut made = terms.limit(holder, Said { name, meter: Meter::Money, amount, window, budget: true });
    made.carry_over = spec.carry_over;
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

fn over_time(
    spec: &LimitSpec,
    period: Period,
    amount: i64,
    zone: &TimeZone,
    faults: &mut Vec<Fault>,
) -> Window {
    let usual = match (spec.wait, spec.burst) {
        (Some(_), _) => AlgorithmSpec::LeakyBucket,
        (None, Some(_)) => AlgorithmSpec::TokenBucket,
        (None, None) => AlgorithmSpec::SlidingWindow,
    };
    let algorithm = spec.algorithm.unwrap_or(usual);
    let is_bucket = matches!(algorithm, AlgorithmSpec::TokenBucket | AlgorithmSpec::LeakyBucket);
    if spec.burst.is_some() && !is_bucket {
        faults.push(("burst".to_owned(), "belongs to a token_bucket or a leaky_bucket".to_owned()));
    }
    if spec.wait.is_some() && algorithm != AlgorithmSpec::LeakyBucket {
        faults.push(("wait".to_owned(), "belongs to a leaky_bucket".to_owned()));
    }
    if spec.terms.time_zone.is_some() && algorithm != AlgorithmSpec::FixedWindow {
        let message = "matters to periods of the calendar only; write algorithm: fixed_window";
        faults.push(("time_zone".to_owned(), message.to_owned()));
    }
    let length_us = period.length_us();
    let wait_us = spec.wait.map_or(0, |wait| i64::try_from(wait.0.as_micros()).unwrap_or(i64::MAX));
    match algorithm {
        AlgorithmSpec::FixedWindow => Window::Calendar(period, zone.clone()),
        AlgorithmSpec::SlidingWindow => Window::Sliding { length_us },
        AlgorithmSpec::TokenBucket => Window::Bucket {
            burst: spec.burst.map_or(amount, |burst| burst.0),
            period_us: length_us,
            wait_us: 0,
        },
        // A bucket that lets nothing through at once is one call after the other.
        AlgorithmSpec::LeakyBucket => {
            if spec.wait.is_none() {
                faults
                    .push(("wait".to_owned(), "is missing; say how long a call may wait, as 2s".to_owned()));
            }
            Window::Bucket { burst: spec.burst.map_or(1, |burst| burst.0), period_us: length_us, wait_us }
        }
    }
}

fn period(per: Option<&str>) -> Result<Period, String> {
    let per =
        per.ok_or_else(|| "is missing; write minute, hour, day, week, month or a duration".to_owned())?;
    if let Some((_, period)) = Period::NAMED.into_iter().find(|(name, _)| *name == per) {
        return Ok(period);
    }
    let length = span(per).and_then(|span| i64::try_from(span.as_micros()).ok()).filter(|us| *us > 0);
    length.map(Period::Span).ok_or_else(|| {
        format!("\"{per}\" is no period; use second, minute, hour, day, week, month, year or a duration such as 5h")
    })
}

/// How a window is counted, but for amounts.
fn counted(window: &Window) -> String {
    match window {
        Window::Calendar(period, zone) => {
            format!("fixed {period:?} {}", zone.iana_name().unwrap_or_default())
        }
        Window::Sliding { length_us } => format!("sliding {length_us}"),
        Window::Bucket { period_us, .. } => format!("bucket {period_us}"),
        Window::Concurrent => "concurrent".to_owned(),
        Window::Forever => "forever".to_owned(),
    }
}

/// Terms with their meaning.
struct Meant<'t> {
    terms: &'t Terms,
    zone: TimeZone,
    exceeded: Exceeded,
}

/// What a limit says beside its terms.
struct Said {
    name: String,
    meter: Meter,
    amount: i64,
    window: Window,
    budget: bool,
}

impl<'t> Meant<'t> {
    fn of(terms: &'t Terms, faults: &mut Vec<Fault>) -> Meant<'t> {
        let named = terms.time_zone.as_deref().unwrap_or("UTC");
        let zone = zone(named).unwrap_or_else(|| {
            let message = format!("\"{named}\" is no time zone; use a name such as Europe/Berlin");
            faults.push(("time_zone".to_owned(), message));
            TimeZone::UTC
        });
        let exceeded = match (terms.on_exceeded, &terms.downgrade_to) {
            (Some(ExceededSpec::Downgrade) | None, Some(model)) => Exceeded::Downgrade(model.clone()),
            (Some(ExceededSpec::Downgrade), None) => {
                faults.push((
                    "downgrade_to".to_owned(),
                    "is missing; name the model that takes over".to_owned(),
                ));
                Exceeded::Refuse
            }
            (Some(ExceededSpec::Refuse | ExceededSpec::Queue), Some(_)) => {
                faults.push(("downgrade_to".to_owned(), "belongs to on_exceeded: downgrade".to_owned()));
                Exceeded::Refuse
            }
            (Some(ExceededSpec::Queue), None) => Exceeded::Queue,
            (Some(ExceededSpec::Refuse) | None, None) => Exceeded::Refuse,
        };
        Meant { terms, zone, exceeded }
    }

    fn limit(self, holder: &Holder, said: Said) -> Limit {
        let terms = self.terms;
        let only = Only {
            models: terms.models.clone(),
            operations: terms.operations.iter().map(|name| name.0).collect(),
            tags: terms.tags.clone(),
        };
        let each = terms.each.clone();
        let kind = if said.budget { "budget" } else { "limit" };
        // What two limits of one holder may differ in, but for their amounts: a counter keeps its kind for life.
        let (name, meter, counted) = (&said.name, said.meter, counted(&said.window));
        let told = format!("{kind}\0{name}\0{meter:?}\0{counted}\0{each:?}\0{only:?}");
        Limit {
            id: Uuid::new_v5(&holder.id, told.as_bytes()),
            name: said.name,
            whose: Arc::clone(&holder.shown),
            meter: said.meter,
            amount: said.amount,
            window: said.window,
            only,
            each,
            shadow: terms.mode == Some(ModeSpec::Shadow),
            warn_permille: terms.warn_at.map(|share| share.0),
            exceeded: self.exceeded,
            on_failure: terms.on_store_failure.unwrap_or(OnFailure::Share),
            carry_over: false,
            allows_unpriced: terms.unpriced == Some(UnpricedSpec::Allow),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> Holder {
        Holder { id: Uuid::from_u128(7), shown: "team search".into() }
    }

    fn read(text: &str) -> Result<Limit, Vec<Fault>> {
        limit(&serde_json::from_str(text).unwrap(), &holder())
    }

    #[test]
    fn limits_are_counted_as_they_say() {
        let check = |text: &str, name: &str, amount: i64, window: Window| {
            let limit = read(text).unwrap();
            assert_eq!((limit.name.as_str(), limit.amount, limit.window), (name, amount, window), "{text}");
        };
        let minute = 60_000_000;
        check(
            r#"{"requests":600,"per":"minute"}"#,
            "requests per minute",
            600,
            Window::Sliding { length_us: minute },
        );
        check(
            r#"{"tokens":"2M","per":"day","algorithm":"fixed_window"}"#,
            "tokens per day",
            2_000_000,
            Window::Calendar(Period::Day, TimeZone::UTC),
        );
        check(
            r#"{"requests":10,"per":"second","burst":20}"#,
            "requests per second",
            10,
            Window::Bucket { burst: 20, period_us: 1_000_000, wait_us: 0 },
        );
        check(
            r#"{"requests":10,"per":"second","wait":"2s"}"#,
            "requests per second",
            10,
            Window::Bucket { burst: 1, period_us: 1_000_000, wait_us: 2_000_000 },
        );
        check(r#"{"concurrent":5}"#, "concurrent requests", 5, Window::Concurrent);
        check(
            r#"{"usd":"0.5","per":"5h","name":"spend"}"#,
            "spend",
            500_000_000_000,
            Window::Sliding { length_us: 300 * minute },
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let check = |text: &str, path: &str, part: &str| {
            let faults = read(text).unwrap_err();
            let found = faults.iter().any(|(at, message)| at == path && message.contains(part));
            assert!(found, "{text}: {faults:?}");
        };
        check("{}", "", "counts one of");
        check(r#"{"requests":1,"tokens":2,"per":"day"}"#, "", "counts one of");
        check(r#"{"requests":1}"#, "per", "is missing");
        check(r#"{"requests":1,"per":"mounth"}"#, "per", "no period");
        check(r#"{"concurrent":1,"per":"day"}"#, "per", "means nothing");
        check(r#"{"requests":1,"per":"day","burst":3,"algorithm":"sliding_window"}"#, "burst", "belongs to");
        check(r#"{"requests":1,"per":"day","algorithm":"leaky_bucket"}"#, "wait", "is missing");
        check(r#"{"requests":1,"per":"day","time_zone":"Europe/Berlin"}"#, "time_zone", "fixed_window");
        check(
            r#"{"requests":1,"per":"day","algorithm":"fixed_window","time_zone":"Mars"}"#,
            "time_zone",
            "no time zone",
        );
        check(r#"{"requests":1,"per":"day","on_exceeded":"downgrade"}"#, "downgrade_to", "is missing");
        check(
            r#"{"requests":1,"per":"day","on_exceeded":"queue","downgrade_to":"m"}"#,
            "downgrade_to",
            "belongs",
        );
    }

    #[test]
    fn another_amount_is_the_same_limit() {
        let id = |text: &str| read(text).unwrap().id;
        let first = id(r#"{"requests":1,"per":"day"}"#);
        assert_eq!(first, id(r#"{"requests":2,"per":"day"}"#));
        assert_ne!(first, id(r#"{"requests":1,"per":"hour"}"#));
        assert_ne!(first, id(r#"{"requests":1,"per":"day","models":["m"]}"#));
        assert_ne!(first, id(r#"{"requests":1,"per":"day","each":["end_user"]}"#));
    }
}
