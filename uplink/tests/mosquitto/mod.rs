//! A real Mosquitto, and certificates made by openssl.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const LIMIT: Duration = Duration::from_secs(30);

/// A broker of one test; it ends with it.
pub struct Mosquitto {
    child: Child,
    pub port: u16,
    config: PathBuf,
    _dir: tempfile::TempDir,
    pub dir: PathBuf,
}

/// Whether there is a broker to test with; says so when not.
pub fn installed() -> bool {
    let there =
        Command::new("mosquitto").arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    println!("{}", if there { "over a real Mosquitto" } else { "skipped: no mosquitto here" });
    there
}

impl Mosquitto {
    /// Starts with these lines of configuration; `prepare` may put files into its directory before.
    pub async fn start(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().to_owned();
        prepare(&dir);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.join("mosquitto.conf");
        let lines = lines.replace("DIR", dir.to_str().unwrap());
        let user = "user root";
        let text = format!("per_listener_settings false\n{user}\nlistener {port} 127.0.0.1\n{lines}\n");
        std::fs::write(&config, text).unwrap();
        let mut broker = Self { child: spawn(&config), port, config, _dir: temp, dir };
        broker.wait().await;
        broker
    }

    async fn wait(&mut self) {
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "mosquitto ended at once; see {}",
                self.config.display()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("mosquitto does not listen");
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn restart(&mut self) {
        self.child = spawn(&self.config);
        self.wait().await;
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(config: &Path) -> Child {
    let log = std::fs::File::create(config.with_extension("log")).unwrap();
    let mut command = Command::new("mosquitto");
    command.arg("-c").arg(config).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}
