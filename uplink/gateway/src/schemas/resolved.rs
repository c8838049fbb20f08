//! A schema with everything that outputs need of it worked out once.

use std::collections::HashMap;

use store::block::{Schema, SignalSchema};

use crate::unit::Unit;

/// A schema, ready for use.
#[derive(Debug)]
pub(crate) struct ResolvedSchema {
    buses: Vec<String>,
    messages: Vec<MessageNames>,
}

/// One message.
#[derive(Debug)]
pub(crate) struct MessageNames {
    /// The bus it is on.
    pub(crate) bus: String,
    /// Its identifier as candump writes it.
    pub(crate) id: String,
    /// Its name; where several messages of a bus share one, the identifier makes them distinct, because the series
    /// of a database are told apart by names only.
    pub(crate) name: String,
    /// Its signals.
    pub(crate) signals: Vec<SignalNames>,
}

/// One signal.
#[derive(Debug)]
pub(crate) struct SignalNames {
    /// Name, scale and value table.
    pub(crate) signal: SignalSchema,
    /// Its unit.
    pub(crate) unit: Unit,
    /// The name of its Prometheus metric.
    pub(crate) metric: String,
}

impl ResolvedSchema {
    pub(crate) fn new(schema: Schema) -> Self {
        let mut named = HashMap::<(usize, String), usize>::new();
        for message in &schema.messages {
            *named.entry((message.bus, message.name.clone())).or_default() += 1;
        }
        let messages = schema.messages.into_iter().map(|message| {
            let id = message.id.to_string();
            let signals = message.signals.into_iter().map(|signal| {
                let unit = Unit::from_dbc(&signal.unit);
                let metric = unit.metric_name();
                SignalNames { signal, unit, metric }
            });
            let signals = signals.collect();
            // `Schema::read` has checked that the bus is listed.
            let bus = schema.buses.get(message.bus).cloned().unwrap_or_default();
            let key = (message.bus, message.name);
            let name = if named.get(&key).is_some_and(|&count| count > 1) {
                format!("{}@{id}", key.1)
            } else {
                key.1
            };
            MessageNames { bus, id, name, signals }
        });
        Self { messages: messages.collect(), buses: schema.buses }
    }

    /// The name of a bus by its index.
    pub(crate) fn bus(&self, index: u16) -> Option<&str> {
        self.buses.get(usize::from(index)).map(String::as_str)
    }

    /// A message by its index.
    pub(crate) fn message(&self, index: usize) -> Option<&MessageNames> {
        self.messages.get(index)
    }
}

#[cfg(test)]
mod tests {
    use can_decode::CanId;
    use store::block::MessageSchema;

    use super::*;

    #[test]
    fn messages_that_share_a_name_on_a_bus_are_made_distinct() {
        let message = |bus, id, name: &str| MessageSchema {
            bus,
            id: CanId::Standard(id),
            name: name.to_owned(),
            signals: Vec::new(),
        };
        let resolved = ResolvedSchema::new(Schema {
            buses: vec!["can0".into(), "can1".into()],
            messages: vec![
                message(0, 1, "SPEED"),
                message(0, 2, "SPEED"),
                message(1, 1, "SPEED"),
                message(0, 3, "GEAR"),
            ],
        });
        let names: Vec<_> = (0..4).map(|index| resolved.message(index).unwrap().name.clone()).collect();
        assert_eq!(names, ["SPEED@001", "SPEED@002", "SPEED", "GEAR"]);
        assert!(resolved.message(4).is_none());
    }
}
