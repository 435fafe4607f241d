// SPDX-License-Identifier: Apache-2.0
//! The pair of 8259 interrupt controllers, as far as a kernel looks for them before it uses the I/O APIC: their interrupt
//! masks keep what is written (`probe_8259A()`, arch/x86/kernel/i8259.c). Without them Linux has no interrupts by number. Nothing
//! is wired to them.

/// Ports of the two masks.
const MASTER_MASK: u16 = 0x21;
const SLAVE_MASK: u16 = 0xa1;

/// The masks.
#[derive(Debug, Default)]
pub(crate) struct Pic {
    masks: [u8; 2],
}

impl Pic {
    /// Whether a port is one of the masks'.
    pub(crate) const fn has(port: u16) -> bool {
        matches!(port, MASTER_MASK | SLAVE_MASK)
    }

    /// The guest reads a port.
    pub(crate) fn read(&self, port: u16) -> u8 {
        self.masks[usize::from(port == SLAVE_MASK)]
    }

    /// The guest writes to a port.
    pub(crate) fn write(&mut self, port: u16, value: u8) {
        self.masks[usize::from(port == SLAVE_MASK)] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_what_is_written() {
        let mut pic = Pic::default();
        pic.write(MASTER_MASK, 0xfb);
        pic.write(SLAVE_MASK, 0x12);
        assert_eq!((pic.read(MASTER_MASK), pic.read(SLAVE_MASK)), (0xfb, 0x12));
        assert!(Pic::has(MASTER_MASK) && Pic::has(SLAVE_MASK) && !Pic::has(0x20));
    }
}
