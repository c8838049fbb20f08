//! The configuration: TOML to checked types, in two steps, with `file:line` for whatever is wrong.

mod buses;
mod dictionaries;
mod observe;
mod problem;
mod raw;
mod resolution;
mod store;
mod time;
mod trace;
mod units;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::store::block::{Dictionary, Kind};
use toml::Spanned;
use uplink::mqtt::{Credentials, Link};
use uplink::topic::{Prefix, VehicleId};

use crate::control;

pub use buses::{Bus, Pace, Source, read_table};
pub use observe::Observe;
pub use problem::{Grade, Problem};
pub use resolution::Steps;
pub use store::{Preserve, Store, WriteBudget};
pub use time::{SyncBy, Thermometer, Time};
pub use trace::{Intake, Trace};

/// The configuration that the service runs with when it is given none.
pub const DEFAULT: &str = include_str!("../../../systemd/config.toml");
/// Where the service looks for one.
pub const DEFAULT_PATH: &str = "/etc/ecu-daemon/config.toml";

/// Everything the service needs to know.
#[derive(Debug)]
pub struct Config {
    /// The file that it was read from; `None` for a built-in one.
    pub file: Option<PathBuf>,
    /// Names the vehicle in topics.
    pub vehicle: VehicleId,
    /// The buses, in the order of their indices.
    pub buses: Vec<Bus>,
    /// The ring.
    pub store: Store,
    /// How blocks are made.
    pub blocks: Blocks,
    /// What small blocks of a kind are compressed with.
    pub dictionaries: Vec<(Kind, Dictionary)>,
    /// The broker; without one, blocks stay in the ring.
    pub uplink: Option<Uplink>,
    /// Where /metrics and /healthz are served.
    pub http: Option<SocketAddr>,
    /// The Unix datagram socket that takes JSON log lines.
    pub log_socket: Option<PathBuf>,
    /// The control socket: where others on this machine read the live ring.
    pub control: Option<PathBuf>,
    /// How time is kept.
    pub time: Time,
    /// How traces are followed.
    pub trace: Trace,
}

/// How blocks are made.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// When they are sealed.
    pub limits: ecu_core::Limits,
    /// zstd's level, 1 to 19.
    pub zstd_level: i32,
}

/// How blocks are sent.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// The broker.
    pub link: Link,
    /// First levels of all topics.
    pub prefix: Prefix,
    /// Bytes of blocks in one message; a larger block goes alone.
    pub batch_bytes: usize,
    /// Messages under way at once.
    pub in_flight: usize,
    /// How long a stopping service goes on sending what is left.
    pub shutdown_upload: Duration,
}

/// A file with its text, for naming lines.
struct File<'a> {
    name: String,
    text: &'a str,
}

impl File<'_> {
    fn problem(&self, span: Option<Range<usize>>, text: impl fmt::Display) -> Problem {
        let line = span.map(|span| {
            let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
            before.iter().filter(|&&byte| byte == b'\n').count() as u32 + 1
        });
        Problem::error(self.name.clone(), line, text.to_string())
    }
}

impl Config {
    /// Reads the configuration at `path`, with the DBC files it names.
    ///
    /// Problems of a DBC file do not keep the service from starting: they come back beside the configuration, and
    /// the bus runs without the file.
    ///
    /// # Errors
    /// The problems, when there is no configuration to run with.
    pub fn read(path: &Path) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            vec![Problem::error(name.clone(), None, format!("cannot read the configuration: {error}"))]
        })?;
        let (mut config, problems) = Self::parse(&name, &text, path.parent().unwrap_or(Path::new(".")))?;
        config.file = Some(path.to_owned());
        Ok((config, problems))
    }

    /// Like [`Self::read`], from text; relative paths start at `folder`.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let file = File { name: name.to_owned(), text };
        let raw: raw::Raw =
            toml::from_str(text).map_err(|error| {
                vec![file.problem(
                    error.span(),
                    format!("{}; see systemd/config.toml for the keys", error.message()),
                )]
            })?;
        let mut check = Check { file, folder, fatal: Vec::new(), tolerable: Vec::new() };
        let config = check.config(raw);
        if check.fatal.is_empty() { Ok((config, check.tolerable)) } else { Err(check.fatal) }
    }
}

/// The second step: meaning. Collects problems instead of stopping at the first.
struct Check<'a> {
    file: File<'a>,
    folder: &'a Path,
    fatal: Vec<Problem>,
    tolerable: Vec<Problem>,
}

