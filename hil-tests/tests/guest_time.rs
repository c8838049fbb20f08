//! The clock map on a real kernel: a CAN interface whose stamps are of another clock than the system's, which drifts; and a
//! daemon whose clock is set back in the middle of the traffic.

mod guest_path;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use guest_path::Path;
use hil_tests::guest::{Guest, aarch64, emulated_bench, shared};
use hil_tests::{Metrics, say};
use serde_json::Value as Json;

/// How far the oscillator of the bench's CAN interface is off, ppb.
const DRIFT_PPB: i64 = 50_000;
/// A software stamp is so much later at most in these tests: the emulated processor is slow, and may be held up.
const LATENCY_NS: i64 = 20_000_000;

struct Run {
    rounds: Vec<Json>,
    frames: Vec<Json>,
}

/// The tests share a guest, which has one such module.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the probe on a CAN interface with these parameters of its module, under frames; `meanwhile` is a script.
fn probe(guest: &Guest, module: &str, arguments: &str, meanwhile: &str) -> (Run, String) {
    // One that failed left nothing that the next one minds.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    guest.copy_in(&aarch64("release/clock-probe"), "/tmp/clock-probe");
    guest.run(&format!("modprobe hwvcan {module}; ip link add hw0 type hwvcan; ip link set hw0 up"));
    let text = guest.run(&format!(
        "chmod +x /tmp/clock-probe; /tmp/clock-probe --interface hw0 {arguments} >/tmp/probe & probe=$!
         cangen hw0 -g 20 -n 200 & {meanwhile}
         wait $probe; echo ====; cat /tmp/probe; ip link del hw0; rmmod hwvcan"
    ));
    let (meanwhile, probe) = text.split_once("====").expect("the probe's output");
    let lines = probe.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let (rounds, frames) = lines.partition(|line| line["method"].is_string());
    (Run { rounds, frames }, meanwhile.to_owned())
}

fn number(json: &Json) -> i64 {
    json.as_i64().unwrap_or_else(|| panic!("a number: {json}"))
}

impl Run {
    fn last(&self) -> &Json {
        self.rounds.last().expect("rounds")
    }

    /// The same frame by the controller's clock and by the kernel's: the latter is later, by what the kernel took. Gives the
    /// largest bound of the former.
    fn stamps_agree(&self) -> i64 {
        assert!(self.frames.len() >= 100, "{} frames", self.frames.len());
        let mut largest = 0;
        for frame in &self.frames {
            let of = |stamp: &str| (number(&frame[stamp]["boot_ns"]), number(&frame[stamp]["error_ns"]));
            assert_eq!(frame["hardware"]["basis"], "Stamp", "{frame}");
            let ((hardware, error), (software, small)) = (of("hardware"), of("software"));
            let late = software - hardware;
            assert!((-error - small..LATENCY_NS + error).contains(&late), "{late} ns late: {frame}");
            largest = largest.max(error);
        }
        largest
    }
}

#[test]
fn stamps_of_a_drifting_clock_are_placed_on_the_systems_axis() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    let module = format!("drift_ppb={DRIFT_PPB}");
    let (run, _) = probe(&guest, &module, "--rounds 24", "true");
    let last = run.last();
    let drift = last["drift_ppb"].as_f64().expect("a drift");
    let largest = run.stamps_agree();
    say(&format!("{} frames, the largest bound {largest} ns; at the end {last}", run.frames.len()));
    assert_eq!(last["method"], "extended");
    assert!((drift - DRIFT_PPB as f64).abs() < 5_000.0, "{last}");
    assert_eq!((number(&last["steps"]), number(&last["outliers"])), (0, 0), "{last}");
}

#[test]
fn a_timer_that_nothing_can_read_is_mapped_by_its_frames() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    let module = format!("phc=0 drift_ppb={DRIFT_PPB}");
    let (run, _) = probe(&guest, &module, "--rounds 24 --latency-us 2000", "true");
    let largest = run.stamps_agree();
    say(&format!("{} frames, the largest bound {largest} ns; at the end {}", run.frames.len(), run.last()));
    assert_eq!(run.last()["method"], "frames");
}

