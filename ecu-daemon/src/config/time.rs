//! Clocks: which are read, and who says that they are right.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ecu_core::clock::management::Requester;
use toml::Spanned;

use super::{Check, raw};

/// PTP hardware clocks that can be named, at most.
const DEVICES_MAX: usize = 8;

/// How time is kept.
#[derive(Clone, Debug)]
pub struct Time {
    /// PTP hardware clocks (`/dev/ptpN`) that are read besides those that stamp a bus.
    pub devices: Vec<u8>,
    /// Who says, besides the kernel, that a clock is right.
    pub sync: SyncBy,
    /// How far a clock may be from true time before that is reported, nanoseconds.
    pub limit_ns: u64,
    /// How late the kernel's stamp of a frame is at most when nothing holds it up, nanoseconds: for controllers whose timer
    /// only frames can read.
    pub stamp_latency_ns: i64,
    /// Where the temperature beside the oscillators is read.
    pub temperature: Option<Thermometer>,
    /// Whether clock maps and events become records; `None`: where a bus is an interface.
    pub record: Option<bool>,
}

/// Where a temperature is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thermometer {
    /// From this file, in thousandths of a degree Celsius.
    File(PathBuf),
    /// From a sensor that the kernel knows (hwmon).
    Sensor {
        /// The name of its chip, such as `lm75`.
        chip: String,
        /// Its label; without one the chip's first temperature.
        label: Option<String>,
    },
}

impl fmt::Display for Thermometer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Sensor { chip, label: None } => write!(f, "{chip}"),
            Self::Sensor { chip, label: Some(label) } => write!(f, "{chip}/{label}"),
        }
    }
}

impl Thermometer {
    /// `/sys/…`, `chip` or `chip/label`; `None` for an empty name.
    fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::File(text.into()));
        }
        let (chip, label) = text.split_once('/').map_or((text, None), |(chip, label)| (chip, Some(label)));
        let is_named = !chip.is_empty() && label.is_none_or(|label| !label.is_empty());
        is_named.then(|| Self::Sensor { chip: chip.to_owned(), label: label.map(str::to_owned) })
    }
}

/// Who says, besides the kernel of its own clock, that a clock is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncBy {
    /// Nobody.
    Kernel,
    /// linuxptp, asked at this socket, of the PHC with this number.
    Ptp4l(PathBuf, Requester, u8),
    /// The integrator: the PHC with this number, or else `CLOCK_REALTIME`, is right to within so many nanoseconds.
    Assumed(Option<u8>, u64),
}

impl Check<'_> {
    pub(super) fn keep_time(&mut self, raw: raw::Time) -> Time {
        let mut devices = Vec::new();
        for device in raw.devices {
            match number(device.get_ref()) {
                Some(number) if devices.len() < DEVICES_MAX => devices.push(number),
                Some(_) => self
                    .fatal
                    .push(self.file.problem(Some(device.span()), format!("more than {DEVICES_MAX} devices"))),
                None => {
                    let text = format!("{:?} is no PTP clock such as \"ptp0\"", device.get_ref());
                    self.fatal.push(self.file.problem(Some(device.span()), text));
                }
            }
        }
        let transport_specific = self.bounded(raw.transport_specific, 0, 0..=15, "0 to 15");
        let domain = self.bounded(raw.domain, 0, 0..=127, "0 to 127");
        // A socket name of the process's own keeps its answers apart from those of others; any port will do.
        let requester = Requester { domain, transport_specific, port: 1 };
        let span = raw.sync.as_ref().map(Spanned::span);
        let sync = match (raw.sync.map(Spanned::into_inner), devices.first(), raw.assumed_error) {
            (None | Some(raw::SyncBy::Auto), ..) => SyncBy::Kernel,
            (Some(raw::SyncBy::Ptp4l), Some(&phc), _) => {
                let socket = raw.ptp4l.unwrap_or_else(|| PathBuf::from("/var/run/ptp4l"));
                SyncBy::Ptp4l(socket, requester, phc)
            }
            (Some(raw::SyncBy::Ptp4l), None, _) => {
                let text = "sync = \"ptp4l\" needs the clock that ptp4l steers: devices = [\"ptp0\"]";
                self.fatal.push(self.file.problem(span, text));
                SyncBy::Kernel
            }
            (Some(raw::SyncBy::Assumed), phc, Some(error)) => {
                let error = error.get_ref().0.as_nanos();
                SyncBy::Assumed(phc.copied(), u64::try_from(error).unwrap_or(u64::MAX))
            }
            (Some(raw::SyncBy::Assumed), _, None) => {
                let text =
                    "sync = \"assumed\" needs to know how right the clock is: add `assumed_error = \"1ms\"`";
                self.fatal.push(self.file.problem(span, text));
                SyncBy::Kernel
            }
        };
        let temperature = raw.temperature.and_then(|text| {
            let parsed = Thermometer::parse(text.get_ref());
            if parsed.is_none() {
                let problem = format!(
                    "{:?} is no file such as \"/sys/class/hwmon/hwmon0/temp1_input\", and no sensor such as \"lm75\" or \
                     \"lm75/label\"",
                    text.get_ref()
                );
                self.fatal.push(self.file.problem(Some(text.span()), problem));
            }
            parsed
        });
        let limit = self.duration(raw.limit, 50_000, (100, 60_000_000_000), "100ns to 1min");
        let latency = self.duration(raw.stamp_latency, 1_000_000, (1_000, 1_000_000_000), "1us to 1s");
        Time {
            devices,
            sync,
            limit_ns: limit.as_nanos() as u64,
            stamp_latency_ns: latency.as_nanos() as i64,
            temperature,
            record: raw.record,
        }
    }

    /// Like [`Check::time`], default and bounds in nanoseconds.
    fn duration(
        &mut self,
        value: Option<Spanned<super::units::Time>>,
        default: u64,
        allowed: (u64, u64),
        range: &str,
    ) -> Duration {
        let value = value.map(|value| Spanned::new(value.span(), value.get_ref().0));
        let ns = Duration::from_nanos;
        self.bounded(value, ns(default), ns(allowed.0)..=ns(allowed.1), range)
    }
}

