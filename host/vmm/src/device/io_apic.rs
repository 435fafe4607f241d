// SPDX-License-Identifier: Apache-2.0
//! The I/O APIC (Intel 82093AA datasheet), for edge-triggered lines.
//!
//! KVM has the local APICs, this process the I/O APIC ("split irqchip"): it turns each line's redirection entry into a message
//! that KVM sends by itself. KVM sends such a message where an irqfd is written; for a line of its own I/O APIC it would have a
//! kernel thread do so, which costs two context switches for each interrupt. A running guest does not touch these
//! registers: they are a matter of the boot.

use std::io;

use crate::machine::layout::{IO_APIC_PINS, LOCAL_APIC};

const PINS: usize = IO_APIC_PINS as usize;

/// Offsets of the two registers in memory: which register is meant, and its value.
const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;

/// Registers behind the window.
const REGISTER_ID: u8 = 0;
const REGISTER_VERSION: u8 = 1;
const REGISTER_ARBITRATION: u8 = 2;
const REGISTER_ENTRIES: u8 = 0x10;

const VERSION: u32 = 0x11;
const ID_MASK: u32 = 0x0f00_0000;

/// Fields of a redirection entry.
const ENTRY_MASKED: u64 = 1 << 16;
const ENTRY_LEVEL: u64 = 1 << 15;
const ENTRY_LOGICAL: u64 = 1 << 11;
const ENTRY_READ_ONLY: u64 = 1 << 12 | 1 << 14;
const ENTRY_VECTOR: u64 = 0xff;
const ENTRY_DELIVERY: u64 = 0x700;
/// Delivery to a fixed destination, and to the one with the lowest priority; others are not for devices.
const DELIVERY_LOWEST: u64 = 0x100;

/// A message-signalled interrupt (Intel SDM, volume 3, "Message Signalled Interrupts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) address: u32,
    pub(crate) data: u32,
}

/// What each line is turned into; `None` for those that are masked.
pub(crate) type Routes = [Option<Message>; PINS];

/// Has KVM send other messages from now on.
pub(crate) type Router = Box<dyn FnMut(&Routes) -> io::Result<()> + Send>;

/// The registers.
pub(crate) struct IoApic {
    select: u8,
    id: u32,
    entries: [u64; PINS],
    routes: Routes,
    router: Router,
}

impl IoApic {
    /// All lines are masked. `router` is told of every change.
    pub(crate) fn new(router: Router) -> Self {
        Self {
            select: 0,
            id: 0,
            entries: [ENTRY_MASKED; PINS],
            routes: [None; PINS],
            router,
        }
    }

    /// The guest reads 32 bits at an offset from the first register.
    pub(crate) fn read(&self, offset: u64) -> u32 {
        match offset {
            SELECT => self.select.into(),
            WINDOW => self.register(),
            _ => 0,
        }
    }

    /// The guest writes 32 bits at an offset from the first register.
    ///
    /// # Errors
    /// If KVM does not take the change.
    pub(crate) fn write(&mut self, offset: u64, value: u32) -> io::Result<()> {
        match offset {
            SELECT => {
                // The register has eight bits.
                self.select = value.to_le_bytes()[0];
                Ok(())
            }
            WINDOW => self.set_register(value),
            _ => Ok(()),
        }
    }

    fn register(&self) -> u32 {
        match self.select {
            REGISTER_ID | REGISTER_ARBITRATION => self.id,
            REGISTER_VERSION => VERSION | (u32::from(IO_APIC_PINS) - 1) << 16,
            _ => self.entry().map_or(0, |(pin, shift)| {
                let half = self.entries[pin] >> shift & u64::from(u32::MAX);
                u32::try_from(half).unwrap_or(0)
            }),
        }
    }

    fn set_register(&mut self, value: u32) -> io::Result<()> {
        if self.select == REGISTER_ID {
            self.id = value & ID_MASK;
            return Ok(());
        }
        let Some((pin, shift)) = self.entry() else {
            return Ok(());
        };
        let other_half = u64::from(u32::MAX) << (32 - shift);
        let entry = self.entries[pin] & other_half | u64::from(value) << shift;
        self.entries[pin] = entry & !ENTRY_READ_ONLY;
        let route = message(self.entries[pin]);
        if route == self.routes[pin] {
            return Ok(());
        }
        self.routes[pin] = route;
        (self.router)(&self.routes)
    }

