//! One child process: started, watched, ended.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::panicking;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::debian;
use crate::{say, until};

/// Lines of a log that are shown when a test fails.
const TAIL_LINES: usize = 40;

/// A running program whose standard error, and standard output unless told otherwise, go to a log file.
///
/// It is killed when this value is dropped, and by the kernel when the thread that started it ends.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; the log is `{folder}/{name}.log`, which a second start continues.
    pub(crate) fn start(name: &str, command: &Command, folder: &Path) -> Self {
        Self::start_with_output(name, command, folder, None)
    }

    /// The same, with the standard output to a file of its own.
    pub(crate) fn start_with_output(
        name: &str,
        command: &Command,
        folder: &Path,
        output: Option<File>,
    ) -> Self {
        let path = folder.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let output = output.or_else(|| log.try_clone().ok());
        // A test process that is killed cannot tidy up; the kernel does (prctl(2), PR_SET_PDEATHSIG). setpriv replaces
        // itself by the program, which so keeps the process id.
        let mut guarded = Command::new(debian("setpriv", "util-linux"));
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(key, value),
                None => guarded.env_remove(key),
            };
        }
        let child = guarded
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.map_or_else(Stdio::null, Stdio::from))
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log: path }
    }

    /// Its name, as in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name))
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        until(&what, within, || self.ended())
    }

    /// Asks it to end (SIGTERM), and waits for that.
    pub(crate) fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(within)
    }

    /// Stops its clockwork (SIGSTOP) until [`Self::thaw`]: to everybody else it looks like a machine that hangs.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends it without asking (SIGKILL).
    pub(crate) fn kill(&mut self) {
        let name = &self.name;
        self.child.kill().unwrap_or_else(|error| panic!("cannot kill {name}: {error}"));
        self.child.wait().unwrap_or_else(|error| panic!("cannot wait for {name}: {error}"));
    }

    fn signal(&self, signal: Signal) {
        let name = &self.name;
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.unwrap_or_else(|error| panic!("cannot send {signal:?} to {name}: {error}"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more that can be done.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            say(&format!("--- last lines of {} ---\n{}\n", self.log.display(), tail.join("\n")));
        }
    }
}
