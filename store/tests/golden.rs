//! Golden files: blocks of every version of the format are read for ever, and the format does not change unnoticed.
//!
//! Whoever changes what readers must know raises `VERSION`; whoever changes only what the encoder chooses raises the
//! generation of the file. Then `WRITE_GOLDEN=1 cargo test -p store --test golden` writes the new files, and FORMAT.md has
//! to name them. Files that are there are never written again.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

#[path = "golden/records.rs"]
mod records;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use store::block::{
    BlockHeader, Body, Class, Dictionaries, FramesBuilder, HistogramsBuilder, Kind, LogsBuilder, Records,
    Samples, SchemaHash, Sealer, SpansBuilder, VERSION, open_with,
};

/// What is in the file of each name, and the generation of the newest.
const CONTENTS: [(&str, Kind, u32); 12] = [
    ("samples", Kind::Samples, 1),
    ("batches", Kind::Samples, 1),
    ("spans", Kind::Spans, 1),
    ("traces", Kind::Spans, 1),
    ("logs", Kind::Logs, 1),
    ("logs-with-dictionary", Kind::Logs, 1),
    ("schema", Kind::Schema, 1),
    ("histograms", Kind::Histograms, 1),
    ("dictionary", Kind::Dictionary, 1),
    ("clock-map", Kind::ClockMap, 1),
    ("frames", Kind::Frames, 1),
    ("frames-in-batches", Kind::Frames, 1),
];

/// Versions and how many files of them there are.
const VERSIONS: [(u8, usize); 2] = [(1, 4), (2, 12)];

fn folder(version: u8) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

/// The newest file of a name.
fn newest(name: &str, generation: u32) -> PathBuf {
    folder(VERSION).join(if generation == 1 {
        format!("{name}.block")
    } else {
        format!("{name}.{generation}.block")
    })
}

/// The body, and the number and time span of its records.
fn encode(name: &str) -> (Vec<u8>, usize, (i64, i64)) {
    let mut body = Vec::new();
    let (count, span_ns) = match name {
        "samples" | "batches" => {
            let rows = if name == "samples" { records::samples() } else { records::batches() };
            let mut builder = records::builder(&rows);
            let head = (builder.samples(), builder.span_ns());
            builder.encode(&mut body);
            head
        }
        "spans" | "traces" => {
            let spans = if name == "spans" { records::spans() } else { records::traces() };
            let mut builder = SpansBuilder::default();
            spans.into_iter().for_each(|span| builder.push(span));
            let head = (builder.len(), builder.span_ns());
            builder.encode(&mut body);
            head
        }
        "logs" | "logs-with-dictionary" => {
            let mut builder = LogsBuilder::default();
            records::logs().into_iter().for_each(|log| builder.push(log));
            let head = (builder.len(), builder.span_ns());
            builder.encode(&mut body);
            head
        }
        "histograms" => {
            let mut builder = HistogramsBuilder::default();
            records::histograms().into_iter().for_each(|histogram| builder.push(histogram).unwrap());
            let head = (builder.len(), builder.span_ns());
            builder.encode(&mut body);
            head
        }
        "schema" => {
            body = records::schema().encode();
            (records::schema().messages.len(), None)
        }
        "dictionary" => {
            body = records::dictionary().bytes().to_vec();
            (1, None)
        }
        "clock-map" => {
            records::clock_map().encode(&mut body).unwrap();
            (records::clock_map().segments.len(), None)
        }
        "frames" | "frames-in-batches" => {
            let mut builder = FramesBuilder::new(1_000);
            records::frames(name == "frames").iter().for_each(|raw| builder.push(raw).unwrap());
            let head = (builder.len(), builder.span_ns());
            builder.encode(&mut body);
            head
        }
        other => panic!("no records for {other}"),
    };
    (body, count, span_ns.unwrap_or((0, 0)))
}

fn seal(name: &str, kind: Kind) -> Vec<u8> {
    let mut sealer = Sealer::new(records::IDENTITY.boot, records::IDENTITY.run, 3).unwrap();
    if name == "logs-with-dictionary" {
        sealer.set_dictionary(kind, Some(&records::dictionary())).unwrap();
    }
    sealer.set_clock_map(7);
    let (body, count, span_ns) = encode(name);
    sealer.body = body;
    let named = matches!(kind, Kind::Samples | Kind::Spans | Kind::Histograms | Kind::Frames);
    let schema = if named { records::SCHEMA } else { SchemaHash::default() };
    let body = Body { kind, class: Class::Live, schema, count: count as u32, span_ns, sealed_boot_ns: 99 };
    sealer.seal(body).unwrap().bytes().to_vec()
}

fn dictionaries() -> Dictionaries {
    let mut dictionaries = Dictionaries::default();
    dictionaries.insert(records::dictionary());
    dictionaries
}

