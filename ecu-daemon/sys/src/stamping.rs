//! What stamps an interface offers, and by which clock (ethtool's `ETHTOOL_GET_TS_INFO`).

use std::io;
use std::os::fd::BorrowedFd;

use crate::request::request;

/// linux/ethtool.h
const ETHTOOL_GET_TS_INFO: u32 = 0x41;

/// `struct ethtool_ts_info` of linux/ethtool.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TsInfo {
    cmd: u32,
    so_timestamping: u32,
    phc_index: i32,
    tx_types: u32,
    tx_reserved: [u32; 3],
    rx_filters: u32,
    rx_reserved: [u32; 3],
}

/// The stamps that an interface offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamping {
    /// Whether frames that arrive can be stamped by the hardware.
    pub hardware: bool,
    /// Whether the kernel stamps them.
    pub software: bool,
    /// The PHC that the hardware's stamps are of; `None` for a timer of its own that nothing can read, which is what
    /// most CAN controllers have.
    pub phc: Option<u8>,
}

/// Asks what stamps `interface` offers, through any socket.
///
/// # Errors
/// `InvalidInput` for a name that no interface can have; else what `ioctl(2)` says: `ENODEV` when there is none of that name,
/// `EOPNOTSUPP` when its driver does not say.
pub fn stamping(socket: BorrowedFd<'_>, interface: &str) -> io::Result<Stamping> {
    let mut info = TsInfo { cmd: ETHTOOL_GET_TS_INFO, ..TsInfo::default() };
    let mut asked = named(interface, (&raw mut info).cast())?;
    // SAFETY: SIOCETHTOOL is defined with `struct ifreq`, whose data points to the structure of the command in it: `info`,
    // which outlives the call and is not otherwise borrowed.
    unsafe { request(socket, libc::SIOCETHTOOL as libc::Ioctl, &mut asked) }?;
    let offers = |flag: libc::c_uint| info.so_timestamping & flag != 0;
    Ok(Stamping {
        hardware: offers(libc::SOF_TIMESTAMPING_RX_HARDWARE) && offers(libc::SOF_TIMESTAMPING_RAW_HARDWARE),
        software: offers(libc::SOF_TIMESTAMPING_RX_SOFTWARE) && offers(libc::SOF_TIMESTAMPING_SOFTWARE),
        phc: u8::try_from(info.phc_index).ok(),
    })
}

/// Turns the hardware's stamps on for all that `interface` sends and receives (`SIOCSHWTSTAMP`), which is the one setting
/// that the kernel's CAN drivers take.
///
/// # Errors
/// As for [`stamping`]; `EPERM` without `CAP_NET_ADMIN`: set it beforehand, with `hwstamp_ctl -i can0 -t 1 -r 1`.
pub fn stamp_in_hardware(socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    let mut config = libc::hwtstamp_config {
        flags: 0,
        tx_type: libc::HWTSTAMP_TX_ON as libc::c_int,
        rx_filter: libc::HWTSTAMP_FILTER_ALL as libc::c_int,
    };
    let mut asked = named(interface, (&raw mut config).cast())?;
    // SAFETY: SIOCSHWTSTAMP is defined with `struct ifreq`, whose data points to a `struct hwtstamp_config`: `config`, which
    // outlives the call and is not otherwise borrowed.
    unsafe { request(socket, libc::SIOCSHWTSTAMP as libc::Ioctl, &mut asked) }
}

/// A request about an interface. The pointer is followed by whoever makes the request.
fn named(interface: &str, data: *mut libc::c_char) -> io::Result<libc::ifreq> {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    let bytes = interface.as_bytes();
    // One byte stays zero: the kernel wants a C string.
    if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || bytes.contains(&0) {
        let text =
            format!("{interface:?} is no interface's name: those have 1 to {} bytes", libc::IFNAMSIZ - 1);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    for (to, from) in ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok(libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_loopback_interface_is_stamped_by_the_kernel_alone() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stamping = stamping(socket.as_fd(), "lo").unwrap();
        assert_eq!(stamping, Stamping { hardware: false, software: true, phc: None });
    }

    #[test]
    fn names_that_cannot_be_are_refused_and_missing_ones_named_so() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let kind = |name: &str| stamping(socket.as_fd(), name).map_err(|error| error.kind());
        for name in ["", "a-name-of-16-byte", "a\0b"] {
            assert_eq!(kind(name), Err(io::ErrorKind::InvalidInput), "{name:?}");
        }
        let missing = stamping(socket.as_fd(), "no-such-can").unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV), "{missing}");
        assert!(stamp_in_hardware(socket.as_fd(), "no-such-can").is_err());
    }
}
