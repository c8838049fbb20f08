//! What blocks need before they can be put out, and where it is to be had.

use store::block::{BootId, DictionaryHash, SchemaHash};
use uplink::topic::{Prefix, VehicleId};

/// Something retained at the broker that blocks refer to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// What their signals and messages are called.
    Schema(SchemaHash),
    /// What their bodies are compressed with.
    Dictionary(DictionaryHash),
    /// How the clocks of a vehicle ran in a boot, up to this version.
    ClockMap(VehicleId, BootId, u32),
}

impl Need {
    /// The topic on which it is retained.
    pub(crate) fn topic(&self, prefix: &Prefix) -> String {
        match self {
            Self::Schema(hash) => prefix.schema(*hash),
            Self::Dictionary(hash) => prefix.dictionary(*hash),
            Self::ClockMap(vehicle, boot, _) => prefix.clock(vehicle, *boot),
        }
    }
}

impl From<SchemaHash> for Need {
    fn from(hash: SchemaHash) -> Self {
        Self::Schema(hash)
    }
}

impl From<DictionaryHash> for Need {
    fn from(hash: DictionaryHash) -> Self {
        Self::Dictionary(hash)
    }
}
