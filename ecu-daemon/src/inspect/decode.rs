//! `ecu-daemon decode`: candump text to JSON lines.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use can_decode::candump::{LogLine, parse_line};
use can_decode::isotp::Channels;
use can_decode::{DecodeTable, Frame, FrameFlags, Matching};

use super::diagnostics::Diagnostics;
use super::render::{hex, json_signal, json_text, seconds};
use crate::capture::Lines;
use crate::cli::{Failure, exit};
use crate::config::{Grade, read_table};

/// Malformed lines that are reported one by one; the rest are counted.
const REPORTS_MAX: u64 = 20;

/// Decodes the log at `log` with the DBC files `dbc` and prints one object for every frame. Where `diagnostics` are
/// followed, the object of a frame that completes a diagnostic message has the message, too.
///
/// # Errors
/// [`exit::CONFIG`] for a DBC file that cannot be used, [`exit::NO_INPUT`] for a log that cannot be read, and
/// [`exit::DATA`] when some of its lines are no frames; the others have been printed then.
pub fn decode(
    dbc: &[PathBuf],
    matching: Matching,
    diagnostics: Option<Channels>,
    log: &Path,
) -> Result<(), Failure> {
    let (table, problems) = read_table(dbc, matching);
    for problem in &problems {
        if problem.grade >= Grade::LeftOut {
            eprintln!("{problem}");
        }
    }
    if problems.iter().any(|problem| problem.grade == Grade::Error) {
        return Err(Failure::new(exit::CONFIG, "not all DBC files can be used; see `ecu-daemon check`"));
    }
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let mut diagnostics = diagnostics.map(Diagnostics::new);
    let mut lines = Lines::new(log);
    let mut malformed = 0;
    loop {
        let line = match lines.next_line() {
            Ok(Some((_, line))) => line,
            Ok(None) => break,
            Err(error) => {
                out.flush().map_err(|error| Failure::output(&error))?;
                return Err(Failure::new(exit::NO_INPUT, format!("{}: {error}", lines.place())));
            }
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let parsed = str::from_utf8(line)
            .map_err(|_| "not text; is this a candump -L log?".to_owned())
            .and_then(|text| parse_line(text).map_err(|error| error.to_string()));
        match parsed {
            Ok(line) => write_line(&mut out, &table, diagnostics.as_mut(), &line)
                .map_err(|error| Failure::output(&error))?,
            Err(error) => {
                malformed += 1;
                if malformed <= REPORTS_MAX {
                    eprintln!("{}: error: {error}", lines.place());
                }
            }
        }
    }
    out.flush().map_err(|error| Failure::output(&error))?;
    for report in diagnostics.iter_mut().flat_map(Diagnostics::finish) {
        eprintln!("{report}");
    }
    if malformed > 0 {
        return Err(Failure::new(
            exit::DATA,
            format!("{malformed} lines of {} are no frames", log.display()),
        ));
    }
    Ok(())
}

fn write_line(
    out: &mut impl Write,
    table: &DecodeTable,
    diagnostics: Option<&mut Diagnostics>,
    line: &LogLine<'_>,
) -> io::Result<()> {
    let frame = &line.frame;
    let id = frame.id();
    out.write_all(b"{\"time\":")?;
    seconds(out, line.time.0)?;
    out.write_all(b",\"bus\":")?;
    json_text(out, line.interface)?;
    write!(out, ",\"id\":{},\"extended\":{},\"fd\":{}", id.raw(), id.is_extended(), frame.is_fd())?;
    for (flag, name) in [(FrameFlags::REMOTE, "remote"), (FrameFlags::ERROR, "error")] {
        if frame.flags().contains(flag) {
            write!(out, ",\"{name}\":true")?;
        }
    }
    out.write_all(b",\"message\":")?;
    write_message(out, table, frame)?;
    if let Some(diagnostics) = diagnostics {
        diagnostics.write(out, line)?;
    }
    out.write_all(b"}\n")
}

fn write_message(out: &mut impl Write, table: &DecodeTable, frame: &Frame) -> io::Result<()> {
    let Some(index) = table.find(frame.id()).filter(|_| frame.is_data()) else {
        return out.write_all(b"null,\"signals\":{}");
    };
    let message = table.message(index);
    json_text(out, message.long_name.as_ref().unwrap_or(&message.name))?;
    out.write_all(b",\"signals\":{")?;
    let (mut result, mut first) = (Ok(()), true);
    message.decode(frame, |signal, raw| {
        if result.is_ok() {
            result = if first { Ok(()) } else { out.write_all(b",") };
            first = false;
        }
        if result.is_ok() {
            result = json_signal(out, &message.signals[signal], raw);
        }
    });
    result?;
    out.write_all(b"}")?;
    if let Some(Ok(context)) = message.trace_context(frame) {
        let (trace_id, span_id) = (hex(&context.trace_id), hex(&context.span_id));
        let flags = context.flags.0;
        write!(
            out,
            ",\"trace\":{{\"trace_id\":\"{trace_id}\",\"span_id\":\"{span_id}\",\"flags\":{flags}}}"
        )?;
    }
    Ok(())
}
