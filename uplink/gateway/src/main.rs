//! `ecu-gateway`: the shell around [`ecu_gateway::Gateway`].

use std::io::IsTerminal as _;
use std::process::ExitCode;

use ecu_gateway::Gateway;
use ecu_gateway::cli::{self, Command};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1), cli::hostname) {
        Ok(Command::Run(options)) => *options,
        Ok(Command::Help) => return print(cli::HELP),
        Ok(Command::Version) => return print(concat!("ecu-gateway ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => return fail(&error, error.exit_code()),
    };
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(ansi).init();
    let result = match Gateway::new(options) {
        Ok(gateway) => gateway.run(stopped()).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(report) => {
            tracing::info!("stopped: {report}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, error.exit_code()),
    }
}

/// Ready at Ctrl-C or SIGTERM.
async fn stopped() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the process as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn print(text: &str) -> ExitCode {
    use std::io::Write as _;
    // A reader that has gone away has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("ecu-gateway: {error}");
    ExitCode::from(code)
}
