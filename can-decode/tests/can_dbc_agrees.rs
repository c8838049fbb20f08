//! The statements that are read here, and messages one by one, held against crate can-dbc, which reads each file at
//! once: the files under `tests/data`, and the shared ones where they are at hand.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use can_dbc::{AttributeValue, Comment, Dbc, MessageId, NumericValue, ValueDescription};
use can_decode::{CanId, Database, MessageDefinition, ValueKind, dbc};

/// Compares one file; how many messages both have, `None` where can-dbc reads nothing.
fn compare(path: &Path) -> Option<usize> {
    let bytes = fs::read(path).unwrap();
    let name = path.display().to_string();
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.trim_start_matches('\u{FEFF}').to_string(),
        Err(_) => can_dbc::decode_cp1252(&bytes).unwrap().into_owned(),
    };
    let theirs = Dbc::try_from((text + "\n").as_str()).ok()?;
    let (ours, _) =
        dbc::read(&name, &bytes).unwrap_or_else(|error| panic!("can-dbc reads what we do not: {error}"));
    let by_id = their_messages(&theirs);
    let mut compared = 0;
    for message in &ours.messages {
        let Some(parsed) = by_id.get(&message.id) else { continue };
        compare_message(message, parsed, &name);
        compare_described(&ours, message, parsed.id, &theirs, &name);
        compared += 1;
    }
    Some(compared)
}

/// The first message for each identifier, as can-dbc has them: without bit 31 it cuts them to 16 bits.
fn their_messages(theirs: &Dbc) -> HashMap<CanId, &can_dbc::Message> {
    let mut by_id = HashMap::new();
    for message in &theirs.messages {
        let id = match message.id {
            MessageId::Standard(id) => CanId::standard(id),
            MessageId::Extended(id) => CanId::extended(id),
        };
        if let Some(id) = id {
            by_id.entry(id).or_insert(message);
        }
    }
    by_id
}

fn compare_message(ours: &MessageDefinition, theirs: &can_dbc::Message, file: &str) {
    assert_eq!((&ours.name, u64::from(ours.len)), (&theirs.name, theirs.size), "{file}");
    assert_eq!(ours.sender, theirs.transmitter, "{file} {}", ours.name);
    for signal in &ours.signals {
        let what = format!("{file} {} {}", ours.name, signal.name);
        let place = |theirs: &&can_dbc::Signal| {
            let name = signal.name.split("__").next().unwrap_or_default();
            theirs.name.starts_with(name)
                && (theirs.start_bit, theirs.size) == (signal.start_bit.into(), signal.bits.into())
        };
        let Some(parsed) = theirs.signals.iter().find(place) else {
            panic!("{what} is not in can-dbc's message")
        };
        let same = |got: f64, expected: f64| got.to_bits() == expected.to_bits();
        assert!(same(signal.factor, parsed.factor) && same(signal.offset, parsed.offset), "{what}");
        assert!(same(signal.min, number(parsed.min)) && same(signal.max, number(parsed.max)), "{what}");
        assert_eq!(signal.unit, parsed.unit.replace("\\\"", "\""), "{what}");
        if !matches!(signal.kind, ValueKind::F32 | ValueKind::F64) {
            let is_signed = parsed.value_type == can_dbc::ValueType::Signed;
            assert_eq!(signal.kind == ValueKind::Signed, is_signed, "{what}");
        }
    }
}

/// What statements outside of the message say of it.
fn compare_described(ours: &Database, message: &MessageDefinition, id: MessageId, theirs: &Dbc, file: &str) {
    let text = |value: &AttributeValue| match value {
        AttributeValue::String(text) if !text.is_empty() => Some(text.replace("\\\"", "\"")),
        _ => None,
    };
    let of_message = |name: &str| {
        let own = theirs.attribute_values_message.iter().rev();
        own.clone().find(|entry| entry.message_id == id && entry.name == name).map(|entry| &entry.value)
    };
    assert_eq!(
        message.long_name,
        of_message("SystemMessageLongSymbol").and_then(text),
        "{file} {}",
        message.name
    );
    let comment = theirs.comments.iter().rev().find_map(|entry| match entry {
        Comment::Message { id: of, comment } if *of == id => Some(comment.replace("\\\"", "\"")),
        _ => None,
    });
    assert_eq!(ours.comments.message(message.id).map(str::to_string), comment, "{file} {}", message.name);
    for signal in &message.signals {
        let what = format!("{file} {} {}", message.name, signal.name);
        let own = theirs.attribute_values_signal.iter().rev();
        let mut own = own.filter(|entry| entry.message_id == id && entry.signal_name == signal.name);
        if signal.name.contains("__") {
            // It may be the second of its name, with a name of our making.
            continue;
        }
        let long_name = own.find(|entry| entry.name == "SystemSignalLongSymbol");
        assert_eq!(signal.long_name, long_name.and_then(|entry| text(&entry.value)), "{what}");
        assert_eq!(signal.labels, labels(theirs, id, &signal.name), "{what}");
        let comment = theirs.comments.iter().rev().find_map(|entry| match entry {
            Comment::Signal { message_id, name, comment } if *message_id == id && *name == signal.name => {
                Some(comment.replace("\\\"", "\""))
            }
            _ => None,
        });
        let kept = ours.comments.signal(message.id, &signal.name);
        assert_eq!(kept.map(str::to_string), comment, "{what}");
    }
}

fn labels(theirs: &Dbc, id: MessageId, signal: &str) -> Vec<(i64, String)> {
    let mut labels = BTreeMap::new();
    for entry in &theirs.value_descriptions {
        match entry {
            ValueDescription::Signal { message_id, name, value_descriptions }
                if *message_id == id && name == signal =>
            {
                let entries = value_descriptions.iter();
                labels.extend(entries.map(|label| (label.id, label.description.replace("\\\"", "\""))));
            }
            _ => {}
        }
    }
    labels.into_iter().collect()
}

fn number(value: NumericValue) -> f64 {
    match value {
        NumericValue::Uint(number) => number as f64,
        NumericValue::Int(number) => number as f64,
        NumericValue::Double(number) => number,
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "dbc") {
            found.push(path);
        }
    }
}

#[test]
fn own_files_are_read_alike() {
    let mut found = Vec::new();
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")), &mut found);
    let compared: Vec<usize> = found.iter().filter_map(|path| compare(path)).collect();
    let (count, messages) = (compared.len(), compared.iter().sum::<usize>());
    println!("{count} of {} files are can-dbc's, too, with {messages} messages", found.len());
    assert!(count >= 10 && messages >= 20, "{compared:?}");
}

#[test]
fn shared_files_are_read_alike() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/can/dbc"));
    if !folder.is_dir() {
        println!("absent: the shared DBC files");
        return;
    }
    let mut found = Vec::new();
    files(folder, &mut found);
    let compared: Vec<usize> = found.iter().filter_map(|path| compare(path)).collect();
    let (count, messages) = (compared.len(), compared.iter().sum::<usize>());
    println!(
        "running over the shared DBC files: {count} of {} are can-dbc's, too, with {messages} messages",
        found.len()
    );
    assert!(count > 100 && messages > 3000, "{compared:?}");
}
