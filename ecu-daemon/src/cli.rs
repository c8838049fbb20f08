//! The command line. Scripts rely on it: see the README for the contract.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use can_decode::isotp::{Channel, ChannelError, Channels};
use lexopt::prelude::*;
use tracing::level_filters::LevelFilter;
use tracing::{debug, error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cluster::cluster;
use crate::config::{self, Config, Grade, Problem};
use crate::inspect::{check, decode, export, query, sql};
use crate::run::{RunError, Service, run};
use crate::status::Status;
use crate::stop::Stop;
use crate::telemetry::Telemetry;

/// Exit codes of sysexits.h.
pub mod exit {
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// Some of the input was not what it should be; the rest was done.
    pub const DATA: u8 = 65;
    /// An input file cannot be read.
    pub const NO_INPUT: u8 = 66;
    /// Something the service needs is not there.
    pub const UNAVAILABLE: u8 = 69;
    /// A fault of the program.
    pub const SOFTWARE: u8 = 70;
    /// Reading or writing failed.
    pub const IO: u8 = 74;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
}

const HELP: &str = "\
ecu-daemon: telemetry of an ECU, from CAN frames to the cloud

  ecu-daemon run [--config FILE] [--drain]
      The service. Without --config: /etc/ecu-daemon/config.toml, else a built-in default.
      --drain: stop when all recordings have been played and everything is acknowledged. Exit 74 when the card did not
      take something.
  ecu-daemon demo [--seconds N] [--json] [--record LOG]
      A simulated drive through the whole path, with an embedded broker and gateway. Needs no root, no CAN.
      --record: write the drive to a file as candump -L text instead; its DBC files are in ecu-daemon/demo/.
  ecu-daemon check FILE... [--strict]
      Checks configurations (.toml) and DBC files (.dbc). Exit 78 and file:line on errors.
      --strict: what is left out of a DBC file is an error, too.
  ecu-daemon decode --dbc FILE... [--match auto|id|pgn] [--isotp REQ:RESP]... [--no-isotp] [LOG|-]
      candump -L text, plain or gzip, to one JSON object a line, one for every frame.
      A frame that completes a diagnostic message (UDS, OBD) has it as \"uds\": service, identifier, latency, data.
      Followed are 7DF, 7E0-7EF, 18DAxxF1, 18DAF1xx and 18DBxxF1.
      --isotp: these identifiers, too: 79B:7BB, 6F1/12:612/F1 with address bytes, 700:* for functional requests.
      --no-isotp: none but those named with --isotp.
  ecu-daemon cluster [LOG|-]
      Log lines to clusters: for each line, when all are read, CLUSTER<TAB>TEMPLATE, with <*> for what varies.
      The header of a syslog, logcat or \"SECONDS LEVEL APP: TEXT\" line is left out.
  ecu-daemon query --store DB [signals|spans|logs|frames] [--name GLOB] [--bus NAME] [--from TIME] [--to TIME]
                   [--limit N] [--format table|csv|json] [--control SOCKET]
      What a ring holds. A live ring is asked through its service's control socket. TIME: 2026-11-20T13:00:00Z, or
      seconds since 1970.
  ecu-daemon query --store DB --trace ID [--from TIME] [--to TIME] [--limit N] [--format table|csv|json]
                   [--control SOCKET]
      Spans, logs and the signals of the frames of a trace together, by time. ID: 32 hex digits, or a traceparent.
  ecu-daemon sql --store DB [--format table|csv|json] [--control SOCKET] [SQL]
      SQL over the tables samples, spans, logs and frames, read-only; from standard input when absent. Limits on time_ns, bus,
      message and signal are cheap.
  ecu-daemon export --store DB --format candump|csv|mf4 --output FILE [--name GLOB] [--bus NAME] [--from TIME] [--to TIME]
                   [--control SOCKET]
      To a file: signals as CSV or ASAM MDF 4.10, raw frames (`raw` of a [[bus]]) as a log of candump.
  ecu-daemon send INTERFACE FRAME [--fd] [--new-trace | --traceparent TEXT] [--offset N | --classic ID [--tag N]]
                  [--dbc FILE] [--rate N] [--count N]
      Puts a frame on a bus, for tests: 123#1122334455667788, 18FF0001#11, 123##1<data> for CAN FD. With a trace
      context, and each traceparent that is sent is printed: --new-trace begins a trace with each frame. The context is
      at byte N of a CAN-FD frame, or in four context frames with the identifier ID before the frame; with --dbc where
      TraceContextOffset says, and with the message's alive counter. --rate: frames a second, 10 when absent, at
      most 1000. --count: 1 when absent.
  ecu-daemon --version | --help
";

/// A failure with the exit code that scripts see.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// With one of the codes of [`exit`].
    pub fn new(code: u8, text: impl Display) -> Self {
        Self { code, text: text.to_string() }
    }

    /// Output that nobody reads any more (`| head`) is no failure.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { code: 0, text: String::new() }
        } else {
            Self::new(exit::IO, format!("cannot write the output: {error}"))
        }
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::new(exit::USAGE, format!("{error}; see ecu-daemon --help"))
    }
}

