//! Times of rows: a column for each group of rows, or one for all of them.

use super::write::bits;

/// Makes the choice. Keeps its memory.
#[derive(Default)]
pub(in super::super) struct Timeline {
    /// Ticks from row to row over all groups, once they were asked for.
    pub(in super::super) deltas: Vec<u64>,
    of_group: Vec<u64>,
    /// The row of each group that comes next.
    next: Vec<usize>,
}

impl Timeline {
    /// Ticks from row to row of one group.
    pub(in super::super) fn of(&mut self, ticks: &[i64]) -> &[u64] {
        self.of_group.clear();
        self.of_group.extend(ticks.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as u64));
        &self.of_group
    }

    /// Whether one column of times for all groups and one of their order take less than a column of times for each
    /// group; the former stands ready in [`Self::deltas`] then. Times that were taken in batches, as USB adapters do, have
    /// little in common with the messages' periods, but much with the frame before. `order` holds the place of each row's
    /// group, `ticks` gives the ticks of the group at a place, `base` is the tick before the first row.
    pub(in super::super) fn is_smaller<'a>(
        &mut self,
        order: &[u64],
        groups: usize,
        ticks: impl Fn(usize) -> &'a [i64],
        base: i64,
    ) -> bool {
        let (mut each, mut names) = (0, 0.0);
        let rows = order.len() as f64;
        for place in 0..groups {
            let ticks = ticks(place);
            each += bits(self.of(ticks));
            let count = ticks.len() as f64;
            names += count * (rows / count).log2();
        }
        self.lay(order, groups, ticks, base);
        // Columns of their own share tables that fit none of them: a bit a row, as measured.
        bits(&self.deltas) + (names as u64) < each + order.len() as u64
    }

    /// Fills [`Self::deltas`].
    pub(in super::super) fn lay<'a>(
        &mut self,
        order: &[u64],
        groups: usize,
        ticks: impl Fn(usize) -> &'a [i64],
        base: i64,
    ) {
        self.next.clear();
        self.next.resize(groups, 0);
        let mut previous = base;
        self.deltas.clear();
        self.deltas.extend(order.iter().map(|&place| {
            let next = &mut self.next[place as usize];
            let tick = ticks(place as usize)[*next];
            *next += 1;
            let delta = tick.wrapping_sub(previous);
            previous = tick;
            delta as u64
        }));
    }
}
