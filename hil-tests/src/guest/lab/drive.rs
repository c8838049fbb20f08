//! Traffic for measuring what reaches the card: what counts is how well it compresses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::Ecu;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can");
const LOG: &str = "logs/comma2k19_rav4_bus0.log.gz";
const DBC: &str = "dbc/opendbc/toyota_new_mc_pt_generated.dbc";
/// Samples that a frame of that log holds on average, by `ecu-daemon decode`.
const SAMPLES_PER_FRAME: f64 = 3.92;
/// Of the generator's mix.
const MADE_UP_PER_FRAME: f64 = 2.0;
const MADE_UP: &str = "--mix classic=3,fd=1";

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Drive {
    /// The generator's own messages, whose signals count up: they compress far better than a car's.
    MadeUp,
    /// A recorded drive, a minute of a RAV4.
    Recorded {
        /// Each frame as `candump -L` writes it, behind its time in seconds since the first.
        frames: Vec<(f64, String)>,
        /// What they mean.
        dbc: PathBuf,
    },
}

impl Drive {
    /// Both, or the generator's alone where the recorded one is not at hand.
    pub fn all() -> Vec<Self> {
        Self::recorded().into_iter().chain([Self::MadeUp]).collect()
    }

    fn recorded() -> Option<Self> {
        let (log, dbc) = (Path::new(DATA).join(LOG), Path::new(DATA).join(DBC));
        if !log.is_file() || !dbc.is_file() {
            return None;
        }
        let output = Command::new("gzip").arg("-dc").arg(&log).output();
        let output = output.unwrap_or_else(|error| panic!("gzip: {error}"));
        assert!(output.status.success(), "gzip -dc {}: {}", log.display(), output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        let frames: Vec<(f64, String)> = text.lines().filter_map(frame).collect();
        let first = frames.first()?.0;
        let frames = frames.into_iter().map(|(time, frame)| (time - first, frame)).collect();
        Some(Self::Recorded { frames, dbc })
    }

    /// What it is called in a table.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MadeUp => "made up",
            Self::Recorded { .. } => "RAV4",
        }
    }

    /// Makes the daemon on this ECU understand it from its next start on.
    pub fn install(&self, ecu: &Ecu) {
        match self {
            Self::MadeUp => {
                let (program, dbc) = (ecu.path("can-traffic"), ecu.path("traffic.dbc"));
                ecu.run(&format!("{program} --dbc >{dbc}"));
            }
            Self::Recorded { dbc, .. } => ecu.copy_in(dbc, &ecu.path("traffic.dbc")),
        }
    }

    /// How the generator is to be called for so many samples a second, about.
    pub fn arguments(&self, ecu: &Ecu, samples_per_second: u64, seconds: u64) -> String {
        match self {
            Self::MadeUp => {
                let rate = samples_per_second as f64 / MADE_UP_PER_FRAME;
                format!("--rate {rate} --seconds {seconds} {MADE_UP}")
            }
            Self::Recorded { frames, .. } => {
                let path = ecu.path("drive.log");
                ecu.write(&path, &recording(frames, samples_per_second, seconds));
                format!("--replay {path} --speed 1")
            }
        }
    }
}

/// Time and rest of a line of `candump -L`.
fn frame(line: &str) -> Option<(f64, String)> {
    let (time, rest) = line.strip_prefix('(')?.split_once(") ")?;
    Some((time.parse().ok()?, rest.to_owned()))
}

/// The frames at such a rate, from the beginning again as often as that needs.
fn recording(frames: &[(f64, String)], samples_per_second: u64, seconds: u64) -> String {
    let length = frames.last().map_or(0.0, |(time, _)| *time);
    let own_rate = frames.len() as f64 * SAMPLES_PER_FRAME / length;
    let speed = samples_per_second as f64 / own_rate;
    let mut log = String::new();
    for round in 0_u32.. {
        for (time, frame) in frames {
            let at = (f64::from(round) * length + time) / speed;
            if at >= seconds as f64 {
                return log;
            }
            // The generator wants times since 1970; a second's are as good.
            let _ = writeln!(log, "({:.6}) {frame}", 1.0 + at);
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_repeated_and_slowed_down() {
        // 10 s with 100 frames.
        let frames: Vec<_> =
            (0..=100).map(|number| (f64::from(number) / 10.0, format!("can0 {number:03X}#"))).collect();
        let lines = |rate, seconds| recording(&frames, rate, seconds).lines().count();
        let own = (101.0 * SAMPLES_PER_FRAME / 10.0) as u64;
        for (rate, seconds, expected) in [(own, 5, 50), (own, 20, 202), (2 * own, 20, 404), (own / 3, 20, 66)]
        {
            let lines = lines(rate, seconds);
            assert!(lines.abs_diff(expected) <= expected / 10 + 1, "{lines} instead of {expected}");
        }
        let log = recording(&frames, own, 11);
        let times: Vec<f64> = log.lines().filter_map(|line| Some(frame(line)?.0)).collect();
        assert!(times.is_sorted() && times.first() == Some(&1.0), "{times:?}");
    }

    #[test]
    fn lines_are_split() {
        assert_eq!(frame("(1.5) can0 123#00"), Some((1.5, "can0 123#00".to_owned())));
        for line in ["", "1.5 can0 123#00", "(x) can0 1#"] {
            assert_eq!(frame(line), None, "{line}");
        }
    }
}
