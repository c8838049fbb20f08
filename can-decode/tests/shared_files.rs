//! The published DBC files, where they are at hand: that they load, and what is said about them.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

mod shared_data;

use std::collections::BTreeMap;
use std::fs;

use can_decode::Finding;
use shared_data::{data, databases, json};

#[test]
fn every_file_loads_or_is_refused_with_its_line() {
    let Some(root) = data() else { return };
    let loaded = databases(&root);
    let mut refused = Vec::new();
    for (name, read) in &loaded {
        if let Err(error) = read {
            let line = error.strip_prefix(&format!("{name}:")).and_then(|rest| rest.split_once(": "));
            assert!(line.is_some_and(|(line, _)| line.parse::<u32>().is_ok_and(|line| line > 0)), "{error}");
            refused.push(error);
        }
    }
    println!("{} files, {} refused: {refused:#?}", loaded.len(), refused.len());
    assert!(loaded.len() > 100);
    // Which of them other readers load, as they were published.
    let matrix = fs::read_to_string(root.join("load_matrix.tsv")).unwrap();
    let mut others = [0; 4];
    for row in matrix.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let Some(name) = columns[0].strip_prefix("dev/dbc/") else { continue };
        let loads = [columns[1] == "strict", columns[2] == "ok", columns[3] == "OK", columns[4] == "OK"];
        others.iter_mut().zip(loads).for_each(|(count, loads)| *count += usize::from(loads));
        assert!(loaded[name].is_ok() || loads == [false; 4], "{:?}", loaded[name]);
    }
    println!(
        "cantools loads {} of them, canmatrix {}, opendbc {}, can-dbc {}",
        others[0], others[1], others[2], others[3]
    );
    assert!(others[3] > 100, "{others:?}");
}

#[test]
fn what_other_readers_stumble_over_is_reported() {
    // What each quirk is called in the findings.
    const SAID: [(&str, &[&str]); 5] = [
        ("id_gt_11bit", &["without bit 31"]),
        ("id_gt_29bit", &["beyond 29 bits"]),
        ("orphan_VAL_", &["VAL_ for a signal"]),
        ("orphan_SIG_VALTYPE_", &["SIG_VALTYPE_ for a signal"]),
        ("overlap_or_misfit", &[" overlaps ", " beyond the declared "]),
    ];
    let Some(root) = data() else { return };
    let mut count = 0;
    let quirks = json(&root.join("vectors/quirks.json"));
    for (name, read) in databases(&root) {
        let (_, findings) = read.unwrap();
        for (quirk, said) in SAID {
            let is_listed =
                quirks[&name].as_array().is_some_and(|listed| listed.iter().any(|entry| entry == quirk));
            let is_said = |finding: &Finding| said.iter().any(|said| finding.text.contains(said));
            assert!(!is_listed || findings.iter().any(is_said), "{name}: {quirk} is not reported");
            count += usize::from(is_listed);
        }
    }
    println!("{count} quirks of files are reported");
    assert!(count > 25, "{count}");
}

#[test]
fn long_names_are_those_of_the_list() {
    let Some(root) = data() else { return };
    let listed = json(&root.join("vectors/long_names.json"));
    let mut names: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (file, read) in databases(&root) {
        for message in read.unwrap().0.messages {
            for signal in message.signals {
                if let Some(long_name) = signal.long_name {
                    let key = format!("{file}|{}", message.id.raw());
                    names.entry(key).or_default().insert(signal.name, long_name);
                }
            }
        }
    }
    let mut count = 0;
    for (key, expected) in listed.as_object().unwrap() {
        for (short, long) in expected.as_object().unwrap() {
            let got = names.get(key).and_then(|names| names.get(short));
            assert_eq!(got.map(String::as_str), long.as_str(), "{key} {short}");
            count += 1;
        }
    }
    println!("{count} long names");
    assert!(count > 1000, "{count}");
}
