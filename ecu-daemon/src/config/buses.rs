//! Buses: where frames come from and what decodes them.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use can_decode::isotp::{Channel, Channels};
use can_decode::{Database, DecodeTable, Matching, dbc};
use ecu_core::RawFrames;
use toml::Spanned;

use super::{Check, Observe, Problem, Steps, raw};

/// One bus.
#[derive(Debug)]
pub struct Bus {
    /// Names it in labels and queries.
    pub name: String,
    /// Where its frames come from.
    pub source: Source,
    /// What decodes them.
    pub table: DecodeTable,
    /// How they are observed.
    pub observe: Observe,
    /// Which of its identifiers carry diagnostic messages; `None` where they are not followed.
    pub diagnostics: Option<Channels>,
    /// Which of its frames are kept as they were.
    pub raw: RawFrames,
    /// How finely the times of its samples are kept.
    pub steps: Steps,
}

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A SocketCAN interface.
    Socketcan {
        /// Such as `can0`.
        interface: String,
        /// Whether CAN-FD frames are wanted too.
        fd: bool,
    },
    /// A recording: `candump -L` text, plain or gzip.
    Replay {
        /// The file.
        file: PathBuf,
        /// Only lines of this interface; all when absent.
        interface: Option<String>,
        /// How fast.
        pace: Pace,
    },
    /// The demo's simulated drive, which plays to several buses.
    #[cfg(feature = "demo")]
    Drive,
}

/// How fast a recording plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// This many times as fast as it was recorded.
    Times(f64),
    /// As fast as everything behind it takes it; nothing is dropped.
    Max,
}

