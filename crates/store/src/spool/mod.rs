//! Append-only files that keep what happened until the journal has it.
//!
//! Each core writes files of its own, `RUN-CORE-NUMBER.spool`: a note before a call leaves, the record when it has
//! ended. What is written is safe from the end of the process at once, and from the end of the machine within the
//! time the shipper takes to sync it.

mod entry;
mod set_aside;
mod shipper;
mod writer;

pub use shipper::{Recovered, Shipper};
pub use writer::Writer;

/// How large a file grows before the next one is begun.
const SEGMENT_BYTES: u64 = 8 << 20;

/// The most that all files of one core may hold.
const SPOOL_BYTES_MAX: u64 = 2 << 30;

/// How the names of spool files end.
const SUFFIX: &str = ".spool";

/// The parts of a file's name; files of one core sort in the order in which they were written.
fn file_name(run: u64, core: usize, number: u64) -> String {
    format!("{run:016x}-{core:04}-{number:08}{SUFFIX}")
}
