//! The bodies of the fuzz targets (`store/fuzz`) on stable, for seconds: golden files with bytes replaced or taken out, and
//! arbitrary bytes.
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

use proptest::prelude::*;
use store::block::{BlockHeader, Kind};

const FILES: [&[u8]; 14] = [
    include_bytes!("golden/v1/logs.block"),
    include_bytes!("golden/v1/samples.block"),
    include_bytes!("golden/v1/schema.block"),
    include_bytes!("golden/v1/spans.block"),
    include_bytes!("golden/v2/batches.block"),
    include_bytes!("golden/v2/clock-map.block"),
    include_bytes!("golden/v2/frames.block"),
    include_bytes!("golden/v2/frames-in-batches.block"),
    include_bytes!("golden/v2/histograms.block"),
    include_bytes!("golden/v2/logs.block"),
    include_bytes!("golden/v2/samples.block"),
    include_bytes!("golden/v2/schema.block"),
    include_bytes!("golden/v2/spans.block"),
    include_bytes!("golden/v2/traces.block"),
];

/// The bodies of the newest files as [`bodies::body`] takes them.
fn raw_bodies() -> Vec<Vec<u8>> {
    let raw = |file: &[u8]| {
        let (header, body) = BlockHeader::read(file).unwrap();
        let count = header.count.to_le_bytes();
        let head: &[u8] = match header.kind {
            Kind::Samples => &[0, count[0], count[1], count[2]],
            Kind::Spans => &[2],
            Kind::Logs => &[3],
            Kind::Schema => &[4],
            Kind::Histograms => &[5],
            Kind::Frames => &[6, count[0], count[1]],
            Kind::Dictionary | Kind::ClockMap => &[7],
        };
        [head, &zstd::bulk::decompress(body, header.raw_len as usize).unwrap()].concat()
    };
    FILES[4..].iter().map(|file| raw(file)).collect()
}

/// A seed with a few bytes replaced or taken out.
fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), 0..4_usize, prop::collection::vec(any::<u8>(), 0..3)),
        1..6,
    );
    // Heads decide most: half of the edits are near the front.
    (prop::sample::select(seeds), edits, any::<bool>()).prop_map(|(mut bytes, edits, front)| {
        for (at, cut, piece) in edits {
            let range = if front { bytes.len().min(160) } else { bytes.len() };
            let at = at.index(range + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

/// More of them at length: `FUZZ_CASES=200000 cargo test --release -p store --test fuzz_bodies`.
fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2048)
}

#[test]
fn seeds_pass_as_they_are() {
    FILES.iter().for_each(|file| bodies::block(file));
    raw_bodies().iter().for_each(|body| bodies::body(body));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn damaged_blocks(bytes in mutated(FILES.iter().map(|file| file.to_vec()).collect())) {
        bodies::block(&bytes);
    }

    #[test]
    fn damaged_bodies(bytes in mutated(raw_bodies())) {
        bodies::body(&bytes);
    }

    #[test]
    fn arbitrary_bodies(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        bodies::body(&bytes);
    }

    #[test]
    fn arbitrary_frames(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::frames(&bytes);
    }

    #[test]
    fn arbitrary_rows(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        bodies::samples(&bytes);
    }
}