impl Check<'_> {
    fn config(&mut self, mut raw: raw::Raw) -> Config {
        let id = raw.vehicle.id;
        let vehicle = self.name(id, "ecu", VehicleId::new);
        let uplink = raw.uplink.and_then(|uplink| self.uplink(uplink, &vehicle));
        let buses = self.buses(raw.bus);
        Config {
            file: None,
            trace: self.trace(raw.trace, &buses),
            buses,
            store: self.store(raw.store),
            dictionaries: self.dictionaries(std::mem::take(&mut raw.blocks.dictionaries)),
            blocks: self.blocks(raw.blocks),
            uplink,
            http: self.listen(raw.http),
            log_socket: raw.logs.socket,
            control: match raw.control.socket {
                Some(path) if path.as_os_str().is_empty() => None,
                Some(path) => Some(self.folder.join(path)),
                None => control::default_path(),
            },
            time: self.keep_time(raw.time),
            vehicle,
        }
    }

    /// A value, or the default where it is absent or out of range; then that is a problem.
    fn bounded<T: PartialOrd + Copy>(
        &mut self,
        value: Option<Spanned<T>>,
        default: T,
        allowed: std::ops::RangeInclusive<T>,
        range: &str,
    ) -> T {
        let Some(value) = value else { return default };
        let span = value.span();
        let value = value.into_inner();
        if !allowed.contains(&value) {
            self.fatal.push(self.file.problem(Some(span), format!("out of range; allowed is {range}")));
        }
        value
    }

    fn time(
        &mut self,
        value: Option<Spanned<units::Time>>,
        default: u64,
        allowed: (u64, u64),
        range: &str,
    ) -> Duration {
        let ms = |ms| Duration::from_millis(ms);
        let value = value.map(|value| Spanned::new(value.span(), value.get_ref().0));
        self.bounded(value, ms(default), ms(allowed.0)..=ms(allowed.1), range)
    }

    fn size(
        &mut self,
        value: Option<Spanned<units::Size>>,
        default: u64,
        allowed: (u64, u64),
        range: &str,
    ) -> u64 {
        let value = value.map(|value| Spanned::new(value.span(), value.get_ref().0));
        self.bounded(value, default, allowed.0..=allowed.1, range)
    }

    /// A name that its type checks; the default is a valid one.
    fn name<T, E: fmt::Display>(
        &mut self,
        value: Option<Spanned<String>>,
        default: &str,
        check: impl Fn(&str) -> Result<T, E>,
    ) -> T {
        if let Some(value) = value {
            match check(value.get_ref()) {
                Ok(name) => return name,
                Err(error) => self.fatal.push(self.file.problem(Some(value.span()), error)),
            }
        }
        match check(default) {
            Ok(name) => name,
            Err(error) => unreachable!("the default name {default:?} is valid: {error}"),
        }
    }

    fn blocks(&mut self, raw: raw::Blocks) -> Blocks {
        let seal_after = self.time(raw.seal_after, 4_000, (10, 3_600_000), "10ms to 1h");
        let resolution = raw.resolution.map(|value| Spanned::new(value.span(), value.get_ref().0));
        let allowed = Duration::from_nanos(1)..=Duration::from_secs(1);
        let resolution = self.bounded(resolution, Duration::from_micros(1), allowed, "1ns to 1s");
        let samples_max = self.bounded(raw.samples_max, 65_536, 256..=1_000_000, "256 to 1000000");
        Blocks {
            limits: ecu_core::Limits {
                seal_after_ns: seal_after.as_nanos() as i64,
                samples_max: samples_max as usize,
                tick_ns: resolution.as_nanos() as i64,
            },
            zstd_level: self.bounded(raw.zstd_level, 3, 1..=19, "1 to 19"),
        }
    }

    fn uplink(&mut self, raw: raw::Uplink, vehicle: &VehicleId) -> Option<Uplink> {
        let client_id = self.name(raw.client_id, &format!("ecu-daemon-{vehicle}"), VehicleId::new);
        let prefix = self.name(raw.prefix, "ecu", Prefix::new);
        let keep_alive = self.time(raw.keep_alive, 60_000, (1_000, 3_600_000), "1s to 1h");
        let batch_bytes = self.size(raw.batch_bytes, 64 << 10, (1 << 10, 1 << 20), "1 KiB to 1 MiB");
        let in_flight = self.bounded(raw.in_flight, 8, 1..=256, "1 to 256");
        let shutdown_upload = self.time(raw.shutdown_upload, 5_000, (0, 600_000), "0s to 10min");
        if let (None, Some(path)) = (&raw.username, &raw.password_file) {
            self.fatal
                .push(self.file.problem(Some(path.span()), "a password_file needs a username beside it"));
        }
        let password = raw.password_file.and_then(|path| self.password(&path));
        let span = raw.broker.span();
        match Link::parse(raw.broker.get_ref(), client_id.as_str()) {
            Ok(mut link) => {
                link.keep_alive = keep_alive;
                link.credentials = raw
                    .username
                    .map(|username| Credentials { username, password: password.unwrap_or_default() });
                Some(Uplink {
                    link,
                    prefix,
                    batch_bytes: batch_bytes as usize,
                    in_flight: in_flight.into(),
                    shutdown_upload,
                })
            }
            Err(error) => {
                self.fatal.push(self.file.problem(Some(span), error));
                None
            }
        }
    }

    fn password(&mut self, path: &Spanned<PathBuf>) -> Option<String> {
        let full = self.folder.join(path.get_ref());
        match fs::read_to_string(&full) {
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                let text = format!("cannot read password_file {}: {error}", full.display());
                self.fatal.push(self.file.problem(Some(path.span()), text));
                None
            }
        }
    }

    fn listen(&mut self, raw: raw::Http) -> Option<SocketAddr> {
        let value = raw.listen?;
        if value.get_ref().is_empty() {
            return None;
        }
        match value.get_ref().parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let text = format!("{:?} is not an address and port such as 127.0.0.1:9464", value.get_ref());
                self.fatal.push(self.file.problem(Some(value.span()), text));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
