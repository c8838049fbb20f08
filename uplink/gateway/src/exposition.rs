//! The gateway's own metrics in the Prometheus text format, version 0.0.4.

use std::fmt::Write as _;

use crate::counters::{Counters, ReceiverCounters, Refusal};

/// Content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters as text.
pub(crate) fn text(counters: &Counters) -> String {
    let mut out = String::with_capacity(4096);
    let c = counters;
    for (name, help, value) in [
        ("batches", "Batches dealt with", c.batches.get()),
        ("batch_bytes", "Payload bytes of batches dealt with", c.bytes.get()),
        ("blocks", "Blocks that all outputs have taken", c.blocks.get()),
        ("duplicate_blocks", "Blocks that came again and were left out", c.duplicate_blocks.get()),
        ("samples", "Signal samples in blocks taken", c.samples.get()),
        ("spans", "Spans in blocks taken", c.spans.get()),
        ("logs", "Log records in blocks taken", c.logs.get()),
        ("frames", "Raw frames in blocks taken", c.frames.get()),
        (
            "frames_without_form",
            "Raw frames not sent to a receiver: OTLP and remote-write have no form for them",
            c.frames_without_form.get(),
        ),
        ("acknowledged", "Messages acknowledged to the broker", c.acknowledged.get()),
        ("shed", "Messages let go for want of room, to be delivered again", c.shed.get()),
        ("schemas", "Schemas received", c.schemas.get()),
        ("schemas_given_up", "Schemas given up for the time being", c.schemas_given_up.get()),
        ("clock_maps", "Clock maps received, among blocks and retained", c.clock_maps.get()),
        ("clock_maps_given_up", "Clock maps that did not come in time", c.clock_maps_given_up.get()),
        ("blocks_placed", "Blocks in which times were put right by a clock map", c.blocks_placed.get()),
        (
            "blocks_unsynchronised",
            "Blocks with times of a clock that was not synchronised as far as is known",
            c.blocks_unsynchronised.get(),
        ),
        ("dictionaries", "Dictionaries received", c.dictionaries.get()),
        ("dictionaries_given_up", "Dictionaries given up for the time being", c.dictionaries_given_up.get()),
        ("connections", "Connections made to the broker", c.connections.get()),
        ("samples_moved_ms", "Samples moved to another millisecond for Prometheus", c.samples_moved_ms.get()),
        ("samples_unplaceable", "Samples without a millisecond in Prometheus", c.samples_unplaceable.get()),
    ] {
        family(&mut out, &format!("{name}_total"), "counter", help);
        line(&mut out, &format!("{name}_total"), "", value);
    }
    family(&mut out, "held", "gauge", "Messages held unacknowledged");
    line(&mut out, "held", "", c.held.get());
    family(&mut out, "connected", "gauge", "Whether the broker is connected");
    line(&mut out, "connected", "", u64::from(c.connected.get()));
    family(&mut out, "refused_total", "counter", "Messages and blocks published nowhere, by reason");
    for reason in Refusal::ALL {
        line(&mut out, "refused_total", &format!("reason=\"{}\"", reason.name()), c.refused(reason));
    }
    receivers(&mut out, [("remote_write", &c.remote_write), ("otlp", &c.otlp)]);
    out
}

fn receivers(out: &mut String, receivers: [(&str, &ReceiverCounters); 2]) {
    type Column = (&'static str, &'static str, &'static str, fn(&ReceiverCounters) -> u64);
    let columns: [Column; 4] = [
        ("requests_total", "counter", "Requests sent to a receiver", |r| r.requests.get()),
        ("request_retries_total", "counter", "Requests sent again", |r| r.retries.get()),
        ("records_refused_total", "counter", "Records a receiver refused for good", |r| r.refused.get()),
        ("receiver_fine", "gauge", "Whether a receiver took or judged the last request", |r| {
            u64::from(r.fine.get())
        }),
    ];
    for (name, kind, help, value) in columns {
        family(out, name, kind, help);
        for (receiver, counters) in receivers {
            line(out, name, &format!("receiver=\"{receiver}\""), value(counters));
        }
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "# HELP ecu_gateway_{name} {help}.\n# TYPE ecu_gateway_{name} {kind}");
}

fn line(out: &mut String, name: &str, label: &str, value: u64) {
    let labels = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
    let _ = writeln!(out, "ecu_gateway_{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_sample_of_the_family_above_it() {
        let counters = Counters::default();
        counters.blocks.add(7);
        counters.refuse(Refusal::Block);
        let text = text(&counters);
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(series.split('{').next().unwrap(), family);
                assert!(value.parse::<u64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains("\necu_gateway_blocks_total 7\n"));
        assert!(text.contains("\necu_gateway_refused_total{reason=\"block\"} 1\n"));
        assert!(text.contains("\necu_gateway_requests_total{receiver=\"otlp\"} 0\n"));
        assert!(text.contains("\necu_gateway_receiver_fine{receiver=\"remote_write\"} 1\n"));
    }
}
