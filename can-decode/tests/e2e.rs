//! End-to-end protection: the specification's examples, a second implementation bit by bit, and sequences of counters.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use can_decode::e2e::{Config, ConfigError, DataIdMode, Profile, Protection, State, Status, WrongLength};
use proptest::prelude::*;

fn protection(profile: Profile, len_bytes: u8) -> Protection {
    Config::new(profile, len_bytes).checked().unwrap_or_else(|error| panic!("{profile:?}: {error}"))
}

/// One byte of a line and the byte that follows it, for the specification's lists of data ids.
fn counting_ids() -> [u8; 16] {
    std::array::from_fn(|at| at as u8 + 1)
}

#[test]
fn the_specification_s_examples_are_protected_alike() {
    // PRS E2E Protocol R22-11, the tables of the sections "Protocol Examples" of profiles 1, 2, 4 and 5: data of zeros,
    // Data IDs 0x123, 1 to 16, 0x0A0B0C0D and 0x1234, counters from 0 on (profile 2: from 1 on).
    let check = |profile: Profile, counter: u16, expected: &[u8]| {
        let mut data = vec![0; expected.len()];
        let protection = protection(profile, expected.len() as u8);
        protection.protect(counter, &mut data).unwrap();
        assert_eq!(data, expected, "{profile:?} with counter {counter}");
        let checked = protection.check(&mut State::default(), &data);
        assert_eq!((checked.status, checked.counter), (Status::Initial, Some(counter)), "{profile:?}");
    };
    let p01 = |mode, counter, crc, second| {
        check(Profile::p01(0x123, mode), counter, &[crc, second, 0, 0, 0, 0, 0, 0]);
    };
    p01(DataIdMode::Both, 0, 0xCC, 0x00);
    p01(DataIdMode::Both, 1, 0x91, 0x01);
    p01(DataIdMode::Alt, 0, 0xCE, 0x00);
    p01(DataIdMode::Alt, 1, 0x02, 0x01);
    p01(DataIdMode::Low, 0, 0xCE, 0x00);
    p01(DataIdMode::Low, 1, 0x93, 0x01);
    p01(DataIdMode::Nibble, 0, 0x2A, 0x10);
    p01(DataIdMode::Nibble, 1, 0x77, 0x11);
    let crcs =
        [0x1B, 0x98, 0x31, 0x0D, 0x18, 0x9B, 0x65, 0x08, 0x1D, 0x9E, 0x37, 0x0B, 0x1E, 0x9D, 0xCD, 0x0E];
    for (counter, crc) in (1..=16).zip(crcs) {
        let counter = counter % 16;
        let profile = Profile::P02 { data_ids: counting_ids(), offset_bits: 0 };
        check(profile, counter, &[crc, counter as u8, 0, 0, 0, 0, 0, 0]);
    }
    let p02 = Profile::P02 { data_ids: counting_ids(), offset_bits: 64 };
    check(p02, 1, &[0, 0, 0, 0, 0, 0, 0, 0, 0x14, 1, 0, 0, 0, 0, 0, 0]);
    let p04 = |counter, offset_bits, expected: &[u8]| {
        check(Profile::P04 { data_id: 0x0A0B_0C0D, offset_bits }, counter, expected);
    };
    p04(0, 0, &[0, 16, 0, 0, 0x0A, 0x0B, 0x0C, 0x0D, 0x86, 0x2B, 0x05, 0x56, 0, 0, 0, 0]);
    p04(1, 0, &[0, 16, 0, 1, 0x0A, 0x0B, 0x0C, 0x0D, 0xA5, 0x8E, 0x68, 0x07, 0, 0, 0, 0]);
    let header = [0, 24, 0, 0, 0x0A, 0x0B, 0x0C, 0x0D, 0x69, 0xD7, 0x50, 0x2E];
    p04(0, 64, &[&[0; 8][..], &header, &[0; 4]].concat());
    let p05 = |counter, offset_bits, expected: &[u8]| {
        check(Profile::P05 { data_id: 0x1234, offset_bits }, counter, expected);
    };
    p05(0, 0, &[0x1C, 0xCA, 0, 0, 0, 0, 0, 0]);
    p05(1, 0, &[0xCF, 0x8D, 1, 0, 0, 0, 0, 0]);
    p05(0, 64, &[0, 0, 0, 0, 0, 0, 0, 0, 0x28, 0x91, 0, 0, 0, 0, 0, 0]);
}

