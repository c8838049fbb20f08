//! Where the programs are.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the programs that belong to the running test, brought up to date once for each test process.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// A program of this workspace, of the profile that the test was built with.
///
/// # Panics
/// When it cannot be built, or is not there.
pub fn built(program: &str) -> PathBuf {
    let path = FOLDER.get_or_init(build).join(program);
    assert!(path.is_file(), "{} is not there; run `cargo build --workspace --bins`", path.display());
    path
}

/// Builds all programs: testing yesterday's would prove nothing. Costs little when they are up to date. Tests that run
/// without cargo take what is there.
fn build() -> PathBuf {
    let test =
        env::current_exe().unwrap_or_else(|error| panic!("the test does not know its own path: {error}"));
    // Tests are target/debug/deps/whole_path-0123, two levels below the profile's folder; programs are in it.
    let folder = test
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .unwrap_or_else(|| panic!("{} has no folder", test.display()))
        .to_owned();
    let Some(cargo) = env::var_os("CARGO") else { return folder };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let status = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/bench/programs"))
        .arg(profile)
        .env("CARGO", cargo)
        .status();
    match status {
        Ok(status) if status.success() => folder,
        Ok(status) => panic!("building the programs under test failed: {status}"),
        Err(error) => panic!("cannot run cargo to build the programs under test: {error}"),
    }
}

/// A program that Debian's `package` brings.
///
/// # Panics
/// When it is not installed; the text says how to install it.
pub fn debian(program: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers are in sbin, which the path of ordinary users leaves out.
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("{program} is not installed: sudo apt-get install --no-install-recommends {package}")
    })
}
