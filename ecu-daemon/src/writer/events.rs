//! Windows around fault events: which times the ring is to preserve.

use store::block::{BlockHeader, BootId, Class, Kind};
use store::ring::Window;

use crate::config::Preserve;

/// Events that follow one another share a window of at most this length beyond its first event.
const LENGTH_NS_MAX: i64 = 60_000_000_000;
/// A new window begins no earlier than this after the last one began: a service that logs errors all the time must not
/// have everything preserved, and so nothing.
const COOL_DOWN_NS: i64 = 300_000_000_000;
/// A window is asked for with so much on top, so that a burst of events asks for few.
const SPARE_NS: i64 = 1_000_000_000;

/// Decides by blocks of class 0, which hold log records of ERROR and above and are sealed when these come.
pub(super) struct Events {
    before_ns: i64,
    after_ns: i64,
    /// How long a block may stay open: what came before an event's end is sealed so much later.
    open_ns: i64,
    last: Option<Last>,
    /// What the ring does not know of yet.
    wanted: Option<Window>,
    /// Events that were left out.
    pub(super) skipped: u64,
}

struct Last {
    boot: BootId,
    first_ns: i64,
    until_ns: i64,
}

impl Events {
    /// With windows of this length, for blocks that stay open for at most `open_ns`.
    pub(super) fn new(preserve: Preserve, open_ns: i64) -> Self {
        let ns = |time: std::time::Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (before_ns, after_ns) = (ns(preserve.before), ns(preserve.after));
        Self { before_ns, after_ns, open_ns, last: None, wanted: None, skipped: 0 }
    }

    /// A block was stored: if it is about a fault event, a window around it may be wanted.
    pub(super) fn stored(&mut self, header: &BlockHeader) {
        let is_event = header.class == Class::Critical && header.kind == Kind::Logs;
        if !is_event || (self.before_ns, self.after_ns) == (0, 0) {
            return;
        }
        let (boot, at) = (header.identity.boot, header.sealed_boot_ns);
        let end = at.saturating_add(self.after_ns).saturating_add(self.open_ns);
        let (first_ns, from_boot_ns) = match &self.last {
            Some(last) if last.boot == boot && end <= last.until_ns => return,
            Some(last) if last.boot == boot && at <= last.until_ns && at - last.first_ns <= LENGTH_NS_MAX => {
                (last.first_ns, last.until_ns)
            }
            Some(last) if last.boot == boot && at - last.first_ns < COOL_DOWN_NS => {
                self.skipped += 1;
                return;
            }
            _ => (at, at.saturating_sub(self.before_ns)),
        };
        let until_ns = end.saturating_add(SPARE_NS);
        // One that the card did not take yet begins earlier.
        let waiting = self.wanted.filter(|wanted| wanted.boot == boot && wanted.to_boot_ns >= from_boot_ns);
        let from_boot_ns = waiting.map_or(from_boot_ns, |wanted| wanted.from_boot_ns.min(from_boot_ns));
        self.wanted = Some(Window { boot, from_boot_ns, to_boot_ns: until_ns });
        self.last = Some(Last { boot, first_ns, until_ns });
    }

    /// The window that the ring is to be asked for. It stays wanted until [`Self::preserved`].
    pub(super) const fn wanted(&self) -> Option<Window> {
        self.wanted
    }

    /// The ring knows of it.
    pub(super) const fn preserved(&mut self) {
        self.wanted = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use store::block::{Body, SchemaHash, Sealer};

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn header(class: Class, at: i64) -> BlockHeader {
        let mut sealer = Sealer::new(BootId::default(), 0, 1).unwrap();
        sealer.body.push(0);
        let (schema, sealed_boot_ns) = (SchemaHash::default(), at * SECOND);
        let body = Body { kind: Kind::Logs, class, schema, count: 1, span_ns: (0, 0), sealed_boot_ns };
        *sealer.seal(body).unwrap().header()
    }

    #[test]
    fn events_share_windows_within_bounds_and_then_rest() {
        let preserve = Preserve { before: Duration::from_secs(10), after: Duration::from_secs(5) };
        let mut events = Events::new(preserve, 4 * SECOND);
        // When an error comes, and the window that is asked for, seconds.
        for (at, expected) in [
            (100, Some((90, 110))),
            (101, None),
            (102, Some((110, 112))),
            (112, Some((112, 122))),
            (130, None),
            (399, None),
            (400, Some((390, 410))),
        ] {
            events.stored(&header(Class::Critical, at));
            let window = events.wanted();
            let seconds = window.map(|window| (window.from_boot_ns / SECOND, window.to_boot_ns / SECOND));
            assert_eq!(seconds, expected, "{at}");
            events.preserved();
        }
        assert_eq!(events.skipped, 2);
        // A stream of them: a minute, then rest.
        let asked = |events: &mut Events, times: std::ops::Range<i64>| -> Vec<i64> {
            times
                .filter(|at| {
                    events.stored(&header(Class::Critical, *at));
                    let is_wanted = events.wanted().is_some();
                    events.preserved();
                    is_wanted
                })
                .collect()
        };
        let asked = asked(&mut events, 1000..1300);
        assert!(asked.len() <= 61 && asked.iter().all(|at| *at <= 1060), "{asked:?}");
    }

    #[test]
    fn what_the_card_did_not_take_is_part_of_the_next() {
        let preserve = Preserve { before: Duration::from_secs(10), after: Duration::from_secs(5) };
        let mut events = Events::new(preserve, 0);
        events.stored(&header(Class::Critical, 100));
        events.stored(&header(Class::Critical, 104));
        let wanted = events.wanted().unwrap();
        assert_eq!((wanted.from_boot_ns, wanted.to_boot_ns), (90 * SECOND, 110 * SECOND));
    }

    #[test]
    fn other_blocks_are_no_events_and_it_can_be_turned_off() {
        let nothing = Preserve { before: Duration::ZERO, after: Duration::ZERO };
        let some = Preserve { before: Duration::from_secs(1), ..nothing };
        for (preserve, class) in [(nothing, Class::Critical), (some, Class::Logs), (some, Class::Live)] {
            let mut events = Events::new(preserve, SECOND);
            events.stored(&header(class, 5));
            assert_eq!(events.wanted(), None, "{class:?}");
        }
    }
}