/// A checksum bit by bit, most significant bit first: the definition, without tables or reflected registers.
fn crc_by_bits(width: u32, polynomial: u64, init: u64, bytes: &[u8]) -> u64 {
    let (top, mask) = (1 << (width - 1), u64::MAX >> (64 - width));
    let mut register = init;
    for byte in bytes {
        for bit in (0..8).rev() {
            let incoming = (byte >> bit & 1) != 0;
            let outgoing = register & top != 0;
            register = (register << 1) & mask;
            if incoming != outgoing {
                register ^= polynomial;
            }
        }
    }
    register
}

/// The checksum field of protected data, worked out the long way from what the specification says is in it.
fn expected_crc(profile: &Profile, data: &[u8], counter: u16) -> Vec<u8> {
    let without = |at: u16, len: usize| {
        let at = usize::from(at / 8);
        [&data[..at], &data[at + len..]].concat()
    };
    match *profile {
        Profile::P01 { data_id, data_id_mode, crc_offset_bits, .. } => {
            let [high, low] = data_id.to_be_bytes();
            let mut bytes = match (data_id_mode, counter % 2) {
                (DataIdMode::Both, _) => vec![low, high],
                (DataIdMode::Alt, 1) => vec![high],
                (DataIdMode::Alt | DataIdMode::Low, _) => vec![low],
                (DataIdMode::Nibble, _) => vec![low, 0],
            };
            bytes.extend(without(crc_offset_bits, 1));
            vec![crc_by_bits(8, 0x1D, 0, &bytes) as u8]
        }
        Profile::P02 { data_ids, offset_bits } => {
            let mut bytes = without(offset_bits, 1);
            bytes.push(data_ids[usize::from(counter)]);
            vec![crc_by_bits(8, 0x2F, 0xFF, &bytes) as u8 ^ 0xFF]
        }
        Profile::P04 { offset_bits, .. } => {
            // A reflected checksum: every byte goes in backwards, the register comes out backwards.
            let bytes: Vec<u8> =
                without(offset_bits + 64, 4).iter().map(|byte| byte.reverse_bits()).collect();
            let register = crc_by_bits(32, 0xF4AC_FB13, 0xFFFF_FFFF, &bytes) as u32;
            (!register.reverse_bits()).to_be_bytes().to_vec()
        }
        Profile::P05 { data_id, offset_bits } => {
            let mut bytes = without(offset_bits, 2);
            bytes.extend(data_id.to_le_bytes());
            (crc_by_bits(16, 0x1021, 0xFFFF, &bytes) as u16).to_le_bytes().to_vec()
        }
    }
}

#[test]
fn the_checksums_have_the_catalogue_s_check_values() {
    // AUTOSAR "Specification of CRC Routines", results for "123456789"; profile 1 starts with another value.
    let text = b"123456789";
    assert_eq!(crc_by_bits(8, 0x1D, 0xFF, text) ^ 0xFF, 0x4B);
    assert_eq!(crc_by_bits(8, 0x2F, 0xFF, text) ^ 0xFF, 0xDF);
    assert_eq!(crc_by_bits(16, 0x1021, 0xFFFF, text), 0x29B1);
    let reversed: Vec<u8> = text.iter().map(|byte| byte.reverse_bits()).collect();
    let register = crc_by_bits(32, 0xF4AC_FB13, 0xFFFF_FFFF, &reversed) as u32;
    assert_eq!(!register.reverse_bits(), 0x1697_D06A);
}