impl Check<'_> {
    pub(super) fn buses(&mut self, raw: Vec<Spanned<raw::Bus>>) -> Vec<Bus> {
        let mut buses: Vec<Bus> = Vec::with_capacity(raw.len());
        for bus in raw {
            let span = bus.span();
            let bus = self.bus(&span, bus.into_inner());
            if buses.iter().any(|other| other.name == bus.name) {
                let text =
                    format!("a second bus is named {:?}; give it a name of its own with `name = `", bus.name);
                self.fatal.push(self.file.problem(Some(span), text));
            }
            buses.push(bus);
        }
        buses
    }

    fn bus(&mut self, span: &Range<usize>, raw: raw::Bus) -> Bus {
        let raw::Bus { kind, name, interface, fd, file, speed, dbc, matching, .. } = raw;
        let raw::Bus { observe, diagnostics, e2e, raw, resolution, .. } = raw;
        let table = self.table(&dbc, matching);
        let steps = self.steps(resolution, &table);
        let observe = self.observe(observe, e2e, &table);
        let diagnostics = diagnostics.and_then(|raw| self.diagnostics(raw));
        let (plain, source) = match kind {
            raw::BusKind::Socketcan => {
                self.foreign(file.as_ref().map(Spanned::span), "file", "replay");
                self.foreign(speed.as_ref().map(Spanned::span), "speed", "replay");
                let interface = self.interface(span, interface);
                let fd = fd.is_none_or(Spanned::into_inner);
                (interface.clone(), Source::Socketcan { interface, fd })
            }
            raw::BusKind::Replay => {
                self.foreign(fd.map(|fd| fd.span()), "fd", "socketcan");
                let pace = speed.map_or(Pace::Times(1.0), |speed| self.pace(speed));
                let file = self.recording(span, file);
                let plain = interface.clone().unwrap_or_else(|| {
                    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
                });
                (plain, Source::Replay { file, interface, pace })
            }
        };
        let raw = match raw {
            raw::RawFrames::None => RawFrames::None,
            raw::RawFrames::Undecoded => RawFrames::Undecoded,
            raw::RawFrames::All => RawFrames::All,
        };
        Bus { name: name.unwrap_or(plain), source, table, observe, diagnostics, raw, steps }
    }

    /// A key that only the other kind of bus has.
    fn foreign(&mut self, span: Option<Range<usize>>, key: &str, kind: &str) {
        if span.is_some() {
            let text = format!("`{key}` is a key of kind = \"{kind}\" only; remove it");
            self.fatal.push(self.file.problem(span, text));
        }
    }

    fn interface(&mut self, span: &Range<usize>, interface: Option<String>) -> String {
        let Some(interface) = interface else {
            let text = "missing field `interface`, such as \"can0\"";
            self.fatal.push(self.file.problem(Some(span.clone()), text));
            return String::new();
        };
        // IFNAMSIZ is 16 with the final zero (linux/if.h).
        if interface.is_empty() || interface.len() > 15 || interface.contains(['/', ' ']) {
            let text = format!("interface {interface:?} cannot be the name of a network interface");
            self.fatal.push(self.file.problem(Some(span.clone()), text));
        }
        interface
    }

    fn recording(&mut self, span: &Range<usize>, file: Option<Spanned<PathBuf>>) -> PathBuf {
        if file.is_none() {
            let text = "missing field `file`, the recording";
            self.fatal.push(self.file.problem(Some(span.clone()), text));
        }
        self.folder.join(file.map(Spanned::into_inner).unwrap_or_default())
    }

    fn pace(&mut self, speed: Spanned<raw::Speed>) -> Pace {
        let span = speed.span();
        match speed.into_inner() {
            raw::Speed::Named(raw::NamedSpeed::Max) => Pace::Max,
            raw::Speed::Factor(times) => {
                if !(times > 0.0 && times <= 1e6) {
                    let text = format!("speed {times} is not above 0 and at most 1000000, nor \"max\"");
                    self.fatal.push(self.file.problem(Some(span), text));
                }
                Pace::Times(times)
            }
        }
    }

    fn diagnostics(&mut self, raw: Spanned<raw::Diagnostics>) -> Option<Channels> {
        let span = raw.span();
        let raw::Diagnostics { legislated, channels } = raw.into_inner();
        let legislated = legislated.unwrap_or(true);
        let mut wrong = |text: String| {
            self.fatal.push(self.file.problem(Some(span.clone()), format!("diagnostics: {text}")));
        };
        if !legislated && channels.is_empty() {
            wrong("nothing is followed; name `channels`, or remove the key".to_owned());
        }
        let mut named: Vec<Channel> = Vec::with_capacity(channels.len());
        for text in &channels {
            match text.parse() {
                Ok(channel) => named.push(channel),
                Err(error) => wrong(format!("{text:?}: {error}")),
            }
        }
        Channels::new(&named, legislated).map_err(|error| wrong(error.to_string())).ok()
    }

    fn table(&mut self, files: &[PathBuf], matching: raw::Matching) -> DecodeTable {
        let files: Vec<_> = files.iter().map(|file| self.folder.join(file)).collect();
        let matching = match matching {
            raw::Matching::Auto => Matching::Auto,
            raw::Matching::Id => Matching::Id,
            raw::Matching::Pgn => Matching::Pgn,
        };
        let (table, problems) = read_table(&files, matching);
        self.tolerable.extend(problems);
        table
    }
}

/// Compiles DBC files into a table. What cannot be used is left out and comes back as a problem.
pub fn read_table(files: &[PathBuf], matching: Matching) -> (DecodeTable, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut databases = Vec::new();
    for file in files {
        match read_dbc(file) {
            Ok((database, findings)) => {
                databases.push(database);
                problems.extend(findings);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let (table, findings) = DecodeTable::compile(&databases, matching);
    let together = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" + ");
    problems.extend(findings.into_iter().map(|finding| Problem::finding(&together, finding)));
    (table, problems)
}

fn read_dbc(path: &Path) -> Result<(Database, Vec<Problem>), Problem> {
    let file = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        let text = format!("cannot read the DBC file: {error}; its messages are not decoded");
        Problem::error(file.clone(), None, text)
    })?;
    let (database, findings) = dbc::read(&file, &bytes)
        .map_err(|error| Problem::error(file.clone(), Some(error.line), error.text))?;
    Ok((database, findings.into_iter().map(|finding| Problem::finding(&file, finding)).collect()))
}
