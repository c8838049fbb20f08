//! What an ECU keeps and sends: sealed *blocks*, and the bounded *ring* that holds them.
//!
//! [`block`] is pure: it turns records into self-describing, compressed, checksummed bytes and back. [`ring`] says
//! which blocks stay, which go first and what an acknowledgement frees; with the feature `sqlite` it has a file.
//! Nothing here knows of a network.

pub mod block;
pub mod ring;