/// The PHC is what is right; the system's clock, which stamps the frames, is nobody's word and is set back.
const PHC_IS_RIGHT: &str = "devices = [\"ptp0\"]\\nsync = \"assumed\"\\nassumed_error = \"1us\"";
/// TAI minus UTC, which nobody tells the daemon here: its own.
const TAI_UTC_NS: i64 = 37_000_000_000;
/// Sequence numbers of single frames, above all of the traffic.
const MARKS: u64 = 0xF000_0000;
/// What production cars tolerate, nanoseconds: most frames are placed better than that. The first ones are not, as a clock's
/// drift is known from its second reading on.
const TOLERATED_NS: i64 = 50_000;

/// What the gateway printed of a frame: its sequence number, and its place in true time with the bound.
#[derive(Clone, Copy, Debug)]
struct Placed {
    number: u64,
    time_ns: i64,
    error_ns: i64,
}

fn placed(path: &Path) -> Vec<Placed> {
    let lines = path.gateway.lines();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let of_sequence = lines.filter(|line| line["message"] == "Classic" && line["signal"] == "Sequence");
    of_sequence
        .map(|line| {
            assert_eq!(line["clock"], "kernel_software", "{line}");
            assert_eq!(
                (&line["time_basis"], &line["time_clock"]),
                (&"placed".into(), &"ptp0".into()),
                "{line}"
            );
            let number = line["raw"].as_u64().expect("a sequence number");
            Placed {
                number,
                time_ns: self::number(&line["time_unix_nano"]),
                error_ns: self::number(&line["time_error_nano"]),
            }
        })
        .collect()
}

/// Sends a frame between two readings of the PHC by linuxptp's tool; gives those, in UTC.
fn mark(guest: &Guest, number: u64) -> (i64, i64) {
    let data = u32::try_from(number).expect("32 bits").swap_bytes();
    let get = "/tmp/phc_ctl -q /dev/ptp0 get";
    let said = guest.run(&format!("{get}; cansend vcan0 100#{data:08X}00000000; {get}"));
    let times: Vec<i64> = said
        .lines()
        .filter_map(|line| {
            line.split_once("clock time is ")?.1.split_whitespace().next()?.parse::<Decimal>().ok()
        })
        .map(|Decimal(ns)| ns - TAI_UTC_NS)
        .collect();
    let [before, after] = times[..] else { panic!("no two readings of the PHC: {said}") };
    (before, after)
}

/// Seconds with nine digits, as nanoseconds.
struct Decimal(i64);

impl std::str::FromStr for Decimal {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.replacen('.', "", 1).parse().map(Self)
    }
}

/// The clock that stamps the frames is set back an hour amid the traffic: nothing is lost, out of order or expired, and every
/// frame is where the PHC says.
#[test]
fn a_clock_set_back_an_hour_costs_no_record_and_no_place() {
    let Some(phc_ctl) = emulated_bench().then(phc_ctl).flatten() else {
        say("skipped: no linuxptp for arm64 can be had");
        return;
    };
    let Some(path) = Path::emulated("set-back") else { return };
    let guest = &path.ecu;
    guest.copy_in(&phc_ctl, "/tmp/phc_ctl");
    guest.run(&format!(
        "chmod +x /tmp/phc_ctl; modprobe hwvcan drift_ppb={DRIFT_PPB}; ip link add hw0 type hwvcan"
    ));
    path.daemon().stop();
    let config = guest.path("config.toml");
    guest.run(&format!("sed -i 's/^record = false/{PHC_IS_RIGHT}/' {config}; date -s @1600000000"));
    path.daemon().restart();
    let sending = path.begin_sending("--rate 400 --seconds 14 --mix classic=1");
    let mut marks = vec![(MARKS, mark(guest, MARKS))];
    guest.run("sleep 3; date -s @$(($(date +%s) - 3600))");
    for number in MARKS + 1..MARKS + 4 {
        marks.push((number, mark(guest, number)));
    }
    let traffic = path.finish_sending(&sending);
    let last = MARKS + 4;
    marks.push((last, mark(guest, last)));
    let (sent, marked) = (traffic.count("frames"), marks.len() as u64);
    path.until_acknowledged(sent + marked);
    let metrics: Metrics = path.metrics();
    let ring = |state| metrics.sum("ecu_daemon_ring_records_total", &[("state", state)]);
    assert_eq!(ring("sealed"), ring("acked"), "nothing is evicted or expired");
    assert!(metrics.sum("ecu_daemon_clock_steps_total", &[("clock", "realtime")]) >= 1);

    let mut placed = placed(&path);
    placed.sort_by_key(|frame| frame.number);
    let (traffic, single): (Vec<Placed>, Vec<Placed>) = placed.iter().partition(|frame| frame.number < MARKS);
    let numbers: Vec<u64> = traffic.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>(), "each once");
    for pair in traffic.windows(2) {
        let slack = pair[0].error_ns + pair[1].error_ns;
        assert!(pair[0].time_ns <= pair[1].time_ns + slack, "out of order: {pair:?}");
    }
    assert_eq!(single.len() as u64, marked);
    for (frame, (number, (before, after))) in single.iter().zip(&marks) {
        assert_eq!(frame.number, *number);
        let is_between = (before - frame.error_ns..=after + frame.error_ns).contains(&frame.time_ns);
        assert!(is_between, "{frame:?} is not between {before} and {after}");
    }
    let mut bounds: Vec<i64> = placed.iter().map(|frame| frame.error_ns).collect();
    bounds.sort_unstable();
    let share = |percent: usize| bounds[(bounds.len() - 1) * percent / 100];
    say(&format!(
        "{} frames are placed by ptp0; bounds: {} ns half of them, {} ns 80 %, {} ns at most",
        bounds.len(),
        share(50),
        share(80),
        share(100)
    ));
    assert!(share(50) < TOLERATED_NS, "{} ns", share(50));
}

