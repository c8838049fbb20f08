//! An ECU that is reached over ssh: a real one on a bench.

use std::env;
use std::fs::File;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use super::can::Can;
use super::commands::{Ecu, Places};
use super::ssh::{Server, Ssh};
use crate::Bench;

/// What the programs are built for (`uname -m`).
const MACHINE: &str = "aarch64";
/// Where the daemon under test serves its metrics: not where one in service does.
const METRICS_PORT: u16 = 19_464;
/// Tests of this working copy take turns at it.
const TURN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// How a real ECU is reached, and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `ssh://USER@HOST[:PORT]`. Keys and host keys are those of the user's ssh configuration.
    pub url: String,
    /// An ssh configuration to be used instead.
    pub ssh_config: Option<PathBuf>,
    /// A folder there in which the tests may make theirs, and run programs. An absolute path.
    pub folder: String,
    /// Its CAN.
    pub can: Can,
}

impl Access {
    /// To this URL, with the user's ssh configuration, a folder in `/tmp`, and `vcan0`.
    ///
    /// # Panics
    /// When it is none.
    pub fn to(url: &str) -> Self {
        let place = url.strip_prefix("ssh://").unwrap_or_default();
        let plain = place.bytes().all(|byte| byte.is_ascii_graphic() && !b"/'\"".contains(&byte));
        assert!(
            plain && !place.is_empty(),
            "HIL_TARGET is ssh://USER@HOST or ssh://USER@HOST:PORT, not {url:?}"
        );
        Self { url: url.to_owned(), ssh_config: None, folder: "/tmp".to_owned(), can: Can::default() }
    }

    /// What `HIL_TARGET`, `HIL_SSH_CONFIG`, `HIL_FOLDER`, `HIL_CAN`, `HIL_CAN_SEND` and `HIL_RATE_MAX` say; `None` when
    /// there is no `HIL_TARGET`: the emulated ECU is meant.
    pub fn of_environment() -> Option<Self> {
        let mut access = Self::to(&env::var("HIL_TARGET").ok()?);
        access.ssh_config = env::var_os("HIL_SSH_CONFIG").map(PathBuf::from);
        if let Ok(folder) = env::var("HIL_FOLDER") {
            let plain = folder.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
            assert!(
                folder.starts_with('/') && plain,
                "HIL_FOLDER is an absolute path on the ECU, not {folder:?}"
            );
            access.folder = folder;
        }
        access.can = Can::of_environment();
        Some(access)
    }
}

/// A connection to a real ECU, which is left as it was found when this is dropped: no process, no folder, no tunnel, and
/// no vcan that was not there before.
pub struct Remote {
    ecu: Ecu,
    // There is one interface and one processor: whoever holds this is alone there.
    _turn: File,
}

impl Remote {
    /// Waits for its turn, and connects.
    ///
    /// # Panics
    /// When there is no way, or the ECU is not for these programs; the text says why.
    pub fn connect(bench: &Bench, access: &Access) -> Self {
        let turn = File::open(TURN).unwrap_or_else(|error| panic!("{TURN}: {error}"));
        turn.lock().unwrap_or_else(|error| panic!("{TURN}: {error}"));
        let server = Server {
            url: &access.url,
            config: access.ssh_config.as_deref(),
            parent: &access.folder,
            port: METRICS_PORT,
        };
        let (ssh, machine) = Ssh::connect(bench, &server);
        assert_eq!(machine, MACHINE, "{} is not what the programs are built for", access.url);
        let places = Places {
            work: ssh.work().to_owned(),
            kept: ssh.work().to_owned(),
            ring: format!("{}/ring.db", ssh.work()),
            metrics_port: METRICS_PORT,
        };
        Self { ecu: Ecu { transport: Arc::new(ssh), places, can: access.can.clone() }, _turn: turn }
    }
}

impl Deref for Remote {
    type Target = Ecu;

    fn deref(&self) -> &Ecu {
        &self.ecu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_ssh_are_targets() {
        for url in [
            "ssh://root@192.0.2.7",
            "ssh://root@ecu.example:2222",
            "ssh://ecu",
            "ssh://root@[2001:db8::7]:22",
        ] {
            assert_eq!(Access::to(url).url, url);
        }
        for url in ["", "ssh://", "root@ecu", "http://ecu", "ssh://ecu/tmp", "ssh://a b", "-oProxyCommand=x"]
        {
            assert!(std::panic::catch_unwind(|| Access::to(url)).is_err(), "{url:?}");
        }
    }
}
