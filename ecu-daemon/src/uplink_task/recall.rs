//! What blocks of earlier runs refer to: the ring has it.

use store::block::BlockHeader;
use store::ring::Leased;
use tokio::sync::oneshot;
use tracing::warn;

use super::UplinkTask;
use super::announcements::Named;
use crate::inbox::Request;

impl UplinkTask<'_> {
    /// Looks up what the blocks of earlier runs refer to: the broker may never have heard of it, or have forgotten it.
    pub(super) async fn recall(&mut self, leased: &[Leased]) {
        for block in leased {
            let Ok((BlockHeader { schema, dictionary, .. }, _)) = BlockHeader::read(&block.bytes) else {
                continue;
            };
            for named in [Named::Schema(schema), Named::Dictionary(dictionary)] {
                // Those of this run were added before there was a block that needs them.
                if named.is_some() && !self.memory.announcements.has(named) {
                    self.recall_one(named).await;
                }
            }
        }
    }

    async fn recall_one(&mut self, named: Named) {
        let (reply, answer) = oneshot::channel();
        self.inbox.ask(match named {
            Named::Schema(hash) => Request::SchemaBlock(hash, reply),
            Named::Dictionary(hash) => Request::DictionaryBlock(hash, reply),
        });
        match answer.await {
            Ok(Ok(Some(bytes))) => {
                self.memory.older.insert(named, bytes);
                self.memory.announcements.add([named]);
            }
            Ok(Ok(None)) => {
                warn!(
                    ?named,
                    "the ring has blocks that refer to what it does not have; a gateway may know it"
                );
                self.memory.announcements.give_up(named);
            }
            // The next lease says the same and is reported; a writer that is gone is a service that ends.
            Ok(Err(_)) | Err(_) => {}
        }
    }
}
