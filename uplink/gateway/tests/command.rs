//! The binary as scripts see it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn gateway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecu-gateway"));
    command.args(arguments);
    command
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (argument, word) in [("--help", "--remote-write URL"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let output = gateway(&[argument]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{argument}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(word), "{argument}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_64_and_the_remedy() {
    let output = gateway(&["--broker", "mqtt://localhost"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("give --otlp, --remote-write or --print"), "{text}");
}

#[test]
fn without_a_broker_it_keeps_trying_and_ends_cleanly_when_told() {
    for signal in ["-TERM", "-INT"] {
        // Nobody listens on the discard port.
        let mut child =
            gateway(&["--broker", "mqtt://127.0.0.1:9", "--print"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains("not connected; trying again") && first.contains("127.0.0.1:9"), "{first}");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(rest.last().unwrap().contains("stopped: 0 batches"), "{rest:?}");
    }
}
