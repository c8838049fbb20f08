//! The temperature beside the oscillators, which drift with it: from the kernel's hwmon drivers, which read I²C sensors too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use can_decode::BootNanos;
use store::block::Temperature;
use tracing::{info, warn};

use crate::config::Thermometer;

/// How often it is read: a housing warms by less than two degrees in this time.
const EVERY_NS: i64 = 10_000_000_000;
/// How often a reading is kept for the record.
const KEEP_NS: i64 = 60_000_000_000;
/// Readings kept until the map is told, the newest.
const KEPT_MAX: usize = 64;
/// Where the kernel lists its sensors.
const HWMON: &str = "/sys/class/hwmon";

/// Reads it now and then.
pub(super) struct Thermals {
    of: Option<Thermometer>,
    read_at: Option<BootNanos>,
    kept_at: Option<BootNanos>,
    last: Option<i32>,
    kept: Vec<Temperature>,
    /// The last failure that was said.
    reported: Option<String>,
}

impl Thermals {
    pub(super) const fn new(of: Option<Thermometer>) -> Self {
        Self { of, read_at: None, kept_at: None, last: None, kept: Vec::new(), reported: None }
    }

    /// Reads it when it is time. An I²C sensor takes a millisecond or so.
    pub(super) fn round(&mut self, now: BootNanos) {
        let Some(of) = &self.of else { return };
        if self.read_at.is_some_and(|at| now.since(at) < EVERY_NS) {
            return;
        }
        self.read_at = Some(now);
        match read(of, Path::new(HWMON)) {
            Ok(milli_celsius) => {
                if self.reported.take().is_some() {
                    info!("{of}: the temperature can be read again");
                }
                self.last = Some(milli_celsius);
                self.keep(Temperature { at_boot_ns: now.0, milli_celsius });
            }
            Err(error) => {
                self.last = None;
                let text = error.to_string();
                if self.reported.as_ref() != Some(&text) {
                    warn!("no temperature from {of}: {text}; trying every {} s", EVERY_NS / 1_000_000_000);
                    self.reported = Some(text);
                }
            }
        }
    }

    fn keep(&mut self, reading: Temperature) {
        let at = BootNanos(reading.at_boot_ns);
        if self.kept_at.is_some_and(|kept| at.since(kept) < KEEP_NS) {
            return;
        }
        self.kept_at = Some(at);
        if self.kept.len() == KEPT_MAX {
            self.kept.remove(0);
        }
        self.kept.push(reading);
    }

    /// The last reading, thousandths of a degree Celsius; `None` while there is none.
    pub(super) const fn milli_celsius(&self) -> Option<i32> {
        self.last
    }

    /// What was kept since [`Self::told`].
    pub(super) fn kept(&self) -> &[Temperature] {
        &self.kept
    }

    /// What was kept is in the record.
    pub(super) fn told(&mut self) {
        self.kept.clear();
    }
}

/// Thousandths of a degree Celsius, which is what the kernel's files hold (Documentation/hwmon/sysfs-interface).
fn read(of: &Thermometer, hwmon: &Path) -> io::Result<i32> {
    let path = match of {
        Thermometer::File(path) => path.clone(),
        Thermometer::Sensor { chip, label } => find(hwmon, chip, label.as_deref())?,
    };
    let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let text = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let number = text.trim().parse();
    number.map_err(|_| wrong(format!("{} holds {:?}, not a number", path.display(), text.trim())))
}

/// The file of a chip's sensor. Numbers of chips change from boot to boot, names do not.
fn find(hwmon: &Path, chip: &str, label: Option<&str>) -> io::Result<PathBuf> {
    let is =
        |path: PathBuf, expected: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == expected);
    let absent = |text: String| io::Error::new(io::ErrorKind::NotFound, text);
    let listed = fs::read_dir(hwmon).map_err(|error| absent(format!("{}: {error}", hwmon.display())))?;
    let mut chips: Vec<PathBuf> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| is(folder.join("name"), chip))
        .collect();
    chips.sort();
    let folder = chips.first().ok_or_else(|| {
        absent(format!("no chip in {} is named {chip:?}; is its driver loaded?", hwmon.display()))
    })?;
    let Some(label) = label else { return Ok(folder.join("temp1_input")) };
    (1..=64)
        .find(|number| is(folder.join(format!("temp{number}_label")), label))
        .map(|number| folder.join(format!("temp{number}_input")))
        .ok_or_else(|| absent(format!("no temperature of {} is labelled {label:?}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensors() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("hwmon0/name", "cpu_thermal\n"),
            ("hwmon0/temp1_input", "61000\n"),
            ("hwmon3/name", "lm75\n"),
            ("hwmon3/temp1_input", "-12500\n"),
            ("hwmon3/temp2_label", "oscillator\n"),
            ("hwmon3/temp2_input", "23125\n"),
            ("hwmon4/name", "odd\n"),
            ("hwmon4/temp1_input", "warm\n"),
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_sensor_is_found_by_its_names() {
        let folder = sensors();
        let check = |chip: &str, label: Option<&str>, expected: Result<i32, &str>| {
            let of = Thermometer::Sensor { chip: chip.to_owned(), label: label.map(str::to_owned) };
            match (read(&of, folder.path()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{of}"),
                (Err(found), Err(expected)) => {
                    assert!(found.to_string().contains(expected), "{of}: {found}");
                }
                (found, _) => panic!("{of}: {found:?}"),
            }
        };
        check("cpu_thermal", None, Ok(61_000));
        check("lm75", None, Ok(-12_500));
        check("lm75", Some("oscillator"), Ok(23_125));
        check("lm75", Some("housing"), Err("labelled \"housing\""));
        check("tmp102", None, Err("is its driver loaded?"));
        check("odd", None, Err("not a number"));
        let file = Thermometer::File(folder.path().join("hwmon0/temp1_input"));
        assert_eq!(read(&file, Path::new("/nowhere")).unwrap(), 61_000);
    }

    #[test]
    fn readings_are_kept_once_a_minute_and_bounded() {
        let folder = sensors();
        let file = Thermometer::File(folder.path().join("hwmon3/temp2_input"));
        let mut thermals = Thermals::new(Some(file));
        for second in 0..120 {
            thermals.round(BootNanos(second * 1_000_000_000));
        }
        assert_eq!((thermals.milli_celsius(), thermals.kept().len()), (Some(23_125), 2));
        thermals.told();
        for second in 120..20_000 {
            thermals.round(BootNanos(second * 1_000_000_000));
        }
        assert_eq!(thermals.kept().len(), KEPT_MAX);
        fs::remove_file(folder.path().join("hwmon3/temp2_input")).unwrap();
        thermals.round(BootNanos(20_000 * 1_000_000_000));
        assert_eq!(thermals.milli_celsius(), None, "a reading that is old is none");
    }
}
