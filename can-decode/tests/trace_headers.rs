//! Contexts in HTTP headers and gRPC metadata, by the rules that W3C's own test suite asks of a service (w3c/trace-context,
//! test/test.py, class `TraceContextTest`; its cases by name).
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::TraceContext;
use can_decode::trace::{TraceError, TraceFlags, metadata};
use proptest::prelude::*;

const TRACE: &str = "12345678901234567890123456789012";

/// Whether the context of these headers is taken over; the suite calls it a new trace otherwise.
fn inherits(headers: &[(&str, &str)]) -> bool {
    let found = metadata::find(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    found.is_some_and(|context| context.is_ok_and(|context| context.trace_id_text() == TRACE))
}

#[test]
fn a_traceparent_is_taken_over_or_not_as_the_suite_has_it() {
    let check = |case: &str, value: &str, expected: bool| {
        assert_eq!(inherits(&[("traceparent", value)]), expected, "{case}: {value:?}");
    };
    let good = "00-12345678901234567890123456789012-1234567890123456-01";
    let future = good.replacen("00", "cc", 1);
    check("included_tracestate_missing", good, true);
    check("version_0x00", &format!("{good}."), false);
    check("version_0x00", &format!("{good}-what-the-future-will-be-like"), false);
    check("version_0xcc", &future, true);
    check("version_0xcc", &format!("{future}-what-the-future-will-be-like"), true);
    check("version_0xcc", &format!("{future}.what-the-future-will-be-like"), false);
    check("version_0xff", &good.replacen("00", "ff", 1), false);
    for version in [".0", "0.", "000", "0000", "0", "0F", ""] {
        check("version", &good.replacen("00", version, 1), false);
    }
    let zeros = "00000000000000000000000000000000";
    for trace in [zeros, ".2345678901234567890123456789012", "1234567890123456789012345678901."] {
        check("trace_id", &good.replace(TRACE, trace), false);
    }
    check("trace_id_too_long", &good.replace(TRACE, "123456789012345678901234567890123"), false);
    check("trace_id_too_short", &good.replace(TRACE, "1234567890123456789012345678901"), false);
    for parent in
        ["0000000000000000", ".234567890123456", "123456789012345.", "12345678901234567", "123456789012345"]
    {
        check("parent_id", &format!("00-{TRACE}-{parent}-01"), false);
    }
    for flags in [".0", "0.", "001", "1", ""] {
        check("trace_flags", &format!("00-{TRACE}-1234567890123456-{flags}"), false);
    }
    for [before, after] in [[" ", ""], ["\t", ""], ["", " "], ["", "\t"], ["\t ", " \t"]] {
        check("ows_handling", &format!("{before}{good}{after}"), true);
    }
    check("(ours) other white space", &format!("\u{a0}{good}"), false);
    check(
        "(ours) uppercase",
        &good.replace("12345678901234567890123456789012", "ABCDEFABCDEF78901234567890123456"),
        false,
    );
    check("(ours) only white space", " \t ", false);

    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert!(inherits(&[(name, good)]), "header_name_valid_casing: {name}");
    }
    for name in ["trace-parent", "trace.parent", ""] {
        assert!(!inherits(&[(name, good)]), "header_name: {name}");
    }
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    assert!(!inherits(&[("traceparent", other), ("traceparent", good)]), "duplicated");
    assert!(!inherits(&[("traceparent", good), ("TRACEPARENT", good)]), "(ours) duplicated alike");
    assert!(!inherits(&[("tracestate", "foo=1")]), "tracestate_included_traceparent_missing");
    assert!(inherits(&[("tracestate", "foo=1,bar=2"), ("traceparent", good)]));
}

