//! The message tables against the DBC files, read with the reader that the daemon itself uses.

use std::collections::BTreeMap;
use std::time::Duration;

use can_decode::table::{DecodeTable, Matching, Message as Described};
use can_decode::{CanId, Frame, ValueKind};

use super::buses::{BUSES, Message, Moment, Signal, crc8};
use super::{BUS_DBC, BUS_NAMES, Drive};

fn table(bus: usize) -> DecodeTable {
    let (name, text) = BUS_DBC[bus];
    let (database, findings) = can_decode::dbc::read(name, text.as_bytes()).unwrap();
    assert!(findings.is_empty(), "{name}: {findings:?}");
    let (table, findings) = DecodeTable::compile(&[database], Matching::Auto);
    assert!(findings.is_empty(), "{name}: {findings:?}");
    table
}

/// Name of each of a message's values and where it comes from: the signal, and its index in a row.
fn sources(message: &'static Message) -> BTreeMap<String, (&'static Signal, usize)> {
    let mut sources = BTreeMap::new();
    for signal in message.signals {
        let (first, count) = signal.row;
        for index in first..first + count {
            let name =
                if count == 1 { signal.name.to_owned() } else { format!("{}{:02}", signal.name, index + 1) };
            assert!(
                sources.insert(name, (signal, index)).is_none(),
                "{} twice in {}",
                signal.name,
                message.id
            );
        }
    }
    sources
}

#[test]
fn tables_and_dbc_files_name_the_same_things() {
    for (bus, messages) in BUSES.iter().enumerate() {
        let table = table(bus);
        assert_eq!(table.messages().len(), messages.len(), "{}", BUS_NAMES[bus]);
        for message in *messages {
            let described = table.message(table.find(message.id).unwrap());
            let cycle_ms = Some(message.cycle_ms).filter(|&cycle| cycle > 0);
            assert_eq!(described.cycle_time_ms.filter(|&cycle| cycle > 0), cycle_ms, "{}", described.name);
            let context = message.context.map(|offset| offset as u8);
            assert_eq!(described.trace_context_offset, context, "{}", described.name);
            let mut names: Vec<String> = sources(message).into_keys().collect();
            names.extend(message.checksum.map(|_| "Checksum".to_owned()));
            names.sort();
            let mut signals: Vec<_> = described.signals.iter().map(|signal| signal.name.clone()).collect();
            signals.sort();
            assert_eq!(signals, names, "{}", described.name);
        }
    }
}

#[test]
fn identifiers_are_unique_over_all_buses() {
    let mut seen = BTreeMap::new();
    for (bus, message) in
        BUSES.iter().enumerate().flat_map(|(bus, all)| all.iter().map(move |one| (bus, one)))
    {
        assert_eq!(seen.insert(message.id, bus), None, "{} on {}", message.id, BUS_NAMES[bus]);
    }
}

/// Compares one frame with the car that sent it; gives the number of signals.
fn check_frame(
    drive: &Drive,
    message: &'static Message,
    described: &Described,
    names: &BTreeMap<String, (&'static Signal, usize)>,
    (frame, sent): (&Frame, u32),
) -> usize {
    assert_eq!(
        (frame.len(), frame.is_fd()),
        (usize::from(described.len), described.fd),
        "{}",
        described.name
    );
    let decoded = described.decode(frame, |index, raw| {
        let signal = &described.signals[index];
        let value = signal.physical(raw);
        if signal.name == "Checksum" {
            assert_eq!(raw.0, u64::from(crc8(frame.data(), message.checksum.unwrap())), "{}", described.name);
            return;
        }
        let (source, index) = names[&signal.name];
        let truth = (source.read)(&Moment { car: &drive.car, sent, index });
        let (expected, tolerance) = if matches!(signal.kind, ValueKind::F32) {
            (truth, truth.abs() * f64::from(f32::EPSILON))
        } else {
            (truth.clamp(signal.min, signal.max), signal.factor * 0.500_001)
        };
        assert!(
            (value - expected).abs() <= tolerance,
            "{} {} at {} ns: {value} decoded, the car has {expected}",
            described.name,
            signal.name,
            drive.car.now_ns()
        );
        if !signal.labels.is_empty() {
            assert!(signal.label(raw).is_some(), "{} {}: no label for {value}", described.name, signal.name);
        }
    });
    assert!(!decoded.short && !decoded.needs_transport, "{}: {decoded:?}", described.name);
    decoded.reported
}

#[test]
fn every_frame_of_a_minute_decodes_to_the_state_of_the_car() {
    let tables: Vec<_> = (0..BUSES.len()).map(table).collect();
    let mut links = BTreeMap::new();
    for (bus, message) in
        BUSES.iter().enumerate().flat_map(|(bus, all)| all.iter().map(move |one| (bus, one)))
    {
        links.insert((bus, message.id), (message, sources(message), 0_u32));
    }
    let (mut frames, mut samples) = (0, 0);
    let mut drive = Drive::new(11, Duration::from_secs(60));
    while let Some(timed) = drive.next() {
        let id: CanId = timed.frame.id();
        let described = tables[timed.bus].message(tables[timed.bus].find(id).unwrap());
        let (message, names, sent) = links.get_mut(&(timed.bus, id)).unwrap();
        frames += 1;
        samples += check_frame(&drive, message, described, names, (&timed.frame, *sent));
        *sent += 1;
    }
    assert!((1_000..1_500).contains(&(frames / 60)), "{frames} frames");
    assert!((6_000..14_000).contains(&(samples / 60)), "{samples} samples");
    let silent: Vec<_> = links.iter().filter(|(_, (_, _, sent))| *sent == 0).map(|((_, id), _)| id).collect();
    assert!(silent.is_empty(), "never sent: {silent:?}");
}
