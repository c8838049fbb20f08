//! `ecu-daemon`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::process::Process;
use crate::{Bench, Metrics, built, until};

const STARTED_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// When the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When its recordings are over and everything is acknowledged.
    Drain,
    /// When it is told to.
    Service,
}

/// A daemon with a configuration and, with that, a ring that it finds again when it is started again.
pub struct Daemon {
    folder: PathBuf,
    mode: Mode,
    starts: usize,
    process: Option<Process>,
}

impl Daemon {
    /// Writes the configuration and starts it.
    pub fn start(bench: &Bench, config: &str, mode: Mode) -> Self {
        let folder = bench.folder().to_owned();
        let path = folder.join("config.toml");
        fs::write(&path, config).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut daemon = Self { folder, mode, starts: 0, process: None };
        daemon.restart();
        daemon
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the daemon runs already");
        self.starts += 1;
        let mut command = Command::new(built("ecu-daemon"));
        command
            .args(["run", "--config", "config.toml"])
            .args((self.mode == Mode::Drain).then_some("--drain"));
        let name = format!("daemon-{}", self.starts);
        self.process = Some(Process::start(&name, &command, &self.folder));
    }

    /// Waits until it has drained and ended, in good order.
    pub fn until_drained(&mut self, within: Duration) {
        assert_eq!(self.mode, Mode::Drain, "a service does not end");
        let status = self.running().wait(within);
        assert!(status.success(), "the daemon ended with {status}");
        self.process = None;
    }

    /// Ends it (SIGTERM).
    pub fn stop(&mut self) -> ExitStatus {
        let status = self.running().terminate(ENDED_WITHIN);
        self.process = None;
        status
    }

    /// Kills it: a power cut, as far as the process can tell.
    pub fn kill(&mut self) {
        self.running().kill();
        self.process = None;
    }

    /// Its metrics; `None` when it has ended.
    pub fn metrics(&mut self) -> Option<Metrics> {
        let address = self.address()?;
        Metrics::read(address)
    }

    /// Where it listens: the system chose the port, the log names it. `None` when it has ended.
    fn address(&mut self) -> Option<SocketAddr> {
        let process = self.running();
        until("the daemon says where it listens", STARTED_WITHIN, || {
            if process.ended().is_some() {
                return Some(None);
            }
            let log = process.log();
            let (_, rest) = log.split_once("http://")?;
            rest.split_once("/metrics")?.0.parse().ok().map(Some)
        })
    }

    /// What it has logged since it was last started.
    pub fn log(&mut self) -> String {
        self.running().log()
    }

    fn running(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("the daemon does not run"))
    }
}