/// Runs the command in `arguments` and gives the process's exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match dispatch(lexopt::Parser::from_args(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                eprintln!("ecu-daemon: {}", failure.text);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let command = match arguments.next()? {
        Some(Value(command)) => command.string()?,
        Some(Short('h') | Long("help")) => "help".to_owned(),
        Some(Short('V') | Long("version")) => {
            println!("ecu-daemon {}", env!("CARGO_PKG_VERSION"));
            return Ok(());
        }
        Some(other) => return Err(other.unexpected().into()),
        None => return Err(Failure::new(exit::USAGE, format!("no command given\n\n{HELP}"))),
    };
    match command.as_str() {
        "run" => run_command(arguments),
        "check" => check_command(arguments),
        "decode" => decode_command(arguments),
        "cluster" => cluster_command(arguments),
        "query" => query::command(arguments),
        "sql" => sql::command(arguments),
        "export" => export::command(arguments),
        "send" => crate::send::command(arguments),
        #[cfg(feature = "demo")]
        "demo" => crate::demo::command(arguments),
        #[cfg(not(feature = "demo"))]
        "demo" => {
            Err(Failure::new(exit::UNAVAILABLE, "this build has no demo; build with `--features demo`"))
        }
        "help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failure::new(exit::USAGE, format!("unknown command {other:?}; see ecu-daemon --help"))),
    }
}

fn run_command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut path, mut drain) = (None, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("config") => path = Some(PathBuf::from(arguments.value()?)),
            Long("drain") => drain = true,
            other => return Err(other.unexpected().into()),
        }
    }
    log_to_stderr(tracing::Level::INFO, &[]);
    let (config, problems) = read_config(path.as_deref()).map_err(|fatal| {
        let text: Vec<String> = fatal.iter().map(ToString::to_string).collect();
        Failure::new(exit::CONFIG, text.join("\n"))
    })?;
    for problem in &problems {
        match problem.grade {
            Grade::Error => error!("{problem}"),
            Grade::LeftOut => warn!("{problem}"),
            Grade::Warning | Grade::Note => debug!("{problem}"),
        }
    }
    let left_out = problems.iter().filter(|problem| problem.grade >= Grade::LeftOut).count();
    let telemetry = Telemetry::install().map_err(|error| Failure::new(exit::SOFTWARE, error))?;
    let names = config.buses.iter().map(|bus| bus.name.clone()).collect();
    let status = Arc::new(Status::new(names, left_out as u64));
    let service = Service { config, players: Vec::new(), drain, telemetry };
    run(service, status, Arc::new(Stop::default())).map_err(|error| Failure::from(&error))
}

impl From<&RunError> for Failure {
    fn from(error: &RunError) -> Self {
        let code = match error {
            RunError::Ring(_) | RunError::Lost { .. } => exit::IO,
            RunError::Schema(_) | RunError::Trace(_) => exit::CONFIG,
            RunError::System(..) => exit::UNAVAILABLE,
            RunError::Panicked => exit::SOFTWARE,
        };
        Self::new(code, error)
    }
}

fn read_config(path: Option<&Path>) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
    match path {
        Some(path) => Config::read(path),
        None if Path::new(config::DEFAULT_PATH).exists() => Config::read(Path::new(config::DEFAULT_PATH)),
        None => Config::parse("built-in default", config::DEFAULT, Path::new("")),
    }
}

fn check_command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut files, mut strict) = (Vec::new(), false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("strict") => strict = true,
            Value(file) => files.push(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    if files.is_empty() {
        return Err(Failure::new(exit::USAGE, "check needs a file; see ecu-daemon --help"));
    }
    check::check(&files, strict)
}

fn decode_command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut dbc, mut log, mut matching) = (Vec::new(), None, can_decode::Matching::Auto);
    let (mut named, mut legislated) = (Vec::new(), true);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("dbc") => dbc.push(PathBuf::from(arguments.value()?)),
            Long("match") => {
                matching = match arguments.value()?.string()?.as_str() {
                    "auto" => can_decode::Matching::Auto,
                    "id" => can_decode::Matching::Id,
                    "pgn" => can_decode::Matching::Pgn,
                    other => {
                        return Err(Failure::new(
                            exit::USAGE,
                            format!("--match {other:?} is not auto, id or pgn"),
                        ));
                    }
                }
            }
            Long("isotp") => {
                let text = arguments.value()?.string()?;
                let usage =
                    |error: ChannelError| Failure::new(exit::USAGE, format!("--isotp {text:?}: {error}"));
                named.push(text.parse::<Channel>().map_err(usage)?);
            }
            Long("no-isotp") => legislated = false,
            // `--dbc a.dbc b.dbc log`: further DBC files need no --dbc of their own.
            Value(file)
                if Path::new(&file).extension().is_some_and(|kind| kind.eq_ignore_ascii_case("dbc")) =>
            {
                dbc.push(PathBuf::from(file));
            }
            Value(file) if log.is_none() => log = Some(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    if dbc.is_empty() {
        return Err(Failure::new(exit::USAGE, "decode needs --dbc FILE; see ecu-daemon --help"));
    }
    let channels = if legislated || !named.is_empty() {
        Some(
            Channels::new(&named, legislated)
                .map_err(|error| Failure::new(exit::USAGE, format!("--isotp: {error}")))?,
        )
    } else {
        None
    };
    decode::decode(&dbc, matching, channels, log.as_deref().unwrap_or(Path::new("-")))
}

fn cluster_command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let mut log = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(file) if log.is_none() => log = Some(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    cluster(log.as_deref().unwrap_or(Path::new("-")))
}

/// Log lines of the daemon itself, for the journal or the terminal. `quiet` crates are left out.
pub fn log_to_stderr(level: tracing::Level, quiet: &[&str]) {
    let mut filter = Targets::new().with_default(level);
    for &target in quiet {
        filter = filter.with_target(target, LevelFilter::OFF);
    }
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // The journal stamps lines itself. A second call, as tests make it, leaves the first one's choice.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(lines.without_time()).try_init()
    } else {
        registry.with(lines).try_init()
    };
}
