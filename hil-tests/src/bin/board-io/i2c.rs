//! A chip on an I²C bus: registers, or a thermometer by its driver.

use std::error::Error;

use embedded_hal::i2c::{Error as _, ErrorKind, I2c};
use linux_embedded_hal::{I2CError, I2cdev};
use lm75::Lm75;
use serde_json::json;

use crate::number;

/// 7-bit addresses that chips can have; the others are reserved (NXP UM10204 §3.1.12).
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;
/// Bytes read or written at once: all registers of a chip whose register numbers are one byte.
const BYTES_MAX: usize = 256;

/// A chip.
pub(crate) struct Chip<'a> {
    bus: &'a str,
    address: u8,
}

/// What is to be done with it.
pub(crate) enum Task {
    /// So many bytes from a register on.
    Read { register: u8, count: usize },
    /// These bytes from a register on.
    Write { register: u8, bytes: Vec<u8> },
    /// A temperature.
    Thermometer,
}

impl Task {
    /// From the command line.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        match words {
            ["read", register, count] => match number(count, BYTES_MAX as u32)? {
                0 => Err("0 bytes are nothing to read".to_owned()),
                count => Ok(Self::Read { register: byte(register)?, count: count as usize }),
            },
            ["write", register, bytes @ ..] if (1..=BYTES_MAX).contains(&bytes.len()) => {
                let bytes = bytes.iter().map(|text| byte(text)).collect::<Result<_, _>>()?;
                Ok(Self::Write { register: byte(register)?, bytes })
            }
            ["thermometer"] => Ok(Self::Thermometer),
            _ => Err("with a chip it can read, write, thermometer; see board-io --help".to_owned()),
        }
    }
}

fn byte(text: &str) -> Result<u8, String> {
    Ok(number(text, u8::MAX.into())? as u8)
}

impl<'a> Chip<'a> {
    /// The chip at an address of a bus; nothing is opened yet.
    pub(crate) fn new(bus: &'a str, address: &str) -> Result<Self, String> {
        let number = byte(address)?;
        if !ADDRESSES.contains(&number) {
            return Err(format!("{address} is no address of a chip: from 0x08 to 0x77"));
        }
        Ok(Self { bus, address: number })
    }

    /// Does it, and says what came of it as JSON.
    pub(crate) fn run(&self, task: &Task) -> Result<String, Box<dyn Error>> {
        let path = self.bus;
        let bus = I2cdev::new(path).map_err(|error| format!("{path}: {error}; is there an I2C bus?"))?;
        match task {
            Task::Read { register, count } => {
                let bytes = self.read(bus, *register, *count).map_err(|error| self.refused(&error))?;
                Ok(json!({ "register": register, "bytes": bytes }).to_string())
            }
            Task::Write { register, bytes } => {
                self.write(bus, *register, bytes).map_err(|error| self.refused(&error))?;
                Ok(json!({ "register": register, "written": bytes.len() }).to_string())
            }
            Task::Thermometer => match Lm75::new(bus, self.address).read_temperature() {
                Ok(celsius) => Ok(json!({ "celsius": celsius }).to_string()),
                Err(lm75::Error::I2C(error)) => Err(self.refused(&error).into()),
                Err(lm75::Error::InvalidInputData) => Err("lm75 refuses its own reading".into()),
            },
        }
    }

    /// In one transaction, so that no other master comes between the register's number and its content.
    fn read<B: I2c>(&self, mut bus: B, register: u8, count: usize) -> Result<Vec<u8>, B::Error> {
        let mut bytes = vec![0; count];
        bus.write_read(self.address, &[register], &mut bytes)?;
        Ok(bytes)
    }

    fn write<B: I2c>(&self, mut bus: B, register: u8, bytes: &[u8]) -> Result<(), B::Error> {
        bus.write(self.address, &[&[register], bytes].concat())
    }

    fn refused(&self, error: &I2CError) -> String {
        let Self { bus, address } = self;
        let kind = error.kind();
        let remedy = match kind {
            ErrorKind::NoAcknowledge(_) => "is the chip there, powered, and at this address?",
            ErrorKind::Bus => "does a kernel driver hold the chip, or is the bus stuck?",
            ErrorKind::ArbitrationLoss => "another master was faster; try again",
            _ => "see Documentation/i2c/fault-codes.rst of the kernel",
        };
        format!("chip {address:#04x} on {bus}: {kind:?}: {error}; {remedy}")
    }
}
