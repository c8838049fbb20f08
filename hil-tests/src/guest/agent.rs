//! The way to an emulated ECU: commands by a virtio-serial port to `bench/agent`, files by a shared folder.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::commands::{Output, Transport, WITHIN};
use super::machine::{Guest, lock};
use crate::process::Process;
use crate::until;

/// How long a copy between two folders of the guest may take.
const COPIED_WITHIN: Duration = Duration::from_secs(120);

/// The agent in the guest, as long as that has power.
pub(super) struct Agent {
    /// A folder that both have: here, and `/host` in the guest.
    share: PathBuf,
    commands: AtomicU32,
    line: Mutex<Option<Line>>,
}

/// What there is while the guest has power.
struct Line {
    // Dropped first: the guest would notice that nobody talks to it any more.
    qemu: Arc<Mutex<Process>>,
    control: UnixStream,
}

impl Agent {
    /// Of a guest that has no power yet.
    pub(super) fn new(share: PathBuf) -> Self {
        fs::create_dir_all(&share).unwrap_or_else(|error| panic!("{}: {error}", share.display()));
        Self { share, commands: AtomicU32::new(0), line: Mutex::new(None) }
    }

    /// The folder that both have.
    pub(super) fn share(&self) -> &Path {
        &self.share
    }

    /// The agent has said that it listens.
    pub(super) fn connect(&self, control: UnixStream, qemu: Arc<Mutex<Process>>) {
        *lock(&self.line) = Some(Line { qemu, control });
    }

    /// The guest has no power any more.
    pub(super) fn disconnect(&self) {
        *lock(&self.line) = None;
    }

    fn number(&self) -> u32 {
        self.commands.fetch_add(1, Ordering::Relaxed)
    }

    /// A file on its way.
    fn passing(&self) -> (PathBuf, String) {
        let name = format!("{}.file", self.number());
        (self.share.join(&name), format!("/host/{name}"))
    }

    fn copy(&self, from: &str, to: &str) {
        let command = format!("cp '{from}' '{to}'");
        let number = self.begin(&command, WITHIN.as_secs());
        let Output { status, text } = until(&command, COPIED_WITHIN, || self.ended(number));
        assert!(status == 0, "in the guest, `{command}` ended with {status}:\n{text}");
    }
}

impl Transport for Agent {
    fn begin(&self, command: &str, seconds: u64) -> u32 {
        let number = self.number();
        let script = self.share.join(format!("{number}.sh"));
        fs::write(&script, command).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let mut line = lock(&self.line);
        let line = line.as_mut().unwrap_or_else(|| panic!("the guest has no power"));
        writeln!(line.control, "{number} {seconds}")
            .unwrap_or_else(|error| panic!("the guest is gone: {error}"));
        number
    }

    fn ended(&self, number: u32) -> Option<Output> {
        let line = lock(&self.line);
        let line = line.as_ref().unwrap_or_else(|| panic!("the guest has no power"));
        assert!(lock(&line.qemu).ended().is_none(), "the guest ended");
        let stem = self.share.join(number.to_string());
        let status = fs::read_to_string(stem.with_extension("status")).ok()?.trim().parse().ok()?;
        let text = fs::read(stem.with_extension("out")).unwrap_or_default();
        Some(Output { status, text: String::from_utf8_lossy(&text).into_owned() })
    }

    fn put(&self, from: &Path, path: &str) {
        let (passing, there) = self.passing();
        fs::copy(from, &passing).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.copy(&there, path);
        remove(&passing);
    }

    fn fetch(&self, path: &str, to: &Path) {
        let (passing, there) = self.passing();
        self.copy(path, &there);
        fs::copy(&passing, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
        remove(&passing);
    }

    fn kept_text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.share.join(name)).unwrap_or_default()).into_owned()
    }

    fn offer(&self, server: SocketAddr) -> SocketAddr {
        Guest::address_of(server)
    }

    fn metrics_address(&self) -> Option<SocketAddr> {
        None
    }
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
