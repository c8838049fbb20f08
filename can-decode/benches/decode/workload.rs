//! The workloads W1 to W4, where the recordings are at hand, and W0 of the project's own files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use can_decode::candump::parse_line;
use can_decode::{CanId, DecodeTable, Frame, FrameFlags, Matching, MessageIndex};
use flate2::read::GzDecoder;

/// More than any message has.
pub(crate) const SIGNALS_MAX: usize = 512;
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ecu-daemon/demo");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can");

/// Frames in memory, and the table that decodes them.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) table: DecodeTable,
    pub(crate) frames: Vec<Frame>,
    /// The same frames by their message.
    pub(crate) by_message: Vec<(MessageIndex, Vec<Frame>)>,
    dbc: PathBuf,
}

const NAMES: [&str; 5] = ["W0", "W1", "W2", "W3", "W4"];

/// Every workload that this machine has the data for.
pub(crate) fn all() -> Vec<Workload> {
    if !Path::new(SHARED).exists() {
        eprintln!("no recordings of real cars here: only W0, random payloads of an own DBC file");
    }
    NAMES.iter().filter_map(|name| of_name(name)).collect()
}

/// The workload of a name, if this machine has the data for it.
pub(crate) fn of_name(name: &str) -> Option<Workload> {
    if name == "W0" {
        return Some(Workload::random("W0", Path::new(OWN).join("battery.dbc"), 40_000));
    }
    let shared = Path::new(SHARED);
    let (dbc, log) = (shared.join("dbc"), shared.join("logs"));
    shared.exists().then_some(())?;
    Some(match name {
        "W1" => Workload::recorded(
            "W1",
            dbc.join("opendbc/toyota_new_mc_pt_generated.dbc"),
            &log.join("comma2k19_rav4_bus0.log.gz"),
            "can0",
        ),
        "W2" => {
            Workload::recorded("W2", dbc.join("css/canmod-gps.dbc"), &log.join("css_obd2_gps.log.gz"), "can2")
        }
        "W3" => Workload::random("W3", dbc.join("model3dbc/Model3CAN.dbc"), 40_000),
        "W4" => Workload::recorded(
            "W4",
            dbc.join("opendbc/hyundai_canfd_generated.dbc"),
            &log.join("SYNTHETIC_canfd_hyundai_canfd.log.gz"),
            "can0",
        ),
        _ => return None,
    })
}

impl Workload {
    /// The frames of one interface that the table knows.
    fn recorded(name: &'static str, dbc: PathBuf, log: &Path, interface: &str) -> Self {
        let table = table(&dbc);
        let mut text = String::new();
        let file = fs::File::open(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let lines = text.lines().filter_map(|line| parse_line(line).ok());
        let frames = lines.filter(|line| line.interface == interface).map(|line| line.frame);
        let frames: Vec<Frame> = frames.filter(|frame| table.find(frame.id()).is_some()).collect();
        Self::new(name, table, frames, dbc)
    }

    /// Random payloads of random messages, the same at every run.
    fn random(name: &'static str, dbc: PathBuf, count: usize) -> Self {
        let table = table(&dbc);
        // Steele and others, "Fast splittable pseudorandom number generators" (2014): SplitMix64.
        let mut state = 0_u64;
        let mut random = move || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        let messages: Vec<_> = table.messages().iter().filter(|message| message.len > 0).collect();
        let frames = (0..count).map(|_| {
            let message = messages[(random() % messages.len() as u64) as usize];
            let payload: Vec<u8> =
                (0..8).flat_map(|_| random().to_le_bytes()).take(message.len.into()).collect();
            let frame = Frame::classic(message.id, &payload);
            frame.or_else(|_| Frame::fd(message.id, FrameFlags::BRS, &payload)).ok()
        });
        let frames: Vec<Frame> = frames.flatten().collect();
        Self::new(name, table, frames, dbc)
    }

    fn new(name: &'static str, table: DecodeTable, frames: Vec<Frame>, dbc: PathBuf) -> Self {
        let mut by_message: BTreeMap<MessageIndex, Vec<Frame>> = BTreeMap::new();
        for frame in &frames {
            if let Some(index) = table.find(frame.id()) {
                by_message.entry(index).or_default().push(*frame);
            }
        }
        Self { name, table, frames, by_message: by_message.into_iter().collect(), dbc }
    }

    /// Writes the frames as the peer's C structure, and a line about the workload, into `folder`.
    pub(crate) fn export(&self, folder: &Path) {
        let path = folder.join(format!("{}.frames", self.name));
        let write = || {
            let mut file = BufWriter::new(fs::File::create(&path)?);
            for frame in &self.frames {
                let id = frame.id();
                let flag = if id.is_extended() { CanId::EXTENDED_BIT } else { 0 };
                file.write_all(&(id.raw() | flag).to_ne_bytes())?;
                file.write_all(&[frame.len() as u8, 0, 0, 0])?;
                file.write_all(frame.padded())?;
            }
            file.flush()?;
            fs::write(folder.join(format!("{}.dbc-path", self.name)), self.dbc.display().to_string())
        };
        write().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn table(dbc: &Path) -> DecodeTable {
    let bytes = fs::read(dbc).unwrap_or_else(|error| panic!("{}: {error}", dbc.display()));
    let name = dbc.display().to_string();
    let (database, _) =
        can_decode::dbc::read(&name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    DecodeTable::compile(&[database], Matching::Auto).0
}
