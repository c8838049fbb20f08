//! `demo --record`: the drive as a log, for trying out the other commands without a car.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use can_decode::RealtimeNanos;
use can_decode::candump::write_line;

use super::drive::{BUS_NAMES, Drive};

/// Writes a drive of `length` that began at `began` to the file at `path` as `candump -L` text. Gives the frames.
pub(super) fn record(path: &Path, length: Duration, began: RealtimeNanos) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    let (mut frames, mut line) = (0, String::new());
    for timed in Drive::new(super::SEED, length) {
        line.clear();
        write_line(&mut line, RealtimeNanos(began.0 + timed.at_ns), BUS_NAMES[timed.bus], &timed.frame)
            .map_err(io::Error::other)?;
        writeln!(out, "{line}")?;
        frames += 1;
    }
    out.flush()?;
    Ok(frames)
}
