//! What one test has for itself: a folder, and ports.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Ports given away by this process, so that two tests never get the same one.
static PORTS: AtomicU32 = AtomicU32::new(0);
/// Below the range from which Linux takes ports for outgoing connections (`ip_local_port_range`), so that a port stays
/// free while its server is down.
const PORT_FIRST: u32 = 18_000;
const PORTS_MAX: u32 = 14_000;

/// A test's folder and ports. The folder stays when the test fails, and is named then.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    /// For the test of this name.
    pub fn new(test: &str) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("ecu-bench-{test}-")).tempdir();
        Self { folder: folder.unwrap_or_else(|error| panic!("no temporary folder for {test}: {error}")) }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A port of the loopback address that nobody listens at.
    pub fn free_port(&self) -> u16 {
        // Processes that run side by side start far from each other.
        let start = process::id().wrapping_mul(97);
        for _ in 0..PORTS_MAX {
            let offset = start.wrapping_add(PORTS.fetch_add(1, Ordering::Relaxed)) % PORTS_MAX;
            // At most 32,000.
            let port = (PORT_FIRST + offset) as u16;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return port;
            }
        }
        panic!("no free port from {PORT_FIRST} on");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            say(&format!("the folder of the failed test, with all logs: {}", self.folder.path().display()));
        }
    }
}

/// Says something to whoever watches the tests, also of a test that passes: the test harness does not keep it back.
pub fn say(text: &str) {
    // Nobody to say it to is no failure.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
