//! What the fuzz targets do with their bytes. `can-decode/tests/fuzz_bodies.rs` runs the same in seconds, on stable, so
//! that they cannot rot.
#![allow(dead_code, reason = "each fuzz target needs one of them")]
#![allow(unreachable_pub, reason = "a module of tests and of fuzz targets")]

mod carriers;
mod input;
mod naive;

use std::collections::HashSet;

use can_decode::candump::{parse_line, write_line};
use can_decode::dbc::{self, FINDINGS_MAX};
use can_decode::{
    Columns, Database, DecodeTable, Finding, Frame, FrameFlags, Matching, Message, Raw, Severity,
    TraceContext,
};
pub use carriers::carriers;
use input::Input;

const MATCHINGS: [Matching; 3] = [Matching::Auto, Matching::Id, Matching::Pgn];

/// DBC text: it is read, or refused with one of its lines; what is read compiles, and decodes as it does bit by bit.
pub fn dbc(bytes: &[u8]) {
    let (database, findings) = match dbc::read("a.dbc", bytes) {
        Ok(read) => read,
        Err(error) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
            return;
        }
    };
    assert!(findings.len() <= FINDINGS_MAX + 1);
    for message in &database.messages {
        let names: HashSet<&str> = message.signals.iter().map(|signal| signal.name.as_str()).collect();
        assert_eq!(names.len(), message.signals.len(), "the names of message {} are unique", message.name);
        let context_end = message.trace_context_offset.map_or(0, |offset| usize::from(offset) + 25);
        assert!(context_end <= usize::from(message.len), "the context lies in message {}", message.name);
    }
    // The end of the text is as good a payload as any.
    let mut payload = [0x5A; 64];
    let tail = bytes.len().min(64);
    payload[..tail].copy_from_slice(&bytes[bytes.len() - tail..]);
    for matching in MATCHINGS {
        decode_all(&database, matching, &payload);
    }
}

/// Frames against a table that the bytes describe, too. How many signals were decoded.
pub fn frames(bytes: &[u8]) -> usize {
    let mut input = Input::new(bytes);
    let database = input.database();
    let matching = MATCHINGS[usize::from(input.byte()) % MATCHINGS.len()];
    let (table, findings) = DecodeTable::compile(std::slice::from_ref(&database), matching);
    assert_eq!(table.messages().len() + left_out(&findings), database.messages.len(), "{findings:?}");
    let mut by_message = vec![Vec::new(); table.messages().len()];
    let mut signals = 0;
    while let Some(frame) = input.frame() {
        if let Some(index) = table.find(frame.id()) {
            signals += decode(table.message(index), &frame);
            by_message[usize::from(index.0)].push(frame);
        }
    }
    for (message, frames) in table.messages().iter().zip(&by_message) {
        decode_columns(message, frames);
    }
    signals
}

/// A line of candump: what is read is read again as it is written.
pub fn candump(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Ok(parsed) = parse_line(line) else { continue };
        let mut written = String::new();
        write_line(&mut written, parsed.time, parsed.interface, &parsed.frame)
            .expect("a String takes everything");
        let again =
            parse_line(&written).unwrap_or_else(|error| panic!("{line} is written as {written}: {error}"));
        assert_eq!(again, parsed, "{line} is written as {written}");
    }
}

/// A trace context: what is read is written as it was, reserved flags apart.
pub fn trace(bytes: &[u8]) {
    let Ok(context) = TraceContext::parse(bytes) else {
        let is_zero = |range: std::ops::Range<usize>| {
            bytes.get(range).is_none_or(|id| id.iter().all(|byte| *byte == 0))
        };
        assert!(bytes.len() < TraceContext::WIRE_LEN || is_zero(0..16) || is_zero(16..24), "{bytes:?}");
        return;
    };
    let written = context.write();
    assert_eq!(written[..24], bytes[..24]);
    assert_eq!(written[24], bytes[24] & 0b11);
    assert_eq!(TraceContext::parse(&written).map(|again| again.write()), Ok(written));
}

/// Decodes frames of several lengths with every message of a database.
fn decode_all(database: &Database, matching: Matching, payload: &[u8; 64]) {
    let (table, findings) = DecodeTable::compile(std::slice::from_ref(database), matching);
    assert_eq!(table.messages().len() + left_out(&findings), database.messages.len(), "{findings:?}");
    for message in table.messages() {
        assert!(table.find(message.id).is_some(), "{}", message.name);
        for len in [0, 1, 7, 8, 24, 64] {
            if let Ok(frame) = Frame::fd(message.id, FrameFlags::default(), &payload[..len]) {
                decode(message, &frame);
            }
        }
    }
}

fn left_out(findings: &[Finding]) -> usize {
    // One message at most is meant by each of these.
    findings.iter().filter(|finding| finding.severity == Severity::LeftOut || is_repeated(finding)).count()
}

/// Whether a message was not taken because it is there already.
fn is_repeated(finding: &Finding) -> bool {
    finding.text.ends_with("defines the identifier the same and comes first")
}

/// Holds all ways to decode a frame against the naive one; how many signals there were.
fn decode(message: &Message, frame: &Frame) -> usize {
    let mut got: Vec<(usize, Raw)> = Vec::new();
    let decoded = message.decode(frame, |signal, raw| got.push((signal, raw)));
    assert_eq!(decoded.reported, got.len());
    let mut in_order = got.clone();
    in_order.sort();
    let expected = if decoded.needs_transport { Vec::new() } else { naive::decode(&message.signals, frame) };
    assert_eq!(in_order, expected, "{frame:?} as {message:?}");
    let room = message.signals.len() + 1;
    let (mut indices, mut values) = (vec![0; room], vec![0.0; room]);
    let mut visited = Vec::new();
    assert_eq!(message.decode_physical(frame, |signal, value| visited.push((signal, bits(value)))), decoded);
    assert_eq!(message.decode_into(frame, &mut indices, &mut values), decoded);
    for (at, (signal, raw)) in got.iter().enumerate() {
        let physical = message.signals[*signal].physical(*raw);
        assert_eq!(visited[at], (*signal, bits(physical)), "{:?}", message.signals[*signal]);
        assert_eq!((usize::from(indices[at]), bits(values[at])), (*signal, bits(physical)));
        let _ = message.signals[*signal].label(*raw);
    }
    let _ = message.trace_context(frame);
    got.len()
}

/// Holds columns of many frames against the frames one by one.
fn decode_columns(message: &Message, frames: &[Frame]) {
    let mut expected = Vec::new();
    for (row, frame) in frames.iter().enumerate() {
        message.decode(frame, |signal, raw| expected.push((row, signal, raw)));
    }
    let mut got = Vec::new();
    message.decode_columns(frames, &mut Columns::<Raw>::default(), |column| {
        assert_eq!(column.rows.len(), column.values.len());
        assert!(column.rows.is_sorted());
        let cells = column.rows.iter().zip(column.values);
        got.extend(cells.map(|(row, raw)| (*row as usize, usize::from(column.signal), *raw)));
    });
    expected.sort();
    got.sort();
    assert_eq!(got, expected, "{message:?}");
}

/// The bits of a number; one not-a-number is like another, whose bits no arithmetic promises.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}
