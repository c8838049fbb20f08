//! What the broker must know before blocks make sense, and what of it it knows. All of it is retained there.

use std::collections::VecDeque;

use store::block::{DictionaryHash, SchemaHash};

/// What blocks refer to by a name that its content gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// What their signals are called.
    Schema(SchemaHash),
    /// What their bodies are compressed with.
    Dictionary(DictionaryHash),
}

impl Named {
    /// Whether it is a name at all, and not that of nothing.
    pub(super) fn is_some(self) -> bool {
        self != Self::Schema(SchemaHash::default()) && self != Self::Dictionary(DictionaryHash::default())
    }
}

/// One thing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announcement {
    /// What blocks refer to.
    Named(Named),
    /// How the clocks ran.
    ClockMap,
    /// That the vehicle is there.
    Online,
}

/// What is still to be said in this connection, and what need not be said again in the next.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// Schemas and dictionaries that the broker has acknowledged since it last lost its memory.
    known: Vec<Named>,
    /// Those, and the ones that were given out or are queued in this connection.
    said: Vec<Named>,
    queue: VecDeque<Announcement>,
}

impl Announcements {
    /// A connection begins: with `session_present` the broker still knows what it has acknowledged to this process.
    pub(super) fn begin(&mut self, session_present: bool) {
        if !session_present {
            self.known.clear();
        }
        self.said.clone_from(&self.known);
        self.queue.clear();
        self.queue.push_back(Announcement::Online);
        self.add_clock_map();
    }

    /// Queues what was not said in this connection, and what the broker does not know from an earlier one.
    pub(super) fn add(&mut self, all: impl IntoIterator<Item = Named>) {
        for named in all {
            if !self.said.contains(&named) {
                self.said.push(named);
                self.queue.push_back(Announcement::Named(named));
            }
        }
    }

    /// Queues what is known of the clocks, by then: it grows, and is said anew in every connection.
    pub(super) fn add_clock_map(&mut self) {
        if !self.queue.contains(&Announcement::ClockMap) {
            self.queue.push_back(Announcement::ClockMap);
        }
    }

    /// Whether it was said in this connection, or need not be.
    pub(super) fn has(&self, named: Named) -> bool {
        self.said.contains(&named)
    }

    /// Nobody has it: it is not looked for again in this connection.
    pub(super) fn give_up(&mut self, named: Named) {
        self.said.push(named);
    }

    /// The next one, to be published now.
    pub(super) fn next(&mut self) -> Option<Announcement> {
        self.queue.pop_front()
    }

    /// The broker has it.
    pub(super) fn acknowledged(&mut self, named: Named) {
        if !self.known.contains(&named) {
            self.known.push(named);
        }
    }

    /// It did not go out after all.
    pub(super) fn returned(&mut self, named: Named) {
        self.said.retain(|said| *said != named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Named = Named::Schema(SchemaHash([1; 16]));
    const B: Named = Named::Dictionary(DictionaryHash([2; 16]));

    /// Everything that is to be said, as far as it has a name.
    fn said(announcements: &mut Announcements) -> Vec<Named> {
        let all = std::iter::from_fn(|| announcements.next());
        all.filter_map(|one| if let Announcement::Named(named) = one { Some(named) } else { None }).collect()
    }

    #[test]
    fn a_schema_is_said_until_the_broker_has_it_and_again_when_it_has_forgotten() {
        let mut announcements = Announcements::default();
        let mut check = |session_present, schemas: &[Named], acknowledged: &[Named], expected: &[_]| {
            announcements.begin(session_present);
            announcements.add(schemas.iter().copied());
            announcements.add(schemas.iter().copied());
            assert_eq!(said(&mut announcements), expected);
            acknowledged.iter().for_each(|hash| announcements.acknowledged(*hash));
        };
        // A process that starts does not know what its predecessor said, whatever the broker remembers.
        check(true, &[A], &[], &[A]);
        check(true, &[A], &[A], &[A]);
        check(true, &[A], &[], &[]);
        check(true, &[A, B], &[], &[B]);
        check(true, &[A, B], &[B], &[B]);
        check(true, &[A, B], &[], &[]);
        check(false, &[A, B], &[A], &[A, B]);
        check(true, &[A, B], &[], &[B]);
    }

    #[test]
    fn what_did_not_go_out_is_said_again_in_the_same_connection() {
        let mut announcements = Announcements::default();
        announcements.begin(false);
        announcements.add([A, B]);
        assert_eq!(said(&mut announcements), [A, B]);
        announcements.returned(A);
        announcements.add([A, B]);
        assert_eq!(said(&mut announcements), [A]);
    }
}
