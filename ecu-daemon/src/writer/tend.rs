//! What the writer does beside storing: what can wait, what lies around errors, and what it says of both.

use store::ring::Notice;
use tracing::{debug, error, info, warn};

use super::Writer;
use crate::clock;

/// Pages of a file set aside that are searched in one go, between two looks into the inbox: 1 MiB.
const SALVAGE_PAGES: u32 = 256;

impl Writer<'_> {
    /// Has the ring do what can wait, and says what has happened to it.
    pub(super) fn tend(&mut self) {
        if let Err(error) = self.ring.tend(SALVAGE_PAGES, clock::boot().0) {
            debug!(%error, "the ring cannot be tended");
        }
        let notices = self.ring.take_notices();
        if notices.is_empty() {
            return;
        }
        self.status.store().salvage.kept = self.ring.set_aside();
        for notice in notices {
            match notice {
                Notice::SetAside(aside) => {
                    let path = aside.path.display();
                    error!(
                        reason = aside.reason,
                        "the ring file was damaged; it is now {path}, and is salvaged"
                    );
                    self.status.store().salvage.set_aside(&aside);
                }
                Notice::Reopened => {
                    info!("the ring file was opened anew");
                    self.status.store().salvage.reopened += 1;
                }
                Notice::Salvaged(report) => {
                    warn!("{}", report.to_string().trim_end().replace('\n', "; "));
                    self.status.store().salvage.searched(&report);
                }
                Notice::GivenUp { id, records, unreadable } => {
                    let why = if unreadable { "cannot be read" } else { "is damaged" };
                    error!(id, records, "a block of the ring {why}; it is given up, and counted");
                }
            }
        }
        if self.failed_at.is_none() {
            self.tell(None);
        }
    }

    /// Has the ring preserve what lies around fault events.
    pub(super) fn preserve(&mut self) {
        let Some(window) = self.events.wanted() else { return };
        match self.ring.preserve(window) {
            Ok(preserved) => {
                self.events.preserved();
                info!(
                    blocks = preserved.blocks,
                    refused = preserved.refused,
                    "what lies around an error is preserved"
                );
                let mut status = self.status.store();
                status.preserved.blocks += preserved.blocks;
                status.preserved.refused += preserved.refused;
                status.preserve_skipped = self.events.skipped;
            }
            // It is asked for again.
            Err(error) => debug!(%error, "what lies around an error cannot be preserved now"),
        }
    }

    /// The first blocks of this process are on the card.
    pub(super) fn first_stored(&self) {
        let mut status = self.status.store();
        if status.first_stored_after.is_none()
            && let Some(running) = clock::running()
        {
            status.first_stored_after = Some(running);
            drop(status);
            info!(after = ?running, "first records stored");
        }
    }

    pub(super) fn look_at_card(&mut self) {
        if let Some(card) = self.card.look(clock::boot().0) {
            self.status.store().card = card;
        }
    }
}
