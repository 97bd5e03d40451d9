//! Bodies to frames: server-sent events, lines, elements of an array, or one whole body.
//!
//! Bytes may be split anywhere. Every byte belongs to some frame, so that frames which go on as they are make up the
//! stream again.

mod array;
mod aws;
mod framer;
mod sse;

pub use aws::write_message as write_aws_message;
pub use framer::{FRAME_BYTES_MAX, Found, Frame, FrameError, Framer, Framing, Pass};
