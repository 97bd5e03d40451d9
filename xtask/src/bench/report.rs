//! The measurements and the table.

use std::{
    fs,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    gateways::{Callers, free_port, nginx, tollgate},
    load::Call,
    mock::{self, EVENTS, Served},
    process::{Cpu, Program},
};
use crate::run;

const CHAT: &str = "/v1/chat/completions";

/// One row of the table; a figure that was not taken is left out.
#[derive(Clone, Debug, Default)]
struct Row {
    name: &'static str,
    cpu_us: f64,
    kernel_us: f64,
    per_second: f64,
    paced_us: f64,
    coalesced_us: f64,
    p50_us: f64,
    p99_us: f64,
    first_event_us: f64,
}

pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    run::must(&["cargo", "build", "--release", "--quiet", "--package", "tollgate"])?;
    let folder = run::target().join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (mock, served) = mock::start()?;
    let (nginx_port, port, limited_port) = (free_port()?, free_port()?, free_port()?);
    let nginx = nginx(&folder, mock, nginx_port)?;
    let binary = run::target().join("release/tollgate");
    let gateway = tollgate(&folder, Callers::One, &binary, (mock, port))?;
    let limited = tollgate(&folder, Callers::Many, &binary, (mock, limited_port))?;
    let idle = gateway.memory_mib().0;
    let rounds = if quick { 1 } else { 3 };
    let mut rows: Vec<Vec<Row>> = Vec::new();
    for _ in 0..rounds {
        let bench =
            Bench { served: Arc::clone(&served), time: Duration::from_secs(if quick { 1 } else { 4 }) };
        let mut round = vec![bench.row("direct", None, mock, CHAT)?];
        if let Some(nginx) = &nginx {
            round.push(bench.row("nginx", Some(nginx), nginx_port, CHAT)?);
        }
        round.push(bench.row("tollgate", Some(&gateway), port, CHAT)?);
        round.push(bench.row("tollgate, translated", Some(&gateway), port, "/v1/messages")?);
        round.push(bench.row("tollgate, 10,000 keys", Some(&limited), limited_port, CHAT)?);
        rows.push(round);
    }
    let table = medians(&rows);
    print(&table);
    let (now, peak) = gateway.memory_mib();
    run::say(&format!(
        "\ntollgate: starts in {} ms; memory {idle:.1} MiB idle, {now:.1} after, {peak:.1} at its peak",
        gateway.start.as_millis()
    ));
    fs::write(
        folder.join("latest.txt"),
        format!("{table:#?}\nstart {:?} idle {idle} peak {peak}\n", gateway.start),
    )?;
    Ok(())
}

struct Bench {
    served: Arc<Served>,
    time: Duration,
}

impl Bench {
    fn row(
        &self,
        name: &'static str,
        program: Option<&Program>,
        port: u16,
        path: &str,
    ) -> anyhow::Result<Row> {
        let callers = if name.ends_with("keys") { Callers::Many } else { Callers::One };
        let keys = callers.keys();
        let is_gateway = name != "direct" && name != "nginx";
        let call = |kind: &str| Call::new(port, path, &keys, &body(kind, path, is_gateway));
        let mut row = Row { name, ..Row::default() };
        let (cpu, count) = self.storm(program, &call("whole"), 32)?;
        row.cpu_us = cpu.total_us() / count;
        row.kernel_us = cpu.kernel_us / count;
        row.per_second = count / self.time.as_secs_f64();
        let (cpu, count) = self.storm(program, &call("coalesced"), 16)?;
        row.coalesced_us = cpu.total_us() / (count * EVENTS as f64);
        let (cpu, count) = self.storm(program, &call("paced"), 64)?;
        row.paced_us = cpu.total_us() / (count * EVENTS as f64);
        let (whole, _) = call("whole").times(2_000)?;
        row.p50_us = at(&whole, 50);
        row.p99_us = at(&whole, 99);
        let (_, first) = call("coalesced").times(300)?;
        row.first_event_us = at(&first, 50);
        Ok(row)
    }

    /// Processor time of a program and the requests that reached the provider meanwhile.
    fn storm(
        &self,
        program: Option<&Program>,
        call: &Call,
        connections: usize,
    ) -> anyhow::Result<(Cpu, f64)> {
        let requests = self.served.requests.load(Relaxed);
        let before = program.map_or_else(Cpu::default, Program::cpu);
        call.storm(connections, self.time)?;
        let used = program.map_or_else(Cpu::default, Program::cpu) - before;
        let count = self.served.requests.load(Relaxed) - requests;
        Ok((used, (count as f64).max(1.0)))
    }
}

/// A request of about 1,480 bytes.
fn body(kind: &str, path: &str, named: bool) -> String {
    let words = "Who comes to the gate at this hour, and what does he carry? ".repeat(21);
    let model = if named { "mock/m" } else { "m" };
    let stream = if kind == "whole" { "" } else { ",\"stream\":true" };
    let (system, limit) =
        if path == CHAT { ("", "") } else { ("\"system\":\"You keep a gate.\",", "\"max_tokens\":500,") };
    format!(
        "{{\"model\":\"{model}\",{limit}{system}\"messages\":[{{\"role\":\"user\",\"content\":\"{kind}. {words}\"}}],\"temperature\":0.7{stream}}}"
    )
}

fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Row by row, figure by figure, the median over the rounds.
fn medians(rounds: &[Vec<Row>]) -> Vec<Row> {
    let first = rounds.first().cloned().unwrap_or_default();
    let median = |at: usize, figure: fn(&Row) -> f64| {
        let mut all: Vec<f64> = rounds.iter().filter_map(|round| round.get(at)).map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let row = |(at, row): (usize, Row)| Row {
        name: row.name,
        cpu_us: median(at, |row| row.cpu_us),
        kernel_us: median(at, |row| row.kernel_us),
        per_second: median(at, |row| row.per_second),
        paced_us: median(at, |row| row.paced_us),
        coalesced_us: median(at, |row| row.coalesced_us),
        p50_us: median(at, |row| row.p50_us),
        p99_us: median(at, |row| row.p99_us),
        first_event_us: median(at, |row| row.first_event_us),
    };
    first.into_iter().enumerate().map(row).collect()
}

/// Times are shown as what a gateway adds to going direct.
fn print(rows: &[Row]) {
    let direct = rows.iter().find(|row| row.name == "direct").cloned().unwrap_or_default();
    let nginx = rows.iter().find(|row| row.name == "nginx").map_or(f64::NAN, |row| row.cpu_us);
    run::say(&format!(
        "\n{:<22}{:>12}{:>11}{:>9}{:>11}{:>13}{:>14}{:>10}{:>10}{:>14}",
        "",
        "CPU us/req",
        "of kernel",
        "x nginx",
        "req/s",
        "us/ev paced",
        "us/ev at once",
        "+p50 us",
        "+p99 us",
        "+1st event us"
    ));
    for row in rows {
        run::say(&format!(
            "{:<22}{:>12.1}{:>11.1}{:>9.2}{:>11.0}{:>13.2}{:>14.2}{:>10.0}{:>10.0}{:>14.0}",
            row.name,
            row.cpu_us,
            row.kernel_us,
            row.cpu_us / nginx,
            row.per_second,
            row.paced_us,
            row.coalesced_us,
            row.p50_us - direct.p50_us,
            row.p99_us - direct.p99_us,
            row.first_event_us - direct.first_event_us,
        ));
    }
}