/// linuxptp's own tool, asked while the probe runs, must see the offset where the map has it.
#[test]
fn phc_ctl_sees_the_same_offset() {
    if !emulated_bench() {
        return;
    }
    let guest = shared();
    let Some(phc_ctl) = phc_ctl() else {
        say("skipped: no linuxptp for arm64 can be had");
        return;
    };
    guest.copy_in(&phc_ctl, "/tmp/phc_ctl");
    let module = format!("drift_ppb={DRIFT_PPB}");
    let ask = "chmod +x /tmp/phc_ctl
        for i in 1 2 3 4 5; do sleep 0.8; cut -d ' ' -f 1 /proc/uptime; /tmp/phc_ctl -q /dev/ptp0 cmp; done";
    let (run, said) = probe(&guest, &module, "--rounds 24", ask);
    let said: Vec<(i64, i64)> = offsets(&said);
    assert_eq!(said.len(), 5, "five answers of phc_ctl");
    let mut largest = 0;
    for (at, offset) in said {
        // The map's line nearest in time, carried on by the drift.
        let nearest = run
            .rounds
            .iter()
            .filter(|round| round["error_ns"].is_i64())
            .min_by_key(|round| number(&round["boot_ns"]).abs_diff(at))
            .expect("rounds");
        let apart = at - number(&nearest["boot_ns"]);
        let expected = number(&nearest["phc_minus_realtime_ns"]) + apart / 1_000_000 * DRIFT_PPB / 1_000;
        let differs = (offset - expected).abs();
        // The tool's start takes up to a tenth of a second here, in which the clock drifts by 5 us; its own reading has a
        // delay that it does not tell.
        assert!(
            differs < number(&nearest["error_ns"]) + 100_000,
            "{differs} ns: phc_ctl {offset}, {nearest}"
        );
        largest = largest.max(differs);
    }
    say(&format!("phc_ctl and the map differ by {largest} ns at most"));
}

/// The instants at which `phc_ctl` was asked, and what the PHC was ahead of `CLOCK_REALTIME` by.
fn offsets(said: &str) -> Vec<(i64, i64)> {
    let mut at = None;
    let mut found = Vec::new();
    for line in said.lines() {
        if let Ok(uptime) = line.trim().parse::<f64>() {
            at = Some((uptime * 1e9) as i64);
        } else if let Some((_, rest)) = line.split_once("offset from CLOCK_REALTIME is ") {
            let offset = rest.trim_end().trim_end_matches("ns").parse::<i64>().expect("nanoseconds");
            // It says how far CLOCK_REALTIME is ahead.
            found.extend(at.take().map(|at| (at, -offset)));
        }
    }
    found
}

/// linuxptp's `phc_ctl` for arm64, unpacked into the bench's cache.
fn phc_ctl() -> Option<PathBuf> {
    let script = "set -euo pipefail; . cross/packages.sh
        [ -e \"$HIL_CACHE/linuxptp/usr/sbin/phc_ctl\" ] || {
            refresh_lists >/dev/null; unpack_only \"$HIL_CACHE/linuxptp\" linuxptp:arm64 >&2; }
        echo \"$HIL_CACHE/linuxptp/usr/sbin/phc_ctl\"";
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new("bash").args(["-c", script]).current_dir(root).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.is_file().then_some(path)
}
