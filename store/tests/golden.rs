//! Golden files: blocks of every version of the format that was ever written are read for ever.

#[path = "golden/records.rs"]
mod records;

use store::block::*;

#[test]
fn write_v1() {
    let mut sealer = Sealer::new(records::IDENTITY.boot, records::IDENTITY.run, 3).unwrap();
    let body = |kind, class, count: usize, span_ns| Body {
        kind,
        class,
        schema: if matches!(kind, Kind::Samples | Kind::Spans) {
            records::SCHEMA
        } else {
            SchemaHash::default()
        },
        count: count as u32,
        span_ns,
        sealed_boot_ns: 99_000_000_000,
    };
    let mut b = records::builder();
    let (n, s) = (b.samples(), b.span_ns().unwrap());
    b.encode(&mut sealer.body);
    std::fs::write(
        "tests/golden/v1/samples.block",
        sealer.seal(body(Kind::Samples, Class::Live, n, s)).unwrap().bytes(),
    )
    .unwrap();
    let mut b = SpansBuilder::default();
    records::spans().into_iter().for_each(|x| b.push(x));
    let (n, s) = (b.len(), b.span_ns().unwrap());
    b.encode(&mut sealer.body);
    std::fs::write(
        "tests/golden/v1/spans.block",
        sealer.seal(body(Kind::Spans, Class::Traces, n, s)).unwrap().bytes(),
    )
    .unwrap();
    let mut b = LogsBuilder::default();
    records::logs().into_iter().for_each(|x| b.push(x));
    let (n, s) = (b.len(), b.span_ns().unwrap());
    b.encode(&mut sealer.body);
    std::fs::write(
        "tests/golden/v1/logs.block",
        sealer.seal(body(Kind::Logs, Class::Logs, n, s)).unwrap().bytes(),
    )
    .unwrap();
    sealer.body = records::schema().encode();
    std::fs::write(
        "tests/golden/v1/schema.block",
        sealer.seal(body(Kind::Schema, Class::Live, 2, (0, 0))).unwrap().bytes(),
    )
    .unwrap();
}
