//! Budgets and limits of a row (<https://docs.litellm.ai/docs/proxy/users>).

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{config::AccessGroups, database::object};
use crate::import::{
    fields::{Fields, count_of},
    report::Grade,
    work::{Work, put},
};

/// What a row may do.
#[derive(Default)]
pub(super) struct Held {
    /// In the words of the configuration.
    pub(super) settings: Map<String, Value>,
    /// What was spent of its budget in the period that goes on, in USD.
    pub(super) spent: Option<f64>,
}

/// Reads what the row of an organization, a team, a project, a user or a key holds; what it does not say itself, the row of
/// its budget says.
pub(super) fn read(
    row: &mut Fields<'_>,
    budget: Option<&mut Fields<'_>>,
    groups: &AccessGroups,
    now_us: i64,
    work: &mut Work,
) -> Held {
    let mut held = Held::default();
    models(row, groups, &mut held.settings, work);
    if row.flag("blocked", &mut work.report) == Some(true) {
        work.report.exact(&row.at("blocked"), "is `disabled`");
        put(&mut held.settings, "disabled", true);
    }
    let spend = row.number("spend", &mut work.report);
    let mut limits = rates(row, work);
    let mut budgets = money(row, spend, now_us, &mut held, work);
    if let Some(budget) = budget {
        // Both may say the same: the row itself counts.
        let more = rates(budget, work);
        if limits.is_empty() {
            limits = more;
        }
        if budgets.is_empty() {
            budgets = money(budget, spend, now_us, &mut held, work);
        }
    }
    budgets.extend(by_model(row, work));
    let metadata = row.take("metadata").and_then(object).unwrap_or_default();
    let path = row.at("metadata");
    let mut metadata = Fields::new(&path, &metadata);
    limits.extend(rates_by_model(&mut metadata, work));
    tags(&mut metadata, &mut held.settings, work);
    metadata.rest(&mut work.report);
    match budgets.len() {
        0 => {}
        1 => put(&mut held.settings, "budget", budgets.remove(0)),
        _ => put(&mut held.settings, "budget", budgets),
    }
    if !limits.is_empty() {
        put(&mut held.settings, "limits", limits);
    }
    held
}

