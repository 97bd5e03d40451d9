//! What a caller is told whose call does not fit.

use std::time::Duration;

use jiff::Timestamp;
use wire::{Fault, Kind, Origin, Retry};

use super::{Limit, Meter, Period, Window};
use crate::{Money, ledger::Cause};

/// What stands in a call's way.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    pub cause: Cause,
    /// The limit in force, which may be more than is configured.
    pub limit: i64,
    pub left: i64,
    /// What the call claimed.
    pub amount: i64,
    /// In how many microseconds it may fit at the earliest; nothing where it never will.
    pub retry_us: Option<i64>,
}

/// The fault for a call that a limit refuses.
pub fn refusal(limit: &Limit, over: &Over, now_us: i64) -> Fault {
    let (name, whose) = (&limit.name, &limit.whose);
    if over.cause == Cause::Away {
        let message =
            format!("{name} of {whose} cannot be counted, since the store that counts it is away; try again");
        return Fault::new(Origin::Gateway, Kind::Overloaded, message)
            .code("limit_unavailable")
            .retry(Retry::After(Duration::from_secs(1)));
    }
    let (kind, code) = match limit.meter {
        Meter::Money => (Kind::QuotaExhausted, "budget_exhausted"),
        Meter::Concurrency => (Kind::RateLimited, "concurrency_limit_reached"),
        Meter::Requests | Meter::Tokens | Meter::InputTokens | Meter::OutputTokens => {
            (Kind::RateLimited, "rate_limit_reached")
        }
    };
    let after = over.retry_us.map(|us| Duration::from_micros(us.unsigned_abs()));
    let unit = Unit(limit.meter);
    let (most, used) = (unit.shown(over.limit), unit.bare(over.limit.saturating_sub(over.left)));
    let time = window(&limit.window);
    let state = match limit.meter {
        Meter::Money if over.left <= 0 => format!("{name} of {whose} is used up: {used} of {most}{time}"),
        Meter::Money => format!(
            "{name} of {whose} has {} left of {most}{time}, and this call may cost {}",
            unit.bare(over.left),
            unit.shown(over.amount)
        ),
        Meter::Concurrency => format!("{name} of {whose}: {most} are under way, which is the most"),
        Meter::Requests => format!("{name} of {whose}: {used} of {most} are used{time}"),
        Meter::Tokens | Meter::InputTokens | Meter::OutputTokens => format!(
            "{name} of {whose}: {used} of {most} are used{time}, and this call may need {}",
            unit.bare(over.amount)
        ),
    };
    let way_out = way_out(limit, after, now_us);
    let mut fault = Fault::new(Origin::Gateway, kind, format!("{state}; {way_out}")).code(code);
    // Credit comes back when somebody adds to it, and nobody knows when that is.
    let renews = after.filter(|_| limit.window != Window::Forever);
    fault.retry = renews.map_or(Retry::Never, Retry::After);
    fault
}

/// The fault for a call whose cost nobody knows, where money is counted.
pub fn unpriced(limit: &Limit, model: &str) -> Fault {
    let what = match model {
        "" => "what this call costs is not known".to_owned(),
        model => format!("the price of model \"{model}\" is not known"),
    };
    let message = format!(
        "{what}, and {} of {} counts money; give the model a price (0 where it is free), or write unpriced: allow there",
        limit.name, limit.whose
    );
    Fault::new(Origin::Gateway, Kind::Forbidden, message).code("model_unpriced")
}

fn way_out(limit: &Limit, after: Option<Duration>, now_us: i64) -> String {
    let renews = limit.renews_us(now_us).and_then(|(at, zone)| {
        let at = Timestamp::from_microsecond(at).ok()?.to_zoned(zone.clone());
        let zone = zone.iana_name().unwrap_or("UTC").to_owned();
        Some(format!("{} {zone}", at.strftime("%Y-%m-%d %H:%M")))
    });
    match (after, renews, &limit.window) {
        (None, _, _) => {
            "it is more than the whole limit: make the call smaller, or have the limit raised".to_owned()
        }
        (Some(_), _, Window::Forever) => "have it topped up".to_owned(),
        (Some(_), _, Window::Concurrent) => "try again when one of them has ended".to_owned(),
        // What is near is waited for; what is far has a date.
        (Some(after), Some(at), _) if after > Duration::from_secs(90) => format!("it renews on {at}"),
        (Some(after), _, _) => format!("try again in {} s", seconds(after)),
    }
}

fn seconds(after: Duration) -> String {
    let tenths = after.as_millis().div_ceil(100);
    match tenths {
        0..100 => format!("{}.{}", tenths / 10, tenths % 10),
        _ => tenths.div_ceil(10).to_string(),
    }
}

