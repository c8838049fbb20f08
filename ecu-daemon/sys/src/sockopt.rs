//! Socket options that ask for control messages.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks the kernel to stamp every arriving packet: raw hardware time where the controller has it, software time always
/// (`SO_TIMESTAMPING`, Documentation/networking/timestamping.rst).
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn stamp_arrivals(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = libc::SOF_TIMESTAMPING_RX_SOFTWARE
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_RX_HARDWARE
        | libc::SOF_TIMESTAMPING_RAW_HARDWARE;
    set(socket, libc::SO_TIMESTAMPING, flags as libc::c_int)
}

/// Asks the kernel to tell how many packets it dropped because the receive queue was full (`SO_RXQ_OVFL`).
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn count_drops(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SO_RXQ_OVFL, 1)
}

fn set(socket: BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; pointer and length are those of `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
