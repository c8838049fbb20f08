//! GPIO lines and I²C chips as embedded-hal drivers use them, through linux-embedded-hal.
//!
//! Runs where the daemon runs: in the guest, on a bench, on any board with `/dev/gpiochip*` and `/dev/i2c-*`. What
//! does not work is said in embedded-hal's own terms, because those are what a driver above it gets to see.

mod gpio;
mod i2c;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

use crate::gpio::Loop;
use crate::i2c::{Chip, Task};

const HELP: &str = "\
board-io: GPIO and I2C as embedded-hal drivers use them

  board-io gpio CHIP OUT_LINE IN_LINE [--edges N] [--wait-ms N]
      Drives OUT_LINE high, low, high ... N times (default 4) and reads IN_LINE each time; then does it again and waits
      for the edges, N ms (default 1000) for all of them together. CHIP: a device (/dev/gpiochip0) or a chip's label.
  board-io i2c BUS ADDRESS read REGISTER COUNT
  board-io i2c BUS ADDRESS write REGISTER BYTE...
      BUS: a device (/dev/i2c-0). Numbers: decimal, or 0x and hexadecimal.
  board-io i2c BUS ADDRESS thermometer
      An LM75 or one of its relatives, by the driver crate lm75.
Prints one line of JSON; or, to standard error, what failed, on an I2C bus with embedded-hal's ErrorKind.
";
/// Edges at most: each is kept.
const EDGES_MAX: u32 = 10_000;
/// The longest wait, milliseconds.
const WAIT_MS_MAX: u32 = 60_000;

fn main() -> ExitCode {
    match run(lexopt::Parser::from_env()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("board-io: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: lexopt::Parser) -> Result<String, Box<dyn Error>> {
    let (mut words, mut edges, mut wait_ms) = (Vec::new(), 4, 1000);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("edges") => edges = number(&arguments.value()?.string()?, EDGES_MAX)?,
            Long("wait-ms") => wait_ms = number(&arguments.value()?.string()?, WAIT_MS_MAX)?,
            Short('h') | Long("help") => return Ok(HELP.trim_end().to_owned()),
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["gpio", chip, out, input] => {
            let wait = Duration::from_millis(wait_ms.into());
            let ends = Loop { chip, out: number(out, u32::MAX)?, input: number(input, u32::MAX)? };
            ends.run(edges as usize, wait)
        }
        ["i2c", bus, address, ref task @ ..] => Chip::new(bus, address)?.run(&Task::parse(task)?),
        _ => Err("nothing that it knows; see board-io --help".into()),
    }
}

/// A number from 0 to `max`.
fn number(text: &str, max: u32) -> Result<u32, String> {
    let number = match text.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => text.parse(),
    };
    let number = number.map_err(|error| format!("{text:?} is no number: {error}"))?;
    if number <= max { Ok(number) } else { Err(format!("{text} is too large: at most {max}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_bounded() {
        for (text, expected) in
            [("0", Ok(0)), ("72", Ok(72)), ("0x48", Ok(72)), ("0x7F", Ok(127)), ("255", Ok(255))]
        {
            assert_eq!(number(text, 255), expected, "{text}");
        }
        for text in ["", "0x", "x48", "-1", "+-1", "256", "0x100", "99999999999"] {
            assert!(number(text, 255).is_err(), "{text}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused_before_anything_is_opened() {
        let cases: [(&[&str], &str); 9] = [
            (&[], "--help"),
            (&["gpio", "chip", "0"], "--help"),
            (&["gpio", "chip", "0", "x"], "\"x\" is no number"),
            (&["gpio", "chip", "0", "1", "--edges", "10001"], "too large"),
            (&["i2c", "/dev/i2c-0", "0x78", "read", "0", "1"], "0x78"),
            (&["i2c", "/dev/i2c-0", "0x48", "read", "0", "0"], "0 bytes"),
            (&["i2c", "/dev/i2c-0", "0x48", "read", "0x100", "1"], "too large"),
            (&["i2c", "/dev/i2c-0", "0x48", "write", "0"], "--help"),
            (&["i2c", "/dev/i2c-0", "0x48", "erase"], "--help"),
        ];
        for (arguments, expected) in cases {
            let error = run(lexopt::Parser::from_args(arguments)).unwrap_err().to_string();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }
}