/// The models that may be asked for; names of access groups stand for the models in them.
fn models(row: &mut Fields<'_>, groups: &AccessGroups, settings: &mut Map<String, Value>, work: &mut Work) {
    let listed = row.texts("models", &mut work.report);
    let by_group = row.texts("access_group_ids", &mut work.report);
    if listed.is_empty() && by_group.is_empty() {
        return;
    }
    let path = row.at(if listed.is_empty() { "access_group_ids" } else { "models" });
    if ["*", "all-proxy-models", "all-team-models"].iter().any(|all| listed.contains(all)) {
        work.report.exact(&path, "all that are allowed above it");
        return;
    }
    if listed == ["no-default-models"] && by_group.is_empty() {
        work.report.exact(&path, "no model is allowed: it is `disabled`");
        put(settings, "disabled", true);
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in listed.iter().chain(&by_group).copied().filter(|name| *name != "no-default-models") {
        match groups.get(name) {
            Some(members) => names.extend(members.iter().map(String::as_str)),
            None if by_group.contains(&name) => {
                work.report.manual(&path, "there is no access group of this number; look at its models");
            }
            None => names.push(name),
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    work.report.exact(&path, "is `models`, with the models of access groups one by one");
    put(settings, "models", names);
}

/// Calls and tokens over time, and calls at a time.
fn rates(row: &mut Fields<'_>, work: &mut Work) -> Vec<Value> {
    let columns = [
        ("rpm_limit", "requests", Some("minute")),
        ("tpm_limit", "tokens", Some("minute")),
        ("tpd_limit", "tokens", Some("day")),
        ("max_parallel_requests", "concurrent", None),
    ];
    let mut limits = Vec::new();
    for (column, counted, per) in columns {
        let Some(most) = row.count(column, &mut work.report) else { continue };
        let path = row.at(column);
        match per {
            Some(per) => {
                work.report.approximate(&path, format!("is a limit of `{counted}` per {per}, counted over any {per} instead of those of the clock"));
                limits.push(json!({counted: most, "per": per}));
            }
            None => {
                work.report.exact(&path, "is a limit of calls at a time (`concurrent`)");
                limits.push(json!({counted: most}));
            }
        }
    }
    limits
}

/// The budget of a row, and what was spent of it.
fn money(
    row: &mut Fields<'_>,
    spend: Option<f64>,
    now_us: i64,
    held: &mut Held,
    work: &mut Work,
) -> Vec<Value> {
    let most = row.number("max_budget", &mut work.report);
    let soft = row.number("soft_budget", &mut work.report);
    let duration = row.text("budget_duration", &mut work.report);
    let ends = row.text("budget_reset_at", &mut work.report);
    let Some(most) = most.filter(|most| *most >= 0.0) else {
        if soft.is_some() {
            work.report.manual(
                &row.at("soft_budget"),
                "warns and there is no budget; write one with `mode: shadow`",
            );
        }
        return Vec::new();
    };
    let mut budget = Map::new();
    put(&mut budget, "usd", dollars(most));
    work.report.exact(
        &row.at("max_budget"),
        "is `budget.usd`; calls whose price is not known go on (`unpriced: allow`)",
    );
    if let Some(duration) = duration {
        let (per, grade, says) = period(duration);
        work.report.note(&row.at("budget_duration"), grade, says);
        if let Some(per) = per {
            put(&mut budget, "per", per);
        }
    }
    put(&mut budget, "unpriced", "allow");
    if let Some(soft) = soft.filter(|soft| *soft > 0.0 && *soft < most) {
        put(&mut budget, "warn_at", format!("{}%", (soft / most * 100.0).floor()));
        work.report.approximate(&row.at("soft_budget"), "is `warn_at` of the budget, in whole per cent");
    }
    let over = ends.and_then(moment).is_some_and(|ends_us| ends_us <= now_us);
    held.spent = spend.filter(|spend| *spend > 0.0 && !over);
    if held.spent.is_some() {
        work.report.exact(&row.at("spend"), "was counted against the budget's current period");
    }
    vec![budget.into()]
}

/// Budgets for single models.
fn by_model(row: &mut Fields<'_>, work: &mut Work) -> Vec<Value> {
    let Some(models) = row.take("model_max_budget").and_then(object).filter(|models| !models.is_empty())
    else {
        return Vec::new();
    };
    let path = row.at("model_max_budget");
    let mut budgets = Vec::new();
    for (model, value) in &models {
        let most = ["budget_limit", "max_budget"]
            .iter()
            .find_map(|name| value.get(*name)?.as_f64())
            .or_else(|| value.as_f64());
        let over = ["time_period", "budget_duration"].iter().find_map(|name| value.get(*name)?.as_str());
        let Some(most) = most else {
            work.report.manual(&path, "says no amount; write a budget with `models`");
            continue;
        };
        let mut budget = Map::new();
        put(&mut budget, "name", format!("budget of {model}"));
        put(&mut budget, "usd", dollars(most));
        if let Some(per) = over.and_then(|over| period(over).0) {
            put(&mut budget, "per", per);
        }
        put(&mut budget, "models", vec![model.as_str()]);
        put(&mut budget, "unpriced", "allow");
        budgets.push(budget.into());
        work.report.approximate(&path, "is a budget with `models`, which begins at nothing: what was spent by model is not in the database");
    }
    budgets
}

/// `model_rpm_limit` and `model_tpm_limit` stand among the metadata.
fn rates_by_model(metadata: &mut Fields<'_>, work: &mut Work) -> Vec<Value> {
    let mut limits = Vec::new();
    for (name, counted) in [("model_rpm_limit", "requests"), ("model_tpm_limit", "tokens")] {
        let Some(models) = metadata.take(name).and_then(object) else { continue };
        for (model, most) in &models {
            let Some(most) = count_of(most) else { continue };
            limits.push(json!({"name": format!("{counted} per minute of {model}"), counted: most, "per": "minute", "models": [model]}));
        }
        work.report.approximate(&metadata.at(name), "are limits with `models`, counted over any minute");
    }
    limits
}

/// Tags are words there, and names with values here.
fn tags(metadata: &mut Fields<'_>, settings: &mut Map<String, Value>, work: &mut Work) {
    let words = metadata.texts("tags", &mut work.report);
    if words.is_empty() {
        return;
    }
    let tags: Map<String, Value> = words.into_iter().map(|word| (word.to_owned(), "true".into())).collect();
    work.report.approximate(&metadata.at("tags"), "are `tags` with the value \"true\"");
    put(settings, "tags", tags);
}

/// `budget_duration` as `per`. Periods of a day, a week, thirty days and a month follow the calendar there as well.
fn period(duration: &str) -> (Option<String>, Grade, String) {
    let calendar = [
        ("day", &["1d", "24h", "daily"][..]),
        ("week", &["7d", "1w", "weekly"]),
        ("month", &["30d", "1mo", "monthly"]),
        ("hour", &["1h", "60m", "hourly"]),
    ];
    if let Some((name, _)) = calendar.iter().find(|(_, written)| written.contains(&duration)) {
        return (
            Some((*name).to_owned()),
            Grade::Exact,
            format!("`{duration}` is `per: {name}`, by the calendar in UTC as there"),
        );
    }
    let split = duration.find(|c: char| !c.is_ascii_digit()).unwrap_or(duration.len());
    let (number, unit) = duration.split_at(split);
    let days = |number: u64, length: u64| format!("{}d", number.saturating_mul(length));
    let per = number.parse::<u64>().ok().filter(|number| *number > 0).and_then(|number| match unit {
        "s" | "m" | "h" | "d" => Some(duration.to_owned()),
        "w" => Some(days(number, 7)),
        "mo" => Some(days(number, 30)),
        "y" => Some(days(number, 365)),
        _ => None,
    });
    let says = match &per {
        Some(per) => format!(
            "`{duration}` is `per: {per}`, whose periods are counted from 1970 on and not from the last reset"
        ),
        None => "is no period that is known; the budget does not renew by itself".to_owned(),
    };
    let grade = if per.is_some() { Grade::Approximate } else { Grade::Manual };
    (per, grade, says)
}

/// An amount in decimals, as a configuration has it.
fn dollars(amount: f64) -> String {
    let text = format!("{amount:.12}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// Microseconds since 1970; times without a zone are in UTC.
pub(super) fn moment(text: &str) -> Option<i64> {
    let text = text.replace(' ', "T");
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    zoned.or_else(plain).map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{draft::Draft, report::Report};

    #[test]
    fn periods_are_those_of_the_calendar() {
        let check = |duration: &str, expected: Option<&str>| {
            assert_eq!(period(duration).0.as_deref(), expected, "{duration}");
        };
        check("30d", Some("month"));
        check("1d", Some("day"));
        check("5h", Some("5h"));
        check("2w", Some("14d"));
        check("3mo", Some("90d"));
        check("soon", None);
        check("0d", None);
    }

    #[test]
    fn rows_hold_budgets_and_limits() {
        let row = json!({
            "models": ["fast", "group", "fast"], "max_budget": 12.5, "budget_duration": "30d", "spend": 3.25,
            "budget_reset_at": "2026-12-01T00:00:00", "rpm_limit": 60, "max_parallel_requests": 2, "soft_budget": 10,
            "model_max_budget": {"fast": {"budget_limit": 1, "time_period": "1d"}},
            "metadata": {"tags": ["red"], "model_tpm_limit": {"fast": 1000}},
        });
        let groups = AccessGroups::from([("group".to_owned(), vec!["smart".to_owned()])]);
        let mut work = Work { report: Report::default(), draft: Draft::new("s") };
        let read_at = |now: &str, work: &mut Work| {
            let mut fields = Fields::new("t", row.as_object().unwrap());
            read(&mut fields, None, &groups, moment(now).unwrap(), work)
        };
        let held = read_at("2026-11-21T10:00:00Z", &mut work);
        let expected = json!({
            "models": ["fast", "smart"],
            "tags": {"red": "true"},
            "budget": [
                {"usd": "12.5", "per": "month", "unpriced": "allow", "warn_at": "80%"},
                {"name": "budget of fast", "usd": "1", "per": "day", "models": ["fast"], "unpriced": "allow"},
            ],
            "limits": [
                {"requests": 60, "per": "minute"}, {"concurrent": 2},
                {"name": "tokens per minute of fast", "tokens": 1000, "per": "minute", "models": ["fast"]},
            ],
        });
        assert_eq!(Value::from(held.settings.clone()), expected);
        assert_eq!(held.spent, Some(3.25));
        let settings: policy::principal::Settings = serde_json::from_value(held.settings.into()).unwrap();
        assert_eq!(settings.limits.len(), 3);
        assert_eq!(read_at("2026-12-02 10:00:00", &mut work).spent, None, "the period is over");
    }
}
