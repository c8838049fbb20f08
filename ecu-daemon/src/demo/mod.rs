//! `ecu-daemon demo`: a simulated drive through the whole path, in one process.
//!
//! The daemon, the ring's file, the MQTT protocol and the gateway are the real ones; only the car and the broker are
//! stand-ins. No root, no CAN, no server.

mod broker;
mod drive;
mod record;
mod source;
mod summary;
mod table;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use can_decode::dbc;
use can_decode::{DecodeTable, Matching};
use ecu_core::RawFrames;
use ecu_gateway::{Counters, Gateway, Options};
use lexopt::prelude::*;
use uplink::mqtt::Link;
use uplink::topic::Prefix;

use crate::capture::Player;
use crate::cli::{Failure, exit, log_to_stderr};
use crate::clock;
use crate::config::{Bus, Config, Observe, Pace, Source};
use crate::run::{Service, run};
use crate::status::Status;
use crate::stop::Stop;
use crate::telemetry::Telemetry;
use drive::Drive;
use source::{DriveRecording, Sent};
use summary::Summary;
use table::Table;

/// Length of the drive unless it is given, seconds.
const SECONDS: u64 = 30;
const SECONDS_MAX: u64 = 86_400;
/// The same drive each time.
const SEED: u64 = 1;
/// How long the gateway may take for what the broker has acknowledged to the daemon.
const ARRIVE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Parses the command's arguments and runs it.
///
/// # Errors
/// [`exit::USAGE`], or what keeps the demo from running; [`exit::SOFTWARE`] when its books do not balance.
pub fn command(mut arguments: lexopt::Parser) -> Result<(), Failure> {
    let (mut seconds, mut json, mut log) = (SECONDS, false, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            Long("json") => json = true,
            Long("record") => log = Some(PathBuf::from(arguments.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    if !(1..=SECONDS_MAX).contains(&seconds) {
        return Err(Failure::new(exit::USAGE, format!("--seconds must be 1 to {SECONDS_MAX}")));
    }
    // The embedded broker reports every connection that comes or goes as an error.
    let length = Duration::from_secs(seconds);
    if let Some(log) = log {
        let frames = record::record(&log, length, clock::realtime())
            .map_err(|error| Failure::new(exit::IO, format!("cannot write {}: {error}", log.display())))?;
        println!("{frames} frames of {} buses in {}", drive::BUS_NAMES.len(), log.display());
        return Ok(());
    }
    log_to_stderr(tracing::Level::WARN, &["rumqttd"]);
    let summary = demo(length, json)?;
    let mut out = io::stdout().lock();
    let text = if json { format!("{}\n", summary.json()) } else { summary.to_string() };
    out.write_all(text.as_bytes()).map_err(|error| Failure::output(&error))?;
    if summary.is_good() {
        Ok(())
    } else {
        Err(Failure::new(
            exit::SOFTWARE,
            "the books do not balance; please report this with the summary above",
        ))
    }
}

fn demo(length: Duration, json: bool) -> Result<Summary, Failure> {
    let unavailable = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| Failure::new(exit::UNAVAILABLE, format!("{what}: {error}"))
    };
    let folder = tempfile::Builder::new()
        .prefix("ecu-daemon-demo-")
        .tempdir()
        .map_err(unavailable("cannot make a temporary folder"))?;
    let broker = broker::start().map_err(unavailable("embedded broker"))?;
    let config = config(&format!("mqtt://{broker}"), folder.path());
    let names: Vec<String> = config.buses.iter().map(|bus| bus.name.clone()).collect();
    let status = Arc::new(Status::new(names, 0));
    let stop = Arc::new(Stop::default());
    let (counters, gateway_stop) = start_gateway(&broker.to_string())?;
    // The embedded broker acknowledges what nobody is subscribed to, and throws it away.
    wait_until(|| counters.connected.get());

    let sent = Arc::new(Sent::default());
    let log_socket = folder.path().join("log.sock");
    let drive = Drive::new(SEED, length);
    let recording = DriveRecording::new(drive, clock::realtime(), &log_socket, Arc::clone(&sent));
    let player = Player::new((0..drive::BUS_NAMES.len()).collect(), Box::new(recording), Pace::Times(1.0));
    let telemetry = Telemetry::install().map_err(|error| Failure::new(exit::SOFTWARE, error))?;
    let service = Service { config, players: vec![player], drain: true, telemetry };

    let started = Instant::now();
    let (done, ended) = channel();
    let service_status = Arc::clone(&status);
    let thread = std::thread::Builder::new()
        .name("service".to_owned())
        .spawn(move || {
            let result = run(service, service_status, stop);
            // The table stops when the service has; if it is gone already, nobody needs to be told.
            let _ = done.send(());
            result
        })
        .map_err(unavailable("cannot start a thread"))?;
    show(&status, &counters, &ended, length, json);
    let result = thread.join().map_err(|_| Failure::new(exit::SOFTWARE, "the service panicked"))?;
    result.map_err(|error| Failure::from(&error))?;
    await_gateway(&status, &counters);
    gateway_stop.set();
    Ok(Summary::new(&status, &counters, &sent, started.elapsed()))
}

/// Four buses, the log socket, a ring of its own, everything uploaded.
fn config(broker: &str, folder: &Path) -> Config {
    let text = format!(
        "[vehicle]\nid = \"demo-car\"\n[store]\npath = \"ring.db\"\nmax_bytes = \"64 MiB\"\ncommit_after = \"500ms\"\n\
         [blocks]\nseal_after = \"2s\"\n[http]\nlisten = \"127.0.0.1:0\"\n[uplink]\nbroker = \"{broker}\"\n"
    );
    let (mut config, _) = match Config::parse("demo", &text, folder) {
        Ok(parsed) => parsed,
        Err(problems) => unreachable!("the demo's own configuration is valid: {problems:?}"),
    };
    config.log_socket = Some(folder.join("log.sock"));
    config.buses = drive::BUS_NAMES
        .iter()
        .zip(drive::BUS_DBC)
        .map(|(name, (file, text))| {
            let database = match dbc::read(file, text.as_bytes()) {
                Ok((database, _)) => database,
                Err(error) => unreachable!("the demo's own DBC files are valid: {error}"),
            };
            let (table, _) = DecodeTable::compile(&[database], Matching::Auto);
            let observe = Observe::of(&table);
            let (raw, steps) = (RawFrames::None, Vec::new());
            Bus {
                name: (*name).to_owned(),
                source: Source::Drive,
                table,
                observe,
                diagnostics: None,
                raw,
                steps,
            }
        })
        .collect();
    config
}

/// The gateway in a thread with a runtime of its own, as if it were another machine.
fn start_gateway(broker: &str) -> Result<(Arc<Counters>, Arc<Stop>), Failure> {
    let unavailable =
        |error: &dyn std::fmt::Display| Failure::new(exit::UNAVAILABLE, format!("gateway: {error}"));
    let link =
        Link::parse(&format!("mqtt://{broker}"), "demo-gateway").map_err(|error| unavailable(&error))?;
    let prefix = Prefix::new("ecu").map_err(|error| unavailable(&error))?;
    let gateway = Gateway::new(Options::new(link, prefix)).map_err(|error| unavailable(&error))?;
    let counters = gateway.counters();
    let stop = Arc::new(Stop::default());
    let until = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable(&error))?;
    std::thread::Builder::new()
        .name("gateway".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(gateway.run(until.wait())) {
                tracing::error!(%error, "gateway");
            }
        })
        .map_err(|error| unavailable(&error))?;
    Ok((counters, stop))
}

/// Prints what flows until the service has ended.
fn show(status: &Status, counters: &Counters, ended: &Receiver<()>, length: Duration, json: bool) {
    // JSON is for scripts: its last line is alone on the standard output.
    let mut table = Table::new(!json && io::stdout().is_terminal(), json, length);
    loop {
        let over = !matches!(ended.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout));
        table.print(status, counters);
        if over {
            return;
        }
    }
}

/// What the broker has acknowledged is on its way; gives it time to arrive.
fn await_gateway(status: &Status, counters: &Counters) {
    let acked = status.store().books.total().acked.records;
    wait_until(|| summary::arrived(counters) >= acked);
}

fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() && started.elapsed() < ARRIVE_WITHIN {
        std::thread::sleep(Duration::from_millis(20));
    }
}
