//! `ecu-daemon send`: frames with trace contexts on a bus, for tests. Bounded in rate, so that it never loads a bus.

mod bus;
mod plan;

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use can_decode::trace::{SpanIds, TraceFlags};
use can_decode::{Matching, TraceContext};
use lexopt::prelude::*;

use crate::cli::{Failure, exit};
use crate::clock;
use crate::config::{Grade, read_table};
use bus::Bus;
use plan::{Plan, Wanted};

/// Frames a second unless it is said otherwise.
const RATE: f64 = 10.0;
const RATE_MIN: f64 = 0.01;
/// A quarter of what 500 kbit/s carry; context frames come besides, four for each.
const RATE_MAX: f64 = 1_000.0;
const COUNT_MAX: u64 = 1_000_000;

/// Which traces the frames are of.
#[derive(Clone, Copy, Debug)]
enum Traces {
    /// Each begins one.
    New,
    /// All of this one: the first has this context, the others have spans of their own.
    Of(TraceContext),
}

#[derive(Debug)]
struct Options {
    interface: String,
    wanted: Wanted,
    dbc: Vec<PathBuf>,
    traces: Option<Traces>,
    rate: f64,
    count: u64,
}

/// Reads the arguments, and sends.
///
/// # Errors
/// [`exit::USAGE`] for arguments that do not fit together, [`exit::CONFIG`] for a DBC file without what is needed,
/// [`exit::UNAVAILABLE`] when the interface does not take frames.
pub fn command(arguments: lexopt::Parser) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let table = if options.dbc.is_empty() { None } else { Some(table(&options.dbc)?) };
    let has_contexts = options.traces.is_some();
    let plan = Plan::new(&options.wanted, has_contexts, table.as_ref())
        .map_err(|text| Failure::new(exit::USAGE, format!("{text}; see ecu-daemon --help")))?;
    let bus = Bus::open(&options.interface).map_err(|text| Failure::new(exit::UNAVAILABLE, text))?;
    send(&options, &plan, &bus)
}

fn send(options: &Options, plan: &Plan, bus: &Bus) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut ids = SpanIds::new(clock::random());
    let started = Instant::now();
    for round in 0..options.count {
        let due = Duration::from_secs_f64(round as f64 / options.rate);
        sleep(due.saturating_sub(started.elapsed()));
        let context = options.traces.map(|traces| context(traces, round, &mut ids));
        for frame in &plan.frames(round, context.as_ref()) {
            bus.send(frame).map_err(|text| Failure::new(exit::UNAVAILABLE, text))?;
        }
        if let Some(context) = context {
            writeln!(out, "{context}").map_err(|error| Failure::output(&error))?;
        }
    }
    Ok(())
}

fn context(traces: Traces, round: u64, ids: &mut SpanIds) -> TraceContext {
    match traces {
        Traces::Of(context) if round == 0 => context,
        Traces::Of(context) => TraceContext { span_id: ids.next_id(), ..context },
        Traces::New => {
            let mut trace_id = [0; 16];
            trace_id[..8].copy_from_slice(&clock::random().to_be_bytes());
            // Never zero, so that the whole is not.
            trace_id[8..].copy_from_slice(&ids.next_id());
            let flags = TraceFlags(TraceFlags::SAMPLED.0 | TraceFlags::RANDOM.0);
            TraceContext { trace_id, span_id: ids.next_id(), flags }
        }
    }
}

