//! Cuts the power of an emulated ECU at many points, and says what its ring had lost.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hil_tests::Bench;
use hil_tests::guest::lab::{Damage, Recording};
use lexopt::prelude::*;

const HELP: &str = "\
power-lab: records every write to the ECU's card, then cuts the power at many of them

  power-lab [--seconds N] [--points N]
      --seconds: how long frames are recorded (default 15); --points: cuts of each kind (default 50).
Ends with 1 when a cut breaks a promise.
";

fn main() -> Result<ExitCode, lexopt::Error> {
    let (mut seconds, mut points) = (15, 50);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Long("points") => points = arguments.value()?.parse()?,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected()),
        }
    }
    let bench = Bench::new("power-lab");
    let recording = Recording::make(&bench, Duration::from_secs(seconds));
    println!("{} writes of {} s can be cut", recording.points().len(), seconds);
    let mut kept = true;
    for damage in Damage::ALL {
        let started = Instant::now();
        let summary = recording.cut(damage, points);
        let rate = points as f64 / started.elapsed().as_secs_f64();
        println!("{damage:?}: {summary} ({rate:.1} cuts a second)");
        kept &= summary.unusable == 0 && summary.broken == 0;
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
