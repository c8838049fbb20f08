//! The `ecu-daemon` binary; see `ecu-daemon --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecu_daemon::cli::main(std::env::args_os().skip(1))
}
