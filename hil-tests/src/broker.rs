//! Mosquitto, the broker.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::process::Process;
use crate::{Bench, debian, until};

const READY_WITHIN: Duration = Duration::from_secs(10);
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(40);
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// A broker with a port and a memory of its own, both of which it keeps when it is started again.
///
/// It writes its memory to disk when it is stopped, so that a killed one has forgotten everything: all sessions, all
/// subscriptions, what was retained, and what it had acknowledged but not delivered.
pub struct Mosquitto {
    folder: PathBuf,
    address: SocketAddr,
    starts: usize,
    process: Option<Process>,
}

impl Mosquitto {
    /// Starts it.
    pub fn start(bench: &Bench) -> Self {
        let folder = bench.folder().to_owned();
        let port = bench.free_port();
        // Run by root it would become the user "mosquitto", to whom the folder is closed.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             max_queued_messages 0\nuser root\nlog_dest stderr\nlog_type all\n",
            folder.display()
        );
        let path = folder.join("mosquitto.conf");
        fs::write(&path, config).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut broker =
            Self { folder, address: (Ipv4Addr::LOCALHOST, port).into(), starts: 0, process: None };
        broker.restart();
        broker
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Starts it again, at the same port.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the broker runs already");
        let mut command = Command::new(debian("mosquitto", "mosquitto"));
        command.arg("-c").arg(self.folder.join("mosquitto.conf"));
        self.starts += 1;
        let mut process = Process::start(&format!("mosquitto-{}", self.starts), &command, &self.folder);
        until("the broker listens", READY_WITHIN, || {
            assert!(process.ended().is_none(), "the broker ended at once");
            TcpStream::connect(self.address).ok()
        });
        self.process = Some(process);
    }

    /// Waits until somebody has subscribed to this filter since it was last started.
    pub fn until_subscribed(&self, filter: &str) {
        let process = self.process.as_ref().unwrap_or_else(|| panic!("the broker does not run"));
        until(&format!("somebody subscribes to {filter}"), SUBSCRIBED_WITHIN, || {
            // "client 1 filter", once it is done; the request itself is logged in another form.
            process.log().contains(&format!(" 1 {filter}\n")).then_some(())
        });
    }

    /// Ends it; it remembers everything.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap_or_else(|| panic!("the broker does not run"));
        let status = process.terminate(ENDED_WITHIN);
        assert!(status.success(), "the broker ended with {status}");
    }

    /// Kills it; it forgets everything.
    pub fn kill(&mut self) {
        self.process.take().unwrap_or_else(|| panic!("the broker does not run")).kill();
    }

    /// Publishes at QoS 1, as any client may.
    pub fn publish(&self, topic: &str, payload: &[u8], retain: bool) {
        let mut command = self.client("mosquitto_pub");
        // It takes no empty message from its standard input.
        let source = if payload.is_empty() { "-n" } else { "-s" };
        command.args(["-q", "1", source, "-t", topic]).args(retain.then_some("-r")).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("mosquitto_pub: {error}"));
        let written = child.stdin.take().map(|mut stdin| stdin.write_all(payload));
        assert!(matches!(written, Some(Ok(()))), "mosquitto_pub does not read its input");
        let status = child.wait().unwrap_or_else(|error| panic!("mosquitto_pub: {error}"));
        assert!(status.success(), "mosquitto_pub: {status}");
    }

    /// Waits for the next message of `filter`, or the first retained one, and gives topic and payload.
    pub fn receive(&self, filter: &str, within: Duration) -> (String, Vec<u8>) {
        let mut command = self.client("mosquitto_sub");
        command.args([
            "-C",
            "1",
            "-W",
            &within.as_secs().to_string(),
            "-q",
            "1",
            "-F",
            "%t\n%p",
            "-N",
            "-t",
            filter,
        ]);
        let Output { status, mut stdout, .. } =
            command.output().unwrap_or_else(|error| panic!("mosquitto_sub: {error}"));
        assert!(status.success(), "no message of {filter} in {within:?}: {status}");
        let end = stdout.iter().position(|&byte| byte == b'\n').unwrap_or_else(|| panic!("no topic"));
        let payload = stdout.split_off(end + 1);
        stdout.truncate(end);
        (String::from_utf8_lossy(&stdout).into_owned(), payload)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(debian(program, "mosquitto-clients"));
        command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        command
    }
}
