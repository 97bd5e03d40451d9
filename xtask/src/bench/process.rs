//! Other programs, and what they use, as Linux tells it.

use std::{
    fs, io,
    net::TcpStream,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// Ticks of the processor clock in a second, as `/proc` counts them.
const TICKS: f64 = 100.0;

/// Processor time in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user_us: f64,
    pub(crate) kernel_us: f64,
}

/// What is read of one process.
struct Stat {
    id: u32,
    parent: u32,
    cpu: Cpu,
}

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

    /// Processor time that it and its children have used.
    pub(crate) fn cpu(&self) -> Cpu {
        self.tree().into_iter().fold(Cpu::default(), |sum, stat| sum + stat.cpu)
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
            .filter_map(|stat| fs::read_to_string(format!("/proc/{}/status", stat.id)).ok());
        texts.fold((0.0, 0.0), |(now, peak), text| {
            (now + field(&text, "VmRSS:"), peak + field(&text, "VmHWM:"))
        })
    }

    fn tree(&self) -> Vec<Stat> {
        let own = self.child.id();
        let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let all: Vec<_> = numbers.filter_map(stat).collect();
        all.into_iter().filter(|stat| stat.id == own || stat.parent == own).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // nginx's master takes its workers with it on SIGTERM, which `kill` of the standard library is not.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Cpu {
    pub(crate) fn total_us(self) -> f64 {
        self.user_us + self.kernel_us
    }
}

impl std::ops::Add for Cpu {
    type Output = Cpu;

    fn add(self, other: Cpu) -> Cpu {
        Cpu { user_us: self.user_us + other.user_us, kernel_us: self.kernel_us + other.kernel_us }
    }
}

impl std::ops::Sub for Cpu {
    type Output = Cpu;

    fn sub(self, other: Cpu) -> Cpu {
        Cpu { user_us: self.user_us - other.user_us, kernel_us: self.kernel_us - other.kernel_us }
    }
}

fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold spaces.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let time_us = |at: usize| number(at).map(|ticks| f64::from(ticks) / TICKS * 1e6);
    Some(Stat { id, parent: number(1)?, cpu: Cpu { user_us: time_us(11)?, kernel_us: time_us(12)? } })
}
