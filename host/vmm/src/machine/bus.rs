// SPDX-License-Identifier: Apache-2.0
//! Where a vCPU's exits go: the few I/O ports of the machine, and the virtio-mmio register pages.

use std::sync::{Arc, Mutex};

use super::layout;
use crate::device::io_apic::IoApic;
use crate::device::pic::Pic;
use crate::device::serial::SerialPort;
use crate::device::transport::Transport;
use crate::exit::ExitReason;
use crate::vcpu::counters::{Counters, Kind};
use crate::vcpu::lock;

/// Command byte of the keyboard controller that pulls the reset line.
const RESET_COMMAND: u8 = 0xfe;

/// Status of the keyboard controller. "Input buffer full" is clear, so a guest that reboots gives the reset command at
/// once; "output buffer full" is always set, by which a driver sees within microseconds that there is no keyboard.
const RESET_STATUS: u8 = 1;

/// The devices behind the machine's ports and pages.
pub(crate) struct Bus {
    pub(crate) io_apic: Mutex<IoApic>,
    pub(crate) pic: Mutex<Pic>,
    pub(crate) serial: Mutex<SerialPort>,
    pub(crate) virtio: Vec<Mutex<Transport>>,
    pub(crate) counters: Arc<Counters>,
}

impl Bus {
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A guest's `out`. An error is the machine's end.
    pub(crate) fn port_write(&self, port: u16, data: &[u8]) -> Result<(), ExitReason> {
        self.counters.count_port(port, true);
        match (port, data) {
            (layout::PORT_RESET, [RESET_COMMAND, ..]) => Err(ExitReason::GuestReset),
            (layout::PORT_EXIT, [code, ..]) => Err(ExitReason::Exited { code: *code }),
            (layout::PORT_SERIAL..0x400, _) => {
                let mut serial = lock(&self.serial);
                for byte in data {
                    serial.write(port - layout::PORT_SERIAL, *byte);
                }
                Ok(())
            }
            (port, [value, ..]) if Pic::has(port) => {
                lock(&self.pic).write(port, *value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A guest's `in`. Ports that nobody owns read as all ones, as on a real bus.
    pub(crate) fn port_read(&self, port: u16, data: &mut [u8]) {
        self.counters.count_port(port, false);
        match port {
            layout::PORT_RESET => data.fill(RESET_STATUS),
            layout::PORT_SERIAL..0x400 => {
                let mut serial = lock(&self.serial);
                data.fill_with(|| serial.read(port - layout::PORT_SERIAL));
            }
            _ if Pic::has(port) => data.fill(lock(&self.pic).read(port)),
            _ => data.fill(0xff),
        }
    }

    /// A guest's write to an address without writable memory. An error is the machine's end.
    pub(crate) fn mmio_write(&self, address: u64, data: &[u8]) -> Result<(), ExitReason> {
        if let Some(offset) = io_apic_offset(address) {
            return self.io_apic_write(offset, data);
        }
        let device = address
            .checked_sub(layout::VIRTIO_BASE)
            .map(|offset| {
                (
                    offset / layout::VIRTIO_STRIDE,
                    offset % layout::VIRTIO_STRIDE,
                )
            })
            .and_then(|(index, offset)| {
                Some((usize::try_from(index).ok()?, usize::try_from(offset).ok()?))
            });
        let Some((index, offset)) = device.filter(|(index, _)| *index < self.virtio.len()) else {
            self.counters.count(Kind::MmioStray);
            return Ok(());
        };
        self.counters.count_register(index, offset);
        match data.try_into() {
            Ok(bytes) => lock(&self.virtio[index]).write(offset, u32::from_le_bytes(bytes)),
            // Virtio 1.3, section 4.2.2.2: a driver uses 32-bit accesses only.
            Err(_) => Ok(()),
        }
    }

    /// A guest's read of an address without memory. A virtio device's registers are memory, so it is the I/O APIC or a stray
    /// access.
    pub(crate) fn mmio_read(&self, address: u64, data: &mut [u8]) {
        let Some(offset) = io_apic_offset(address) else {
            self.counters.count(Kind::MmioRead);
            return data.fill(0xff);
        };
        self.counters.count(Kind::IoApic);
        let value = lock(&self.io_apic).read(offset).to_le_bytes();
        for (place, byte) in data.iter_mut().zip(value) {
            *place = byte;
        }
    }

    fn io_apic_write(&self, offset: u64, data: &[u8]) -> Result<(), ExitReason> {
        self.counters.count(Kind::IoApic);
        let Ok(bytes) = data.try_into() else {
            // Its registers are 32 bits wide.
            return Ok(());
        };
        lock(&self.io_apic)
            .write(offset, u32::from_le_bytes(bytes))
            .map_err(|error| {
                ExitReason::Internal(format!("KVM takes no interrupt routing: {error}"))
            })
    }
}

/// The offset into the I/O APIC's page of an address that lies in it.
fn io_apic_offset(address: u64) -> Option<u64> {
    address
        .checked_sub(layout::IO_APIC.into())
        .filter(|offset| *offset < layout::IO_APIC_SIZE)
}
