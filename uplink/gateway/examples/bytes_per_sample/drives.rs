//! Recorded drives, decoded.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use can_decode::candump::parse_line;
use can_decode::{DecodeTable, Matching, Message, Raw};

/// Frames of a drive, with the values that their messages have.
pub(crate) struct Drive {
    pub(crate) name: String,
    pub(crate) samples: usize,
    pub(crate) rows: Vec<Row>,
    buses: Vec<Bus>,
}

/// A decoded frame.
pub(crate) struct Row {
    pub(crate) time_ns: i64,
    /// Index into the messages of all buses, bus by bus.
    pub(crate) message: usize,
    pub(crate) values: Vec<(usize, Raw)>,
}

struct Bus {
    name: String,
    table: DecodeTable,
}

/// A log, and for each of its buses the DBC file.
type Source = (&'static str, &'static [(&'static str, &'static str, Matching)]);

const SOURCES: [Source; 4] = [
    ("comma2k19_rav4_bus0.log.gz", &[("can0", "opendbc/toyota_new_mc_pt_generated.dbc", Matching::Id)]),
    (
        "css_j1939_truck_gps.log.gz",
        &[("can1", "canmatrix/j1939.dbc", Matching::Pgn), ("can2", "css/canmod-gps.dbc", Matching::Id)],
    ),
    (
        "css_obd2_gps.log.gz",
        &[("can1", "css/OBD-v4.4.dbc", Matching::Id), ("can2", "css/canmod-gps.dbc", Matching::Id)],
    ),
    (
        "SYNTHETIC_canfd_hyundai_canfd.log.gz",
        &[("can0", "opendbc/hyundai_canfd_generated.dbc", Matching::Id)],
    ),
];

/// For machines without the drives: a counter, a checksum, a walk and a flag.
const MADE_UP: &str = "VERSION \"\"\nBU_: ECU\nBO_ 291 MOTION: 8 ECU\n \
    SG_ Counter : 0|4@1+ (1,0) [0|15] \"\" ECU\n SG_ Moving : 4|1@1+ (1,0) [0|1] \"\" ECU\n \
    SG_ Speed : 8|16@1+ (0.01,0) [0|655] \"km/h\" ECU\n SG_ Checksum : 56|8@1+ (1,0) [0|255] \"\" ECU\n";

/// The drives that are at hand.
pub(crate) fn all() -> Result<Vec<Drive>, Box<dyn Error>> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/can"));
    if !root.is_dir() {
        println!("the recorded drives are absent; this one is made up");
        let (database, _) = can_decode::dbc::read("made_up.dbc", MADE_UP.as_bytes())?;
        let (table, _) = DecodeTable::compile(&[database], Matching::Id);
        let buses = vec![Bus { name: "can0".to_owned(), table }];
        return Ok(vec![Drive::decode("made up", buses, &made_up())?]);
    }
    SOURCES.iter().map(|source| load(root, source)).collect()
}

fn made_up() -> String {
    let mut speed = 3000_u64;
    let mut log = String::new();
    for frame in 0..6000_u64 {
        let noise = frame.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        speed = (speed + noise % 7).saturating_sub(3);
        let micros = frame * 10_000 + noise % 150;
        let (low, high) = (speed & 0xFF, speed >> 8 & 0xFF);
        let (first, checksum) =
            ((frame % 16) | (u64::from(frame / 500 % 2 == 0) << 4), low * 7 + high + frame);
        let _ = writeln!(
            log,
            "({}.{:06}) can0 123#{first:02X}{low:02X}{high:02X}00000000{:02X}",
            1_767_225_600 + micros / 1_000_000,
            micros % 1_000_000,
            checksum & 0xFF
        );
    }
    log
}

fn load(root: &Path, (log, buses): &Source) -> Result<Drive, Box<dyn Error>> {
    let read = |path: PathBuf| fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&read(root.join("logs").join(log))?[..]).read_to_string(&mut text)?;
    let mut tables = Vec::new();
    for (name, dbc, matching) in *buses {
        let (database, _) = can_decode::dbc::read(dbc, &read(root.join("dbc").join(dbc))?)?;
        let (table, _) = DecodeTable::compile(&[database], *matching);
        tables.push(Bus { name: (*name).to_owned(), table });
    }
    Drive::decode(log.trim_end_matches(".log.gz"), tables, &text)
}

impl Drive {
    fn decode(name: &str, buses: Vec<Bus>, log: &str) -> Result<Self, Box<dyn Error>> {
        let (mut rows, mut samples) = (Vec::new(), 0);
        for line in log.lines() {
            let line = parse_line(line).map_err(|error| format!("{name}: {error}"))?;
            let mut first_message = 0;
            for bus in &buses {
                if let Some(index) = bus.table.find(line.frame.id()).filter(|_| bus.name == line.interface) {
                    let mut values = Vec::new();
                    bus.table.decode(index, &line.frame, |signal, raw| values.push((signal, raw)));
                    samples += values.len();
                    let message = first_message + usize::from(index.0);
                    rows.push(Row { time_ns: line.time.0, message, values });
                }
                first_message += bus.table.messages().len();
            }
        }
        Ok(Self { name: name.to_owned(), samples, rows, buses })
    }

    /// Messages of all buses.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.buses.iter().flat_map(|bus| bus.table.messages())
    }

    /// How many signals each message has.
    pub(crate) fn signals(&self) -> Vec<usize> {
        self.messages().map(|message| message.signals.len()).collect()
    }
}
