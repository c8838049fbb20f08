//! Pairs of messages that are request and response, and signals that go with spans.

use std::collections::BTreeMap;

use can_decode::Raw;
use ecu_core::span::{ATTRIBUTES_MAX, Answers, FailureSignal, Pair};
use toml::Spanned;

use super::super::Check;
use super::names::{Found, Names};
use super::{Patience, Trace, in_words, raw};

impl Check<'_> {
    pub(super) fn attributes(
        &mut self,
        raw: BTreeMap<String, Spanned<Vec<String>>>,
        names: Names<'_>,
        trace: &mut Trace,
    ) {
        for (name, signals) in raw {
            let span = signals.span();
            let signals = signals.into_inner();
            let found = names.message(&name).and_then(|found| {
                if signals.len() > ATTRIBUTES_MAX {
                    return Err(format!("a span has room for {ATTRIBUTES_MAX} signals; leave some out"));
                }
                let indices: Result<Vec<_>, _> = signals.iter().map(|signal| found.signal(signal)).collect();
                Ok((found, indices?))
            });
            match found {
                Ok((found, indices)) => {
                    trace.described.push(format!(
                        "spans of {} have {}",
                        names.full(&found),
                        signals.join(", ")
                    ));
                    trace.settings.attributes.push((found.index, indices));
                }
                Err(why) => self.untraced(span, &format!("[trace.attributes] of {name:?}"), &why),
            }
        }
    }

    pub(super) fn pair(
        &mut self,
        entry: Spanned<raw::Pair>,
        names: Names<'_>,
        patience: Patience,
        trace: &mut Trace,
    ) {
        let raw::Pair { request, response, key, failure, answers, timeout, slow } = entry.into_inner();
        let expectation = self.expectation(timeout, slow, patience);
        let entry = format!("[[trace.pair]] of {:?} and {:?}", request.get_ref(), response.get_ref());
        let mut found = |name: &Spanned<String>| match names.message(name.get_ref()) {
            Ok(found) => Some(found),
            Err(why) => {
                self.untraced(name.span(), &entry, &why);
                None
            }
        };
        let (Some(asks), Some(replies)) = (found(&request), found(&response)) else { return };
        let key = match key.map(|key| (key.span(), self::key(key.get_ref(), &asks, &replies))) {
            None => None,
            Some((_, Ok(key))) => Some(key),
            Some((span, Err(why))) => return self.untraced(span, &entry, &why),
        };
        let failure =
            match failure.map(|failure| (failure.span(), self::failure(failure.get_ref(), &replies))) {
                None => None,
                Some((_, Ok(failure))) => Some(failure),
                Some((span, Err(why))) => return self.untraced(span, &entry, &why),
            };
        let answers = match answers {
            raw::Answers::Oldest => Answers::Oldest,
            raw::Answers::All => Answers::All,
        };
        let signal = |of: &Found<'_>, index: usize| {
            of.message.signals.get(index).map_or("", |signal| &signal.name).to_owned()
        };
        let by = key.map_or_else(
            || "in their order".to_owned(),
            |(a, b)| format!("by {} and {}", signal(&asks, a), signal(&replies, b)),
        );
        let good = failure.map_or_else(String::new, |failure: FailureSignal| {
            format!(", failed unless {} is {}", signal(&replies, failure.signal), failure.ok.as_i64())
        });
        let all = if answers == Answers::All { " all of them" } else { "" };
        trace.described.push(format!(
            "{} is answered by {}{all} {by}, {}{good}",
            names.full(&asks),
            names.full(&replies),
            in_words(&expectation)
        ));
        let (request, response) = (asks.index, replies.index);
        trace.settings.pairs.push(Pair { request, response, key, failure, answers, expectation });
    }
}

fn key(raw: &raw::Key, asks: &Found<'_>, replies: &Found<'_>) -> Result<(usize, usize), String> {
    let (of_request, of_response) = match raw {
        raw::Key::Same(name) => (name, name),
        raw::Key::Two([request, response]) => (request, response),
    };
    Ok((asks.signal(of_request)?, replies.signal(of_response)?))
}

fn failure(raw: &raw::Failure, replies: &Found<'_>) -> Result<FailureSignal, String> {
    let signal = replies.signal(&raw.signal)?;
    let ok = match &raw.ok {
        raw::Good::Raw(ok) => *ok,
        raw::Good::Label(label) => {
            let labels = replies.message.signals.get(signal).map(|signal| signal.labels.as_slice());
            let found = labels.unwrap_or_default().iter().find(|(_, name)| name == label);
            let missing = || {
                format!(
                    "the signal {} has no label {label:?} (VAL_); write the raw value that is good",
                    raw.signal
                )
            };
            found.ok_or_else(missing)?.0
        }
    };
    // Raw values of signed signals have their sign in all 64 bits.
    Ok(FailureSignal { signal, ok: Raw(ok as u64) })
}
