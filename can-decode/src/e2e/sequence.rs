//! What a counter says: whether a frame is the next, repeated, or frames before it are missing.

use super::{Checked, Config, Profile, Status};

/// What a receiver of one message remembers between frames (`E2E_PxxCheckStateType`). A new one waits for the first
/// valid frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Counter of the last frame that counted.
    last: u16,
    /// Step that is tolerated now: it grows with every frame and cycle that brought nothing (profiles 1 and 2).
    tolerance: u16,
    /// Valid frames that it still takes until the sequence is trusted.
    sync: u8,
    /// Repeated frames, and cycles without one, in a row.
    idle: u8,
    started: bool,
}

impl State {
    /// A cycle without a frame.
    pub(super) fn missed(&mut self, profile: &Profile, cycles: u32) {
        let max = profile.counter_max();
        self.tolerance = self.tolerance.saturating_add(u16::try_from(cycles).unwrap_or(u16::MAX)).min(max);
        self.idle = self.idle.saturating_add(u8::try_from(cycles).unwrap_or(u8::MAX)).min(max.min(255) as u8);
    }

    /// A frame has come; whether it is valid is not known yet.
    pub(super) fn arrived(&mut self, profile: &Profile) {
        self.tolerance = self.tolerance.saturating_add(1).min(profile.counter_max());
    }

    /// A valid frame with this counter.
    pub(super) fn valid(&mut self, config: &Config, counter: u16) -> Checked {
        let checked = |status, lost| Checked { status, lost, counter: Some(counter) };
        if !self.started {
            self.started = true;
            self.accept(config, counter);
            return checked(Status::Initial, 0);
        }
        let modulus = u32::from(config.profile.counter_max()) + 1;
        // Less than the modulus, which is 16 bits and one at most.
        let step = ((u32::from(counter) + modulus - u32::from(self.last)) % modulus) as u16;
        match config.profile {
            Profile::P01 { .. } | Profile::P02 { .. } => {
                let status = self.tolerant(config, counter, step);
                let has_lost = matches!(status, Status::OkSomeLost | Status::WrongSequence);
                checked(status, if has_lost { step - 1 } else { 0 })
            }
            Profile::P04 { .. } | Profile::P05 { .. } => {
                self.last = counter;
                let status = match step {
                    0 => Status::Repeated,
                    1 => Status::Ok,
                    _ if step <= config.max_delta_counter => Status::OkSomeLost,
                    _ => Status::WrongSequence,
                };
                checked(status, step.saturating_sub(1))
            }
        }
    }

    /// Profiles 1 and 2: figures "process counter" and "handle ok and okSomeLost" of §6.3.7 and §6.4.6.
    fn tolerant(&mut self, config: &Config, counter: u16, step: u16) -> Status {
        if step == 0 {
            self.idle = self.idle.saturating_add(1).min(config.profile.counter_max() as u8);
            return Status::Repeated;
        }
        if step > self.tolerance {
            self.idle = 0;
            self.sync = config.sync_counter;
            if self.sync > 0 {
                self.accept(config, counter);
            }
            return Status::WrongSequence;
        }
        self.accept(config, counter);
        let was_idle = self.idle > config.max_no_new_or_repeated;
        self.idle = 0;
        if was_idle {
            self.sync = config.sync_counter;
            return Status::Sync;
        }
        if self.sync > 0 {
            self.sync -= 1;
            return Status::Sync;
        }
        if step == 1 { Status::Ok } else { Status::OkSomeLost }
    }

    fn accept(&mut self, config: &Config, counter: u16) {
        self.last = counter;
        self.tolerance = config.max_delta_counter;
    }
}