#[test]
fn the_errors_say_what_is_wrong() {
    let check = |value: &[u8], expected| assert_eq!(TraceContext::parse_traceparent(value), Err(expected));
    check(b"", TraceError::Text(0));
    check(b"00-123", TraceError::Text(6));
    check(b"ff-12345678901234567890123456789012-1234567890123456-01", TraceError::Format(0xFF));
    check(b"00-00000000000000000000000000000000-1234567890123456-01", TraceError::ZeroTraceId);
    check(b"00-12345678901234567890123456789012-0000000000000000-01", TraceError::ZeroSpanId);
    check(b"00-12345678901234567890123456789012-1234567890123456-01-", TraceError::Text(55));
    let future = b"01-12345678901234567890123456789012-1234567890123456-ff-more";
    let context = TraceContext::parse_traceparent(future).unwrap();
    assert_eq!(context.flags, TraceFlags::SAMPLED, "of a higher version only the sampled flag is known");
}

#[test]
fn grpc_metadata_is_a_second_choice() {
    let context = TraceContext::new([0x4B; 16], [0x7A; 8], TraceFlags(1)).unwrap();
    let (text, binary) = (context.traceparent(), context.grpc_trace_bin());
    let other = TraceContext { trace_id: [1; 16], ..context }.traceparent();
    let find = |headers: &[(&'static str, &str)]| {
        metadata::find(headers.iter().map(|(name, value)| (*name, value.as_bytes())))
    };
    assert_eq!(find(&[]), None);
    assert_eq!(find(&[("grpc-trace-bin", &binary)]), Some(Ok(context)));
    assert_eq!(find(&[("grpc-trace-bin", &format!("{binary}="))]), Some(Ok(context)), "padded");
    assert_eq!(
        find(&[("grpc-trace-bin", &binary), ("traceparent", &other)]).unwrap().unwrap().trace_id,
        [1; 16]
    );
    assert_eq!(find(&[("traceparent", "x"), ("grpc-trace-bin", &binary)]), Some(Err(TraceError::Text(0))));
    assert_eq!(
        find(&[("grpc-trace-bin", &binary), ("Grpc-Trace-Bin", &binary), ("traceparent", &text)]),
        Some(Ok(context))
    );
    assert_eq!(
        find(&[("grpc-trace-bin", &binary), ("Grpc-Trace-Bin", &binary)]),
        Some(Err(TraceError::Several))
    );
    assert_eq!(find(&[("grpc-trace-bin", "AAA!")]), Some(Err(TraceError::Text(3))));
    assert_eq!(find(&[("grpc-trace-bin", "")]), Some(Err(TraceError::Truncated(0))));
    assert_eq!(find(&[("grpc-trace-bin", "AQ==")]), Some(Err(TraceError::Format(1))));
}

/// The alphabet of RFC 4648 §4, bit by bit: the definition that the writer is tested against.
fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: Vec<usize> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1))).collect();
    let sextet = |bits: &[usize]| (0..6).fold(0, |value, at| value << 1 | bits.get(at).copied().unwrap_or(0));
    bits.chunks(6).map(|bits| alphabet[sextet(bits)]).collect()
}

proptest! {
    #[test]
    fn grpc_values_are_base64_of_the_binary_form_and_come_back(
        trace_id in 1..=u128::MAX, span_id in 1..=u64::MAX, flags in 0..4_u8, more in "[A-Za-z0-9+/]{0,60}"
    ) {
        let context =
            TraceContext::new(trace_id.to_be_bytes(), span_id.to_be_bytes(), TraceFlags(flags)).unwrap();
        let text = context.grpc_trace_bin();
        prop_assert_eq!(text.as_str(), base64(&context.binary()));
        prop_assert_eq!(TraceContext::parse_grpc_trace_bin(text.as_bytes()), Ok(context));
        // Fields of a later day behind the ones that are known; 29 bytes end in the midst of four characters.
        let mut longer = context.binary().to_vec();
        longer.extend(more.bytes());
        prop_assert_eq!(TraceContext::parse_grpc_trace_bin(base64(&longer).as_bytes()), Ok(context));
    }
}
