//! Figures: what was counted, as people read it, and the page that shows it.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Waits of calls, in microseconds.
#[derive(Clone, Default)]
pub(crate) struct Waits {
    all: Vec<u32>,
    sorted: bool,
}

impl Waits {
    pub(crate) fn add(&mut self, wait: Duration) {
        self.sorted = false;
        self.all.push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    /// What so many thousandths of the calls keep to.
    pub(crate) fn at(&mut self, permille: usize) -> Duration {
        if !self.sorted {
            self.all.sort_unstable();
            self.sorted = true;
        }
        let at = (self.all.len() * permille).div_ceil(1_000).saturating_sub(1);
        Duration::from_micros(u64::from(self.all.get(at).copied().unwrap_or_default()))
    }
}

/// How unevenly something is spread: the most by the mean, and the deviation by the mean.
pub(crate) fn unevenness(loads: &[f64]) -> (f64, f64) {
    let mean = loads.iter().sum::<f64>() / loads.len() as f64;
    let variance = loads.iter().map(|load| (load - mean).powi(2)).sum::<f64>() / loads.len() as f64;
    (loads.iter().copied().fold(0.0, f64::max) / mean, variance.sqrt() / mean)
}

/// A wait as people read it.
pub(crate) fn span(wait: Duration) -> String {
    let ms = wait.as_secs_f64() * 1e3;
    match ms {
        ..9.95 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        ..99_950.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

pub(crate) fn percent(part: f64, whole: f64) -> String {
    format!("{:.1} %", 100.0 * part / whole)
}

/// A table of a page.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new(head: &[&str]) -> Table {
        let mut table = Table(String::new());
        table.row(head);
        let rules: Vec<&str> =
            head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "--:" }).collect();
        table.row(&rules);
        table
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        writeln!(self.0, "| {} |", cells.join(" | ")).expect("a text takes all that is written");
    }

    pub(crate) fn end(self) -> String {
        self.0
    }
}

/// One at a time changes the page.
static PAGE: Mutex<()> = Mutex::new(());

/// Whether the page holds these figures; writes them where that is asked for.
pub(crate) fn check_page(name: &str, figures: &str) {
    let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/routing-simulation.md");
    let stored = fs::read_to_string(&file).expect("the page is there");
    let (start, end) = (format!("<!-- figures: {name} -->\n"), format!("<!-- end: {name} -->"));
    let (before, rest) = stored.split_once(&start).expect("the page has a place for the figures");
    let (shown, after) = rest.split_once(&end).expect("the figures have an end");
    let made = format!("\n{figures}\n");
    if std::env::var_os("TOLLGATE_UPDATE").is_some() {
        fs::write(&file, format!("{before}{start}{made}{end}{after}")).expect("the page can be written");
        return;
    }
    assert!(
        shown == made,
        "docs/routing-simulation.md is old: run TOLLGATE_UPDATE=1 cargo test --release -p tollgate-policy --test simulation\n{made}"
    );
}
