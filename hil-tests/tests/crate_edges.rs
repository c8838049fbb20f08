//! Who may know whom: the dependency lists prove what ARCHITECTURE.md says.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Every crate of the workspace, with the crates of the workspace that it may depend on, in tests too.
const EDGES: [(&str, &[&str]); 8] = [
    ("can-decode", &[]),
    ("store", &["can-decode"]),
    ("uplink", &["store"]),
    ("ecu-gateway", &["can-decode", "store", "uplink", "ecu-core"]),
    ("ecu-core", &["can-decode", "store"]),
    ("ecu-sys", &["can-decode"]),
    ("ecu-daemon", &["can-decode", "store", "uplink", "ecu-core", "ecu-sys", "ecu-gateway"]),
    ("hil-tests", &["can-decode", "ecu-core", "ecu-sys"]),
];
/// Crates from elsewhere with rooms of their own: nobody else may import them, not even in tests.
const ROOMS: [(&str, &[&str]); 2] =
    [("rumqttc", &["uplink"]), ("rusqlite", &["store", "ecu-sys", "hil-tests"])];
/// What only the daemon's demo has, as an option; tests may use it, too.
const DEMO_ONLY: [&str; 2] = ["ecu-gateway", "rumqttd"];
/// Crates that take time as an argument and wait for nobody.
const WITHOUT_RUNTIME: [&str; 3] = ["can-decode", "store", "ecu-core"];
/// The cloud's side, which must not reach an ECU.
const CLOUD: [&str; 5] = ["rumqttd", "ecu-gateway", "reqwest", "prost", "opentelemetry-proto"];
/// The one room with unsafe code.
const UNSAFE_ROOM: &str = "ecu-daemon/sys";

struct Dependency {
    name: String,
    optional: bool,
    for_tests: bool,
    of_workspace: bool,
}

/// Dependencies of every crate of the workspace: normal, build and dev.
fn workspace() -> BTreeMap<String, Vec<Dependency>> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Json = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata has packages");
    let text = |value: &Json| value.as_str().expect("a text").to_owned();
    let dependency = |dependency: &Json| Dependency {
        name: text(&dependency["name"]),
        optional: dependency["optional"] == true,
        for_tests: dependency["kind"] == "dev",
        of_workspace: !dependency["path"].is_null(),
    };
    let dependencies =
        |package: &Json| package["dependencies"].as_array().expect("a list").iter().map(dependency).collect();
    packages.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(ROOT).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes text")
}

#[test]
fn crates_depend_on_nothing_but_what_they_may_know() {
    let workspace = workspace();
    let listed: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let strangers: Vec<&String> = workspace.keys().filter(|name| !listed.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "crates without a place in EDGES: {strangers:?}");
    for (name, allowed) in EDGES {
        for dependency in workspace[name].iter().filter(|dependency| dependency.of_workspace) {
            assert!(allowed.contains(&dependency.name.as_str()), "{name} must not know {}", dependency.name);
        }
    }
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    for (name, dependencies) in workspace() {
        for dependency in dependencies {
            let foreign = dependency.name.as_str();
            for (guest, rooms) in ROOMS {
                assert!(
                    foreign != guest || rooms.contains(&name.as_str()),
                    "{name} must not import {foreign}; only {rooms:?} may"
                );
            }
            assert!(
                foreign != "tokio" || !WITHOUT_RUNTIME.contains(&name.as_str()),
                "{name} must not import tokio"
            );
            if DEMO_ONLY.contains(&foreign) && !dependency.for_tests {
                let is_demo = name == "ecu-daemon" && dependency.optional;
                assert!(is_demo, "{foreign} is for the daemon's demo only, not for {name}");
            }
        }
    }
}

#[test]
fn the_build_for_an_ecu_has_nothing_of_the_cloud() {
    let tree =
        cargo(&["tree", "-p", "ecu-daemon", "--no-default-features", "-e", "normal", "--prefix", "none"]);
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        names.contains(&"rumqttc") && names.contains(&"rusqlite"),
        "this is not the daemon's tree: {names:?}"
    );
    for name in CLOUD {
        assert!(!names.contains(&name), "{name} is in the build for an ECU");
    }
}

#[test]
fn unsafe_code_has_one_room() {
    let mut sources = Vec::new();
    collect(Path::new(ROOT), "", &mut sources);
    assert!(sources.len() > 50, "only {} sources found", sources.len());
    let mut in_room = 0;
    for path in sources {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines = text.lines().zip(1..).filter(|(line, _)| is_unsafe(line));
        if path.starts_with(Path::new(ROOT).join(UNSAFE_ROOM)) {
            in_room += lines.count();
        } else {
            let lines: Vec<i32> = lines.map(|(_, number)| number).collect();
            assert_eq!(lines, [0; 0], "lines of {} with unsafe code", path.display());
        }
    }
    assert!(in_room > 0, "the search finds nothing in {UNSAFE_ROOM} either");
}

/// A new crate cannot forget the workspace's lints, which forbid what this file forbids. A workspace of its own, as that of
/// the fuzz targets, cannot inherit them, and nothing of it ships.
#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut manifests = Vec::new();
    collect(Path::new(ROOT), "Cargo.toml", &mut manifests);
    let crates = manifests.iter().filter(|path| path.parent() != Some(Path::new(ROOT)));
    for path in crates.filter(|path| !path.starts_with(Path::new(ROOT).join(UNSAFE_ROOM))) {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            text.contains("[lints]\nworkspace = true") || text.contains("\n[workspace]\n"),
            "{} lacks [lints] workspace = true",
            path.display()
        );
    }
}

/// Files of this name, or all Rust sources when it is empty; hidden folders and what is built are left out.
fn collect(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry of the folder").path()) {
        let own = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if own.starts_with('.') || own == "target" {
            continue;
        }
        if path.is_dir() {
            collect(&path, name, found);
        } else if own == name || (name.is_empty() && path.extension().is_some_and(|kind| kind == "rs")) {
            found.push(path);
        }
    }
}

/// Whether the line has the keyword, outside of comments and texts, and not as part of a lint's name.
fn is_unsafe(line: &str) -> bool {
    // Every second piece is within quotes.
    let line = line.replace("\\\"", "");
    let unquoted: Vec<&str> = line.split('"').step_by(2).collect();
    let unquoted = unquoted.join(" ");
    let code = unquoted.split("//").next().unwrap_or_default();
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| word == "unsafe")
}

#[test]
fn the_keyword_is_told_from_its_mention() {
    for (line, expected) in [
        ("    unsafe { call() }", true),
        ("pub unsafe fn f() {}", true),
        ("#[unsafe(no_mangle)]", true),
        ("let x = unsafe{ 1 }; // fine", true),
        ("// unsafe { call() }", false),
        ("unsafe_code = \"forbid\"", false),
        ("assert!(text.contains(\"unsafe\"));", false),
    ] {
        assert_eq!(is_unsafe(line), expected, "{line}");
    }
}
