//! The ring's file and its card.

use metrics::{counter, describe_counter, describe_gauge, gauge};
use store::ring::wear::LifeTime;

use crate::status::StoreStatus;

pub(super) fn describe() {
    describe_counter!("ecu_daemon_card_payload_bytes_total", "Bytes of blocks committed in this run.");
    describe_counter!(
        "ecu_daemon_card_written_bytes_total",
        "Bytes that the writer handed to the system for them."
    );
    describe_counter!(
        "ecu_daemon_card_device_written_bytes_total",
        "All that the device was given since it appeared, by whomever."
    );
    describe_gauge!(
        "ecu_daemon_card_written_bytes_per_payload_byte",
        "Bytes written for each byte of blocks."
    );
    describe_gauge!(
        "ecu_daemon_card_written_bytes_per_day",
        "Bytes written on a day of running, by the writer or to the whole device."
    );
    describe_gauge!(
        "ecu_daemon_card_life_seconds",
        "Projected life of the card, by [store] card, with what the writer or everybody writes."
    );
    describe_gauge!(
        "ecu_daemon_card_emmc_life_used_ratio",
        "Used share of its life as the eMMC says, in steps of 0.1; 1.1: exceeded. cells=\"a\" are SLC, \"b\" MLC."
    );
    describe_gauge!(
        "ecu_daemon_writer_commit_after_seconds",
        "How long a sealed block may wait for its commit now."
    );
    describe_gauge!(
        "ecu_daemon_writer_first_stored_seconds",
        "From the start of the process to the first record on the card."
    );
    describe_counter!(
        "ecu_daemon_ring_set_aside_total",
        "Ring files that could not be used and were set aside."
    );
    describe_gauge!("ecu_daemon_ring_set_aside_files", "Files set aside that are kept.");
    describe_gauge!("ecu_daemon_ring_set_aside_bytes", "Their bytes.");
    describe_counter!(
        "ecu_daemon_ring_reopened_total",
        "Times that the ring file was opened anew in service."
    );
    describe_counter!("ecu_daemon_ring_salvaged_files_total", "Files set aside that were searched.");
    describe_counter!(
        "ecu_daemon_ring_salvaged_records_total",
        "Records in them: found (they wait again) and lost."
    );
    describe_counter!(
        "ecu_daemon_ring_salvage_damaged_blocks_total",
        "Blocks in them that were cut off or failed their checksum."
    );
    describe_counter!(
        "ecu_daemon_ring_salvage_unreadable_pages_total",
        "Pages of them that could not be read."
    );
    describe_counter!(
        "ecu_daemon_ring_preserved_blocks_total",
        "Blocks in the ring preserved when a fault event came; state=\"refused\": beyond [store] preserved_share."
    );
    describe_counter!(
        "ecu_daemon_ring_preserve_skipped_total",
        "Fault events without a window of their own, because they came soon after another."
    );
}

pub(super) fn update(store: &StoreStatus) {
    card(store);
    let salvage = &store.salvage;
    counter!("ecu_daemon_ring_set_aside_total").absolute(salvage.set_aside);
    gauge!("ecu_daemon_ring_set_aside_files").set(salvage.kept.0 as f64);
    gauge!("ecu_daemon_ring_set_aside_bytes").set(salvage.kept.1 as f64);
    counter!("ecu_daemon_ring_reopened_total").absolute(salvage.reopened);
    counter!("ecu_daemon_ring_salvaged_files_total").absolute(salvage.searched);
    for (state, tally) in [("found", salvage.found), ("lost", salvage.lost)] {
        counter!("ecu_daemon_ring_salvaged_records_total", "state" => state).absolute(tally.records);
    }
    counter!("ecu_daemon_ring_salvage_damaged_blocks_total").absolute(salvage.damaged);
    counter!("ecu_daemon_ring_salvage_unreadable_pages_total").absolute(salvage.unreadable_pages);
    for (state, value) in [("preserved", store.preserved.blocks), ("refused", store.preserved.refused)] {
        counter!("ecu_daemon_ring_preserved_blocks_total", "state" => state).absolute(value);
    }
    counter!("ecu_daemon_ring_preserve_skipped_total").absolute(store.preserve_skipped);
    if let Some(after) = store.first_stored_after {
        gauge!("ecu_daemon_writer_first_stored_seconds").set(after.as_secs_f64());
    }
}

fn card(store: &StoreStatus) {
    let card = &store.card;
    counter!("ecu_daemon_card_payload_bytes_total").absolute(card.payload_bytes);
    counter!("ecu_daemon_card_written_bytes_total").absolute(card.written_bytes);
    if let Some(bytes) = card.device_written_bytes {
        counter!("ecu_daemon_card_device_written_bytes_total").absolute(bytes);
    }
    if let Some(ratio) = card.amplification {
        gauge!("ecu_daemon_card_written_bytes_per_payload_byte").set(ratio);
    }
    for (by, per_day, life) in
        [("ring", card.per_day, card.life_seconds), ("device", card.device_per_day, card.device_life_seconds)]
    {
        if let Some(bytes) = per_day {
            gauge!("ecu_daemon_card_written_bytes_per_day", "by" => by).set(bytes);
        }
        if let Some(seconds) = life {
            gauge!("ecu_daemon_card_life_seconds", "by" => by).set(seconds);
        }
    }
    for (cells, life) in ["a", "b"].into_iter().zip(card.life_time.into_iter().flatten()) {
        let used = match life {
            LifeTime::Undefined => continue,
            LifeTime::UsedPercent(percent) => f64::from(percent) / 100.0,
            LifeTime::Exceeded => 1.1,
        };
        gauge!("ecu_daemon_card_emmc_life_used_ratio", "cells" => cells).set(used);
    }
    gauge!("ecu_daemon_writer_commit_after_seconds").set(card.commit_after.as_secs_f64());
}
