//! `ecu-daemon cluster`: log lines to clusters, one line out for each line in.
//!
//! What a cluster is may become clear only later: three users' names make a variable of what one name did not. So
//! the clusters are written when all lines are read; four bytes are held for each line until then. Beyond
//! [`LINES_HELD_MAX`], or more templates than the miner holds, they are written as they are known so far.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use ecu_core::logs::{self, Miner, Origin, TemplateId};
use store::block::Severity;

use crate::cli::{Failure, exit};

/// Lines whose clusters are held back.
const LINES_HELD_MAX: usize = 4 << 20;
/// Bytes of a line that are read: its header, and more than the miner looks at. The rest is left out.
const LINE_BYTES_MAX: usize = 2 * logs::LINE_BYTES_MAX;

/// Writes `CLUSTER<TAB>TEMPLATE` for each line of `log` to standard output.
///
/// # Errors
/// [`exit::NO_INPUT`] for a log that cannot be read, [`exit::IO`] when the output cannot be written.
pub fn cluster(log: &Path) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let mut clustering = Clustering::default();
    let unreadable = |error| Failure::new(exit::NO_INPUT, format!("{}: {error}", log.display()));
    let mut reader = open(log).map_err(unreadable)?;
    let mut line = Vec::with_capacity(LINE_BYTES_MAX);
    loop {
        match read_line(&mut reader, &mut line) {
            Ok(true) => clustering.line(&line, &mut out).map_err(|error| Failure::output(&error))?,
            Ok(false) => break,
            Err(error) => {
                clustering.finish(&mut out).map_err(|error| Failure::output(&error))?;
                return Err(unreadable(error));
            }
        }
    }
    clustering.finish(&mut out).map_err(|error| Failure::output(&error))
}

fn open(log: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(if log == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(256 << 10, File::open(log)?))
    })
}

/// Reads the next line without its end into `line`; `false` at the end of the log.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    Ok(true)
}

#[derive(Default)]
struct Clustering {
    miner: Miner,
    held: Vec<TemplateId>,
    /// Lines are no longer held back.
    live: bool,
}

