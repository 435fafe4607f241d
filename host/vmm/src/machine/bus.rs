// SPDX-License-Identifier: Apache-2.0
//! Where a vCPU's exits go: the few I/O ports of the machine, and the virtio-mmio register pages.

use std::sync::{Arc, Mutex};

use super::layout;
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
            _ => data.fill(0xff),
        }
    }

    /// A guest's write to an address without writable memory. An error is the machine's end.
    pub(crate) fn mmio_write(&self, address: u64, data: &[u8]) -> Result<(), ExitReason> {
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

    /// A guest's read of an address without memory. Device registers are memory, so it is always a stray access.
    pub(crate) fn mmio_read(&self, data: &mut [u8]) {
        self.counters.count(Kind::MmioRead);
        data.fill(0xff);
    }
}
