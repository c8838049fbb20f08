use super::*;

fn problems(text: &str) -> Vec<String> {
    match Config::parse("car.toml", text, Path::new("/nowhere")) {
        Ok((_, tolerable)) => tolerable.iter().map(ToString::to_string).collect(),
        Err(fatal) => fatal.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_shipped_configuration_runs_as_it_is() {
    let (config, problems) = Config::parse("default", DEFAULT, Path::new(".")).unwrap();
    assert_eq!(problems, []);
    assert_eq!(config.buses.len(), 1);
    assert!(config.uplink.is_none() && config.buses[0].diagnostics.is_none());
    assert!(config.http.is_some_and(|address| address.ip().is_loopback()));
}

/// The comments of the shipped file are its documentation: uncommented, every key must be one we know.
#[test]
fn every_key_that_the_shipped_configuration_shows_is_accepted() {
    let all: String = DEFAULT
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") || key.starts_with('[') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let text = all.replace("<vehicle id>", "x").replace("password_file", "# password_file");
    let (config, problems) = Config::parse("all", &text, Path::new(".")).unwrap();
    assert_eq!(config.buses.len(), 2);
    assert!(config.uplink.is_some() && config.log_socket.is_some() && config.buses[0].diagnostics.is_some());
    let shown = problems.iter().map(ToString::to_string).collect::<String>();
    assert!(shown.contains("[[bus.e2e]] of message \"BRAKE\" is left out"), "it is read: {shown}");
}

#[test]
fn problems_name_file_line_and_remedy() {
    let cases = [
        ("[store]\nsize = 1", "car.toml:2: error: unknown field `size`"),
        ("[store]\nmax_bytes = \"1 MB\"", "car.toml:2: error: \"1 MB\" is not a size"),
        ("[store]\n\nmax_bytes = \"1 MiB\"", "car.toml:3: error: out of range; allowed is 16 MiB"),
        ("[blocks]\nzstd_level = 40", "car.toml:2: error: out of range; allowed is 1 to 19"),
        ("[vehicle]\nid = \"a/b\"", "car.toml:2: error: vehicle id \"a/b\""),
        ("[uplink]\nbroker = \"mqtts://x\"", "car.toml:2: error: broker \"mqtts://x\" asks for TLS"),
        ("[uplink]\nprefix = \"x\"", "car.toml:1: error: missing field `broker`"),
        ("[http]\nlisten = \"here\"", "car.toml:2: error: \"here\" is not an address"),
        ("[[bus]]\nkind = \"lin\"", "unknown variant `lin`"),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\nspeed = 0.0",
            "car.toml:4: error: speed 0 is not above 0",
        ),
        ("[[bus]]\nkind = \"socketcan\"\ninterface = \"a/b\"", "car.toml:1: error: interface \"a/b\""),
        ("vehicle = [", "car.toml:1: error:"),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\nfd = true",
            "car.toml:4: error: `fd` is a key of kind = \"socketcan\" only",
        ),
        ("[[bus]]\nkind = \"socketcan\"", "car.toml:1: error: missing field `interface`"),
        ("[[bus]]\nkind = \"replay\"", "car.toml:1: error: missing field `file`"),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\nobserve = { identifiers = 70000 }",
            "car.toml:4: error: out of range; allowed is 0 (off) to 65534",
        ),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\ndiagnostics = { legislated = false }",
            "car.toml:4: error: diagnostics: nothing is followed",
        ),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\ndiagnostics = { channels = [\"7E0\"] }",
            "car.toml:4: error: diagnostics: \"7E0\": ",
        ),
        (
            "[[bus]]\nkind = \"replay\"\nfile = \"x\"\n\ndiagnostics = { channels = [\"100:101\", \"100:102\"] }",
            "car.toml:5: error: diagnostics: 100 is named twice",
        ),
        (
            "[[bus]]\nkind = \"socketcan\"\ninterface = \"can0\"\n[[bus]]\nkind = \"socketcan\"\ninterface = \"can0\"",
            "car.toml:4: error: a second bus is named \"can0\"",
        ),
        (
            "[[bus]]\nkind = \"socketcan\"\ninterface = \"can0\"\ndbc = [\"none.dbc\"]",
            "/nowhere/none.dbc: error: cannot read the DBC file",
        ),
        (
            "[uplink]\nbroker = \"mqtt://x\"\nusername = \"u\"\npassword_file = \"pw\"",
            "car.toml:4: error: cannot read password_file /nowhere/pw",
        ),
        (
            "[uplink]\nbroker = \"mqtt://x\"\npassword_file = \"pw\"",
            "car.toml:3: error: a password_file needs a username",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{text:?} gave {found:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(
        problems("[store]\nmax_bytes = \"1 MiB\"\ncommit_after = \"1ms\"\n[http]\nlisten = \"x\"").len(),
        3
    );
}

#[test]
fn a_broken_dbc_file_does_not_keep_the_bus_from_running() {
    let text = "[[bus]]\nkind = \"replay\"\nfile = \"a.log\"\ndbc = [\"none.dbc\"]";
    let (config, tolerable) = Config::parse("car.toml", text, Path::new("/nowhere")).unwrap();
    assert_eq!(config.buses[0].name, "a.log");
    assert_eq!(config.buses[0].table.messages().len(), 0);
    assert_eq!(tolerable.len(), 1);
}

const PROTECTED_DBC: &str = r#"VERSION ""
BU_: ECU
BO_ 256 BY_DBC: 8 ECU
 SG_ A : 32|8@1+ (1,0) [0|255] "" ECU
BO_ 257 PLAIN: 8 ECU
 SG_ B : 32|8@1+ (1,0) [0|255] "" ECU
BO_ 258 LONG: 24 ECU
 SG_ C : 128|8@1+ (1,0) [0|255] "" ECU
BA_DEF_ BO_ "E2EProfile" STRING;
BA_DEF_ BO_ "E2EDataId" INT 0 65535;
BA_DEF_ BO_ "E2EMaxDeltaCounter" INT 1 14;
BA_DEF_DEF_ "E2EProfile" "";
BA_DEF_DEF_ "E2EDataId" 0;
BA_DEF_DEF_ "E2EMaxDeltaCounter" 3;
BA_ "E2EProfile" BO_ 256 "P01";
BA_ "E2EDataId" BO_ 256 291;
"#;

/// The configuration of a bus with [`PROTECTED_DBC`] and these entries.
fn protected(entries: &str) -> (Config, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("car.dbc"), PROTECTED_DBC).unwrap();
    let text = format!("[[bus]]\nkind = \"replay\"\nfile = \"x\"\ndbc = [\"car.dbc\"]\n{entries}");
    let (config, problems) = Config::parse("car.toml", &text, folder.path()).unwrap();
    (config, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn protection_of_the_dbc_file_is_overridden_and_added_to() {
    use can_decode::e2e::{Config as E2e, DataIdMode, Profile};
    let check = |entries: &str, expected: &[(&str, E2e)]| {
        let (config, problems) = protected(entries);
        assert_eq!(problems, [""; 0], "{entries}");
        let bus = &config.buses[0];
        let found = bus.observe.protected(&bus.table);
        let found: Vec<_> = found.map(|(message, how)| (message.name.as_str(), *how.config())).collect();
        assert_eq!(found, expected, "{entries}");
    };
    let entry = |keys: &str| format!("[[bus.e2e]]\n{}\n", keys.replace("; ", "\n"));
    let p01 = |data_id, mode| E2e { max_delta_counter: 3, ..E2e::new(Profile::p01(data_id, mode), 8) };
    let by_dbc = p01(291, DataIdMode::Both);
    check("", &[("BY_DBC", by_dbc)]);
    check(
        &entry("message = 'BY_DBC'; max_delta_counter = 5; sync_counter = 2"),
        &[("BY_DBC", E2e { max_delta_counter: 5, sync_counter: 2, ..by_dbc })],
    );
    check(&entry("message = 'BY_DBC'; data_id_mode = 'ALT'"), &[("BY_DBC", p01(291, DataIdMode::Alt))]);
    check(
        &entry("message = 'BY_DBC'; profile = 'P05'; data_id = 7"),
        &[("BY_DBC", E2e::new(Profile::P05 { data_id: 7, offset_bits: 0 }, 8))],
    );
    check(&entry("message = 'BY_DBC'; profile = 'none'"), &[]);
    let ids = std::array::from_fn(|at| at as u8);
    let p02 = E2e { start_bytes: 2, ..E2e::new(Profile::P02 { data_ids: ids, offset_bits: 8 }, 6) };
    let p04 = E2e::new(Profile::P04 { data_id: 0x0A0B_0C0D, offset_bits: 64 }, 20);
    let both = [
        entry(&format!(
            "message = 'PLAIN'; profile = 'P02'; data_ids = {ids:?}; offset_bits = 8; start_bytes = 2"
        )),
        entry("message = 'LONG'; profile = 'P04'; data_id = 0x0A0B0C0D; offset_bits = 64; len_bytes = 20"),
    ];
    check(&both.concat(), &[("BY_DBC", by_dbc), ("PLAIN", p02), ("LONG", p04)]);
}

#[test]
fn a_wrong_protection_is_told_with_its_line_and_the_bus_runs_without_it() {
    let check = |entry: &str, expected: &str| {
        let (config, problems) = protected(&format!("[[bus.e2e]]\n{}\n", entry.replace("; ", "\n")));
        assert_eq!(config.buses[0].table.messages().len(), 3);
        let [problem] = &problems[..] else { panic!("{entry}: {problems:?}") };
        assert!(problem.starts_with("car.toml:5: error: [[bus.e2e]] of message"), "{problem}");
        assert!(problem.contains(expected), "{entry}: {problem}");
    };
    check("message = 'NONE'; profile = 'P05'; data_id = 1", "no DBC file of this bus has it");
    check("message = 'PLAIN'; data_id = 1", "add `profile = `");
    check("message = 'PLAIN'; profile = 'P05'", "add `data_id = `");
    check("message = 'PLAIN'; profile = 'P02'", "add `data_ids = `");
    check("message = 'PLAIN'; profile = 'P05'; data_id = 0x10000", "more than the 16 bits");
    check("message = 'PLAIN'; profile = 'P05'; data_id = 1; crc_offset_bits = 8", "has no `crc_offset_bits`");
    check("message = 'PLAIN'; profile = 'P01'; data_id = 1; offset_bits = 8", "has no `offset_bits`");
    check("message = 'PLAIN'; profile = 'P04'; data_id = 1", "P04 with these offsets needs 12");
    check("message = 'PLAIN'; profile = 'P05'; data_id = 1; len_bytes = 9", "more than its 8");
    check("message = 'BY_DBC'; data_id_mode = 'NIBBLE'; data_id = 0x1234", "more than the 12 bits");
    check("message = 'BY_DBC'; max_delta_counter = 15", "MaxDeltaCounter 15");
    check("message = 'BY_DBC'; crc_offset_bits = 8", "overlap");

    let twice = "[[bus.e2e]]\nmessage = 'BY_DBC'\n".repeat(2);
    assert!(protected(&twice).1[0].starts_with("car.toml:7: error:"));
    let (off, problems) = protected("observe = { identifiers = 0 }\n[[bus.e2e]]\nmessage = 'BY_DBC'");
    assert!(
        off.buses[0].observe.observer().is_none() && problems[0].contains("identifiers = 0"),
        "{problems:?}"
    );
}
