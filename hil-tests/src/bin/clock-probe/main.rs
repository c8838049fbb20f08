//! The daemon's clock map, alone, on real clocks: reads a PHC beside the system's clocks, and frames with both stamps.
//!
//! What it says can be compared with what others say of the same instants.

use std::error::Error;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant as Wall};

use can_decode::{BootNanos, HwNanos, RealtimeNanos};
use ecu_core::ClockMap;
use ecu_core::clock::{Bracket, Clock, HwClock, Instant, Pairs, Placed, Reading, Taken};
use ecu_sys::ptp::{PhcReading, PtpClock};
use ecu_sys::{Receiver, stamp_arrivals, stamping};
use lexopt::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value as Json, json};
use socketcan::{CanFdSocket, Socket as _};

const HELP: &str = "\
clock-probe: what the daemon's clock map makes of a PHC and of the stamps of a CAN interface

  clock-probe --interface IF [--rounds N] [--interval-ms N] [--latency-us N]
      Reads the clock behind IF's hardware stamps N times (default 20), every N ms (default 250), and receives frames
      meanwhile. A clock that cannot be read is mapped by its frames; the kernel's stamp is then taken to be N us
      (default 1000) late at most.
Prints a line of JSON for each round, then one for each frame.
";
/// Readings of a round, of which the tightest counts.
const BURST: usize = 10;
/// Frames kept at most.
const FRAMES_MAX: usize = 10_000;
/// Stamps are of the last so many nanoseconds when a frame is received.
const PATIENCE_NS: i64 = 5_000_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clock-probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut interface, mut rounds, mut interval_ms, mut latency_us) = (None, 20_u32, 250_u64, 1_000_i64);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("interface") => interface = Some(arguments.value()?.string()?),
            Long("rounds") => rounds = arguments.value()?.parse()?,
            Long("interval-ms") => interval_ms = arguments.value()?.parse()?,
            Long("latency-us") => latency_us = arguments.value()?.parse()?,
            Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let interface = interface.ok_or("--interface is missing; --help says more")?;
    let mut probe = Probe::open(&interface, latency_us.saturating_mul(1_000))?;
    for _ in 0..rounds {
        println!("{}", probe.round()?);
        let until = Wall::now() + Duration::from_millis(interval_ms);
        while Wall::now() < until {
            probe.receive();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    probe.round()?;
    probe.frames.iter().for_each(|frame| println!("{}", probe.placed(frame)));
    Ok(())
}

struct Frame {
    hardware: HwNanos,
    software: RealtimeNanos,
    seen: BootNanos,
}

struct Probe {
    socket: CanFdSocket,
    batch: Receiver,
    phc: Option<PtpClock>,
    clock: HwClock,
    map: ClockMap,
    pairs: Pairs,
    frames: Vec<Frame>,
    readings: Vec<PhcReading>,
}

impl Probe {
    fn open(interface: &str, latency_ns: i64) -> Result<Self, Box<dyn Error>> {
        let socket = CanFdSocket::open(interface)?;
        socket.set_nonblocking(true)?;
        stamp_arrivals(socket.as_fd())?;
        let offered = stamping(socket.as_fd(), interface)?;
        if !offered.hardware {
            return Err(format!("{interface} has no stamps by hardware: {offered:?}").into());
        }
        let clock = offered.phc.map_or(HwClock::Timer(0), HwClock::Phc);
        let phc = offered.phc.map(PtpClock::open).transpose()?;
        if let Some(phc) = &phc {
            phc.capabilities()?;
        }
        Ok(Self {
            socket,
            batch: Receiver::default(),
            phc,
            clock,
            map: ClockMap::default(),
            pairs: Pairs::new(clock, latency_ns),
            frames: Vec::new(),
            readings: Vec::new(),
        })
    }

    /// Reads all clocks once and says what the map makes of them.
    fn round(&mut self) -> Result<Json, Box<dyn Error>> {
        if self.phc.is_none()
            && let Some(reading) = self.pairs.take()
        {
            self.map.observe(reading);
        }
        self.read_realtime();
        if let Some(phc) = &mut self.phc {
            phc.read(BURST, &mut self.readings)?;
            let reading = |reading: &PhcReading| Reading {
                instant: Instant::Hardware(self.clock, reading.phc),
                bracket: Bracket::Realtime(reading.before, reading.after),
            };
            if let Some(tightest) = Reading::tightest(self.readings.iter().map(reading)) {
                self.map.observe(tightest);
            }
        }
        self.read_realtime();
        let (now, realtime) = (boot(), realtime());
        let status = self.map.status(Clock::Hardware(self.clock), now);
        Ok(json!({
            "method": self.phc.as_ref().map_or("frames", |phc| phc.method().name()),
            "boot_ns": now.0,
            "phc_minus_realtime_ns": status.map(|status| now.0 + status.offset_ns - realtime.0),
            "error_ns": status.map(|status| status.error_ns),
            "drift_ppb": status.map(|status| status.drift_ppt as f64 / 1e3),
            "steps": status.map(|status| status.counts.steps),
            "outliers": status.map(|status| status.counts.outliers),
        }))
    }

    fn read_realtime(&mut self) {
        let burst = (0..BURST).map(|_| {
            let before = boot();
            let instant = Instant::Realtime(realtime());
            Reading { instant, bracket: Bracket::Boot(before, boot()) }
        });
        if let Some(reading) = Reading::tightest(burst) {
            self.map.observe(reading);
        }
    }

    fn receive(&mut self) {
        while self.batch.receive(self.socket.as_fd()).is_ok() {
            let seen = boot();
            let drift_ppt =
                self.map.history().newest(Clock::Hardware(self.clock)).map_or(0, |line| line.drift_ppt);
            for packet in self.batch.packets() {
                let (Some(hardware), Some(software)) = (packet.hardware, packet.software) else { continue };
                self.pairs.observe(hardware, software, drift_ppt);
                if self.frames.len() < FRAMES_MAX {
                    self.frames.push(Frame { hardware, software, seen });
                }
            }
        }
    }

    /// A frame by either stamp, with all that is known at the end.
    fn placed(&self, frame: &Frame) -> Json {
        let taken = Taken { not_before: frame.seen.plus(-PATIENCE_NS), not_after: frame.seen };
        let place = |instant| {
            let Placed { boot, boot_error_ns, basis, .. } = self.map.history().place(instant, taken);
            json!({ "boot_ns": boot.0, "error_ns": boot_error_ns, "basis": format!("{basis:?}") })
        };
        json!({
            "seen_ns": frame.seen.0,
            "hardware": place(Instant::Hardware(self.clock, frame.hardware)),
            "software": place(Instant::Realtime(frame.software)),
        })
    }
}

fn boot() -> BootNanos {
    let now = clock_gettime(ClockId::Boottime);
    BootNanos::from_timespec(now.tv_sec, now.tv_nsec)
}

fn realtime() -> RealtimeNanos {
    let now = clock_gettime(ClockId::Realtime);
    RealtimeNanos::from_timespec(now.tv_sec, now.tv_nsec)
}