fn table(files: &[PathBuf]) -> Result<can_decode::DecodeTable, Failure> {
    let (table, problems) = read_table(files, Matching::Auto);
    let wrong: Vec<String> =
        problems.iter().filter(|problem| problem.grade == Grade::Error).map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(table) } else { Err(Failure::new(exit::CONFIG, wrong.join("\n"))) }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Options, Failure> {
    let usage = |text: String| Failure::new(exit::USAGE, format!("{text}; see ecu-daemon --help"));
    let (mut interface, mut frame, mut dbc, mut traces) = (None, None, Vec::new(), None);
    let (mut wanted, mut rate, mut count) = (Wanted::default(), RATE, 1);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("fd") => wanted.fd = true,
            Long("new-trace") if traces.is_none() => traces = Some(Traces::New),
            Long("traceparent") if traces.is_none() => {
                let text = arguments.value()?.string()?;
                let context =
                    text.parse().map_err(|error| usage(format!("--traceparent {text:?}: {error}")))?;
                traces = Some(Traces::Of(context));
            }
            Long("new-trace" | "traceparent") => {
                return Err(usage(
                    "--new-trace and --traceparent say which trace; give one of them".to_owned(),
                ));
            }
            Long("offset") => wanted.offset = Some(arguments.value()?.parse()?),
            Long("classic") => wanted.classic = Some(arguments.value()?.string()?),
            Long("tag") => wanted.tag = Some(arguments.value()?.parse()?),
            Long("dbc") => dbc.push(PathBuf::from(arguments.value()?)),
            Long("rate") => rate = arguments.value()?.parse()?,
            Long("count") => count = arguments.value()?.parse()?,
            Value(name) if interface.is_none() => interface = Some(name.string()?),
            Value(text) if frame.is_none() => frame = Some(text.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let (Some(interface), Some(frame)) = (interface, frame) else {
        return Err(usage(
            "send needs an interface and a frame, such as can0 123#1122334455667788".to_owned(),
        ));
    };
    if !(RATE_MIN..=RATE_MAX).contains(&rate) {
        return Err(usage(format!("--rate {rate} is not {RATE_MIN} to {RATE_MAX} frames a second")));
    }
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(usage(format!("--count {count} is not 1 to {COUNT_MAX}")));
    }
    wanted.frame = frame;
    Ok(Options { interface, wanted, dbc, traces, rate, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &str) -> Result<Options, String> {
        let words = arguments.split_whitespace().map(std::ffi::OsString::from);
        parse(lexopt::Parser::from_args(words)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn arguments_are_bounded_and_fit_together() {
        let check = |arguments: &str, expected: &str| {
            let error = options(arguments).unwrap_err();
            assert!(error.contains(expected), "{arguments}: {error}");
        };
        check("can0", "send needs an interface and a frame");
        check("can0 123# --rate 5000", "--rate 5000 is not 0.01 to 1000");
        check("can0 123# --rate nan", "--rate NaN is not");
        check("can0 123# --count 0", "--count 0 is not 1 to 1000000");
        check("can0 123# --traceparent x", "--traceparent \"x\"");
        check("can0 123# --new-trace --traceparent x", "give one of them");
        check("can0 123# 124#", "unexpected argument");
        let options = options("can0 123#11 --fd --new-trace --offset 4 --rate 2.5 --count 7").unwrap();
        assert_eq!((options.interface.as_str(), options.wanted.frame.as_str()), ("can0", "123#11"));
        assert_eq!((options.wanted.offset, options.count, options.wanted.fd), (Some(4), 7, true));
        assert!((options.rate - 2.5).abs() < 1e-9);
    }

    #[test]
    fn each_frame_has_a_span_of_its_own() {
        let mut ids = SpanIds::new(1);
        let given: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        let of = |round, ids: &mut SpanIds| context(Traces::Of(given), round, ids);
        assert_eq!(of(0, &mut ids), given);
        let (second, third) = (of(1, &mut ids), of(2, &mut ids));
        assert!(second.span_id != given.span_id && second.span_id != third.span_id);
        assert_eq!((second.trace_id, second.flags), (given.trace_id, given.flags));
        let (a, b) = (context(Traces::New, 0, &mut ids), context(Traces::New, 1, &mut ids));
        assert!(a.trace_id != b.trace_id && a.flags.sampled() && a.flags.random());
    }
}