/// Rows message by message: what a body keeps of their order.
fn by_message(rows: &[records::Row]) -> Vec<records::Row> {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.0);
    rows
}

fn rows(samples: &Samples) -> Vec<records::Row> {
    let mut rows = Vec::new();
    for group in &samples.groups {
        let first = rows.len();
        rows.extend(group.times_ns.iter().map(|&time| (group.message, time, group.clock, Vec::new())));
        for column in &group.columns {
            for (row, &value) in column.rows.iter().zip(&column.values) {
                rows[first + row].3.push((column.signal, value));
            }
        }
    }
    by_message(&rows)
}

fn check(name: &str, records: &Records) {
    let same = match (name, records) {
        ("samples", Records::Samples(samples)) => rows(samples) == by_message(&records::samples()),
        ("batches", Records::Samples(samples)) => rows(samples) == by_message(&records::batches()),
        ("spans", Records::Spans(spans)) => *spans == records::spans(),
        ("traces", Records::Spans(spans)) => *spans == records::traces(),
        ("logs" | "logs-with-dictionary", Records::Logs(logs)) => *logs == records::logs(),
        ("schema", Records::Schema(_, schema)) => *schema == records::schema(),
        ("histograms", Records::Histograms(histograms)) => *histograms == records::histograms(),
        ("dictionary", Records::Dictionary(dictionary)) => *dictionary == records::dictionary(),
        ("clock-map", Records::ClockMap(map)) => *map == records::clock_map(),
        ("frames", Records::Frames(frames)) => frames.iter().eq(records::frames(true)),
        ("frames-in-batches", Records::Frames(frames)) => frames.iter().eq(records::frames(false)),
        (_, other) => panic!("{name}: {other:?}"),
    };
    assert!(same, "{name} does not hold what was written: {records:?}");
}

#[test]
fn every_file_of_every_version_is_read() {
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        fs::create_dir_all(folder(VERSION)).unwrap();
        for (name, kind, generation) in CONTENTS {
            let path = newest(name, generation);
            if !path.exists() {
                fs::write(path, seal(name, kind)).unwrap();
            }
        }
    }
    assert_eq!(VERSIONS.last().unwrap().0, VERSION, "the newest version has no golden files");
    for (version, files) in VERSIONS {
        let mut found = 0;
        for entry in fs::read_dir(folder(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
            let (header, records) = open_with(&fs::read(&path).unwrap(), &dictionaries())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(header.version, version);
            assert_eq!((header.identity.boot, header.identity.run), (records::IDENTITY.boot, 123_456));
            assert_eq!(header.clock_map, if version == 1 { 0 } else { 7 }, "{name}");
            check(name, &records);
            found += 1;
        }
        assert_eq!(found, files, "files of version {version}");
    }
}

/// Bodies before compression: another zstd may compress them in another way.
#[test]
fn the_encoder_writes_what_the_newest_files_hold() {
    for (name, kind, generation) in CONTENTS {
        let file = fs::read(newest(name, generation)).unwrap();
        let (written, stored) = (BlockHeader::read(&file).unwrap(), seal(name, kind));
        let fresh = BlockHeader::read(&stored).unwrap();
        let raw = |(header, body): (BlockHeader, &[u8])| {
            let dictionary = records::dictionary();
            let with = header.dictionary == dictionary.hash();
            let dictionary = if with { dictionary.bytes() } else { &[] };
            let mut zstd = zstd::bulk::Decompressor::with_dictionary(dictionary).unwrap();
            zstd.decompress(body, header.raw_len as usize).unwrap()
        };
        assert!(
            raw(written) == raw(fresh),
            "the body of {name} has changed: add golden files of a new version or generation, see the head of this file"
        );
        let comparable = |header: BlockHeader| BlockHeader { body_len: 0, ..header };
        assert_eq!(comparable(written.0), comparable(fresh.0), "{name}");
    }
}

#[test]
fn the_document_names_the_version_and_every_golden_file() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("FORMAT.md")).unwrap();
    let title = format!("# Block format, version {VERSION}\n");
    assert!(document.starts_with(&title), "FORMAT.md does not begin with {title:?}");
    let mut missing = Vec::new();
    for (version, _) in VERSIONS {
        for entry in fs::read_dir(folder(version)).unwrap() {
            let path = entry.unwrap().path();
            let digest = Sha256::digest(fs::read(&path).unwrap());
            let hash =
                format!("{:016x}", digest[..8].iter().fold(0, |hash, &byte| hash << 8 | u64::from(byte)));
            let line = format!("| v{version}/{} | `{hash}` |", path.file_name().unwrap().to_str().unwrap());
            if !document.contains(&line) {
                missing.push(line);
            }
        }
    }
    missing.sort();
    assert!(missing.is_empty(), "FORMAT.md lacks these lines:\n{}", missing.join("\n"));
}
