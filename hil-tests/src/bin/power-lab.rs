//! Cuts the power of an emulated ECU at many points, and says what its ring had lost.

use std::process::ExitCode;

use hil_tests::Bench;
use hil_tests::guest::lab::{Account, Damage, Drive, Plan, Recording, Scenario, Summary};
use lexopt::prelude::*;

const HELP: &str = "\
power-lab: records every write to an emulated ECU's card, then cuts the power at many of them

  power-lab [--recording quiet|busy] [--writes N] [--points N] [--starts N] [--boots N] [--json]
      --recording: an SD card with nobody to send to, or a full ring on a card with a cache, with a gateway that comes
          halfway (default: both); --writes: how many writes and flushes are recorded (default 1500)
      --points: cuts with each damage (default 50); --starts, --boots: at how many of them the daemon goes on recording
          here, and in a guest that has the card (default 10 and 1)
      --json: one object for each row of the table
  power-lab --account SECONDS [--rate SAMPLES_PER_SECOND] [--mount OPTIONS]
      Cuts nothing: two runs of so many seconds with default settings, and which file the bytes belong to that reach the
      card (default rate: 10000); --mount: options of its file system beside noatime
Cards that keep what they flush are clean, torn, scrambled and reordered. The one that is lying does not: it must break
promises, or the laboratory sees nothing.
Ends with 1 when an honest card breaks a promise, or the lying one breaks none.
";

struct Options {
    scenarios: Vec<Scenario>,
    writes: usize,
    plan: Plan,
    json: bool,
    /// Seconds and samples a second.
    account: Option<u64>,
    rate: u64,
    mount: Option<String>,
}

fn main() -> Result<ExitCode, lexopt::Error> {
    let Some(options) = parse(lexopt::Parser::from_env())? else { return Ok(ExitCode::SUCCESS) };
    if let Some(seconds) = options.account {
        for drive in Drive::all() {
            println!("{}:", drive.name());
            let bench = Bench::new("account");
            for account in Account::take(&bench, &drive, options.rate, seconds, options.mount.as_deref()) {
                println!("{account}");
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut good = true;
    for &scenario in &options.scenarios {
        let bench = Bench::new("power-lab");
        let recording = Recording::make(&bench, scenario, options.writes);
        if !options.json {
            println!("{recording}\n{}", Summary::heading());
        }
        for damage in scenario.honest().iter().copied().chain([Damage::Lying]) {
            let lies = damage == Damage::Lying;
            let plan = if lies { Plan { starts: 0, boots: 0, ..options.plan } } else { options.plan };
            let summary = recording.cut(damage, &plan);
            if options.json {
                println!("{}", summary.json());
            } else {
                println!("{summary}");
            }
            good &= (summary.broken > 0) == lies;
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(mut arguments: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        scenarios: Scenario::ALL.to_vec(),
        writes: 1500,
        plan: Plan { points: 50, starts: 10, boots: 1 },
        json: false,
        account: None,
        rate: 10_000,
        mount: None,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("recording") => {
                let name = arguments.value()?.string()?;
                options.scenarios.retain(|scenario| scenario.name() == name);
                if options.scenarios.is_empty() {
                    return Err(format!("--recording {name}: there are quiet and busy").into());
                }
            }
            Long("writes") => options.writes = arguments.value()?.parse()?,
            Long("points") => options.plan.points = arguments.value()?.parse()?,
            Long("starts") => options.plan.starts = arguments.value()?.parse()?,
            Long("boots") => options.plan.boots = arguments.value()?.parse()?,
            Long("json") => options.json = true,
            Long("account") => options.account = Some(arguments.value()?.parse()?),
            Long("rate") => options.rate = arguments.value()?.parse()?,
            Long("mount") => options.mount = Some(arguments.value()?.string()?),
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}
