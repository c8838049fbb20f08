use can_decode::candump::parse_line;

use super::*;

/// What is added to the objects of the frames in `log`, one line for each frame, and the reports at the end.
fn run(named: &[&str], log: &[&str]) -> (Vec<String>, Vec<String>) {
    let named: Vec<_> = named.iter().map(|text| text.parse().unwrap()).collect();
    let mut diagnostics = Diagnostics::new(Channels::new(&named, true).unwrap());
    let added = log.iter().map(|line| {
        let mut out = Vec::new();
        diagnostics.write(&mut out, &parse_line(line).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    });
    let added = added.collect();
    (added, diagnostics.finish())
}

fn check(log: &[(&str, &str)], expected_reports: &[&str]) {
    let (lines, expected): (Vec<&str>, Vec<&str>) = log.iter().copied().unzip();
    let (added, reports) = run(&["6F1/12:612/F1"], &lines);
    for ((line, got), expected) in lines.iter().zip(&added).zip(expected) {
        assert_eq!(got, expected, "{line}");
        if !got.is_empty() {
            let object = format!("{{{}}}", got.trim_start_matches(','));
            serde_json::from_str::<serde_json::Value>(&object)
                .unwrap_or_else(|error| panic!("{object}: {error}"));
        }
    }
    assert_eq!(reports, expected_reports);
}

#[test]
fn a_request_and_its_response_of_several_frames() {
    check(
        &[
            (
                "(1.000000) can0 7E0#0322F190AAAAAAAA",
                ",\"uds\":{\"kind\":\"request\",\"service\":\"ReadDataByIdentifier\",\"sid\":34,\"protocol\":\"uds\",\
                 \"did\":61840,\"length\":3,\"data\":\"22f190\"}",
            ),
            (
                "(1.000500) can1 7E8#0462F19031",
                ",\"uds\":{\"kind\":\"response\",\"service\":\"ReadDataByIdentifier\",\
                 \"sid\":34,\"protocol\":\"uds\",\"did\":61840,\"request\":null,\"latency_ms\":null,\"length\":4,\
                 \"data\":\"62f19031\"}",
            ),
            ("(1.012500) can0 7E8#101462F190303132", ""),
            ("(1.013000) can0 7E0#30000A", ""),
            ("(1.023000) can0 7E8#2133343536373839", ""),
            ("(1.033000) can0 123#00", ""),
            (
                "(1.043000) can0 7E8#223A3B3C3D3E3F40",
                ",\"uds\":{\"kind\":\"response\",\"service\":\"ReadDataByIdentifier\",\"sid\":34,\"protocol\":\"uds\",\
                 \"did\":61840,\"request\":\"22f190\",\"latency_ms\":12.5,\"frames\":3,\"duration_ms\":30.5,\
                 \"flow_control\":{\"block_size\":0,\"st_min_us\":10000,\"waits\":0},\"length\":20,\
                 \"data\":\"62f190303132333435363738393a3b3c3d3e3f40\"}",
            ),
        ],
        &[],
    );
}

#[test]
fn refusals_pending_responses_functional_requests_and_address_bytes() {
    check(
        &[
            (
                "(1.0) can0 7DF#02010C",
                ",\"uds\":{\"kind\":\"request\",\"service\":\"RequestCurrentPowertrainDiagnosticData\",\"sid\":1,\
                 \"protocol\":\"obd\",\"pid\":12,\"functional\":true,\"length\":2,\"data\":\"010c\"}",
            ),
            (
                "(1.25) can0 7E9#037F0178",
                ",\"uds\":{\"kind\":\"pending\",\"service\":\"RequestCurrentPowertrainDiagnosticData\",\"sid\":1,\
                 \"protocol\":\"obd\",\"nrc\":\"RequestCorrectlyReceivedResponsePending\",\"nrc_code\":120,\
                 \"functional\":true,\"request\":\"010c\",\"latency_ms\":250.0,\"pending\":1,\"length\":3,\
                 \"data\":\"7f0178\"}",
            ),
            (
                "(1.5) can0 7E9#037F0195",
                ",\"uds\":{\"kind\":\"negative\",\"service\":\"RequestCurrentPowertrainDiagnosticData\",\"sid\":1,\
                 \"protocol\":\"obd\",\"nrc\":null,\"nrc_code\":149,\"functional\":true,\"request\":\"010c\",\
                 \"latency_ms\":500.0,\"pending\":1,\"length\":3,\"data\":\"7f0195\"}",
            ),
            (
                "(2.0) can0 6F1#12023E80",
                ",\"uds\":{\"kind\":\"request\",\"service\":\"TesterPresent\",\"sid\":62,\"protocol\":\"uds\",\
                 \"sub_function\":0,\"suppress_response\":true,\"address\":18,\"length\":2,\"data\":\"3e80\"}",
            ),
            (
                "(3.0) can0 7E0#027F00",
                ",\"uds\":{\"kind\":\"unrecognised\",\"service\":null,\"length\":2,\"data\":\"7f00\"}",
            ),
        ],
        &[],
    );
}

#[test]
fn what_is_lost_is_told_where_it_is_noticed_and_summed_up_at_the_end() {
    check(
        &[
            ("(1.0) can0 7E8#1014010203040506", ""),
            ("(1.0) can0 612#F110140102030405", ""),
            (
                "(1.1) can0 7E0#0322F190",
                ",\"uds\":{\"kind\":\"request\",\"service\":\"ReadDataByIdentifier\",\
                 \"sid\":34,\"protocol\":\"uds\",\"did\":61840,\"length\":3,\"data\":\"22f190\"}",
            ),
            (
                "(20.0) can0 7E0#023E80",
                ",\"uds\":{\"kind\":\"request\",\"service\":\"TesterPresent\",\"sid\":62,\"protocol\":\"uds\",\
                 \"sub_function\":0,\"suppress_response\":true,\"length\":2,\"data\":\"3e80\"},\
                 \"abandoned\":[{\"id\":2024,\"extended\":false,\"reason\":\"timed out\",\"length\":20,\"received\":6,\
                 \"data\":\"010203040506\"},{\"id\":1554,\"extended\":false,\"address\":241,\"reason\":\"timed out\",\
                 \"length\":20,\"received\":5,\"data\":\"0102030405\"}]",
            ),
            ("(20.1) can0 7E8#2101", ""),
            ("(20.2) can0 7E8#4E00", ""),
            ("(20.3) can2 7E8#1014010203040506", ""),
        ],
        &[
            "can0: 2 diagnostic messages; abandoned: 2 (2 timed out); requests without response: 1; frames ignored: 2 \
             (1 unknown type, 1 consecutive frame of no message); where the identifiers carry something else, use \
             --no-isotp",
            "can2: 0 diagnostic messages; abandoned: 1 (1 not finished at the end)",
        ],
    );
}

#[test]
fn a_log_of_any_number_of_buses_does_not_fill_the_memory() {
    let lines: Vec<String> =
        (0..BUSES_MAX + 3).map(|bus| format!("(1.0) can{bus} 7E8#1014010203040506")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (_, reports) = run(&[], &lines);
    assert_eq!(reports.len(), BUSES_MAX + 1);
    assert!(reports[BUSES_MAX].starts_with("3 frames on diagnostic identifiers"), "{}", reports[BUSES_MAX]);
    let quiet: Vec<String> = (0..BUSES_MAX + 3).map(|bus| format!("(1.0) can{bus} 123#00")).collect();
    let quiet: Vec<&str> = quiet.iter().map(String::as_str).collect();
    assert_eq!(run(&[], &quiet).1, [""; 0]);
}
