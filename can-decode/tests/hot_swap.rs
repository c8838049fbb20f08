//! A table may be replaced while frames come: each frame is decoded by one table as a whole, and none is left out.
#![cfg(feature = "dbc")]
#![allow(clippy::unwrap_used, reason = "where a test unwraps, it fails")]

use std::fmt::Write;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use can_decode::{CanId, DecodeTable, Frame, Matching, dbc};

const ID: CanId = CanId::Standard(5);
const FRAMES: usize = 20_000;

/// One message with as many signals as `signals` says, so that a table is known by its frames.
fn table(signals: usize) -> Arc<DecodeTable> {
    let mut text = String::new();
    for at in 0..signals {
        // Messages in front of it, so that its index is another one in each table.
        writeln!(text, "BO_ {} Other{at}: 8 N", 100 + at).unwrap();
    }
    writeln!(text, "BO_ 5 M: 8 N").unwrap();
    for at in 0..signals {
        writeln!(text, " SG_ S{at} : {}|8@1+ (1,0) [0|0] \"\" N", at * 8).unwrap();
    }
    let (database, _) = dbc::read("a.dbc", text.as_bytes()).unwrap();
    Arc::new(DecodeTable::compile(&[database], Matching::Auto).0)
}

#[test]
fn no_frame_is_lost_while_tables_are_replaced() {
    let current = Arc::new(Mutex::new(table(1)));
    let (sender, receiver) = sync_channel::<Frame>(64);
    let swapping = Arc::clone(&current);
    let swapper = thread::spawn(move || {
        let tables = [table(8), table(1)];
        for round in 0..FRAMES {
            if round % 10 == 0 {
                *swapping.lock().unwrap_or_else(PoisonError::into_inner) =
                    Arc::clone(&tables[round / 10 % 2]);
            }
            sender.send(Frame::classic(ID, &[round as u8; 8]).unwrap()).unwrap();
        }
    });
    let mut counts = [0; 9];
    for frame in receiver {
        // An index belongs to its table: both are taken at once.
        let table = Arc::clone(&current.lock().unwrap_or_else(PoisonError::into_inner));
        let index = table.find(frame.id()).unwrap();
        let decoded = table.decode(index, &frame, |_, raw| assert_eq!(raw.0, u64::from(frame.data()[0])));
        counts[decoded.reported] += 1;
    }
    swapper.join().unwrap();
    assert_eq!(counts[1] + counts[8], FRAMES, "{counts:?}");
    assert!(counts[1] > 0 && counts[8] > 0, "{counts:?}");
}