/// `ptp0` or `/dev/ptp0`.
fn number(device: &str) -> Option<u8> {
    device.strip_prefix("/dev/").unwrap_or(device).strip_prefix("ptp")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    fn time(text: &str) -> Result<Time, String> {
        let parsed = Config::parse("car.toml", &format!("[time]\n{text}"), Path::new("."));
        parsed.map(|(config, _)| config.time).map_err(|problems| problems[0].to_string())
    }

    #[test]
    fn whoever_is_to_be_believed_is_named() {
        let check = |text: &str, expected: SyncBy| assert_eq!(time(text).unwrap().sync, expected, "{text}");
        check("", SyncBy::Kernel);
        check("sync = 'auto'\ndevices = ['ptp1']", SyncBy::Kernel);
        let requester = Requester { domain: 3, transport_specific: 1, port: 1 };
        check(
            "sync = 'ptp4l'\ndevices = ['/dev/ptp1', 'ptp0']\ndomain = 3\ntransport_specific = 1",
            SyncBy::Ptp4l("/var/run/ptp4l".into(), requester, 1),
        );
        check("sync = 'assumed'\nassumed_error = '1ms'", SyncBy::Assumed(None, 1_000_000));
        check("sync = 'assumed'\nassumed_error = '5us'\ndevices = ['ptp2']", SyncBy::Assumed(Some(2), 5_000));
        assert_eq!(time("").unwrap().limit_ns, ecu_core::clock::LIMIT_NS);
    }

    #[test]
    fn a_temperature_is_of_a_file_or_a_sensor() {
        let check = |text: &str, expected: &str| {
            let found = time(&format!("temperature = '{text}'")).unwrap().temperature.unwrap();
            assert_eq!(format!("{found:?}"), expected);
        };
        check("/sys/x/temp1_input", r#"File("/sys/x/temp1_input")"#);
        check("lm75", r#"Sensor { chip: "lm75", label: None }"#);
        check("lm75/osc", r#"Sensor { chip: "lm75", label: Some("osc") }"#);
        assert_eq!(time("").unwrap().temperature, None);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let check = |text: &str, expected: &str| {
            let error = time(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("devices = ['rtc0']", "car.toml:2: error: \"rtc0\" is no PTP clock");
        check("sync = 'ptp4l'", "car.toml:2: error: sync = \"ptp4l\" needs the clock");
        check("sync = 'assumed'", "add `assumed_error");
        check("sync = 'gps'", "unknown variant `gps`");
        check("limit = '1ns'", "allowed is 100ns to 1min");
        check("transport_specific = 16", "0 to 15");
        check("temperature = 'lm75/'", "car.toml:2: error: \"lm75/\" is no file");
        check("temperature = ''", "no sensor such as");
    }
}
