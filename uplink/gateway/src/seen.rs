//! Which blocks this process has already passed on.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use store::block::Identity;
use uplink::topic::VehicleId;

/// Identities remembered. A broker delivers again what was under way when a connection broke, and a vehicle sends
/// again what was not acknowledged: both are far fewer.
const IDENTITIES_MAX: usize = 1 << 16;

/// The identities of the blocks last passed on; the oldest is forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: HashSet<Arc<(VehicleId, Identity)>>,
    order: VecDeque<Arc<(VehicleId, Identity)>>,
}

impl Seen {
    pub(crate) fn contains(&self, vehicle: &VehicleId, identity: Identity) -> bool {
        self.known.contains(&(vehicle.clone(), identity))
    }

    pub(crate) fn insert(&mut self, vehicle: &VehicleId, identity: Identity) {
        let entry = Arc::new((vehicle.clone(), identity));
        if !self.known.insert(Arc::clone(&entry)) {
            return;
        }
        self.order.push_back(entry);
        if self.order.len() > IDENTITIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use store::block::BootId;

    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_vehicles_are_kept_apart() {
        let (car, bus) = (VehicleId::new("car").unwrap(), VehicleId::new("bus").unwrap());
        let block = |sequence| Identity { boot: BootId([1; 16]), run: 1, sequence };
        let mut seen = Seen::default();
        for sequence in 0..=IDENTITIES_MAX as u64 {
            seen.insert(&car, block(sequence));
            seen.insert(&car, block(sequence));
        }
        assert!(!seen.contains(&car, block(0)));
        assert!(seen.contains(&car, block(1)));
        assert!(!seen.contains(&bus, block(1)));
        assert_eq!((seen.known.len(), seen.order.len()), (IDENTITIES_MAX, IDENTITIES_MAX));
    }
}
