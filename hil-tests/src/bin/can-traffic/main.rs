//! Sends CAN frames that count themselves, and says what a daemon should have seen.
//!
//! Runs where the daemon under test runs: in the guest, on a bench, anywhere with a CAN interface.

mod counts;
mod frame;
mod mix;
mod replay;
mod sender;

use std::fs;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lexopt::prelude::*;

use crate::counts::Counts;
use crate::frame::Packet;
use crate::mix::Mix;
use crate::sender::{BATCH_MAX, Sender};

const HELP: &str = "\
can-traffic: CAN and CAN FD frames with sequence numbers, at a set rate

  can-traffic INTERFACE [--rate FRAMES_PER_SECOND] [--seconds N | --frames N] [--burst N] [--mix KIND=WEIGHT,...]
      Kinds: classic, fd, traced (CAN FD with a trace context), unmatched, remote, error. Default: classic=1.
      --rate 0 (default): as fast as the kernel takes them. --burst: so many at once, at the same average rate.
  can-traffic INTERFACE --replay LOG [--speed TIMES]
      A recording of `candump -L`; --speed 0: as fast as the kernel takes it.
  can-traffic --dbc
      The DBC file that fits.
Prints one line of JSON when all is sent: what was sent by kind, and what the daemon's books should show.
";

/// What is sent.
enum Source {
    Mix { mix: Mix, frames: u64 },
    Replay { log: String, speed: f64 },
}

struct Options {
    interface: String,
    source: Source,
    rate: f64,
    burst: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can-traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let Some(options) = parse(lexopt::Parser::from_env())? else { return Ok(()) };
    let fd = match &options.source {
        Source::Mix { mix, .. } => mix.needs_fd(),
        // A recording may hold anything.
        Source::Replay { .. } => true,
    };
    let sender = Sender::open(&options.interface, fd).map_err(|error| {
        let name = &options.interface;
        format!("{name}: {error}; is it there and up (`ip link set {name} up`), with mtu 72 for CAN FD?")
    })?;
    let started = Instant::now();
    let counts = match &options.source {
        Source::Mix { mix, frames } => send_mix(&sender, mix.clone(), *frames, &options)?,
        Source::Replay { log, speed } => send_recording(&sender, log, *speed)?,
    };
    println!("{}", counts.json(started.elapsed().as_secs_f64()));
    Ok(())
}

fn parse(mut arguments: lexopt::Parser) -> Result<Option<Options>, Box<dyn std::error::Error>> {
    let (mut interface, mut mix, mut rate, mut burst) = (None, Mix::parse("classic=1")?, 0.0, 1);
    let (mut seconds, mut frames, mut log, mut speed) = (None, None, None, 1.0);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rate") => rate = arguments.value()?.parse()?,
            Long("seconds") => seconds = Some(arguments.value()?.parse::<f64>()?),
            Long("frames") => frames = Some(arguments.value()?.parse()?),
            Long("burst") => burst = arguments.value()?.parse()?,
            Long("mix") => mix = Mix::parse(&arguments.value()?.string()?)?,
            Long("replay") => log = Some(arguments.value()?.string()?),
            Long("speed") => speed = arguments.value()?.parse()?,
            Long("dbc") => {
                print!("{}", include_str!("traffic.dbc"));
                return Ok(None);
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            Value(name) if interface.is_none() => interface = Some(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let interface = interface.ok_or("no interface; see can-traffic --help")?;
    let source = match (log, frames, seconds) {
        (Some(log), None, None) => Source::Replay { log, speed },
        (None, Some(frames), None) => Source::Mix { mix, frames },
        (None, None, Some(seconds)) if rate > 0.0 => {
            Source::Mix { mix, frames: (rate * seconds).round() as u64 }
        }
        _ => {
            return Err(
                "exactly one of --frames, --seconds with --rate, or --replay; see can-traffic --help".into(),
            );
        }
    };
    Ok(Some(Options { interface, source, rate, burst: burst.max(1) }))
}

fn send_mix(sender: &Sender, mut mix: Mix, frames: u64, options: &Options) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let started = Instant::now();
    let mut sent = 0;
    while sent < frames {
        let mut due = frames;
        if options.rate > 0.0 {
            let elapsed = started.elapsed();
            let burst = options.burst as u64;
            // Whole bursts, the first one at once.
            due = frames.min(((elapsed.as_secs_f64() * options.rate) as u64 / burst + 1) * burst);
            if due <= sent {
                let next = Duration::from_secs_f64(sent as f64 / options.rate);
                // Short sleeps cost more than they wait for: a millisecond's frames go together.
                sleep(next.saturating_sub(elapsed).max(Duration::from_millis(1)));
                continue;
            }
            let ought = Duration::from_secs_f64(sent as f64 / options.rate);
            counts.late_us_max = counts.late_us_max.max(elapsed.saturating_sub(ought).as_micros() as u64);
        }
        batch.clear();
        for _ in 0..(due - sent).min(BATCH_MAX as u64) {
            let kind = mix.next();
            batch.push(kind.packet(counts.of(kind) as u32));
            counts.add(kind);
        }
        counts.full += sender.send(&batch)?;
        sent += batch.len() as u64;
    }
    Ok(counts)
}

fn send_recording(sender: &Sender, log: &str, speed: f64) -> Result<Counts, String> {
    let text = fs::read_to_string(log).map_err(|error| format!("{log}: {error}"))?;
    let mut counts = Counts::default();
    let mut batch: Vec<Packet> = Vec::with_capacity(BATCH_MAX);
    let (started, mut first) = (Instant::now(), None);
    let send = |batch: &mut Vec<Packet>, counts: &mut Counts| {
        counts.full += sender.send(batch).map_err(|error| format!("cannot send: {error}"))?;
        counts.replayed += batch.len() as u64;
        batch.clear();
        Ok::<(), String>(())
    };
    for line in text.lines() {
        let Some((time, packet)) = replay::parse(line) else {
            counts.skipped += 1;
            continue;
        };
        let offset = time - *first.get_or_insert(time);
        // Clocks of recordings may step back, and speed 0 waits for nothing.
        let due = Duration::try_from_secs_f64(offset / speed).unwrap_or_default();
        let wait = due.saturating_sub(started.elapsed());
        if batch.len() == BATCH_MAX || !wait.is_zero() {
            send(&mut batch, &mut counts)?;
            sleep(wait);
        }
        batch.push(packet);
    }
    send(&mut batch, &mut counts)?;
    Ok(counts)
}
