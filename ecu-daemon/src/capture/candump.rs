//! Recordings in `candump -L` text, plain or gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use can_decode::candump::parse_line;
use ecu_core::{BusIndex, FrameRecord, Stamp};
use flate2::bufread::MultiGzDecoder;
use store::block::ClockSource;
use tracing::{error, info, warn};

use super::player::{Recorded, Recording};

/// The longest line there can be: time, a 15-byte interface name, identifier, 64 bytes in hex with separators.
const LINE_BYTES_MAX: usize = 320;
/// Malformed lines that are reported one by one; the rest are counted.
const REPORTS_MAX: u64 = 5;

/// Lines of a log file, bounded in length, with their numbers; opened when first read.
pub struct Lines {
    path: PathBuf,
    reader: Option<Box<dyn BufRead + Send>>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Of the file at `path`; `-` is standard input.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), reader: None, line: Vec::with_capacity(LINE_BYTES_MAX), number: 0 }
    }

    /// The next line without its end, and its number from 1; `None` at the end of the file. A line that is too long
    /// is cut, which makes it malformed.
    ///
    /// # Errors
    /// When the file cannot be opened or read, or its gzip data is damaged; the lines before it have been given.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.reader.is_none() {
            self.reader = Some(open(&self.path)?);
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        self.line.clear();
        reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() == LINE_BYTES_MAX {
            skip_line(reader)?;
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        Ok(Some((self.number, &self.line)))
    }

    /// The file, and the line given last: `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let (used, done) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let input: Box<dyn Read + Send> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut input = BufReader::with_capacity(64 << 10, input);
    let is_gzip = input.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(input)))
    } else {
        Box::new(input)
    })
}

/// A recording of one bus.
pub struct Candump {
    bus: usize,
    interface: Option<String>,
    lines: Lines,
    reported: u64,
    ended: bool,
}

impl Candump {
    /// Frames of `interface` (all when `None`) in the file at `path`, for the bus with index `bus`.
    pub fn new(bus: usize, path: &Path, interface: Option<&str>) -> Self {
        Self {
            bus,
            interface: interface.map(str::to_owned),
            lines: Lines::new(path),
            reported: 0,
            ended: false,
        }
    }

    fn report(&mut self, error: &dyn std::fmt::Display) -> Recorded {
        self.reported += 1;
        if self.reported <= REPORTS_MAX {
            warn!("{}: {error}; the line is left out and counted", self.lines.place());
        }
        Recorded::Malformed(self.bus)
    }

    fn end(&mut self) {
        self.ended = true;
        let place = self.lines.place();
        info!(malformed = self.reported, "recording ended at {place}");
    }
}

impl Recording for Candump {
    fn next(&mut self) -> Option<Recorded> {
        loop {
            if self.ended {
                return None;
            }
            let line = match self.lines.next_line() {
                Ok(Some((_, line))) => line,
                Ok(None) => {
                    self.end();
                    return None;
                }
                Err(error) => {
                    error!("{}: {error}; the recording ends here", self.lines.place());
                    self.end();
                    return None;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let Ok(text) = str::from_utf8(line) else {
                return Some(self.report(&"not text; is this a candump -L log?"));
            };
            return Some(match parse_line(text) {
                Ok(line) if self.interface.as_deref().is_some_and(|wanted| wanted != line.interface) => {
                    Recorded::Filtered(self.bus)
                }
                Ok(line) => Recorded::Frame(FrameRecord {
                    bus: BusIndex(self.bus as u16),
                    stamp: Stamp { ns: line.time.0, clock: ClockSource::Recorded },
                    frame: line.frame,
                    follows_loss: false,
                }),
                Err(error) => self.report(&error),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn play(bytes: &[u8], interface: Option<&str>) -> (usize, usize, usize) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut recording = Candump::new(0, file.path(), interface);
        let (mut frames, mut malformed, mut filtered) = (0, 0, 0);
        while let Some(recorded) = recording.next() {
            match recorded {
                Recorded::Frame(_) => frames += 1,
                Recorded::Malformed(_) => malformed += 1,
                Recorded::Filtered(_) => filtered += 1,
            }
        }
        (frames, malformed, filtered)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const LOG: &[u8] =
        b"(1.000000) can0 123#0102\r\n\n(1.000100) can1 00000123##1AABB\n(1.5) can0 zzz\n(2.0) can0 7FF#";

    #[test]
    fn every_line_is_a_frame_filtered_or_malformed() {
        assert_eq!(play(LOG, None), (3, 1, 0));
        assert_eq!(play(LOG, Some("can0")), (2, 1, 1));
        assert_eq!(play(&gzip(LOG), None), (3, 1, 0));
        assert_eq!(play(&[gzip(LOG), gzip(b"\n"), gzip(LOG)].concat(), None), (6, 2, 0));
        assert_eq!(play(b"", None), (0, 0, 0));
    }

    #[test]
    fn endless_lines_binary_files_and_cut_gzip_end_in_counts_not_in_memory() {
        let endless = [&b"(1.0) can0 123#"[..], &vec![b'A'; 100_000], b"\n(2.0) can0 123#00\n"].concat();
        assert_eq!(play(&endless, None), (1, 1, 0));
        assert_eq!(play(&[0xFF; 1000], None).0, 0);
        let long: Vec<u8> = LOG[..26].repeat(5000);
        let cut = gzip(&long);
        let (frames, malformed, _) = play(&cut[..cut.len() / 2], None);
        assert!(frames < 5000 && malformed <= 1, "{frames} {malformed}");
        assert_eq!(Candump::new(0, Path::new("/nowhere.log"), None).next().map(|_| ()), None);
    }
}
