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
    assert!(config.uplink.is_none());
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
    let (config, _) = Config::parse("all", &text, Path::new(".")).unwrap();
    assert_eq!(config.buses.len(), 2);
    assert!(config.uplink.is_some() && config.log_socket.is_some());
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
            "car.toml:1: error: speed 0 is not above 0",
        ),
        ("[[bus]]\nkind = \"socketcan\"\ninterface = \"a/b\"", "car.toml:1: error: interface \"a/b\""),
        ("vehicle = [", "car.toml:1: error:"),
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
