//! What the bench's set-up step and the cross build have made.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The folder that `hil-tests/bench/setup` fills.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The folder, brought up to date once for each test process.
    ///
    /// # Panics
    /// When it cannot be; what is missing has been said on standard error.
    pub fn ready() -> &'static Self {
        static READY: OnceLock<Cache> = OnceLock::new();
        READY.get_or_init(|| {
            run("hil-tests/bench/setup");
            let folder =
                env::var_os("HIL_CACHE").map_or_else(|| Path::new(ROOT).join(".bench"), PathBuf::from);
            Self { folder }
        })
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program: the unpacked one when there is one, else the installed one.
    pub fn program(&self, name: &str) -> PathBuf {
        let unpacked = self.folder.join("bin").join(name);
        if unpacked.is_file() { unpacked } else { PathBuf::from(name) }
    }
}

/// A program for aarch64, as `cross/build` puts it: `ecu/ecu-daemon`, `release/can-traffic`. Built once for each test
/// process, which costs little when it is up to date; `HIL_BUILD=no` takes what is there.
///
/// # Panics
/// When it cannot be built.
pub fn aarch64(program: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if env::var_os("HIL_BUILD").is_none_or(|build| build != "no") {
            run("cross/build");
        }
    });
    let path = Path::new(ROOT).join("target/aarch64-unknown-linux-gnu").join(program);
    assert!(path.is_file(), "{} is not there; run cross/build", path.display());
    path
}

pub(super) fn run(script: &str) {
    let status = Command::new(Path::new(ROOT).join(script)).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{script} failed: {status}; what it needs stands above"),
        Err(error) => panic!("cannot run {script}: {error}"),
    }
}