/// As in "600 requests are used this minute".
fn window(window: &Window) -> String {
    match window {
        Window::Calendar(Period::Span(_), _) => " in this period".to_owned(),
        Window::Calendar(Period::Day, _) => " today".to_owned(),
        Window::Calendar(period, _) => format!(" this {}", period.name()),
        Window::Sliding { .. } | Window::Bucket { .. } | Window::Concurrent | Window::Forever => {
            String::new()
        }
    }
}

/// Amounts as people read them.
#[derive(Clone, Copy)]
struct Unit(Meter);

impl Unit {
    fn bare(self, amount: i64) -> String {
        match self.0 {
            Meter::Money => Money(amount).to_string(),
            Meter::Requests
            | Meter::Tokens
            | Meter::InputTokens
            | Meter::OutputTokens
            | Meter::Concurrency => amount.to_string(),
        }
    }

    fn shown(self, amount: i64) -> String {
        let bare = self.bare(amount);
        match self.0 {
            Meter::Money => format!("{bare} USD"),
            Meter::Requests => format!("{bare} requests"),
            Meter::Tokens => format!("{bare} tokens"),
            Meter::InputTokens => format!("{bare} input tokens"),
            Meter::OutputTokens => format!("{bare} output tokens"),
            Meter::Concurrency => format!("{bare} calls"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::limit::{Holder, budget, limit};

    /// 2026-11-21 18:00 UTC.
    const NOW_US: i64 = 1_795_284_000_000_000;
    const SECOND: i64 = 1_000_000;

    fn holder() -> Holder {
        Holder { id: Uuid::from_u128(7), shown: "team search".into() }
    }

    fn check(limit: &Limit, (left, amount, retry_us): (i64, i64, Option<i64>), code: &str, message: &str) {
        let over = Over { cause: Cause::Limit, limit: limit.amount, left, amount, retry_us };
        let fault = refusal(limit, &over, NOW_US);
        assert_eq!((fault.code.as_deref(), fault.message.as_str()), (Some(code), message));
        let renews = retry_us.is_some() && limit.window != Window::Forever;
        assert_eq!(matches!(fault.retry, Retry::After(_)), renews);
    }

    #[test]
    fn refusals_say_what_is_left_and_when_it_renews() {
        let read = |text: &str| limit(&serde_json::from_str(text).unwrap(), &holder()).unwrap();
        let spend = |text: &str| budget(&serde_json::from_str(text).unwrap(), &holder()).unwrap();
        let day = 24 * 3600 * SECOND;
        let dollar = 1_000_000_000_000;
        check(
            &spend(r#"{"usd":3000,"per":"month"}"#),
            (0, dollar, Some(9 * day)),
            "budget_exhausted",
            "budget per month of team search is used up: 3000.00 of 3000.00 USD this month; it renews on 2026-12-01 00:00 UTC",
        );
        check(
            &spend(r#"{"usd":"0.50","per":"day","time_zone":"Europe/Berlin","name":"pocket money"}"#),
            (dollar / 10, dollar / 5, Some(5 * 3600 * SECOND)),
            "budget_exhausted",
            "pocket money of team search has 0.10 left of 0.50 USD today, and this call may cost 0.20 USD; it renews on 2026-11-22 00:00 Europe/Berlin",
        );
        check(
            &spend(r#"{"usd":10}"#),
            (0, dollar, Some(SECOND)),
            "budget_exhausted",
            "credit of team search is used up: 10.00 of 10.00 USD; have it topped up",
        );
        check(
            &read(r#"{"requests":600,"per":"minute"}"#),
            (0, 1, Some(3_210_000)),
            "rate_limit_reached",
            "requests per minute of team search: 600 of 600 requests are used; try again in 3.3 s",
        );
        check(
            &read(r#"{"tokens":"2k","per":"hour","algorithm":"fixed_window"}"#),
            (100, 5_000, None),
            "rate_limit_reached",
            "tokens per hour of team search: 1900 of 2000 tokens are used this hour, and this call may need 5000; it is more than the whole limit: make the call smaller, or have the limit raised",
        );
        check(
            &read(r#"{"concurrent":5}"#),
            (0, 1, Some(SECOND)),
            "concurrency_limit_reached",
            "concurrent requests of team search: 5 calls are under way, which is the most; try again when one of them has ended",
        );
    }

    #[test]
    fn who_cannot_be_counted_is_told_so() {
        let spend = budget(&serde_json::from_str(r#"{"usd":1,"per":"day"}"#).unwrap(), &holder()).unwrap();
        let over = Over { cause: Cause::Away, limit: 1, left: 0, amount: 1, retry_us: None };
        let fault = refusal(&spend, &over, NOW_US);
        assert_eq!((fault.kind, fault.code.as_deref()), (Kind::Overloaded, Some("limit_unavailable")));
        assert!(unpriced(&spend, "house/llama").message.contains("\"house/llama\""));
    }
}
