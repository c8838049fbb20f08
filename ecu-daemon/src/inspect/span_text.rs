//! What spans say of themselves, as JSON texts.

use serde_json::{Map, Value, json};
use store::block::{AttributeValue, SpanOrigin};

use super::render::hex;
use super::walk::Span;

/// Its signals as physical values, or its attributes, as one JSON object; `None` where it has none.
pub(super) fn attributes(span: &Span<'_>) -> Option<String> {
    let object: Map<String, Value> = match &span.record.origin {
        SpanOrigin::Bus(bus) => {
            let message = span.place?.1;
            let signals = bus.signals.iter().filter_map(|(signal, raw)| {
                let signal = message.signals.get(usize::from(signal))?;
                Some((signal.name.clone(), json!(signal.physical(raw))))
            });
            signals.collect()
        }
        SpanOrigin::Local(local) => {
            let pairs = local.attributes.iter().map(|(key, value)| {
                let value = match value {
                    AttributeValue::Text(text) => json!(text.as_ref()),
                    AttributeValue::Bool(value) => json!(value),
                    AttributeValue::Int(value) => json!(value),
                    AttributeValue::Double(value) => json!(value),
                };
                (key.to_string(), value)
            });
            pairs.collect()
        }
    };
    (!object.is_empty()).then(|| Value::Object(object).to_string())
}

/// Its links as a JSON array of `TRACE_ID-SPAN_ID`; `None` where it has none.
pub(super) fn links(span: &Span<'_>) -> Option<String> {
    let links =
        span.record.links.iter().map(|link| json!(format!("{}-{}", hex(&link.trace_id), hex(&link.span_id))));
    let links: Vec<_> = links.collect();
    (!links.is_empty()).then(|| Value::Array(links).to_string())
}
