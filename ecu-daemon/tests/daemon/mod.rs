//! The daemon as its user starts it, in a folder of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running daemon; killed when a test fails.
pub(crate) struct Daemon<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) child: Child,
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Daemon<'a> {
    pub(crate) fn start(folder: &'a Path) -> Self {
        let log = File::create(folder.join("daemon.log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"));
        command.current_dir(folder).args(["run", "--config", "car.toml"]).env_remove("STATE_DIRECTORY");
        Self { folder, child: command.stderr(log).stdout(Stdio::null()).spawn().unwrap() }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("daemon.log")).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// A series of /metrics; `None` while it is not there.
    pub(crate) fn metric(&self, series: &str) -> Option<u64> {
        let log = self.log();
        let address = log.split_once("http://")?.1.split_once("/metrics")?.0;
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ecu\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    pub(crate) fn wait_for(&self, series: &str, at_least: u64) {
        let started = Instant::now();
        while self.metric(series).is_none_or(|value| value < at_least) {
            let seen = self.metric(series);
            assert!(started.elapsed() < Duration::from_secs(20), "{series}: {seen:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
