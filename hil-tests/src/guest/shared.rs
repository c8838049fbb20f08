//! One guest for many tests.

use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;

use super::machine::{Guest, Options, lock};
use crate::Bench;

/// A guest with nothing special about it, for tests that leave it as they found it. All tests of a process that hold it
/// at the same time have the same one; the last to let it go ends it.
pub fn shared() -> Arc<Shared> {
    static CURRENT: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    let mut current = lock(&CURRENT);
    if let Some(shared) = current.upgrade() {
        return shared;
    }
    let shared = Arc::new(Shared::boot());
    *current = Arc::downgrade(&shared);
    shared
}

/// A guest that does not end with the test that booted it.
pub struct Shared {
    guest: Option<Guest>,
    bench: Option<Bench>,
    /// Closed, it ends the keeper.
    keeper: Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>,
}

impl Shared {
    /// The kernel kills QEMU when the thread that started it ends, and a test's thread ends with the test: a thread of
    /// its own starts this one.
    fn boot() -> Self {
        let (booted, guest) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let keeper = thread::spawn(move || {
            let bench = Bench::new("shared");
            let guest = Guest::boot(&bench, Options::default());
            // Nobody waits any more: then it ends right here.
            let _ = booted.send((guest, bench));
            // An error is the end that is waited for.
            let _ = ended.recv();
        });
        let (guest, bench) = guest.recv().unwrap_or_else(|_| panic!("the shared guest did not boot"));
        Self { guest: Some(guest), bench: Some(bench), keeper: Some((end, keeper)) }
    }
}

impl std::ops::Deref for Shared {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        self.guest.as_ref().unwrap_or_else(|| unreachable!("there until it is dropped"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.guest = None;
        self.bench = None;
        if let Some((end, keeper)) = self.keeper.take() {
            drop(end);
            // It has said what it had to say when it panicked.
            let _ = keeper.join();
        }
    }
}
