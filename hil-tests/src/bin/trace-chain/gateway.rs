//! The gateway ECU: what its software would be on a microcontroller.

use std::error::Error;

use can_decode::trace::{SpanIds, classic, payload};
use can_decode::{CanId, Frame};

use crate::bus::{BRAKE_COMMAND, Bus, CONTEXT_AT, CONTEXTS, PEDAL};
use crate::{Options, random};

/// A travel that the gateway does not pass on, as if its software had failed.
const LOST: u8 = 0xFF;

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let (from, to) = (Bus::open(&options.from, &[PEDAL])?, Bus::open(&options.to, &[])?);
    println!("ready");
    let mut ids = SpanIds::new(random()?);
    let mut alive: u8 = 0;
    let mut passed = 0;
    while passed < options.count {
        let pedal = from.receive()?;
        let &[low, high, travel, ..] = pedal.data() else { continue };
        if travel == LOST {
            continue;
        }
        // The lowest four bits of the alive counter of the frame that is meant.
        alive = (alive + 1) & 0xF;
        let command = CanId::Standard(BRAKE_COMMAND);
        if let Ok(context) = payload::read(pedal.data(), CONTEXT_AT) {
            let own = context.child(ids.next_id())?;
            for part in &classic::write(&own, command, 0, alive) {
                to.send(&Frame::classic(CanId::Standard(CONTEXTS), part)?)?;
            }
            println!("{own}");
        }
        to.send(&Frame::classic(command, &[low, high, travel, alive, 0, 0, 0, 0])?)?;
        passed += 1;
    }
    Ok(())
}
