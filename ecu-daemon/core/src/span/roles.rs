//! What each message of the schema has to do with traces, worked out once.

use can_decode::{Frame, Message, Raw};

use super::exchanges::Course;
use super::record::ATTRIBUTES_MAX;
use super::settings::{Pair, Settings, SettingsError};
use crate::catalog::Catalog;

/// Signals of one message that are looked at: attributes, keys and failures.
const NEEDS_MAX: usize = 16;
const CONTEXT_END_MAX: usize = 64 - 25;
const NONE: u16 = u16::MAX;

/// What one message does; small, as it is looked up for every frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    offset: Option<u8>,
    part: u16,
}

impl Role {
    /// Where its frames have contexts.
    pub(super) fn offset(self) -> Option<usize> {
        self.offset.map(usize::from)
    }

    /// Whether there is nothing to it.
    pub(super) const fn is_idle(self) -> bool {
        self.offset.is_none() && self.part == NONE
    }
}

/// A message whose signals matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// The signals, attributes first.
    needs: Vec<u16>,
    attributes: usize,
    pub(super) requests: Vec<Asking>,
    pub(super) responses: Vec<Answering>,
}

/// It is a pair's request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) course: u16,
    /// Position among the signals that are looked at.
    key: Option<usize>,
}

/// It is a pair's response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answering {
    pub(super) course: u16,
    key: Option<usize>,
    failure: Option<(usize, Raw)>,
}

/// The signals of one frame that are looked at.
pub(super) type Values = [Option<Raw>; NEEDS_MAX];

#[derive(Clone, Debug)]
pub(super) struct Roles {
    roles: Vec<Role>,
    parts: Vec<Part>,
}

impl Roles {
    /// Contexts where the database has them, and nothing else.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let messages = catalog.buses().iter().flat_map(|bus| bus.table.messages());
        let roles = messages.map(|message| Role { offset: message.trace_context_offset, part: NONE });
        let mut roles: Vec<Role> = roles.collect();
        // Conversations stand behind the messages of all tables.
        roles.resize(catalog.schema().messages.len(), Role { offset: None, part: NONE });
        Self { roles, parts: Vec::new() }
    }

    /// Adds what the settings have; the courses of its pairs, in order.
    pub(super) fn add(
        &mut self,
        settings: &Settings,
        catalog: &Catalog,
    ) -> Result<Vec<Course>, SettingsError> {
        for &(message, offset) in &settings.offsets {
            let role = self.roles.get_mut(message).ok_or(SettingsError::Message(message))?;
            if usize::from(offset) > CONTEXT_END_MAX {
                return Err(SettingsError::Offset(message));
            }
            role.offset = Some(offset);
        }
        for (message, signals) in &settings.attributes {
            let part = self.part(*message)?;
            for signal in signals {
                self.need(part, *message, *signal, catalog)?;
            }
            let part = self.parts.get_mut(part).ok_or(SettingsError::Message(*message))?;
            part.attributes = part.needs.len();
            if part.attributes > ATTRIBUTES_MAX {
                return Err(SettingsError::TooManySignals(*message));
            }
        }
        settings.pairs.iter().enumerate().map(|(course, pair)| self.pair(course, pair, catalog)).collect()
    }

    fn pair(&mut self, course: usize, pair: &Pair, catalog: &Catalog) -> Result<Course, SettingsError> {
        let number = u16::try_from(course).map_err(|_| SettingsError::TooManyCourses(course + 1))?;
        let (asks, answers) = (self.part(pair.request)?, self.part(pair.response)?);
        let keys = match pair.key {
            None => (None, None),
            Some((of_request, of_response)) => (
                Some(self.need(asks, pair.request, of_request, catalog)?),
                Some(self.need(answers, pair.response, of_response, catalog)?),
            ),
        };
        let failure = match pair.failure {
            None => None,
            Some(failure) => Some((self.need(answers, pair.response, failure.signal, catalog)?, failure.ok)),
        };
        if let Some(part) = self.parts.get_mut(asks) {
            part.requests.push(Asking { course: number, key: keys.0 });
        }
        if let Some(part) = self.parts.get_mut(answers) {
            part.responses.push(Answering { course: number, key: keys.1, failure });
        }
        Ok(Course { expectation: pair.expectation, answers: pair.answers })
    }

    /// Index of the message's part, which is made if there is none.
    fn part(&mut self, message: usize) -> Result<usize, SettingsError> {
        let role = self.roles.get_mut(message).ok_or(SettingsError::Message(message))?;
        if role.part == NONE {
            role.part = u16::try_from(self.parts.len())
                .ok()
                .filter(|part| *part != NONE)
                .ok_or(SettingsError::TooManyCourses(self.parts.len()))?;
            self.parts.push(Part::default());
        }
        Ok(usize::from(role.part))
    }

    /// Position of the signal among those that are looked at.
    fn need(
        &mut self,
        part: usize,
        message: usize,
        signal: usize,
        catalog: &Catalog,
    ) -> Result<usize, SettingsError> {
        let signals = catalog.schema().messages.get(message).map_or(0, |message| message.signals.len());
        let number = u16::try_from(signal).ok().filter(|_| signal < signals);
        let number = number.ok_or(SettingsError::Signal { message, signal })?;
        let part = self.parts.get_mut(part).ok_or(SettingsError::Message(message))?;
        if let Some(position) = part.needs.iter().position(|need| *need == number) {
            return Ok(position);
        }
        if part.needs.len() >= NEEDS_MAX {
            return Err(SettingsError::TooManySignals(message));
        }
        part.needs.push(number);
        Ok(part.needs.len() - 1)
    }

    #[inline]
    pub(super) fn role(&self, message: usize) -> Role {
        self.roles.get(message).copied().unwrap_or(Role { offset: None, part: NONE })
    }

    pub(super) fn part_of(&self, role: Role) -> Option<&Part> {
        self.parts.get(usize::from(role.part))
    }
}

impl Part {
    /// The signals of a frame that are looked at.
    pub(super) fn values(&self, message: &Message, frame: &Frame) -> Values {
        let mut values = [None; NEEDS_MAX];
        if !self.needs.is_empty() {
            message.decode(frame, |signal, raw| {
                if let Some(position) = self.needs.iter().position(|need| usize::from(*need) == signal) {
                    values[position] = Some(raw);
                }
            });
        }
        values
    }

    /// Those of them that go with its spans.
    pub(super) fn attributes(&self, values: &Values) -> super::record::Attributes {
        core::array::from_fn(|at| {
            let signal = *self.needs.get(at).filter(|_| at < self.attributes)?;
            Some((signal, values[at]?))
        })
    }
}

impl Asking {
    /// What the response repeats; `None` where the frame ends before it.
    pub(super) fn key(self, values: &Values) -> Option<u64> {
        key(self.key, values)
    }
}

impl Answering {
    /// Likewise.
    pub(super) fn key(self, values: &Values) -> Option<u64> {
        key(self.key, values)
    }

    /// The value that says that it did not work.
    pub(super) fn failure(self, values: &Values) -> Option<Raw> {
        let (position, ok) = self.failure?;
        values.get(position).copied().flatten().filter(|raw| *raw != ok)
    }
}

fn key(position: Option<usize>, values: &Values) -> Option<u64> {
    match position {
        None => Some(0),
        Some(position) => values.get(position).copied().flatten().map(|raw| raw.0),
    }
}
