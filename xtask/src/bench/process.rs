//! Other programs, and what they use, as Linux tells it.

use std::{
    fs, io,
    net::TcpStream,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// Ticks of the processor clock in a second, as `/proc` counts them.
const TICKS: f64 = 100.0;

/// A program that runs for as long as this value lives.
pub(crate) struct Program {
    child: Child,
    pub(crate) start: Duration,
}

impl Program {
    /// Starts a program and waits until its port answers.
    pub(crate) fn start(command: &mut Command, port: u16) -> io::Result<Program> {
        let began = Instant::now();
        let child = command.spawn()?;
        let mut program = Program { child, start: Duration::ZERO };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > Duration::from_secs(20) || program.child.try_wait()?.is_some() {
                return Err(io::Error::other("the program did not begin to serve"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        program.start = began.elapsed();
        Ok(program)
    }

    /// Microseconds of processor time that it and its children have used.
    pub(crate) fn cpu_us(&self) -> f64 {
        let ticks: u64 = self.tree().into_iter().filter_map(|(_, ticks, _)| ticks.checked_add(0)).sum();
        ticks as f64 / TICKS * 1e6
    }

    /// Resident memory and its peak over it and its children, in MiB.
    pub(crate) fn memory_mib(&self) -> (f64, f64) {
        let field = |text: &str, name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0) / 1024.0
        };
        let texts = self
            .tree()
            .into_iter()
            .filter_map(|(id, ..)| fs::read_to_string(format!("/proc/{id}/status")).ok());
        texts.fold((0.0, 0.0), |(now, peak), text| {
            (now + field(&text, "VmRSS:"), peak + field(&text, "VmHWM:"))
        })
    }

    /// Number, ticks and parent of it and its children.
    fn tree(&self) -> Vec<(u32, u64, u32)> {
        let own = self.child.id();
        let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let all: Vec<_> = numbers.filter_map(stat).collect();
        all.into_iter().filter(|(id, _, parent)| *id == own || *parent == own).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // nginx's master takes its workers with it on SIGTERM, which `kill` of the standard library is not.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn stat(id: u32) -> Option<(u32, u64, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some((id, number(11)? + number(12)?, u32::try_from(number(1)?).ok()?))
}
