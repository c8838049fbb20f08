//! The running binary in a folder of its own, with a card that can be broken.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

/// Whether the daemon's files can be written at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Card {
    Whole,
    /// Every write to a file fails, to whatever place: as on a card that has died.
    Dead,
}

/// A running daemon; killed when a test fails.
pub(crate) struct Daemon<'a> {
    folder: &'a Path,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Daemon<'a> {
    /// Runs `car.toml` of `folder`, with these further arguments.
    pub(crate) fn start(folder: &'a Path, arguments: &[&str], card: Card) -> Self {
        let limit = if card == Card::Dead { "0" } else { "unlimited" };
        // Writes beyond a file size limit fail instead of ending the process where SIGXFSZ is ignored (setrlimit(2)).
        let script = format!("trap '' XFSZ; ulimit -S -f {limit}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.current_dir(folder).args(["-c", &script, env!("CARGO_BIN_EXE_ecu-daemon")]);
        command.args(["run", "--config", "car.toml"]).args(arguments).env_remove("STATE_DIRECTORY");
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            lines.lines().map_while(Result::ok).for_each(|line| {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            });
        });
        Self { folder, child, log, reader: Some(reader) }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Breaks or mends its card.
    pub(crate) fn set_card(&self, card: Card) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let current = (card == Card::Dead).then_some(0);
        prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    }

    /// Waits for its end; gives its exit status and all that it said.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }

    /// Asks it to stop and waits for its end, which must be a good one.
    pub(crate) fn stop(&mut self) -> String {
        self.signal("-TERM");
        let (status, log) = self.end();
        assert!(status.success(), "{status}\n{log}");
        log
    }

    /// A page of its own; `None` while there is none.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        let log = self.log();
        let address = log.split_once("http://")?.1.split_once("/metrics")?.0;
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: ecu\r\nConnection: close\r\n\r\n").ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }

    /// A series of /metrics; `None` while it is not there.
    pub(crate) fn metric(&self, series: &str) -> Option<u64> {
        self.page("/metrics")?.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// All series of a name that have this label, added.
    pub(crate) fn sum(&self, name: &str, label: &str) -> u64 {
        let page = self.page("/metrics").unwrap();
        let lines =
            page.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < SOON, "not in {SOON:?}: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_for(&self, series: &str, at_least: u64) {
        self.until(&format!("{series} {at_least}"), |daemon| {
            daemon.metric(series).is_some_and(|value| value >= at_least)
        });
    }

    /// Puts `text` in the place of `file`, reloads, and waits for the `nth` such result.
    pub(crate) fn reload(&self, file: &str, text: &str, result: &str, nth: u64) {
        fs::write(self.folder.join(file), text).unwrap();
        self.signal("-HUP");
        self.wait_for(&format!("ecu_daemon_reloads_total{{result=\"{result}\"}}"), nth);
    }
}

/// What a stopped daemon's ring has of a signal, in order of time.
pub(crate) fn query(folder: &Path, name: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_ecu-daemon"))
        .current_dir(folder)
        .args(["query", "--store", "ring.db", "--name", name, "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Raw values of a signal, in order of time.
pub(crate) fn raw(folder: &Path, name: &str) -> Vec<i64> {
    query(folder, name).iter().map(|row| row["raw"].as_i64().unwrap()).collect()
}
