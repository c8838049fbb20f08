use proptest::prelude::*;

use super::*;

fn line() -> ClockSegment {
    ClockSegment {
        domain: ClockDomain::Tai,
        version: 3,
        from_boot_ns: 1_000_000_000,
        to_boot_ns: 61_000_000_000,
        reference_boot_ns: 31_000_000_000,
        offset_ns: 1_767_225_637_000_000_000,
        drift_ppt: -1_500_000,
        error_ns: 250,
        growth: BoundGrowth { ppb: 100, ppb_per_s: 50, ppb_max: 100_000 },
        opening: Opening::Step,
        sync: None,
        holdover: BoundGrowth::default(),
        grace_ns: 0,
    }
}

fn any_growth() -> impl Strategy<Value = BoundGrowth> {
    any::<[u32; 3]>().prop_map(|[ppb, ppb_per_s, ppb_max]| BoundGrowth { ppb, ppb_per_s, ppb_max })
}

prop_compose! {
    fn any_sync()(
        source in 1_u8..=3, timescale in 1_u8..=2, tai_utc in 0_u8..=3, seconds: i32, error_ns: u64
    ) -> ClockSync {
        ClockSync {
            source: SyncSource::from_number(source).unwrap(),
            timescale: Timescale::from_number(timescale).unwrap(),
            error_ns,
            tai_utc: (seconds, TaiUtcSource::from_number(tai_utc).unwrap()),
        }
    }
}

prop_compose! {
    fn any_segment()(
        kind in 1_u8..=5, which: u8, version: u32, times: [i64; 2], lengths: [u32; 2], opening in 0_u8..=3,
        offset_ns: i64, drift_ppt: i64, error_ns: u64, growth in any_growth(), holdover in any_growth(),
        sync in prop::option::of(any_sync())
    ) -> ClockSegment {
        let from_boot_ns = times[0] / 2;
        ClockSegment {
            domain: ClockDomain::from_numbers([kind, if kind > 3 { which } else { 0 }]).unwrap(),
            version,
            from_boot_ns,
            to_boot_ns: from_boot_ns + i64::from(lengths[0]),
            reference_boot_ns: times[1],
            offset_ns,
            drift_ppt,
            error_ns,
            growth,
            opening: Opening::from_number(opening).unwrap(),
            sync,
            holdover,
            grace_ns: i64::from(lengths[1]),
        }
    }
}

proptest! {
    #[test]
    fn maps_come_back_and_cut_bodies_are_errors(
        id in 1_u32..,
        segments in prop::collection::vec(any_segment(), 0..8),
        degrees in prop::collection::vec(any::<(i64, i32)>(), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let temperature = |(at_boot_ns, milli_celsius)| Temperature { at_boot_ns, milli_celsius };
        let temperatures = degrees.into_iter().map(temperature).collect();
        let map = ClockMap { id, open_ns: u64::from(id) << 20, segments, temperatures };
        let mut body = Vec::new();
        map.encode(&mut body).unwrap();
        prop_assert_eq!(ClockMap::read(&body).unwrap(), map);
        prop_assert!(ClockMap::read(&body[..cut.index(body.len())]).is_err());
    }
}

#[test]
fn what_the_format_cannot_hold_is_refused() {
    let check = |map: ClockMap, field: &str| {
        let mut out = Vec::new();
        let error = map.encode(&mut out).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
        assert!(out.is_empty());
    };
    let map = |segment| ClockMap { id: 1, open_ns: 5, segments: vec![segment], temperatures: Vec::new() };
    check(ClockMap { id: 0, ..map(line()) }, "clock map");
    check(map(ClockSegment { to_boot_ns: 0, ..line() }), "end");
    check(map(ClockSegment { grace_ns: -1, ..line() }), "grace");
    check(ClockMap { segments: vec![line(); limits::CLOCK_SEGMENTS_MAX + 1], ..map(line()) }, "segments");
    let warm = Temperature { at_boot_ns: 1, milli_celsius: 2 };
    let temperatures = vec![warm; limits::CLOCK_TEMPERATURES_MAX + 1];
    check(ClockMap { temperatures, ..map(line()) }, "temperatures");
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let mut body = Vec::new();
    ClockMap { id: 1, open_ns: 5, segments: vec![line()], temperatures: Vec::new() }
        .encode(&mut body)
        .unwrap();
    for (at, field) in [(3, "clock domain"), (5, "opening"), (6, "flags")] {
        let mut body = body.clone();
        body[at] = 9;
        let error = ClockMap::read(&body).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}
