//! The published trace context cases in all their forms, where they are at hand.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use can_decode::{TraceContext, TraceError};
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

/// All cases, of both lists.
fn cases() -> Option<Vec<Value>> {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can/vectors/trace_context.json"));
    let Ok(text) = fs::read_to_string(path) else {
        println!("absent: the shared trace context cases");
        return None;
    };
    let cases: Value = serde_json::from_str(&text).unwrap();
    let lists = ["traceparent", "binary"].map(|list| cases[list].as_array().unwrap().clone());
    Some(lists.concat())
}

/// Whether a reading is what the case has of ids and flags.
fn agrees(case: &Value, parsed: Result<TraceContext, TraceError>) {
    assert_eq!(parsed.is_ok(), case["valid"].as_bool().unwrap(), "{case}: {parsed:?}");
    if let Ok(context) = parsed {
        assert_eq!(hex(&context.trace_id), case["trace_id"].as_str().unwrap());
        assert_eq!(hex(&context.span_id), case["parent_id"].as_str().unwrap());
        assert_eq!(case["flags"], context.flags.0, "{case}");
    }
}

#[test]
fn published_texts_and_binary_forms_are_read_and_refused_alike() {
    let Some(cases) = cases() else { return };
    let (mut texts, mut forms) = (0, 0);
    for case in &cases {
        if let Some(text) = case["traceparent"].as_str() {
            texts += 1;
            // The specification has higher versions read (§3.2.4); only one class of the suite refuses them.
            let is_policy = case["note"].as_str().is_some_and(|note| note.contains("policy"));
            let parsed = text.parse::<TraceContext>();
            if is_policy {
                assert!(parsed.is_ok(), "{case}");
            } else {
                agrees(case, parsed);
            }
            if let Ok(context) = parsed
                && context.flags.0 < 4
                && !is_policy
            {
                assert_eq!(context.traceparent(), text);
            }
        }
        if let Some(form) = case["bin29"].as_str().map(bytes) {
            forms += 1;
            let parsed = TraceContext::parse_binary(&form);
            agrees(case, parsed);
            if let Ok(context) = parsed {
                assert_eq!(context.binary()[..28], form[..28]);
                assert_eq!(TraceContext::parse_grpc_trace_bin(context.grpc_trace_bin().as_bytes()), {
                    TraceContext::parse_binary(&context.binary())
                });
            }
        }
    }
    println!("running over {texts} texts and {forms} binary forms of the shared trace context cases");
    assert!(texts > 15 && forms > 5);
}

#[test]
fn published_cases_are_read_and_refused_alike() {
    let Some(cases) = cases() else { return };
    let mut count = 0;
    for case in &cases {
        let Some(wire) = case["bin25"].as_str().map(bytes) else { continue };
        if wire.len() > TraceContext::WIRE_LEN {
            // A payload goes on behind the context; that more bytes are wrong is a rule for other carriers.
            continue;
        }
        let parsed = TraceContext::parse(&wire);
        agrees(case, parsed);
        if let Ok(context) = parsed {
            assert_eq!(context.write()[..24], wire[..24]);
        }
        count += 1;
    }
    println!("running over {count} shared trace context cases");
    assert!(count > 10);
}