impl Clustering {
    fn line(&mut self, line: &[u8], out: &mut impl Write) -> io::Result<()> {
        let (origin, body) = split(line);
        if !self.live && (self.held.len() >= LINES_HELD_MAX || self.miner.is_full()) {
            self.write_held(out)?;
            self.live = true;
        }
        let mined = self.miner.mine(origin, body);
        let (id, cluster) = (mined.template, mined.cluster);
        if !self.live {
            self.held.push(id);
            return Ok(());
        }
        match self.miner.template(id) {
            Some(template) => write_row(out, cluster.number(), &template.to_string()),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.write_held(out)?;
        out.flush()
    }

    fn write_held(&mut self, out: &mut impl Write) -> io::Result<()> {
        let texts: HashMap<_, _> =
            self.miner.clusters().into_iter().map(|(id, _, template)| (id, template.to_string())).collect();
        for id in std::mem::take(&mut self.held) {
            // Nothing was forgotten yet, so each template has a cluster and each cluster a text.
            if let Some(cluster) = self.miner.cluster_of(id)
                && let Some(text) = texts.get(&cluster)
            {
                write_row(out, cluster.number(), text)?;
            }
        }
        Ok(())
    }
}

/// One row, whatever bytes the line held.
fn write_row(out: &mut impl Write, cluster: u32, text: &str) -> io::Result<()> {
    if text.contains(char::is_control) {
        let text: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
        return writeln!(out, "{cluster}\t{text}");
    }
    writeln!(out, "{cluster}\t{text}")
}

/// A line without its header, and its origin as far as that tells it.
///
/// App and level keep clusters apart in our own form, `SECONDS LEVEL APP: MESSAGE`, where they are the statement's
/// own. In the forms of others (syslog, logcat) the header is only left out: one library there writes one statement
/// through many programs, such as PAM.
fn split(line: &[u8]) -> (Origin, &[u8]) {
    let unknown = Origin::new(b"", None);
    if let Some((severity, app, message)) = own_form(line) {
        return (Origin::new(app, Some(severity)), message);
    }
    (unknown, syslog(line).or_else(|| logcat(line)).unwrap_or(line))
}

/// `12.345 W CANM: text`
fn own_form(line: &[u8]) -> Option<(Severity, &[u8], &[u8])> {
    let (seconds, rest) = word(line)?;
    let (level, rest) = word(rest)?;
    let (app, _) = word(rest)?;
    let app = app.strip_suffix(b":")?;
    let severity = level_letter(level)?;
    let numeric =
        seconds.contains(&b'.') && seconds.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    numeric.then(|| (severity, app, message(rest.trim_ascii_start(), app.len() + 1)))
}

fn level_letter(level: &[u8]) -> Option<Severity> {
    match level {
        b"T" | b"V" => Severity::from_number(1),
        b"D" => Some(Severity::DEBUG),
        b"I" => Some(Severity::INFO),
        b"W" => Some(Severity::WARN),
        b"E" => Some(Severity::ERROR),
        b"F" => Some(Severity::FATAL),
        _ => None,
    }
}

/// `Jun 14 15:16:01 host app[123]: text`, as RFC 3164 and the journal's `short` output have it.
fn syslog(line: &[u8]) -> Option<&[u8]> {
    let (month, rest) = word(line)?;
    let (day, rest) = word(rest)?;
    let (time, rest) = word(rest)?;
    let (_host, rest) = word(rest)?;
    let (app, _) = word(rest)?;
    let dated =
        month.len() == 3 && month.iter().all(u8::is_ascii_alphabetic) && day.iter().all(u8::is_ascii_digit);
    (dated && is_time(time) && app.ends_with(b":")).then(|| message(rest.trim_ascii_start(), app.len()))
}

/// `03-17 16:13:38.811  1702  2395 D WindowManager: text`, as `logcat -v threadtime` has it.
fn logcat(line: &[u8]) -> Option<&[u8]> {
    let (date, rest) = word(line)?;
    let (time, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    let (thread, rest) = word(rest)?;
    let (level, rest) = word(rest)?;
    let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    let dated = date.len() == 5 && date[2] == b'-' && is_time(time) && digits(process) && digits(thread);
    level_letter(level).filter(|_| dated)?;
    let tag = rest.windows(2).position(|two| two == b": ")?;
    Some(&rest[tag + 2..])
}

fn is_time(text: &[u8]) -> bool {
    text.len() >= 8 && text[2] == b':' && text[5] == b':' && text[..2].iter().all(u8::is_ascii_digit)
}

/// The first word and what follows it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|&byte| byte == b' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// What stands behind the first `header` bytes and one blank.
fn message(text: &[u8], header: usize) -> &[u8] {
    let text = &text[header..];
    text.strip_prefix(b" ").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(lines: &[&[u8]]) -> Vec<String> {
        let (mut clustering, mut out) = (Clustering::default(), Vec::new());
        for line in lines {
            clustering.line(line, &mut out).unwrap();
        }
        clustering.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_header_is_left_out() {
        for (line, expected) in [
            ("     0.004 W CANM: timeout on can0", "timeout on <*>"),
            (
                "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check pass; user unknown ",
                "check pass; user unknown ",
            ),
            ("03-17 16:13:38.811  1702  2395 D WindowManager: frozen for 3 ms", "frozen for <*> ms"),
            ("no header: 5", "no header: <*>"),
            ("", ""),
        ] {
            let text = clusters(&[line.as_bytes()]);
            let template = text[0].split_once('\t').unwrap().1;
            // A word after `user` is a name, whatever it is.
            assert_eq!(template.replace("user <*>", "user unknown"), expected, "{line}");
        }
    }

    #[test]
    fn a_long_line_is_one_line() {
        let mut log = vec![b'x'; 3 * LINE_BYTES_MAX];
        log.extend_from_slice(b"\r\nshort\r\n\nlast");
        let (mut reader, mut line, mut lengths) = (&log[..], Vec::new(), Vec::new());
        while read_line(&mut reader, &mut line).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [LINE_BYTES_MAX, 5, 0, 4]);
    }

    #[test]
    fn one_line_in_one_line_out() {
        let lines: [&[u8]; 5] = [b"a\tb 1", b"\xff\xfe\x00 2", b"", b"a\tb 22", b"1.0 I A: same"];
        let rows = clusters(&lines);
        assert_eq!(rows.len(), lines.len(), "{rows:?}");
        assert_eq!(rows[0], "0\ta b <*>");
        assert_eq!(rows[0], rows[3]);
    }

    #[test]
    fn app_and_level_keep_clusters_apart() {
        let rows = clusters(&[
            b"1.0 W A: link lost",
            b"2.0 W B: link lost",
            b"3.0 E A: link lost",
            b"4.0 W A: link lost",
        ]);
        let ids: Vec<&str> = rows.iter().map(|row| row.split_once('\t').unwrap().0).collect();
        assert_eq!(ids, ["0", "1", "2", "0"]);
    }

    /// What the first lines could not show is true of them, too.
    #[test]
    fn a_variable_found_late_is_one_from_the_first_line_on() {
        let rows = clusters(&[
            b"mount of alpha is now done" as &[u8],
            b"mount of beta is now done",
            b"mount of gamma is now done",
            b"mount of delta is now done",
        ]);
        assert!(rows.iter().all(|row| row == "0\tmount of <*> is now done"), "{rows:?}");
    }
}