    /// The redirection entry that is selected, and by how many bits its selected half is shifted.
    fn entry(&self) -> Option<(usize, u32)> {
        let index = self.select.checked_sub(REGISTER_ENTRIES)?;
        let pin = usize::from(index / 2);
        (pin < PINS).then_some((pin, u32::from(index % 2) * 32))
    }
}

/// The message of a redirection entry. None if it is masked, or of a kind that no device here has.
fn message(entry: u64) -> Option<Message> {
    let delivery = entry & ENTRY_DELIVERY;
    if entry & (ENTRY_MASKED | ENTRY_LEVEL) != 0 || delivery > DELIVERY_LOWEST {
        return None;
    }
    let destination = u32::from((entry >> 56).to_le_bytes()[0]);
    let logical = u32::from(entry & ENTRY_LOGICAL != 0);
    Some(Message {
        address: LOCAL_APIC | destination << 12 | logical << 2,
        data: u32::try_from(entry & (ENTRY_VECTOR | ENTRY_DELIVERY)).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn io_apic() -> (IoApic, Receiver<Routes>) {
        let (sender, receiver) = channel();
        let router =
            Box::new(move |routes: &Routes| sender.send(*routes).map_err(io::Error::other));
        (IoApic::new(router), receiver)
    }

    fn write(apic: &mut IoApic, register: u8, value: u32) {
        apic.write(SELECT, register.into()).unwrap();
        apic.write(WINDOW, value).unwrap();
    }

    fn read(apic: &mut IoApic, register: u8) -> u32 {
        apic.write(SELECT, register.into()).unwrap();
        apic.read(WINDOW)
    }

    #[test]
    fn version_and_id_are_as_linux_looks_for_them() {
        let (mut apic, _routes) = io_apic();
        assert_eq!(read(&mut apic, REGISTER_VERSION), 0x0017_0011);
        write(&mut apic, REGISTER_ID, 0xff00_0000);
        assert_eq!(read(&mut apic, REGISTER_ID), 0x0f00_0000);
        write(&mut apic, REGISTER_VERSION, 0);
        assert_eq!(read(&mut apic, REGISTER_VERSION), 0x0017_0011);
    }

    #[test]
    fn an_unmasked_line_is_a_message() {
        let (mut apic, routes) = io_apic();
        // Pin 5, to CPU 2 by its logical id, vector 0x31: first the upper half, as Linux does.
        write(&mut apic, 0x1b, 2 << 24);
        assert!(routes.try_recv().is_err(), "it is still masked");
        write(&mut apic, 0x1a, 0x831);
        let message = Message {
            address: 0xfee0_2004,
            data: 0x31,
        };
        assert_eq!(routes.try_recv().unwrap()[5], Some(message));
        assert_eq!(read(&mut apic, 0x1a), 0x831);
        assert_eq!(read(&mut apic, 0x1b), 2 << 24);
        write(&mut apic, 0x1a, 0x831);
        assert!(routes.try_recv().is_err(), "nothing has changed");
        write(&mut apic, 0x1a, 0x1_0831);
        assert_eq!(routes.try_recv().unwrap()[5], None);
    }

    #[test]
    fn what_no_device_needs_is_no_message() {
        let (mut apic, routes) = io_apic();
        // Level-triggered, NMI, ExtINT.
        for entry in [0x8031, 0x431, 0x731] {
            write(&mut apic, 0x10, entry);
        }
        assert!(routes.try_recv().is_err());
    }

    #[test]
    fn registers_that_do_not_exist_read_as_zero() {
        let (mut apic, routes) = io_apic();
        for register in [3, 0xf, 0x40, 0xff] {
            write(&mut apic, register, u32::MAX);
            assert_eq!(read(&mut apic, register), 0);
        }
        apic.write(0x40, 1).unwrap();
        assert_eq!(apic.read(0x40), 0);
        assert!(routes.try_recv().is_err());
    }
}