/// Where the checksum of a profile is.
fn crc_place(profile: &Profile) -> usize {
    match *profile {
        Profile::P01 { crc_offset_bits, .. } => usize::from(crc_offset_bits / 8),
        Profile::P04 { offset_bits, .. } => usize::from(offset_bits / 8) + 8,
        Profile::P02 { offset_bits, .. } | Profile::P05 { offset_bits, .. } => usize::from(offset_bits / 8),
    }
}

fn any_profile() -> impl Strategy<Value = (Profile, u8)> {
    let modes = [DataIdMode::Both, DataIdMode::Alt, DataIdMode::Low, DataIdMode::Nibble];
    let p01 = (any::<u16>(), prop::sample::select(modes.to_vec()), 0..6_u16, 0..6_u16, 0..6_u16).prop_map(
        |(data_id, data_id_mode, crc, counter, nibble)| Profile::P01 {
            data_id: if data_id_mode == DataIdMode::Nibble { data_id & 0xFFF } else { data_id },
            data_id_mode,
            crc_offset_bits: crc * 8,
            counter_offset_bits: counter * 4,
            nibble_offset_bits: nibble * 4,
        },
    );
    let offset = || (0..8_u16).prop_map(|bytes| bytes * 8);
    let p02 = (any::<[u8; 16]>(), offset())
        .prop_map(|(data_ids, offset_bits)| Profile::P02 { data_ids, offset_bits });
    let p04 =
        (any::<u32>(), offset()).prop_map(|(data_id, offset_bits)| Profile::P04 { data_id, offset_bits });
    let p05 =
        (any::<u16>(), offset()).prop_map(|(data_id, offset_bits)| Profile::P05 { data_id, offset_bits });
    (prop_oneof![p01, p02, p04, p05], 0..=64_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_protected_checks_and_what_is_damaged_does_not(
        (profile, len_bytes) in any_profile(),
        start_bytes in 0..8_u8,
        counter: u16,
        payload in prop::collection::vec(any::<u8>(), 64),
        damage in 0..512_usize,
    ) {
        let config = Config { start_bytes, ..Config::new(profile, len_bytes) };
        let Ok(protection) = config.checked() else { return Ok(()) };
        let counter = counter.min(profile.counter_max());
        let mut payload = payload;
        protection.protect(counter, &mut payload).unwrap();
        let start = usize::from(start_bytes);
        let data = &payload[start..start + usize::from(len_bytes)];
        let crc = expected_crc(&profile, data, counter);
        prop_assert_eq!(&data[crc_place(&profile)..][..crc.len()], &crc[..], "{:?}", profile);

        let checked = protection.check(&mut State::default(), &payload);
        prop_assert_eq!((checked.status, checked.counter), (Status::Initial, Some(counter)));

        // One wrong bit is found by all of these checksums, wherever it is; outside of the data it is none of theirs.
        let end = start + usize::from(len_bytes);
        payload[damage / 8] ^= 1 << (damage % 8);
        let damaged = protection.check(&mut State::default(), &payload).status;
        if (start..end).contains(&(damage / 8)) {
            // Except where the damaged counter chooses another Data ID, too.
            let id_by_counter =
                matches!(profile, Profile::P01 { data_id_mode: DataIdMode::Alt, .. } | Profile::P02 { .. });
            prop_assert!(!damaged.is_ok() || id_by_counter, "{:?}", profile);
        } else {
            prop_assert_eq!(damaged, Status::Initial);
        }
    }

    #[test]
    fn any_bytes_are_judged(
        (profile, len_bytes) in any_profile(),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=64), 0..20),
    ) {
        let Ok(protection) = Config::new(profile, len_bytes).checked() else { return Ok(()) };
        let mut state = State::default();
        for mut frame in frames {
            let is_short = frame.len() < usize::from(len_bytes);
            let status = protection.check(&mut state, &frame).status;
            // Profile 4 has a length of its own, which is under its checksum.
            prop_assert_eq!(status == Status::WrongLength, is_short);
            let before = frame.clone();
            let written = protection.protect(3, &mut frame);
            prop_assert_eq!(written.is_err(), is_short);
            prop_assert!(!is_short || frame == before);
        }
    }
}

