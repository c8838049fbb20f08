//! The published decode vectors, where they are at hand: every value of every signal of every frame.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

mod shared_data;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;

use can_decode::{CanId, DecodeTable, Frame, FrameFlags, Matching, Raw, Signal, ValueKind};
use flate2::read::GzDecoder;
use serde_json::Value;
use shared_data::{data, databases, json};

/// Where one vector's decode differs from what it expects.
fn mismatches(table: &DecodeTable, vector: &Value) -> Vec<String> {
    let number = u32::try_from(vector["id"].as_u64().unwrap()).unwrap();
    let is_extended = vector["extended"].as_bool().unwrap();
    let id = if is_extended { CanId::extended(number) } else { CanId::standard(number as u16) };
    let Some(message) = id.and_then(|id| table.find(id)).map(|index| table.message(index)) else {
        return vec!["no message".to_string()];
    };
    let payload = bytes(vector["payload"].as_str().unwrap());
    let mut decoded = HashMap::new();
    message.decode_payload(&payload, |signal, raw| {
        decoded.insert(message.signals[signal].name.as_str(), (signal, raw));
    });
    let mut wrong = Vec::new();
    // The vectors have the long name of a message where it has one.
    if *message.long_name.as_ref().unwrap_or(&message.name) != vector["msg"]
        || u64::from(message.len) != vector["len"]
    {
        wrong.push(format!("message {} of {} bytes", message.name, message.len));
    }
    wrong.extend(frame_mismatch(message, id.unwrap(), &payload, vector, decoded.len()));
    let expected = vector["signals"].as_object().unwrap();
    for (name, value) in expected {
        let Some((signal, raw)) = decoded.remove(name.as_str()) else {
            wrong.push(format!("{name} is not reported"));
            continue;
        };
        let signal = &message.signals[signal];
        if !is_same_raw(signal.kind, raw, &value["raw"]) {
            wrong.push(format!("{name} raw {} instead of {}", raw.as_i64(), value["raw"]));
        }
        if !is_same_physical(signal, raw, &value["phys"]) {
            let physical = signal.physical(raw);
            wrong.push(format!("{name} physical {physical} instead of {}", value["phys"]));
        }
    }
    wrong.extend(decoded.keys().map(|name| format!("{name} is reported")));
    wrong
}

/// The way over a frame must agree, where a frame can carry the payload.
fn frame_mismatch(
    message: &can_decode::Message,
    id: CanId,
    payload: &[u8],
    vector: &Value,
    reported: usize,
) -> Option<String> {
    let frame = if vector["is_fd"].as_bool().unwrap() {
        Frame::fd(id, FrameFlags::default(), payload)
    } else {
        Frame::classic(id, payload)
    };
    let decoded = message.decode(&frame.ok()?, |_, _| {});
    (decoded.reported != reported).then(|| format!("as a frame: {decoded:?} instead of {reported}"))
}

fn is_same_raw(kind: ValueKind, raw: Raw, expected: &Value) -> bool {
    match kind {
        ValueKind::Signed => expected.as_i64() == Some(raw.as_i64()),
        _ => expected.as_u64() == Some(raw.0),
    }
}

/// Within two units in the last place of the larger of the two terms that are added.
fn is_same_physical(signal: &Signal, raw: Raw, expected: &Value) -> bool {
    let got = signal.physical(raw);
    let expected = match expected.as_str() {
        Some("NaN") => return got.is_nan(),
        Some("Infinity") => return got == f64::INFINITY,
        Some("-Infinity") => return got == f64::NEG_INFINITY,
        Some(other) => panic!("physical value {other}"),
        None => expected.as_f64().unwrap(),
    };
    let number = match signal.kind {
        ValueKind::Unsigned => raw.0 as f64,
        ValueKind::Signed => raw.as_i64() as f64,
        ValueKind::F32 => f64::from(f32::from_bits(raw.0 as u32)),
        ValueKind::F64 => f64::from_bits(raw.0),
    };
    let magnitude = (number * signal.factor).abs().max(signal.offset.abs());
    (got - expected).abs() <= 2.0 * f64::EPSILON * magnitude
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

#[test]
fn every_vector_decodes() {
    let Some(root) = data() else { return };
    let loaded = databases(&root);
    for matching in [Matching::Auto, Matching::Id] {
        let tables: HashMap<&str, DecodeTable> = loaded
            .iter()
            .filter_map(|(name, read)| Some((name.as_str(), &read.as_ref().ok()?.0)))
            .map(|(name, database)| (name, DecodeTable::compile(std::slice::from_ref(database), matching).0))
            .collect();
        let mut text = String::new();
        let file = fs::File::open(root.join("vectors/vectors.jsonl.gz")).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            let vector: Value = serde_json::from_str(line).unwrap();
            let name = vector["dbc"].as_str().unwrap();
            let (vectors, values) = counts.entry(name.to_string()).or_insert((0, 0));
            *vectors += 1;
            *values += vector["signals"].as_object().unwrap().len();
            for mismatch in mismatches(&tables[name], &vector) {
                wrong.push(format!("{} {} {:?}: {mismatch}", vector["dbc"], vector["msg"], vector["tag"]));
            }
        }
        for (name, expected) in json(&root.join("vectors/counts.json")).as_object().unwrap() {
            // A file without vectors is listed with zeros or null.
            let (vectors, values) = counts.get(name).copied().unwrap_or_default();
            assert!(
                *expected == serde_json::json!([vectors, values]) || (vectors, expected) == (0, &Value::Null)
            );
        }
        let vectors: usize = counts.values().map(|count| count.0).sum();
        let values: usize = counts.values().map(|count| count.1).sum();
        println!("{matching:?}: {vectors} vectors, {values} values, {} mismatches", wrong.len());
        assert!(vectors > 60_000 && values > 300_000);
        assert!(wrong.is_empty(), "{} mismatches: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    }
}
