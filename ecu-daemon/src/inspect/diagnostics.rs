//! Diagnostic messages in a log: put together from the frames of each bus, and told with the frame that completes them.

mod json;

use std::fmt::Display;
use std::io::{self, Write};

use can_decode::candump::LogLine;
use can_decode::isotp::{Abandon, Channels, Counters, Event, Ignored, Limits, Reassembler};
use can_decode::uds::{ExchangeLimits, Exchanges};

/// Buses that are followed: each takes some 70 KB, and a log may name any number of them.
const BUSES_MAX: usize = 64;

/// Follows the diagnostic identifiers of all buses of a log.
pub(super) struct Diagnostics {
    channels: Channels,
    buses: Vec<Bus>,
    /// Frames on diagnostic identifiers of buses beyond [`BUSES_MAX`].
    unfollowed: u64,
    message: Vec<u8>,
    abandoned: Vec<u8>,
}

struct Bus {
    name: String,
    reassembler: Reassembler,
    exchanges: Exchanges,
}

impl Diagnostics {
    pub(super) fn new(channels: Channels) -> Self {
        Self { channels, buses: Vec::new(), unfollowed: 0, message: Vec::new(), abandoned: Vec::new() }
    }

    /// Takes a frame, and adds to its JSON object the message that it completes (`"uds":{…}`) and those that came to
    /// nothing up to it (`"abandoned":[…]`).
    pub(super) fn write(&mut self, out: &mut impl Write, line: &LogLine<'_>) -> io::Result<()> {
        let Some(at) = self.bus(line) else { return Ok(()) };
        let Bus { reassembler, exchanges, .. } = &mut self.buses[at];
        let (message_json, abandoned_json) = (&mut self.message, &mut self.abandoned);
        let mut result = Ok(());
        reassembler.push(line.time, &line.frame, |event| {
            let written = match event {
                Event::Message(message) => json::message(message_json, &message, &exchanges.take(&message)),
                Event::Abandoned(abandoned) => json::abandoned(abandoned_json, &abandoned),
            };
            if written.is_err() {
                result = written;
            }
        });
        result?;
        if !self.message.is_empty() {
            out.write_all(b",\"uds\":")?;
            out.write_all(&self.message)?;
            self.message.clear();
        }
        if !self.abandoned.is_empty() {
            out.write_all(b",\"abandoned\":[")?;
            out.write_all(&self.abandoned)?;
            out.write_all(b"]")?;
            self.abandoned.clear();
        }
        Ok(())
    }

    /// The index of the frame's bus, from its first diagnostic frame on.
    fn bus(&mut self, line: &LogLine<'_>) -> Option<usize> {
        if let Some(at) = self.buses.iter().position(|bus| bus.name == line.interface) {
            return Some(at);
        }
        self.channels.find(&line.frame)?;
        if self.buses.len() == BUSES_MAX {
            self.unfollowed += 1;
            return None;
        }
        self.buses.push(Bus {
            name: line.interface.to_owned(),
            reassembler: Reassembler::new(self.channels.clone(), Limits::default()),
            exchanges: Exchanges::new(ExchangeLimits::default()),
        });
        Some(self.buses.len() - 1)
    }

    /// At the end of the log: a line for each bus where something was lost, ignored or not answered.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let mut reports = Vec::new();
        for Bus { name, reassembler, exchanges } in &mut self.buses {
            reassembler.finish(|_| {});
            if let Some(report) = report(reassembler.counters(), exchanges.counters().unanswered) {
                reports.push(format!("{name}: {report}"));
            }
        }
        if self.unfollowed > 0 {
            reports.push(format!(
                "{} frames on diagnostic identifiers are of further buses than the {BUSES_MAX} that are followed; \
                 split the log",
                self.unfollowed
            ));
        }
        reports
    }
}

fn report(counters: &Counters, unanswered: u64) -> Option<String> {
    if counters.abandoned_total() + counters.ignored_total() + unanswered == 0 {
        return None;
    }
    let abandoned = Abandon::ALL.map(|reason| (counters.abandoned(reason), reason));
    let ignored = Ignored::ALL.map(|reason| (counters.ignored(reason), reason));
    let hint = "where the identifiers carry something else, use --no-isotp";
    let parts = [
        Some(format!("{} diagnostic messages", counters.messages)),
        listed("abandoned", &abandoned),
        (unanswered > 0).then(|| format!("requests without response: {unanswered}")),
        listed("frames ignored", &ignored),
        (counters.ignored(Ignored::UnknownType) > 0).then(|| hint.to_owned()),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// `WHAT: 3 (2 FOR THIS, 1 FOR THAT)`, unless there is none.
fn listed(what: &str, reasons: &[(u64, impl Display)]) -> Option<String> {
    let total: u64 = reasons.iter().map(|(count, _)| count).sum();
    let counted = reasons.iter().filter(|(count, _)| *count > 0);
    let each: Vec<String> = counted.map(|(count, reason)| format!("{count} {reason}")).collect();
    (total > 0).then(|| format!("{what}: {total} ({})", each.join(", ")))
}

#[cfg(test)]
mod tests;
