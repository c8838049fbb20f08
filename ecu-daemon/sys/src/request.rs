//! ioctl(2) with a structure that the kernel reads and writes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Makes a request of the kernel.
///
/// # Safety
/// `value` must be the structure that `request` is defined with, and any pointer in it must be good for what the request
/// does with it.
pub(crate) unsafe fn request<T>(fd: BorrowedFd<'_>, request: libc::Ioctl, value: &mut T) -> io::Result<()> {
    // SAFETY: the descriptor is open while `fd` is borrowed; the caller vouches for the structure.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(value)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
