//! Raw frames as `candump -L` writes them: what `canplayer`, python-can and `ecu-daemon decode` read.

use std::io::{self, Write};
use std::rc::Rc;

use can_decode::RealtimeNanos;
use can_decode::candump::write_line;
use store::block::Kind;

use super::super::source::Source;
use super::super::walk::{Filter, Record, Walk};
use super::Written;

/// Writes the frames in the order in which they were taken.
pub(super) fn export(source: &Rc<Source>, filter: &Filter, mut out: impl Write) -> Written {
    let mut walk = Walk::new(source, Kind::Frames, filter.clone());
    let mut line = String::new();
    while walk.advance()? {
        let Some(Record::Frame(frame)) = walk.record() else { break };
        line.clear();
        let time = RealtimeNanos(frame.time.utc_ns);
        write_line(&mut line, time, &interface(frame.bus), &frame.raw.frame).map_err(io::Error::other)?;
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    Ok(walk.damage())
}

/// The bus as a word: that of a line has no blanks.
fn interface(bus: &str) -> String {
    bus.chars().map(|letter| if letter.is_whitespace() { '_' } else { letter }).collect()
}
