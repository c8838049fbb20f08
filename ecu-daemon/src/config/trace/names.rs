//! What the names in `[trace]` mean: messages, signals and buses of the configuration.

use can_decode::Message;

use super::super::Bus;

/// The buses with their decode tables.
#[derive(Clone, Copy)]
pub(super) struct Names<'a>(pub(super) &'a [Bus]);

/// A message, by its index in the schema that the buses make together.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) bus: usize,
    pub(super) index: usize,
    pub(super) message: &'a Message,
}

impl<'a> Names<'a> {
    /// The bus of this name.
    pub(super) fn bus(self, name: &str) -> Result<usize, String> {
        self.0.iter().position(|bus| bus.name == name).ok_or_else(|| {
            let there: Vec<&str> = self.0.iter().map(|bus| bus.name.as_str()).collect();
            format!("no bus is named {name:?}; there is {}", there.join(", "))
        })
    }

    /// `MESSAGE` where one bus has it, else `BUS/MESSAGE`.
    pub(super) fn message(self, name: &str) -> Result<Found<'a>, String> {
        match self.named(name).as_slice() {
            [found] => return Ok(*found),
            [] => {}
            several => {
                let each: Vec<String> =
                    several.iter().map(|found| format!("{:?}", self.full(found))).collect();
                return Err(format!("several messages are named {name:?}; write {}", each.join(" or ")));
            }
        }
        let missing = || {
            format!(
                "no DBC file of any bus has a message {name:?}; look at its name there (BO_), and at `dbc =`"
            )
        };
        let (bus, message) = name.rsplit_once('/').ok_or_else(missing)?;
        let bus = self.bus(bus)?;
        self.on(bus, message)
    }

    /// A message of one bus.
    pub(super) fn on(self, bus: usize, name: &str) -> Result<Found<'a>, String> {
        let found = self.named(name).into_iter().find(|found| found.bus == bus);
        found.ok_or_else(|| {
            let bus = self.0.get(bus).map_or("", |bus| bus.name.as_str());
            format!(
                "no DBC file of bus {bus} has a message {name:?}; look at its name there (BO_), and at `dbc =`"
            )
        })
    }

    /// `BUS/MESSAGE`.
    pub(super) fn full(self, found: &Found<'_>) -> String {
        let bus = self.0.get(found.bus).map_or("", |bus| bus.name.as_str());
        format!("{bus}/{}", found.message.name)
    }

    /// All messages with their places in the schema.
    pub(super) fn all(self) -> impl Iterator<Item = Found<'a>> {
        let messages = self
            .0
            .iter()
            .enumerate()
            .flat_map(|(bus, tables)| tables.table.messages().iter().map(move |message| (bus, message)));
        messages.enumerate().map(|(index, (bus, message))| Found { bus, index, message })
    }

    fn named(self, name: &str) -> Vec<Found<'a>> {
        let is_named = |message: &Message| message.name == name || message.long_name.as_deref() == Some(name);
        self.all().filter(|found| is_named(found.message)).collect()
    }
}

impl Found<'_> {
    /// Index of its signal of this name.
    pub(super) fn signal(&self, name: &str) -> Result<usize, String> {
        let signals = &self.message.signals;
        let is_named = |long: &Option<String>| long.as_deref() == Some(name);
        let found = signals.iter().position(|signal| signal.name == name || is_named(&signal.long_name));
        found.ok_or_else(|| {
            let there: Vec<&str> = signals.iter().map(|signal| signal.name.as_str()).collect();
            let there = if there.is_empty() { "it has none".to_owned() } else { there.join(", ") };
            format!("the message {} has no signal {name:?}; name one of these: {there}", self.message.name)
        })
    }
}
