//! Waiting for something, but not for ever.

use std::thread::sleep;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks `look` again and again until it has an answer.
///
/// # Panics
/// When it has none `within` this time; the text says what was waited for.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(started.elapsed() < within, "waited {within:?} in vain: {what}");
        sleep(LOOK_EVERY);
    }
}
