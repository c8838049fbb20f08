//! What the kernel knows of its own clock (adjtimex(2)): whether somebody keeps it right, and how far off it may be.

use std::io;

/// The state of `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether somebody keeps it right: neither `STA_UNSYNC` nor `TIME_ERROR`. The kernel takes that back when the clock is
    /// set, and after a while without corrections.
    pub is_synchronised: bool,
    /// How far off it may be, nanoseconds (`maxerror`); grows by itself between corrections.
    pub error_ns_max: u64,
    /// How far off it probably is, nanoseconds (`esterror`).
    pub error_ns: u64,
    /// By how much the kernel runs it faster than its oscillator, parts in 10¹².
    pub frequency_ppt: i64,
    /// TAI minus UTC in seconds, as somebody told the kernel; 0 when nobody did.
    pub tai_utc_s: i32,
}

/// Asks the kernel; changes nothing.
///
/// # Errors
/// What `adjtimex(2)` says; `EPERM` where a sandbox forbids the call.
pub fn discipline() -> io::Result<Discipline> {
    // SAFETY: `timex` is plain data for which all zeros is a valid value; modes 0 asks and changes nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is the one that the call is defined with and outlives it.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    let us = |us: i64| u64::try_from(us).unwrap_or(0).saturating_mul(1_000);
    Ok(Discipline {
        is_synchronised: state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        error_ns_max: us(timex.maxerror as i64),
        error_ns: us(timex.esterror as i64),
        // Parts per million with 16 bits behind the point.
        frequency_ppt: (timex.freq as i64).saturating_mul(1_000_000) / 65_536,
        tai_utc_s: timex.tai as i32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells() {
        let discipline = discipline().unwrap();
        println!("{discipline:?}");
        // adjtimex(2) steers by 500 ppm at most, and nobody has told of more leap seconds than there can be.
        assert!(discipline.frequency_ppt.abs() <= 500_000_000, "{discipline:?}");
        assert!((0..=100).contains(&discipline.tai_utc_s), "{discipline:?}");
        assert!(discipline.is_synchronised || discipline.error_ns_max > 0, "{discipline:?}");
    }
}
