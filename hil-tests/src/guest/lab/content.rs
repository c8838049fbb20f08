//! What is in the ring, read as its owner would: with `ecu-daemon query` on the files as they were found.

use std::path::Path;
use std::process::Command;

use super::arrived::Numbers;
use crate::built;

/// Signals to be printed, and nothing of the others, whose blocks are opened and checked all the same.
const QUESTIONS: [[&str; 3]; 3] =
    [["signals", "--name", "Sequence"], ["spans", "--name", "none"], ["logs", "--name", "none"]];
/// Columns of the answer.
const MESSAGE: usize = 2;
const RAW: usize = 4;

/// Opens every block, and gives the sequence numbers of the frames. An error says what cannot be read.
pub(super) fn read_all(ring: &Path) -> Result<Numbers, String> {
    let mut numbers = Numbers::default();
    for question in QUESTIONS {
        let output = Command::new(built("ecu-daemon"))
            .args(["query", "--format", "csv", "--store"])
            .arg(ring)
            .args(question)
            .output()
            .unwrap_or_else(|error| panic!("ecu-daemon query: {error}"));
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("query {} ended with {}: {said}", question[0], output.status));
        }
        // A head, then rows; none of the fields that are looked at is ever quoted.
        for row in String::from_utf8_lossy(&output.stdout).lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            let number = fields.get(RAW).and_then(|raw| raw.parse().ok());
            let (Some(message), Some(number)) = (fields.get(MESSAGE), number) else {
                return Err(format!("no sequence number: {row}"));
            };
            numbers.insert(message, number);
        }
    }
    Ok(numbers)
}
