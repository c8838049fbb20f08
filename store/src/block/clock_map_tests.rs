use proptest::prelude::*;

use super::*;

fn line() -> ClockSegment {
    ClockSegment {
        domain: ClockDomain::Tai,
        from_boot_ns: 1_000_000_000,
        to_boot_ns: Some(61_000_000_000),
        reference_boot_ns: 31_000_000_000,
        offset_ns: 1_767_225_637_000_000_000,
        drift_ppb: -1500.0,
        error_ns: 250,
        error_drift_ppb: 100.0,
        synchronised: true,
    }
}

prop_compose! {
    fn any_segment()(
        number in 0_u8..=242, from_boot_ns: i64, length in prop::option::of(1_u32..), reference_boot_ns: i64,
        offset_ns: i64, drift_ppb in -1e6..1e6, error_ns: u64, error_drift_ppb in 0.0..1e6, synchronised: bool
    ) -> ClockSegment {
        let domain = match number {
            0 => ClockDomain::Realtime,
            1 => ClockDomain::Tai,
            2 => ClockDomain::MonotonicRaw,
            phc => ClockDomain::Phc(phc - 3),
        };
        let from_boot_ns = from_boot_ns / 2;
        let to_boot_ns = length.map(|length| from_boot_ns + i64::from(length));
        ClockSegment {
            domain, from_boot_ns, to_boot_ns, reference_boot_ns, offset_ns, drift_ppb, error_ns, error_drift_ppb,
            synchronised,
        }
    }
}

proptest! {
    #[test]
    fn maps_come_back_and_cut_bodies_are_errors(
        id in 1_u32.., seconds: i32, source in prop::option::of(prop::sample::select(&TaiUtcSource::ALL[..])),
        segments in prop::collection::vec(any_segment(), 0..8), cut in any::<prop::sample::Index>(), boot_ns: i64
    ) {
        let map = ClockMap { id, tai_utc: source.map(|source| (seconds, source)), segments };
        let mut body = Vec::new();
        map.encode(&mut body).unwrap();
        prop_assert_eq!(ClockMap::read(&body).unwrap(), map.clone());
        prop_assert!(ClockMap::read(&body[..cut.index(body.len())]).is_err());
        for segment in &map.segments {
            let _ = (segment.at(boot_ns), segment.error_ns_at(boot_ns));
        }
    }
}

#[test]
fn a_line_says_the_time_and_how_sure_it_is() {
    let line = line();
    assert_eq!(line.at(31_000_000_000), 1_767_225_668_000_000_000);
    // Ten seconds on, the clock lost 15 µs against CLOCK_BOOTTIME.
    assert_eq!(line.at(41_000_000_000), 1_767_225_678_000_000_000 - 15_000);
    assert_eq!((line.error_ns_at(31_000_000_000), line.error_ns_at(21_000_000_000)), (250, 1250));
}

#[test]
fn the_line_is_found_that_holds() {
    let later = ClockSegment { from_boot_ns: 61_000_000_000, to_boot_ns: None, ..line() };
    let map = ClockMap { id: 1, tai_utc: Some((37, TaiUtcSource::Ptp)), segments: vec![line(), later] };
    let from = |boot_ns| map.segment(ClockDomain::Tai, boot_ns).map(|segment| segment.from_boot_ns);
    assert_eq!(from(999_999_999), None);
    assert_eq!(from(60_999_999_999), Some(1_000_000_000));
    assert_eq!(from(61_000_000_000), Some(61_000_000_000));
    assert_eq!(map.segment(ClockDomain::Phc(0), 61_000_000_000), None);
}

#[test]
fn what_the_format_cannot_hold_is_refused() {
    let check = |map: ClockMap, field: &str| {
        let mut out = Vec::new();
        let error = map.encode(&mut out).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
        assert!(out.is_empty());
    };
    let map = |segment| ClockMap { id: 1, tai_utc: None, segments: vec![segment] };
    check(ClockMap { id: 0, tai_utc: None, segments: Vec::new() }, "clock map");
    check(map(ClockSegment { to_boot_ns: Some(0), ..line() }), "end");
    check(map(ClockSegment { drift_ppb: f64::NAN, ..line() }), "drift");
    check(map(ClockSegment { error_drift_ppb: -1.0, ..line() }), "error drift");
    check(map(ClockSegment { domain: ClockDomain::Phc(240), ..line() }), "domain");
    let many = vec![line(); limits::CLOCK_SEGMENTS_MAX + 1];
    check(ClockMap { id: 1, tai_utc: None, segments: many }, "segments");
}
