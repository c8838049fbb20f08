//! Mosquitto, and somebody who writes down all that it passes on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use store::block::BlockHeader;
use uplink::batch;
use uplink::topic::VehicleId;

const WITHIN: Duration = Duration::from_secs(30);

/// A broker of its own; killed at the end.
pub(crate) struct Broker {
    process: Child,
    listener: Child,
    config: PathBuf,
    address: SocketAddr,
    seen: Seen,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was published, topic and payload, in order.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

fn run(config: &Path, address: SocketAddr) -> (Child, Child, Seen) {
    let port = address.port().to_string();
    let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
    let process =
        start(Command::new(program.unwrap_or("mosquitto")).arg("-c").arg(config).stderr(Stdio::null()));
    until("the broker listens", || TcpStream::connect(address).is_ok());
    let mut subscriber = Command::new("mosquitto_sub");
    subscriber.args(["-V", "5", "-q", "1", "-t", "#", "-F", "%t %x", "-p", &port]);
    let mut listener = start(subscriber.stdout(Stdio::piped()));
    let seen = Seen::default();
    let (lines, kept) = (BufReader::new(listener.stdout.take().unwrap()), Arc::clone(&seen));
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            let (topic, hex) = line.split_once(' ').unwrap();
            let digits = hex.as_bytes().chunks(2).map(|two| str::from_utf8(two).unwrap());
            let payload = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
            kept.lock().unwrap().push((topic.to_owned(), payload));
        }
    });
    until("the subscriber hears", || {
        let mut publish = Command::new("mosquitto_pub");
        publish.args(["-p", &port, "-t", "hello", "-m", "x"]);
        start(&mut publish).wait().unwrap().success() && !seen.lock().unwrap().is_empty()
    });
    (process, listener, seen)
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WITHIN, "not in {WITHIN:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(command: &mut Command) -> Child {
    let child = command.spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}; install mosquitto and mosquitto-clients"))
}

impl Broker {
    /// Starts it, with a subscriber to everything.
    pub(crate) fn start(folder: &Path) -> Self {
        // It does not tell which port it got, so one is chosen for it.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let config = folder.join("mosquitto.conf");
        // Run by root it would become the user "mosquitto", to whom the folder is closed.
        let text = "allow_anonymous true\nuser root\nlog_dest none\npersistence false\n";
        fs::write(&config, format!("listener {} 127.0.0.1\n{text}", address.port())).unwrap();
        let (process, listener, seen) = run(&config, address);
        Self { process, listener, config, address, seen }
    }

    /// Kills it and starts it again: it has forgotten everything, and so has the subscriber.
    pub(crate) fn restart(&mut self) {
        self.end();
        (self.process, self.listener, self.seen) = run(&self.config, self.address);
    }

    fn end(&mut self) {
        for child in [&mut self.listener, &mut self.process] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Topics of what was published so far, in order.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(topic, _)| topic.clone()).collect()
    }

    /// The headers of all blocks of `vehicle`, each with whether its schema was published before it.
    pub(crate) fn blocks(&self, vehicle: &str) -> Vec<(BlockHeader, bool)> {
        let vehicle = VehicleId::new(vehicle).unwrap();
        let (mut schemas, mut blocks) = (Vec::new(), Vec::new());
        for (topic, payload) in self.seen.lock().unwrap().iter() {
            if let Some(hash) = topic.strip_prefix("ecu/schema/") {
                schemas.push(hash.to_owned());
            } else if topic.contains("/blocks") {
                for block in batch::decode(payload, &vehicle).unwrap() {
                    let header = BlockHeader::read(block).unwrap().0;
                    blocks.push((header, schemas.contains(&header.schema.to_string())));
                }
            }
        }
        blocks
    }
}
