//! Where contexts are, besides the places that the DBC files name: offsets, context frames, ISO-TP conversations.

use std::collections::BTreeMap;

use can_decode::extract::Extractor;
use can_decode::isotp::{Channel, Channels, Endpoint};
use can_decode::observe::AliveCounter;
use can_decode::trace::classic::{ClassicReader, Target};
use can_decode::{CanId, TraceContext, ValueKind};
use ecu_core::span::{Conversation, Place, SENDERS_MAX, TARGETS_MAX};
use toml::Spanned;

use super::super::Check;
use super::names::{Found, Names};
use super::{NamedConversation, Patience, Trace, in_words, raw};

/// Says that a message's next frame is meant, whatever counts in it.
const NO_COUNTER: &str = "none";
const OFFSET_MAX: u8 = (can_decode::frame::FD_LEN_MAX - TraceContext::WIRE_LEN) as u8;

impl Check<'_> {
    pub(super) fn offsets(
        &mut self,
        raw: BTreeMap<String, Spanned<u8>>,
        names: Names<'_>,
        trace: &mut Trace,
    ) {
        let mut given = Vec::new();
        for (name, offset) in raw {
            let entry = format!("[trace.offsets] of {name:?}");
            let (span, offset) = (offset.span(), offset.into_inner());
            match names.message(&name) {
                Ok(_) if offset > OFFSET_MAX => {
                    let why = format!(
                        "25 bytes from byte {offset} on end behind byte 64; allowed is 0 to {OFFSET_MAX}"
                    );
                    self.untraced(span, &entry, &why);
                }
                Ok(found) => given.push((found.index, offset)),
                Err(why) => self.untraced(span, &entry, &why),
            }
        }
        for found in names.all() {
            let by_config = given.iter().find(|(index, _)| *index == found.index).map(|(_, offset)| *offset);
            if let Some(offset) = by_config.or(found.message.trace_context_offset) {
                trace.described.push(format!("{} has its context at byte {offset}", names.full(&found)));
            }
        }
        trace.settings.offsets = given;
    }

    pub(super) fn context_frames(
        &mut self,
        entry: Spanned<raw::ContextFrames>,
        names: Names<'_>,
        trace: &mut Trace,
    ) {
        let raw::ContextFrames { bus, id, messages, mut counters } = entry.into_inner();
        let entry = format!("[[trace.context_frames]] of {:?}", id.get_ref());
        let (context_id, at) = match (identifier(id.get_ref()), names.bus(bus.get_ref())) {
            (Ok(context_id), Ok(at)) => (context_id, at),
            (Err(why), _) => return self.untraced(id.span(), &entry, &why),
            (_, Err(why)) => return self.untraced(bus.span(), &entry, &why),
        };
        // The tag is a byte, so there are no more than 256.
        for (tag, message) in (0..=u8::MAX).zip(&messages) {
            let entry = format!("{entry}: {:?}", message.get_ref());
            let counter = counters.remove(message.get_ref());
            let span = counter.as_ref().map_or(message.span(), Spanned::span);
            let counter = counter.map(Spanned::into_inner);
            let target = names.on(at, message.get_ref()).and_then(|found| {
                let (counter, how) = self::counter(&found, counter.as_deref())?;
                Ok((Target { context_id, tag, id: found.message.id, counter }, names.full(&found), how))
            });
            let (target, name, how) = match target {
                Ok(target) => target,
                Err(why) => {
                    self.untraced(span, &entry, &why);
                    continue;
                }
            };
            let Some(settings) = trace.settings.buses.get_mut(at) else { return };
            settings.classic.push(target);
            let together = settings.classic.iter().copied();
            match ClassicReader::<SENDERS_MAX, TARGETS_MAX>::new(together, settings.classic_limits) {
                Ok(_) => {
                    let text = format!("{name} has its contexts from {context_id}, tag {tag}, {how}");
                    trace.described.push(text);
                }
                Err(error) => {
                    settings.classic.pop();
                    self.untraced(span, &entry, &error.to_string());
                }
            }
        }
        if let Some(message) = messages.get(usize::from(u8::MAX) + 1) {
            self.untraced(
                message.span(),
                &entry,
                "more than 256 messages; the rest needs another identifier",
            );
        }
        for (name, counter) in counters {
            let why = format!("a counter for {name:?}, which is not among its `messages`");
            self.untraced(counter.span(), &entry, &why);
        }
    }

    pub(super) fn conversation(
        &mut self,
        entry: Spanned<raw::Conversation>,
        names: Names<'_>,
        patience: Patience,
        trace: &mut Trace,
    ) {
        let raw::Conversation { bus, channel, name, context, timeout, slow } = entry.into_inner();
        let expectation = self.expectation(timeout, slow, patience);
        let text = channel.get_ref();
        let entry = format!("[[trace.conversation]] {text:?}");
        let (at, parsed) = match (names.bus(bus.get_ref()), text.parse::<Channel>()) {
            (Ok(at), Ok(parsed)) => (at, parsed),
            (Err(why), _) => return self.untraced(bus.span(), &entry, &why),
            (_, Err(error)) => return self.untraced(channel.span(), &entry, &error.to_string()),
        };
        let Some(settings) = trace.settings.buses.get_mut(at) else { return };
        let mut together: Vec<Channel> =
            settings.conversations.iter().map(|conversation| conversation.channel).collect();
        if together.contains(&parsed) {
            return self.untraced(channel.span(), &entry, "it is named twice; write one entry");
        }
        together.push(parsed);
        if let Err(error) = Channels::new(&together, false) {
            return self.untraced(channel.span(), &entry, &error.to_string());
        }
        let context = context.map(|place| match place.into_inner() {
            raw::Place::Offset(offset) => Place::Offset(offset),
            raw::Place::Named(raw::NamedPlace::Trailer) => Place::Trailer,
        });
        // Its place in the schema is found when there is one.
        settings.conversations.push(Conversation { channel: parsed, message: 0, context, expectation });
        let name = name.unwrap_or_else(|| text.clone());
        let place = match context {
            None => String::new(),
            Some(Place::Offset(offset)) => format!(", contexts at byte {offset}"),
            Some(Place::Trailer) => ", contexts behind the end".to_owned(),
        };
        let bus_name = bus.get_ref();
        let line = format!("{bus_name}: conversation {text} as {name:?}, {}{place}", in_words(&expectation));
        trace.described.push(line);
        let (Channel::Pair { request: Endpoint { id, .. }, .. } | Channel::Functional(Endpoint { id, .. })) =
            parsed;
        trace.conversations.push(NamedConversation { bus: at, id, name });
    }
}

