//! `ecu-gateway`.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::{Bench, Metrics, Mosquitto, Prometheus, built, get, until};

const READY_WITHIN: Duration = Duration::from_secs(40);
const ENDED_WITHIN: Duration = Duration::from_secs(15);

/// A gateway that sends to Prometheus and prints. Started again it is the same one to the broker.
pub struct Gateway {
    folder: PathBuf,
    arguments: Vec<String>,
    /// Whether what it prints goes to a file.
    keep_lines: bool,
    starts: usize,
    process: Option<Process>,
}

impl Gateway {
    /// Starts it.
    pub fn start(bench: &Bench, broker: &Mosquitto, prometheus: &Prometheus) -> Self {
        Self::start_with(bench, broker, &["--remote-write", &prometheus.remote_write_url()], true)
    }

    /// Starts one that sends to the OTLP receiver at `url`, and prints.
    pub fn otlp(bench: &Bench, broker: &Mosquitto, url: &str) -> Self {
        Self::start_with(bench, broker, &["--otlp", url], true)
    }

    /// Starts one that only prints.
    pub fn printing(bench: &Bench, broker: &Mosquitto) -> Self {
        Self::start_with(bench, broker, &[], true)
    }

    /// Starts one that prints to nobody: for more than is worth keeping. Its metrics count.
    pub fn counting(bench: &Bench, broker: &Mosquitto) -> Self {
        Self::start_with(bench, broker, &[], false)
    }

    fn start_with(bench: &Bench, broker: &Mosquitto, outputs: &[&str], keep_lines: bool) -> Self {
        let broker = broker.url();
        let own = ["--broker", &broker, "--client-id", "bench-gateway", "--print", "--listen", "127.0.0.1:0"];
        let arguments = own.iter().chain(outputs).map(|&argument| argument.to_owned()).collect();
        let folder = bench.folder().to_owned();
        let mut gateway = Self { folder, arguments, keep_lines, starts: 0, process: None };
        gateway.restart();
        gateway
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the gateway runs already");
        self.starts += 1;
        let lines = if self.keep_lines { self.lines_path(self.starts) } else { PathBuf::from("/dev/null") };
        let lines = File::create(&lines).unwrap_or_else(|error| panic!("{}: {error}", lines.display()));
        let mut command = Command::new(built("ecu-gateway"));
        command.args(&self.arguments);
        let name = format!("gateway-{}", self.starts);
        self.process = Some(Process::start_with_output(&name, &command, &self.folder, Some(lines)));
    }

    /// Waits until it is connected to the broker.
    pub fn until_ready(&mut self) {
        until("the gateway is ready", READY_WITHIN, || {
            let answer = get(self.address(), "/healthz/ready").ok();
            answer.filter(|(status, _)| *status == 200)
        });
    }

    /// Ends it; it finishes what it has begun.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap_or_else(|| panic!("the gateway does not run"));
        let status = process.terminate(ENDED_WITHIN);
        assert!(status.success(), "{} ended with {status}", process.name());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.take().unwrap_or_else(|| panic!("the gateway does not run")).kill();
    }

    /// Lets it hang until [`Self::thaw`].
    pub fn freeze(&mut self) {
        self.running().freeze();
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&mut self) {
        self.running().thaw();
    }

    /// Its own metrics.
    pub fn metrics(&mut self) -> Metrics {
        let address = self.address();
        Metrics::read(address).unwrap_or_else(|| panic!("the gateway has no metrics at {address}"))
    }

    /// Every whole line that it has printed, all its starts together. The last line of one that was killed may be cut.
    pub fn lines(&self) -> Vec<String> {
        assert!(self.keep_lines, "what this gateway prints is not kept");
        let mut lines = Vec::new();
        for start in 1..=self.starts {
            let path = self.lines_path(start);
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let text = String::from_utf8_lossy(&bytes);
            lines.extend(
                text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned),
            );
        }
        lines
    }

    fn lines_path(&self, start: usize) -> PathBuf {
        self.folder.join(format!("gateway-{start}.jsonl"))
    }

    /// Where it listens: the system chose the port, the log names it.
    fn address(&mut self) -> SocketAddr {
        let process = self.running();
        until("the gateway says where it listens", READY_WITHIN, || {
            assert!(process.ended().is_none(), "the gateway has ended");
            let log = process.log();
            let (_, rest) = log.split_once("address=")?;
            rest.split_whitespace().next()?.parse().ok()
        })
    }

    fn running(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("the gateway does not run"))
    }
}