/// Sends counters to a receiver of data protected so; `x` damages the frame, `.` is a cycle without one.
fn sequence(config: Config, counters: &str) -> Vec<String> {
    let protection = config.checked().unwrap();
    let mut state = State::default();
    let mut statuses = Vec::new();
    for word in counters.split_whitespace() {
        if word == "." {
            protection.missed(&mut state, 1);
            continue;
        }
        let mut payload = vec![0x5A; usize::from(config.len_bytes)];
        protection.protect(word.trim_end_matches('x').parse().unwrap(), &mut payload).unwrap();
        if word.ends_with('x') {
            *payload.last_mut().unwrap() ^= 0x10;
        }
        let checked = protection.check(&mut state, &payload);
        let lost = if checked.lost > 0 { format!(" {}", checked.lost) } else { String::new() };
        statuses.push(format!("{}{lost}", checked.status.name()));
    }
    statuses
}

#[test]
fn counters_are_judged_as_the_specification_says() {
    let check = |config: Config, counters: &str, expected: &str| {
        assert_eq!(sequence(config, counters).join(", "), expected, "{}: {counters}", config.profile.name());
    };
    let p01 = Config::new(Profile::p01(0x123, DataIdMode::Both), 8);
    // 14 is followed by 0: 15 is no counter.
    check(p01, "13 14 0 0 1", "initial, ok, ok, repeated, ok");
    // "If the receiver gets Data with counter 1 and MaxDeltaCounterInit is 1, then at the next reception the receiver
    // can accept Counters with values 2 and 3, but not 4."
    check(p01, "1 3", "initial, ok_some_lost 1");
    check(p01, "1 4", "initial, wrong_sequence 2");
    // Each frame widens what is tolerated, also a damaged one; so does a cycle without a frame.
    check(p01, "1 2x 4 5", "initial, wrong_crc, ok_some_lost 2, ok");
    check(p01, "1 . . 5", "initial, ok_some_lost 3");
    // Without a synchronisation the last accepted counter stays, until the tolerance reaches the new ones.
    check(p01, "1 5 6 7", "initial, wrong_sequence 3, wrong_sequence 4, wrong_sequence 5");
    check(p01, "1 4 5", "initial, wrong_sequence 2, wrong_sequence 3");
    check(p01, "1 4 4 4 5", "initial, wrong_sequence 2, ok_some_lost 2, repeated, ok");
    // With one, the sequence goes on from the new counter and is trusted after so many frames.
    let synced = Config { sync_counter: 2, ..p01 };
    check(synced, "1 9 10 11 12", "initial, wrong_sequence 7, sync, sync, ok");
    // More repetitions than are expected ask for a synchronisation, too.
    let impatient = Config { sync_counter: 1, max_no_new_or_repeated: 1, ..p01 };
    check(impatient, "1 1 2 2 2 3 4 5", "initial, repeated, ok, repeated, repeated, sync, sync, ok");

    let p02 = Config::new(Profile::P02 { data_ids: counting_ids(), offset_bits: 0 }, 8);
    check(p02, "14 15 0 2 5", "initial, ok, ok, ok_some_lost 1, wrong_sequence 2");

    let p05 = Config { max_delta_counter: 3, ..Config::new(Profile::P05 { data_id: 1, offset_bits: 0 }, 8) };
    check(p05, "254 255 0 3 3 7 8", "initial, ok, ok, ok_some_lost 2, repeated, wrong_sequence 3, ok");
    check(p05, "0 1x 2", "initial, wrong_crc, ok_some_lost 1");
    let p04 = Config::new(Profile::P04 { data_id: 1, offset_bits: 0 }, 16);
    check(p04, "65535 0 2 3", "initial, ok, wrong_sequence 1, ok");
}

