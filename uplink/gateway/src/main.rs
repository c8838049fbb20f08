//! `ecu-gateway`: the shell around [`ecu_gateway::Gateway`].

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use ecu_gateway::cli::{self, Command};
use ecu_gateway::{Gateway, GatewayError, Options, Report};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1), cli::hostname) {
        Ok(Command::Run(options)) => *options,
        Ok(Command::Help) => return print(cli::HELP),
        Ok(Command::Version) => return print(concat!("ecu-gateway ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(error) => return fail(&error, error.exit_code()),
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
    match run(options) {
        Ok(report) => {
            tracing::info!("stopped: {report}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, error.exit_code()),
    }
}

fn run(options: Options) -> Result<Report, GatewayError> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().map_err(GatewayError::Runtime)?;
    let result = runtime.block_on(async { Gateway::new(options)?.run(stopped()).await });
    // A reader of the standard output that has stopped reading must not keep the process.
    runtime.shutdown_background();
    result
}

/// Ready at Ctrl-C or SIGTERM.
async fn stopped() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without handlers the signals end the process as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn print(text: &str) -> ExitCode {
    // A reader that has gone away has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("ecu-gateway: {error}");
    ExitCode::from(code)
}
