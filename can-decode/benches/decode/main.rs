//! `cargo bench -p can-decode --bench decode`: nanoseconds a frame and a signal, in this thread's processor time.
//!
//! `can-decode/benches/decode/compare` runs it beside C from cantools, and `can-decode/benches/decode/instructions` counts
//! instead.
//! Options: `--export DIR` writes the workloads for a peer and ends; `--only NAME FORM PASSES` runs one form of one workload
//! so many times, for an instruction counter.

mod workload;

use std::hint::black_box;
use std::path::PathBuf;

use can_decode::{Columns, Raw};
use rustix::time::{ClockId, clock_gettime};
use workload::Workload;

/// Passes over a workload; the fastest counts, as everything that disturbs only adds.
const PASSES: usize = 15;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.find(|argument| argument != "--bench").as_deref() {
        Some("--export") => {
            let folder = PathBuf::from(arguments.next().expect("--export DIR"));
            workload::all().iter().for_each(|workload| workload.export(&folder));
        }
        Some("--only") => {
            let (name, form) = (arguments.next().expect("NAME"), arguments.next().expect("FORM"));
            let passes: u32 = arguments.next().and_then(|passes| passes.parse().ok()).expect("PASSES");
            let workload = workload::of_name(&name).expect("a workload of this name");
            let form = FORMS.iter().find(|known| known.name == form).expect("a form of this name");
            let mut tally = Tally::default();
            for _ in 0..passes {
                tally = black_box((form.run)(black_box(&workload)));
            }
            println!(
                "{} frames {} signals {} sum {:e}",
                name,
                workload.frames.len(),
                tally.signals,
                tally.sum
            );
        }
        Some(other) => panic!("unknown option {other}"),
        None => measure(&workload::all()),
    }
}

/// Frames of one message that are decoded together in the columnar form, as a sealed block holds them.
const BATCH: usize = 256;

/// What a pass did, so that it cannot be left out and can be compared with a peer's.
#[derive(Clone, Copy, Default)]
struct Tally {
    signals: u64,
    sum: f64,
}

/// A way to decode a workload.
struct Form {
    name: &'static str,
    run: fn(&Workload) -> Tally,
}

const FORMS: [Form; 4] = [
    Form { name: "physical", run: physical },
    Form { name: "visited", run: visited },
    Form { name: "raw", run: raw },
    Form { name: "columns", run: columns },
];

fn measure(workloads: &[Workload]) {
    println!("workload\tform\tframes\tsignals\tns/frame\tns/signal\tsum");
    for workload in workloads {
        for form in &FORMS {
            let mut best = f64::INFINITY;
            let mut tally = Tally::default();
            for _ in 0..PASSES {
                let started = cpu_nanos();
                tally = black_box((form.run)(black_box(workload)));
                best = best.min(cpu_nanos() - started);
            }
            println!(
                "{}\t{}\t{}\t{}\t{:.1}\t{:.2}\t{:e}",
                workload.name,
                form.name,
                workload.frames.len(),
                tally.signals,
                best / workload.frames.len() as f64,
                best / tally.signals as f64,
                tally.sum
            );
        }
    }
}

fn cpu_nanos() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// Every frame dispatched by its identifier, every active signal as a physical value in an array.
fn physical(workload: &Workload) -> Tally {
    let (mut signals, mut values) = ([0; workload::SIGNALS_MAX], [0.0; workload::SIGNALS_MAX]);
    let mut tally = Tally::default();
    for frame in &workload.frames {
        let Some(index) = workload.table.find(frame.id()) else { continue };
        let decoded = workload.table.message(index).decode_into(frame, &mut signals, &mut values);
        tally.signals += decoded.reported as u64;
        // The array is not to be optimized away.
        tally.sum += black_box(&values)[0];
    }
    tally
}

/// The same, each value given to a closure.
fn visited(workload: &Workload) -> Tally {
    let mut values = [0.0; workload::SIGNALS_MAX];
    let mut tally = Tally::default();
    for frame in &workload.frames {
        let Some(index) = workload.table.find(frame.id()) else { continue };
        let mut places = values.iter_mut();
        let decoded = workload.table.message(index).decode_physical(frame, |_, value| {
            if let Some(place) = places.next() {
                *place = value;
            }
        });
        tally.signals += decoded.reported as u64;
        tally.sum += black_box(&values)[0];
    }
    tally
}

/// The same with raw values, as the daemon keeps them.
fn raw(workload: &Workload) -> Tally {
    let (mut signals, mut values) = ([0; workload::SIGNALS_MAX], [Raw(0); workload::SIGNALS_MAX]);
    let mut tally = Tally::default();
    for frame in &workload.frames {
        let Some(index) = workload.table.find(frame.id()) else { continue };
        let decoded = workload.table.message(index).decode_into(frame, &mut signals, &mut values);
        tally.signals += decoded.reported as u64;
        tally.sum += black_box(&values)[0].0 as f64;
    }
    tally
}

/// Frames that stand together by message already; physical values of one signal after the other.
fn columns(workload: &Workload) -> Tally {
    let mut room = Columns::<f64>::default();
    let mut tally = Tally::default();
    for (index, frames) in &workload.by_message {
        for batch in frames.chunks(BATCH) {
            workload.table.message(*index).decode_columns(batch, &mut room, |column| {
                tally.signals += column.values.len() as u64;
                tally.sum += black_box(column.values)[0];
            });
        }
    }
    tally
}
