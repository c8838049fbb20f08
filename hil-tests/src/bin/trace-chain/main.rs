//! Two parts of a car between a pedal and its brake, as they would be without a daemon: a gateway ECU that passes a trace
//! context on from CAN FD to classical CAN, and a service that acts on it.
//!
//! ```text
//! pedal ──PEDAL, CAN FD──▶ gateway ──context frames, BRAKE_COMMAND──▶ service ──PEDAL_DONE, CAN FD──▶
//!                                                                       ├──span, OTLP/HTTP──▶ daemon
//!                                                                       └──log line─────────▶ daemon
//! ```
//! The messages are those of `tests/data/pedal.dbc` and `tests/data/brake.dbc`.

mod bus;
mod gateway;
mod otlp;
mod service;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;

const HELP: &str = "\
trace-chain: parts of a car that pass trace contexts on

  trace-chain gateway FROM TO [--count N]
      Each PEDAL of the interface FROM becomes context frames and a BRAKE_COMMAND on TO.
  trace-chain service FROM TO --otlp ADDRESS:PORT --log SOCKET [--count N]
      Each BRAKE_COMMAND with a context on FROM is acted on: a log line, a span, and a PEDAL_DONE on TO.
Both end after N of them (default 1), and print the traceparent of each span of their own.
";

struct Options {
    from: String,
    to: String,
    count: u32,
    otlp: Option<SocketAddr>,
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trace-chain: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = lexopt::Parser::from_env();
    let mut words = Vec::new();
    let (mut count, mut otlp, mut log) = (1, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("count") => count = arguments.value()?.parse()?,
            Long("otlp") => otlp = Some(arguments.value()?.parse()?),
            Long("log") => log = Some(PathBuf::from(arguments.value()?)),
            Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let [part, from, to] = <[String; 3]>::try_from(words).map_err(|_| "see trace-chain --help")?;
    let options = Options { from, to, count, otlp, log };
    match part.as_str() {
        "gateway" => gateway::run(&options),
        "service" => service::run(&options),
        _ => Err("see trace-chain --help".into()),
    }
}

/// A number for ids, from the kernel.
fn random() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
