//! Commands in the guest, and files to and from it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::machine::Guest;
use crate::until;

/// What an ordinary command takes at most.
pub const WITHIN: Duration = Duration::from_secs(60);
/// The guest ends a command that takes too long; should it be unable to, the test ends after this much more.
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
    stem: PathBuf,
    started: Instant,
}

impl Guest {
    /// Runs shell text, which must succeed within [`WITHIN`], and gives its output.
    pub fn run(&self, command: &str) -> String {
        self.run_within(command, WITHIN)
    }

    /// The same with another limit.
    pub fn run_within(&self, command: &str, within: Duration) -> String {
        let Output { status, text } = self.attempt(command, within);
        assert!(status == 0, "in the guest, `{command}` ended with {status}:\n{text}");
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
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let stem = self.share.join(number.to_string());
        write(&stem.with_extension("sh"), command.as_bytes());
        let sent = writeln!(self.control(), "{number} {}", within.as_secs().max(1));
        sent.unwrap_or_else(|error| {
            panic!("the guest is gone: {error}; its console:\n{}", self.console_tail())
        });
        Running { command: command.to_owned(), stem, started: Instant::now() }
    }

    /// Waits for a command.
    pub fn finish(&self, running: &Running, within: Duration) -> Output {
        let what = format!("in the guest, `{}` ends", running.command);
        let spent = running.started.elapsed();
        let status = until(&what, (within + GRACE).saturating_sub(spent), || {
            assert!(!self.ended(), "the guest ended; its console:\n{}", self.console_tail());
            fs::read_to_string(running.stem.with_extension("status")).ok()?.trim().parse().ok()
        });
        let text = fs::read(running.stem.with_extension("out")).unwrap_or_default();
        Output { status, text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Copies a file of this machine to `path` in the guest, with its permissions.
    pub fn copy_in(&self, from: &Path, path: &str) {
        let name = self.commands.fetch_add(1, Ordering::Relaxed);
        let passing = self.share.join(format!("{name}.file"));
        fs::copy(from, &passing).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.run(&format!("cp /host/{name}.file '{path}'"));
        remove(&passing);
    }

    /// Puts text into a file in the guest.
    pub fn write(&self, path: &str, text: &str) {
        let name = self.commands.fetch_add(1, Ordering::Relaxed);
        let passing = self.share.join(format!("{name}.file"));
        write(&passing, text.as_bytes());
        self.run(&format!("cp /host/{name}.file '{path}'"));
        remove(&passing);
    }

    /// The text of a file that the guest wrote to `/host`.
    pub fn shared_text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.share.join(name)).unwrap_or_default()).into_owned()
    }

    /// Copies a file of the guest to this machine.
    pub fn copy_out(&self, path: &str, to: &Path) {
        let name = self.commands.fetch_add(1, Ordering::Relaxed);
        let passing = self.share.join(format!("{name}.file"));
        self.run(&format!("cp '{path}' /host/{name}.file"));
        fs::copy(&passing, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
        remove(&passing);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
