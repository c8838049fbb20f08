//! The way to a real ECU: the installed OpenSSH client.
//!
//! ```text
//! Ssh ──one connection (ControlMaster)──▶ keeper: makes the working folder; at the end of its input it tidies up
//!      └─one process a command or file──▶ sh, timeout, cat
//! ```
//! The ECU needs an ssh server and a POSIX shell with `mktemp`, `timeout`, `tr` and /proc. Programs find no terminal and
//! no question is asked. However this process ends, the connection ends with it, and so does the keeper's input.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::commands::{Output, Transport};
use super::machine::lock;
use crate::{Bench, debian, say, until};

const CONNECTED_WITHIN: Duration = Duration::from_secs(60);
const COPIED_WITHIN: Duration = Duration::from_secs(120);
const TIDIED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// ssh's exit status when it is ssh that failed.
const SSH_FAILED: i32 = 255;
/// What the keeper says first and last.
const FOLDER: &str = "working folder: ";
const TIDY: &str = "tidy";

/// A connection that is silent for half a minute is gone; no question is asked; what a user has set for other
/// connections (terminals, forwarded agents) does not disturb.
const OPTIONS: [&str; 10] = [
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=6",
    "ExitOnForwardFailure=yes",
    "ControlPersist=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RemoteCommand=none",
    "LogLevel=ERROR",
];

/// Every process that belongs to a command has the folder's name in its environment, wherever it went. What else is to be
/// undone stands in the file `undo`.
const KEEPER: &str = r#"trap "" HUP TERM PIPE
umask 077
PATH=$PATH:/usr/sbin:/sbin
folder=$(mktemp -d "$1/ecu-bench-XXXXXX") || exit
echo "working folder: $folder on $(uname -m)"
cat >/dev/null
for round in 1 2 3 4 5; do
    found=
    for process in /proc/[0-9]*; do
        if tr "\0" "\n" <"$process/environ" | grep -qx "ECU_BENCH=$folder"; then
            kill -KILL "${process#/proc/}"
            found=yes
        fi
    done 2>/dev/null
    [ -n "$found" ] || break
done
[ ! -e "$folder/undo" ] || sh "$folder/undo"
rm -rf "$folder" && echo tidy"#;

/// Runs the shell text on its standard input: FOLDER NUMBER SECONDS.
const RUN: &str = r#"cd "$1" || exit
PATH=$PATH:/usr/sbin:/sbin ECU_BENCH=$1
export PATH ECU_BENCH
cat >"$2.sh"
timeout -s KILL "$3" sh "$2.sh" </dev/null >"$2.out" 2>&1
status=$?
cat "$2.out"
rm -f "$2.sh" "$2.out"
exit "$status""#;

/// Where an ssh server is, and as whom one gets in.
pub(super) struct Server<'a> {
    /// `ssh://USER@HOST[:PORT]`.
    pub(super) url: &'a str,
    /// A configuration to be used instead of the user's.
    pub(super) config: Option<&'a Path>,
    /// Where the working folder is made.
    pub(super) parent: &'a str,
    /// A port of its loopback address that is to be reached from here.
    pub(super) port: u16,
}

/// A connection.
pub(super) struct Ssh {
    url: String,
    config: Option<PathBuf>,
    /// Here: commands, their output, the connection's socket and log.
    folder: PathBuf,
    /// There.
    work: String,
    port_address: SocketAddr,
    number: AtomicU32,
    /// Commands under way.
    clients: Mutex<BTreeMap<u32, Client>>,
    // Dropped after them; its input before itself.
    keeper_input: Option<ChildStdin>,
    keeper: Client,
}

/// An ssh process, killed when it is dropped.
struct Client(Child);

