//! What providers' gates and health checks show: one line for each provider that is configured to have them.

use std::fmt::Write as _;

use policy::queue::{Priority, Refused};

use crate::{core::Shared, gate::Shown, metrics::header};

/// Writes them in the form that Prometheus reads.
pub(crate) fn write(text: &mut String, shared: &Shared) {
    let world = shared.world.load();
    let gates: Vec<(&str, Shown)> = world.gates().map(|(name, gate)| (name, gate.shown())).collect();
    if !gates.is_empty() {
        write_places(text, &gates);
        write_queues(text, &gates);
    }
    let checked = shared.checked.all();
    if !checked.is_empty() {
        let name = "tollgate_provider_up";
        header(text, name, "gauge", "whether a provider passes its health check");
        for (provider, well) in checked {
            let _ = writeln!(text, "{name}{{provider=\"{provider}\"}} {}", u8::from(well));
        }
    }
}

fn write_places(text: &mut String, gates: &[(&str, Shown)]) {
    let mut gauge = |name: &str, help: &str, value: fn(&Shown) -> u32| {
        header(text, name, "gauge", help);
        for (provider, shown) in gates {
            let _ = writeln!(text, "{name}{{provider=\"{provider}\"}} {}", value(shown));
        }
    };
    gauge("tollgate_concurrency_limit", "calls that a provider is sent at a time", |shown| shown.limit);
    gauge("tollgate_concurrency_in_flight", "calls that have a place at a provider", |shown| shown.in_flight);
}

fn write_queues(text: &mut String, gates: &[(&str, Shown)]) {
    let name = "tollgate_queue_length";
    header(text, name, "gauge", "calls that wait for a place at a provider");
    for (provider, shown) in gates {
        for (priority, count) in Priority::ALL.iter().zip(shown.queued) {
            let priority = priority.name();
            let _ = writeln!(text, "{name}{{provider=\"{provider}\",priority=\"{priority}\"}} {count}");
        }
    }
    let name = "tollgate_queue_refused_total";
    header(text, name, "counter", "calls that a provider's queue did not let in");
    for (provider, shown) in gates {
        for (refused, count) in Refused::ALL.iter().zip(shown.counts.refused) {
            let reason = refused.code();
            let _ = writeln!(text, "{name}{{provider=\"{provider}\",reason=\"{reason}\"}} {count}");
        }
    }
    let name = "tollgate_queue_wait_seconds";
    header(text, name, "summary", "how long calls waited that got a place at a provider");
    for (provider, shown) in gates {
        let (count, seconds) = (shown.counts.waited, shown.counts.wait.as_secs_f64());
        let _ = writeln!(text, "{name}_sum{{provider=\"{provider}\"}} {seconds}");
        let _ = writeln!(text, "{name}_count{{provider=\"{provider}\"}} {count}");
    }
}
