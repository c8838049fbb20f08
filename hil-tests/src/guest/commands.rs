//! Commands on an ECU, and files to and from it, whatever leads there.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::can::Can;
use crate::{Metrics, until};

/// What an ordinary command takes at most.
pub const WITHIN: Duration = Duration::from_secs(60);
/// The ECU ends a command that takes too long; should it be unable to, the test ends after this much more.
const GRACE: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; 128 and more: the signal that ended it.
    pub status: i32,
    /// Standard output and standard error.
    pub text: String,
}

/// A command under way.
#[derive(Debug)]
pub struct Running {
    command: String,
    number: u32,
    started: Instant,
}

/// What leads to an ECU. All of it panics when the ECU is gone.
pub(super) trait Transport: Send + Sync {
    /// Starts shell text, which is killed after so many seconds, and gives the number by which it is known.
    fn begin(&self, command: &str, seconds: u64) -> u32;

    /// How it ended, if it has. Asked once more after that, it does not know.
    fn ended(&self, number: u32) -> Option<Output>;

    /// Copies a file of this machine to `path` there, with its permissions.
    fn put(&self, from: &Path, path: &str);

    /// Copies a file of the ECU to this machine.
    fn fetch(&self, path: &str, to: &Path);

    /// The text of a file in the folder [`Places::kept`].
    fn kept_text(&self, name: &str) -> String;

    /// Lets programs on the ECU reach a server that listens here on the loopback address, and gives its address there.
    fn offer(&self, server: SocketAddr) -> SocketAddr;

    /// Where [`Places::metrics_port`] of the ECU's loopback address is reached from here, if it is.
    fn metrics_address(&self) -> Option<SocketAddr>;
}

/// What is where on an ECU.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The folder of the programs under test and of what they are given.
    pub(super) work: String,
    /// The folder of what is to be read here even when the ECU is gone, if that can be had.
    pub(super) kept: String,
    /// The daemon's ring.
    pub(super) ring: String,
    /// The port of the loopback address at which the daemon serves its metrics.
    pub(super) metrics_port: u16,
}

/// An ECU under test: its shell, its files, its CAN.
pub struct Ecu {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) places: Places,
    pub(super) can: Can,
}

impl Ecu {
    /// Runs shell text, which must succeed within [`WITHIN`], and gives its output.
    pub fn run(&self, command: &str) -> String {
        self.run_within(command, WITHIN)
    }

    /// The same with another limit.
    pub fn run_within(&self, command: &str, within: Duration) -> String {
        let Output { status, text } = self.attempt(command, within);
        assert!(status == 0, "on the ECU, `{command}` ended with {status}:\n{text}");
        text
    }

    /// Runs shell text that may fail.
    pub fn attempt(&self, command: &str, within: Duration) -> Output {
        let running = self.begin(command, within);
        self.finish(&running, within)
    }

    /// Starts shell text and goes on. What it starts in turn in the background stays when it ends.
    pub fn start(&self, command: &str) -> Running {
        self.begin(command, WITHIN)
    }

    /// Starts shell text with a limit and goes on; [`Self::finish`] waits for it.
    pub fn begin(&self, command: &str, within: Duration) -> Running {
        let number = self.transport.begin(command, within.as_secs().max(1));
        Running { command: command.to_owned(), number, started: Instant::now() }
    }

    /// Waits for a command, once.
    pub fn finish(&self, running: &Running, within: Duration) -> Output {
        let what = format!("on the ECU, `{}` ends", running.command);
        let spent = running.started.elapsed();
        until(&what, (within + GRACE).saturating_sub(spent), || self.transport.ended(running.number))
    }

    /// Copies a file of this machine to `path` on the ECU, with its permissions.
    pub fn copy_in(&self, from: &Path, path: &str) {
        self.transport.put(from, path);
    }

    /// Puts text into a file on the ECU, which all may read.
    pub fn write(&self, path: &str, text: &str) {
        let passing = tempfile::Builder::new().permissions(Permissions::from_mode(0o644)).tempfile();
        let passing = passing.unwrap_or_else(|error| panic!("no temporary file for {path}: {error}"));
        fs::write(passing.path(), text)
            .unwrap_or_else(|error| panic!("{}: {error}", passing.path().display()));
        self.transport.put(passing.path(), path);
    }

    /// Copies a file of the ECU to this machine.
    pub fn copy_out(&self, path: &str, to: &Path) {
        self.transport.fetch(path, to);
    }

    /// A path in the folder of the programs under test.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.places.work)
    }

    /// Its CAN interfaces.
    pub fn can(&self) -> &Can {
        &self.can
    }

    /// The daemon's metrics; `None` while it does not answer.
    pub(super) fn metrics(&self) -> Option<Metrics> {
        if let Some(address) = self.transport.metrics_address() {
            return Metrics::read(address);
        }
        let url = format!("http://127.0.0.1:{}/metrics", self.places.metrics_port);
        let page = self.attempt(&format!("wget -qO- {url}"), WITHIN);
        (page.status == 0).then(|| Metrics::from(page.text))
    }
}