#[test]
fn what_is_wrong_is_told_apart() {
    let check = |profile: Profile, change: &dyn Fn(&mut Vec<u8>), expected: Status| {
        let protection = protection(profile, 16);
        let mut payload = vec![0; 16];
        protection.protect(4, &mut payload).unwrap();
        change(&mut payload);
        assert_eq!(protection.check(&mut State::default(), &payload).status, expected, "{profile:?}");
    };
    let p01 = Profile::p01(0x123, DataIdMode::Both);
    check(p01, &|payload| payload[9] ^= 1, Status::WrongCrc);
    check(p01, &|payload| payload[1] |= 0xF, Status::InvalidCounter);
    check(p01, &|payload| payload.truncate(15), Status::WrongLength);
    check(p01, &|payload| payload.extend([0xCC; 4]), Status::Initial);
    // Another Data ID with the same low byte: only the nibble that is sent along tells it.
    let other = |data_id| {
        move |payload: &mut Vec<u8>| {
            protection(Profile::p01(data_id, DataIdMode::Nibble), 16).protect(4, payload).unwrap();
        }
    };
    let p01c = Profile::p01(0x123, DataIdMode::Nibble);
    check(p01c, &other(0x223), Status::WrongDataId);
    check(p01c, &other(0x124), Status::WrongCrc);
    let p04 = Profile::P04 { data_id: 7, offset_bits: 0 };
    let other = |data_id, len_bytes| {
        move |payload: &mut Vec<u8>| {
            protection(Profile::P04 { data_id, offset_bits: 0 }, len_bytes).protect(4, payload).unwrap();
        }
    };
    check(p04, &other(8, 16), Status::WrongDataId);
    check(p04, &other(7, 12), Status::WrongCrc);
}

#[test]
fn parameters_that_make_no_protection_are_refused() {
    let check = |config: Config, expected: &str| {
        assert_eq!(config.checked().unwrap_err().to_string(), expected);
    };
    let p01 = |crc, counter, nibble, data_id_mode| Profile::P01 {
        data_id: 0x1000,
        data_id_mode,
        crc_offset_bits: crc,
        counter_offset_bits: counter,
        nibble_offset_bits: nibble,
    };
    let both = DataIdMode::Both;
    check(
        Config::new(p01(0, 8, 0, both), 1),
        "1 protected bytes from byte 0 on; P01 with these offsets needs 2, and a frame holds 64",
    );
    check(
        Config { start_bytes: 60, ..Config::new(p01(0, 8, 0, both), 8) },
        "8 protected bytes from byte 60 on; P01 with these offsets needs 2, and a frame holds 64",
    );
    check(Config::new(p01(4, 8, 0, both), 8), "CRCOffset 4 is no multiple of 8 bits");
    check(Config::new(p01(0, 9, 0, both), 8), "CounterOffset 9 is no multiple of 4 bits");
    check(Config::new(p01(8, 12, 0, both), 8), "CRCOffset, CounterOffset and DataIDNibbleOffset overlap");
    check(
        Config::new(p01(0, 8, 8, DataIdMode::Nibble), 8),
        "CRCOffset, CounterOffset and DataIDNibbleOffset overlap",
    );
    check(
        Config::new(p01(0, 8, 12, DataIdMode::Nibble), 8),
        "Data ID 0x1000 has more than the 12 bits that mode NIBBLE sends",
    );
    let p04 = Config::new(Profile::P04 { data_id: 0, offset_bits: 3 }, 16);
    check(p04, "Offset 3 is no multiple of 8 bits");
    let p05 = Config::new(Profile::P05 { data_id: 0, offset_bits: 0 }, 16);
    check(Config { max_delta_counter: 256, ..p05 }, "MaxDeltaCounter 256 is not in the range 1 to 255");
    assert_eq!(
        Config { max_delta_counter: 0, ..p05 }.checked(),
        Err(ConfigError::MaxDeltaCounter { given: 0, max: 255 })
    );
    let mut short = [0; 15];
    assert_eq!(p05.checked().unwrap().protect(0, &mut short), Err(WrongLength { len: 15, needed: 16 }));
}
