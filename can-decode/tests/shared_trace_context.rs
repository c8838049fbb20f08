//! The published trace context cases in their 25-byte form, where they are at hand.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use can_decode::TraceContext;
use serde_json::Value;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

#[test]
fn published_cases_are_read_and_refused_alike() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can/vectors/trace_context.json"));
    let Ok(text) = fs::read_to_string(path) else {
        println!("absent: the shared trace context cases");
        return;
    };
    let cases: Value = serde_json::from_str(&text).unwrap();
    let all = cases["traceparent"].as_array().unwrap().iter().chain(cases["binary"].as_array().unwrap());
    let mut count = 0;
    for case in all {
        let Some(wire) = case["bin25"].as_str().map(bytes) else { continue };
        if wire.len() > TraceContext::WIRE_LEN {
            // A payload goes on behind the context; that more bytes are wrong is a rule for other carriers.
            continue;
        }
        let parsed = TraceContext::parse(&wire);
        assert_eq!(parsed.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
        if let Ok(context) = parsed {
            assert_eq!(hex(&context.trace_id), case["trace_id"].as_str().unwrap());
            assert_eq!(hex(&context.span_id), case["parent_id"].as_str().unwrap());
            assert_eq!(case["flags"], context.flags.0, "{case}");
            assert_eq!(context.write()[..24], wire[..24]);
        }
        count += 1;
    }
    println!("running over {count} shared trace context cases");
    assert!(count > 10);
}
