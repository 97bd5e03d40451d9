//! Counters of one core, summed when they are scraped.
//!
//! Names and labels follow Prometheus' conventions (<https://prometheus.io/docs/practices/naming/>).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use policy::record::{Outcome, Record};

use crate::{core::Shared, provider_metrics};

/// The most pairs of provider and model that are counted by name; the rest share one line.
const SERIES_MAX: usize = 1_000;

/// Upper bounds of the time buckets, in microseconds.
const BOUNDS_US: [u64; 14] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    60_000_000,
    300_000_000,
];

/// A count that goes up and down, or only up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    ConnectionsAccepted,
    ConnectionsRefused,
    ConnectionsOpen,
    CallsOpen,
    CallsRefused,
    Unauthenticated,
    TokensChecked,
    TokensAsked,
    TokensUnanswered,
    AttemptsMade,
    HedgesMade,
    StreamsContinued,
    TargetsRested,
    SpoolFailures,
    LimitsRefused,
    LimitsWaited,
    LimitsDowngraded,
    LimitsShadowed,
}

impl Counter {
    const ALL: [Counter; 18] = [
        Counter::ConnectionsAccepted,
        Counter::ConnectionsRefused,
        Counter::ConnectionsOpen,
        Counter::CallsOpen,
        Counter::CallsRefused,
        Counter::Unauthenticated,
        Counter::TokensChecked,
        Counter::TokensAsked,
        Counter::TokensUnanswered,
        Counter::AttemptsMade,
        Counter::HedgesMade,
        Counter::StreamsContinued,
        Counter::TargetsRested,
        Counter::SpoolFailures,
        Counter::LimitsRefused,
        Counter::LimitsWaited,
        Counter::LimitsDowngraded,
        Counter::LimitsShadowed,
    ];

    /// Name, type and help.
    fn describe(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Counter::ConnectionsAccepted => {
                ("tollgate_connections_accepted_total", "counter", "client connections taken")
            }
            Counter::ConnectionsRefused => (
                "tollgate_connections_refused_total",
                "counter",
                "client connections closed at once because server.limits.connections was reached",
            ),
            Counter::ConnectionsOpen => ("tollgate_connections_open", "gauge", "client connections open now"),
            Counter::CallsOpen => ("tollgate_calls_open", "gauge", "calls in flight now"),
            Counter::CallsRefused => (
                "tollgate_calls_refused_total",
                "counter",
                "calls answered by the gateway itself with a fault, before any upstream",
            ),
            Counter::Unauthenticated => {
                ("tollgate_unauthenticated_total", "counter", "calls without a good key")
            }
            Counter::TokensChecked => {
                ("tollgate_tokens_checked_total", "counter", "signed tokens that were not known to be good")
            }
            Counter::TokensAsked => (
                "tollgate_introspections_total",
                "counter",
                "opaque tokens of which it was asked what they stand for",
            ),
            Counter::TokensUnanswered => (
                "tollgate_introspections_failed_total",
                "counter",
                "opaque tokens of which nobody said what they stand for",
            ),
            Counter::AttemptsMade => {
                ("tollgate_attempts_total", "counter", "requests sent or tried to upstreams")
            }
            Counter::HedgesMade => {
                ("tollgate_hedges_total", "counter", "second requests to another target beside a late one")
            }
            Counter::StreamsContinued => (
                "tollgate_streams_continued_total",
                "counter",
                "streams that broke off and that another target went on with",
            ),
            Counter::TargetsRested => (
                "tollgate_targets_rested_total",
                "counter",
                "times that a target was left alone because it kept failing",
            ),
            Counter::SpoolFailures => (
                "tollgate_spool_failures_total",
                "counter",
                "journal entries that could not be written to the spool",
            ),
            Counter::LimitsRefused => {
                ("tollgate_limits_refused_total", "counter", "calls that a limit or a budget refused")
            }
            Counter::LimitsWaited => {
                ("tollgate_limits_waited_total", "counter", "times that a call waited for room in a limit")
            }
            Counter::LimitsDowngraded => (
                "tollgate_limits_downgraded_total",
                "counter",
                "calls that another model took since a limit was reached",
            ),
            Counter::LimitsShadowed => (
                "tollgate_limits_shadowed_total",
                "counter",
                "times that a limit in shadow mode would have refused a call",
            ),
        }
    }
}

/// What one core counts. Its own thread writes; scraping only reads.
#[derive(Debug, Default)]
pub(crate) struct CoreMetrics {
    counters: [AtomicU64; Counter::ALL.len()],
    /// Only this core and a scrape ever lock it.
    series: Mutex<AllSeries>,
}

/// Counts by provider and model.
#[derive(Debug, Default)]
struct AllSeries {
    by_provider: BTreeMap<String, BTreeMap<String, Series>>,
    count: usize,
}

/// Counts of the settled calls of one model at one provider.
#[derive(Clone, Debug, Default)]
struct Series {
    outcomes: [u64; Outcome::ALL.len()],
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    cost_picodollars: u128,
    unpriced: u64,
    first_byte: Histogram,
    total: Histogram,
}

