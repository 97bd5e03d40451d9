//! The project's own tasks: `cargo xtask test`, `check`, `bench`, `fuzz`, `services`, `tidy`, `train-difficulty`.

mod bench;
mod check;
mod fuzz;
mod run;
mod services;
mod test;
mod tidy;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tasks.
#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything: format, lints, rules, Rust tests, and the SDKs, chaos and access against the real binary.
    Test {
        /// Only one part.
        #[arg(long, value_enum)]
        only: Option<test::Part>,
    },
    /// Format, lints, dependencies and rules: fast.
    Check,
    /// Throws damaged bytes at every way in (x86-64 Linux, needs g++).
    Fuzz {
        /// Only this target: envelope, request, whole, stream, forms or multipart.
        target: Option<String>,
        /// For how long each target runs.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// What a call costs beside nginx and beside no gateway, in one run.
    Bench {
        /// One short round.
        #[arg(long)]
        quick: bool,
    },
    /// Starts PostgreSQL and Redis for tests that are run by hand, and prints the variables that name them.
    Services,
    /// The rules of the house that a machine can check.
    Tidy,
    /// Makes the weights that tell how hard a prompt is, from labelled sets (TOLLGATE_EVAL names their folder).
    TrainDifficulty,
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().task {
        Task::Test { only } => return test::run(only),
        Task::Check => check::run(),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Bench { quick } => bench::run(quick),
        Task::Services => services::stay(),
        Task::Tidy => tidy::run(),
        Task::TrainDifficulty => train::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
