//! Spans that a span has to do with besides its parent.

use can_decode::TraceContext;

/// Links of a span at most.
pub const LINKS_MAX: usize = store::block::SpanLinks::MAX;

/// Contexts, as many as there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links {
    contexts: [Option<TraceContext>; LINKS_MAX],
    /// Those for which there was no room.
    pub cut: u32,
}

impl Links {
    /// None.
    pub const NONE: Self = Self { contexts: [None; LINKS_MAX], cut: 0 };

    /// The contexts, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &TraceContext> {
        self.contexts.iter().flatten()
    }

    pub(super) fn add(&mut self, context: TraceContext) {
        match self.contexts.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(context),
            None => self.cut = self.cut.saturating_add(1),
        }
    }
}