#[derive(Clone, Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl CoreMetrics {
    pub(crate) fn add(&self, counter: Counter, count: u64) {
        self.cell(counter).fetch_add(count, Relaxed);
    }

    pub(crate) fn subtract(&self, counter: Counter, count: u64) {
        self.cell(counter).fetch_sub(count, Relaxed);
    }

    pub(crate) fn value(&self, counter: Counter) -> u64 {
        self.cell(counter).load(Relaxed)
    }

    /// Counts a call that has ended.
    pub(crate) fn settled(&self, record: &Record<'_>) {
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) =
            all.by_provider.get_mut(&*record.provider).and_then(|models| models.get_mut(&*record.model))
        {
            return series.add(record);
        }
        let model = if all.count < SERIES_MAX { record.model.to_string() } else { "other".to_owned() };
        all.count += 1;
        let series =
            all.by_provider.entry(record.provider.to_string()).or_default().entry(model).or_default();
        series.add(record);
    }

    fn cell(&self, counter: Counter) -> &AtomicU64 {
        &self.counters[counter as usize]
    }
}

impl Series {
    fn add(&mut self, record: &Record<'_>) {
        self.outcomes[record.outcome as usize] += 1;
        self.input_tokens += record.tokens.input;
        self.cached_tokens += record.tokens.cache_read;
        self.output_tokens += record.tokens.output;
        match record.cost {
            Some(cost) => self.cost_picodollars += u128::from(cost.picodollars().unsigned_abs()),
            None => self.unpriced += 1,
        }
        if let Some(first_byte_us) = record.first_byte_us {
            self.first_byte.add(first_byte_us);
        }
        self.total.add(record.total_us);
    }

    fn merge(&mut self, other: &Series) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        self.input_tokens += other.input_tokens;
        self.cached_tokens += other.cached_tokens;
        self.output_tokens += other.output_tokens;
        self.cost_picodollars += other.cost_picodollars;
        self.unpriced += other.unpriced;
        self.first_byte.merge(&other.first_byte);
        self.total.merge(&other.total);
    }
}

impl Histogram {
    fn add(&mut self, time_us: u64) {
        let at = BOUNDS_US.partition_point(|&bound| bound < time_us);
        self.buckets[at] += 1;
        self.sum_us += time_us;
    }

    fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
        self.sum_us += other.sum_us;
    }
}

/// The text that Prometheus reads: the sum over all cores.
pub(crate) fn exposition(cores: &[Arc<CoreMetrics>], shared: &Shared) -> String {
    let mut text = String::with_capacity(4096);
    for counter in Counter::ALL {
        let (name, kind, help) = counter.describe();
        let sum = cores.iter().fold(0_u64, |sum, core| sum.wrapping_add(core.value(counter)));
        header(&mut text, name, kind, help);
        let _ = writeln!(text, "{name} {sum}");
    }
    let mut all: BTreeMap<(String, String), Series> = BTreeMap::new();
    for core in cores {
        let series = core.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (provider, models) in &series.by_provider {
            for (model, series) in models {
                all.entry((provider.clone(), model.clone())).or_default().merge(series);
            }
        }
    }
    write_series(&mut text, &all);
    provider_metrics::write(&mut text, shared);
    shared.journal.write(&mut text);
    text
}

fn write_series(text: &mut String, all: &BTreeMap<(String, String), Series>) {
    header(text, "tollgate_calls_total", "counter", "calls that reached an upstream, by how they ended");
    for (key, series) in all {
        for (outcome, count) in Outcome::ALL.iter().zip(series.outcomes).filter(|(_, count)| *count > 0) {
            let labels = labels(key);
            let _ = writeln!(text, "tollgate_calls_total{{{labels},outcome=\"{}\"}} {count}", outcome.name());
        }
    }
    header(text, "tollgate_tokens_total", "counter", "tokens by class; input includes cached");
    for (key, series) in all {
        let classes = [
            ("input", series.input_tokens),
            ("cached", series.cached_tokens),
            ("output", series.output_tokens),
        ];
        for (class, count) in classes {
            let _ = writeln!(text, "tollgate_tokens_total{{{},class=\"{class}\"}} {count}", labels(key));
        }
    }
    header(text, "tollgate_cost_picodollars_total", "counter", "cost of priced calls in 10^-12 USD");
    for (key, series) in all {
        let _ =
            writeln!(text, "tollgate_cost_picodollars_total{{{}}} {}", labels(key), series.cost_picodollars);
    }
    header(text, "tollgate_unpriced_calls_total", "counter", "calls whose price is not known");
    for (key, series) in all {
        let _ = writeln!(text, "tollgate_unpriced_calls_total{{{}}} {}", labels(key), series.unpriced);
    }
    let first_byte = "tollgate_first_byte_seconds";
    header(text, first_byte, "histogram", "from a call's arrival to the first byte of its answer");
    for (key, series) in all {
        write_histogram(text, first_byte, key, &series.first_byte);
    }
    header(text, "tollgate_call_seconds", "histogram", "from a call's arrival to its end");
    for (key, series) in all {
        write_histogram(text, "tollgate_call_seconds", key, &series.total);
    }
}

pub(crate) fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn write_histogram(text: &mut String, name: &str, key: &(String, String), histogram: &Histogram) {
    let labels = labels(key);
    let mut sum = 0;
    for (bound_us, count) in BOUNDS_US.iter().zip(histogram.buckets) {
        sum += count;
        let bound = *bound_us as f64 / 1e6;
        let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {sum}");
    }
    sum += histogram.buckets.last().copied().unwrap_or_default();
    let seconds = histogram.sum_us as f64 / 1e6;
    let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {sum}");
    let _ = writeln!(text, "{name}_sum{{{labels}}} {seconds}\n{name}_count{{{labels}}} {sum}");
}

fn labels((provider, model): &(String, String)) -> String {
    let escaped = model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("provider=\"{provider}\",model=\"{escaped}\"")
}
