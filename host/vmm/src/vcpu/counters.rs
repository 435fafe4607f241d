// SPDX-License-Identifier: Apache-2.0
//! Counters of every exit from the guest to this process, by kind.
//!
//! Exits that KVM handles inside the kernel (HLT, ioeventfd, interrupts) do not come here; /sys/kernel/debug/kvm has them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::device::transport::register;
use crate::machine::layout;

/// 4-byte registers of a virtio-mmio device before its configuration space.
const REGISTERS: usize = register::CONFIG / 4;

/// Kinds of exit that are no access to a device's register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Read of a serial console register.
    SerialRead,
    /// Write of a serial console register.
    SerialWrite,
    /// Keyboard controller.
    Reset,
    /// Exit port.
    Exit,
    /// Read of a port that nobody owns.
    OtherRead,
    /// Write to a port that nobody owns.
    OtherWrite,
    /// MMIO read. Device registers are memory for the guest, so this is always a stray access.
    MmioRead,
    /// MMIO write outside every device.
    MmioStray,
    /// HLT that KVM did not handle itself.
    Halt,
    /// A kick by this process.
    Kick,
    /// Anything else.
    Unknown,
}

const NAMES: [&str; 11] = [
    "pio.serial.read",
    "pio.serial.write",
    "pio.reset",
    "pio.exit",
    "pio.other.read",
    "pio.other.write",
    "mmio.read",
    "mmio.stray.write",
    "halt",
    "kick",
    "unknown",
];

/// Counters of one virtio-mmio device's writes that left the kernel.
#[derive(Debug)]
struct DeviceCounters {
    name: String,
    writes: [AtomicU64; REGISTERS],
    config: AtomicU64,
}

/// All counters of a machine. Counting is one relaxed addition; reading gives a snapshot without a common instant.
#[derive(Debug)]
pub struct Counters {
    kinds: [AtomicU64; NAMES.len()],
    devices: Vec<DeviceCounters>,
}

impl Counters {
    /// Zero for all kinds and for the virtio-mmio devices `names`, in the order of their addresses.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let devices = names
            .into_iter()
            .map(|name| DeviceCounters {
                name,
                writes: [const { AtomicU64::new(0) }; REGISTERS],
                config: AtomicU64::new(0),
            })
            .collect();
        Self {
            kinds: [const { AtomicU64::new(0) }; NAMES.len()],
            devices,
        }
    }

    /// Counts an exit.
    pub fn count(&self, kind: Kind) {
        self.kinds[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an access to a port.
    pub fn count_port(&self, port: u16, write: bool) {
        self.count(match (port, write) {
            (layout::PORT_SERIAL..0x400, false) => Kind::SerialRead,
            (layout::PORT_SERIAL..0x400, true) => Kind::SerialWrite,
            (layout::PORT_RESET, _) => Kind::Reset,
            (layout::PORT_EXIT, _) => Kind::Exit,
            (_, false) => Kind::OtherRead,
            (_, true) => Kind::OtherWrite,
        });
    }

    /// Counts a write to the register at `offset` of virtio-mmio device `device`.
    pub fn count_register(&self, device: usize, offset: usize) {
        let Some(counters) = self.devices.get(device) else {
            return self.count(Kind::MmioStray);
        };
        counters
            .writes
            .get(offset / 4)
            .unwrap_or(&counters.config)
            .fetch_add(1, Ordering::Relaxed);
    }

    /// All counters that are not zero, by name.
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        let kinds = NAMES.iter().map(ToString::to_string).zip(&self.kinds);
        let devices = self.devices.iter().flat_map(|device| {
            let registers = device.writes.iter().enumerate().map(|(index, counter)| {
                let name = register::name(index * 4);
                (format!("mmio.{}.{name}", device.name), counter)
            });
            let config = (format!("mmio.{}.config", device.name), &device.config);
            registers.chain([config])
        });
        let mut all = BTreeMap::new();
        for (name, counter) in kinds.chain(devices) {
            let value = counter.load(Ordering::Relaxed);
            if value > 0 {
                *all.entry(name).or_default() += value;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_told_apart() {
        let counters = Counters::new(["disk0".into(), "nexus".into()]);
        counters.count(Kind::Kick);
        counters.count_port(layout::PORT_SERIAL, true);
        counters.count_port(0x61, false);
        counters.count_register(1, register::STATUS);
        counters.count_register(1, register::STATUS);
        counters.count_register(0, register::CONFIG + 0x40);
        counters.count_register(2, register::STATUS);
        let expected = [
            ("kick", 1),
            ("mmio.disk0.config", 1),
            ("mmio.nexus.status", 2),
            ("mmio.stray.write", 1),
            ("pio.other.read", 1),
            ("pio.serial.write", 1),
        ];
        assert_eq!(
            counters.snapshot(),
            expected.map(|(name, n)| (name.to_string(), n)).into()
        );
    }
}