/// As candump writes them.
fn identifier(text: &str) -> Result<CanId, String> {
    match text.parse::<Endpoint>() {
        Ok(Endpoint { id, address: None }) => Ok(id),
        _ => Err(format!("{text:?} is no identifier; write 3 hex digits, or 8 for one of 29 bits")),
    }
}

/// Where the message counts its frames, and that in words.
fn counter(found: &Found<'_>, name: Option<&str>) -> Result<(Option<Extractor>, String), String> {
    let signals = &found.message.signals;
    let index = match name {
        Some(NO_COUNTER) => None,
        Some(name) => Some(found.signal(name)?),
        None => {
            let is_counter =
                |index: &usize| signals.get(*index).is_some_and(|signal| AliveCounter::of(signal).is_some());
            found.message.alive_counter.filter(is_counter)
        }
    };
    let Some(signal) = index.and_then(|index| signals.get(index)) else {
        return Ok((None, "for the next frame".to_owned()));
    };
    let extractor = Extractor::new(signal.start_bit, signal.bits, signal.byte_order, false)
        .filter(|_| signal.kind == ValueKind::Unsigned && signal.branch.is_none());
    let unfit = || {
        format!(
            "the signal {} is no counter: it must be an unsigned number that is in every frame",
            signal.name
        )
    };
    Ok((Some(extractor.ok_or_else(unfit)?), format!("by the counter {}", signal.name)))
}