impl Client {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap_or_else(|error| panic!("cannot wait for ssh: {error}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ssh {
    /// Connects. Gives the ECU's architecture (`uname -m`), too.
    pub(super) fn connect(bench: &Bench, server: &Server<'_>) -> (Self, String) {
        let folder = bench.folder().join("commands");
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let port_address = SocketAddr::from(([127, 0, 0, 1], bench.free_port()));
        let mut command = ssh(&folder, server.config);
        command.args(["-M", "-L", &format!("{port_address}:127.0.0.1:{}", server.port), server.url]);
        command.arg(format!("sh -c {} sh {}", quoted(KEEPER), quoted(server.parent)));
        let (said, log) = (folder.join("keeper.out"), folder.join("keeper.log"));
        command.stdin(Stdio::piped()).stdout(created(&said)).stderr(created(&log));
        let mut keeper = spawn(&mut command);
        let keeper_input = keeper.0.stdin.take();
        let first = until(&format!("{} answers", server.url), CONNECTED_WITHIN, || {
            let ended = keeper.ended();
            let text = text(&said);
            let line = text.lines().find_map(|line| line.strip_prefix(FOLDER)).map(str::to_owned);
            assert!(
                ended.is_none(),
                "no way to {} (`ssh {}` must work without a question): {}",
                server.url,
                server.url,
                self::text(&log)
            );
            // A line that is cut has no end yet.
            line.filter(|_| text.ends_with('\n'))
        });
        let (work, machine) =
            first.split_once(" on ").unwrap_or_else(|| panic!("{} says {first:?}", server.url));
        let ssh = Self {
            url: server.url.to_owned(),
            config: server.config.map(Path::to_owned),
            folder,
            work: work.to_owned(),
            port_address,
            number: AtomicU32::new(0),
            clients: Mutex::new(BTreeMap::new()),
            keeper_input,
            keeper,
        };
        (ssh, machine.to_owned())
    }

    /// The working folder on the ECU.
    pub(super) fn work(&self) -> &str {
        &self.work
    }

    /// A further use of the connection; never one of its own.
    fn client(&self) -> Command {
        let mut command = ssh(&self.folder, self.config.as_deref());
        command.args(["-o", "ProxyCommand=false"]);
        command
    }

    /// Runs a command line of the ECU's login shell to its end, with files as input and output.
    fn transfer(&self, line: &str, input: Stdio, output: Stdio) {
        let log = self.folder.join(format!("{}.err", self.number.fetch_add(1, Ordering::Relaxed)));
        let mut command = self.client();
        command.args([&self.url, line]).stdin(input).stdout(output).stderr(created(&log));
        let mut client = spawn(&mut command);
        let status = until(&format!("{}: {line}", self.url), COPIED_WITHIN, || client.ended());
        assert!(status.success(), "{}: {line}: {status}: {}", self.url, text(&log));
        remove(&log);
    }

    /// Ends the connection in good order; gives whether the keeper says that nothing is left.
    fn end(&mut self) -> bool {
        lock(&self.clients).clear();
        drop(self.keeper_input.take());
        let started = Instant::now();
        while matches!(self.keeper.0.try_wait(), Ok(None)) && started.elapsed() < TIDIED_WITHIN {
            sleep(LOOK_EVERY);
        }
        text(&self.folder.join("keeper.out")).lines().any(|line| line == TIDY)
    }
}

impl Transport for Ssh {
    fn begin(&self, command: &str, seconds: u64) -> u32 {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let stem = self.folder.join(number.to_string());
        let script = stem.with_extension("sh");
        fs::write(&script, command).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let mut client = self.client();
        client.args([&self.url, &format!("sh -c {} sh {} {number} {seconds}", quoted(RUN), self.work)]);
        client.stdin(opened(&script)).stdout(created(&stem.with_extension("out")));
        client.stderr(created(&stem.with_extension("err")));
        lock(&self.clients).insert(number, spawn(&mut client));
        number
    }

    fn ended(&self, number: u32) -> Option<Output> {
        let mut clients = lock(&self.clients);
        let status = clients.get_mut(&number)?.ended()?;
        clients.remove(&number);
        let stem = self.folder.join(number.to_string());
        // What the command itself says on standard error is in its output.
        let (errors, status) = (text(&stem.with_extension("err")), status.code().unwrap_or(SSH_FAILED));
        assert!(status != SSH_FAILED || errors.is_empty(), "the connection to {}: {errors}", self.url);
        Some(Output { status, text: text(&stem.with_extension("out")) })
    }

    fn put(&self, from: &Path, path: &str) {
        let metadata = fs::metadata(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let (mode, path) = (metadata.permissions().mode() & 0o777, quoted(path));
        self.transfer(&format!("cat >{path} && chmod {mode:o} {path}"), opened(from), Stdio::null());
    }

    fn fetch(&self, path: &str, to: &Path) {
        self.transfer(&format!("cat {}", quoted(path)), Stdio::null(), created(to));
    }

    fn kept_text(&self, name: &str) -> String {
        let passing = self.folder.join(name);
        let line = format!("cat {0} 2>/dev/null || true", quoted(&format!("{}/{name}", self.work)));
        self.transfer(&line, Stdio::null(), created(&passing));
        text(&passing)
    }

    fn offer(&self, server: SocketAddr) -> SocketAddr {
        // The ECU chooses the port; ssh prints it.
        let forward = format!("127.0.0.1:0:{server}");
        let output =
            self.client().args(["-O", "forward", "-R", &forward, &self.url]).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("ssh: {error}"));
        let port = String::from_utf8_lossy(&output.stdout).trim().parse::<u16>();
        let said = String::from_utf8_lossy(&output.stderr);
        let port = port.unwrap_or_else(|_| {
            panic!(
                "{} opens no port for {server} (its server must allow AllowTcpForwarding): {said}",
                self.url
            )
        });
        ([127, 0, 0, 1], port).into()
    }

    fn metrics_address(&self) -> Option<SocketAddr> {
        Some(self.port_address)
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if !self.end() {
            let (url, work, log) = (&self.url, &self.work, text(&self.folder.join("keeper.log")));
            say(&format!(
                "{url} does not say that it was left as it was found; see whether {work} is there: {log}"
            ));
        }
    }
}

/// The client with what every use of it needs.
fn ssh(folder: &Path, config: Option<&Path>) -> Command {
    let mut command = Command::new(debian("ssh", "openssh-client"));
    if let Some(config) = config {
        command.arg("-F").arg(config);
    }
    command.args(OPTIONS.iter().flat_map(|option| ["-o", option]));
    command.arg("-T").arg("-S").arg(folder.join("socket"));
    command
}

fn spawn(command: &mut Command) -> Client {
    Client(command.spawn().unwrap_or_else(|error| panic!("cannot start ssh: {error}")))
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn file(opened: io::Result<File>, path: &Path) -> Stdio {
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn opened(path: &Path) -> Stdio {
    file(File::open(path), path)
}

fn created(path: &Path) -> Stdio {
    file(File::create(path), path)
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
