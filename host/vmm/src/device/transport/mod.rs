// SPDX-License-Identifier: Apache-2.0
//! virtio-mmio transport, version 2 (virtio 1.3, section 4.2), with registers that are memory.
//!
//! A read-only memslot lies over each device's registers, so the guest reads them without leaving guest mode; this
//! process keeps the page true. Writes do leave it: KVM first offers them to the ioeventfds, and what none of those takes
//! comes here. `QueueNotify` has an ioeventfd for each queue. `InterruptStatus` reads as "used buffer" for ever, which is
//! the only interrupt there is: a driver that looks at its rings for nothing loses little. And since nothing has to be
//! cleared, `InterruptACK` has an ioeventfd that nobody reads. So a running device causes no exit to this process, neither
//! for a notification nor for an interrupt.

mod page;
pub(crate) mod register;
#[cfg(test)]
mod tests;

pub(crate) use page::{RegisterPage, RegisterPages};

use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;

use self::register::status;
use super::{DeviceError, VirtioDevice, Vring};
use crate::exit::ExitReason;

/// The registers of one device, and the device behind them.
pub(crate) struct Transport {
    name: String,
    page: RegisterPage,
    device: Box<dyn VirtioDevice>,
    device_features_select: u32,
    driver_features_select: u32,
    driver_features: u64,
    queue_select: usize,
    vrings: Vec<Vring>,
    active: bool,
}

impl Transport {
    /// Puts `device` behind the registers in `page`.
    pub(crate) fn new(name: String, page: RegisterPage, device: Box<dyn VirtioDevice>) -> Self {
        page.set(register::MAGIC, register::MAGIC_VALUE);
        page.set(register::VERSION, register::VERSION_VALUE);
        page.set(register::DEVICE_ID, device.device_id());
        page.set(register::VENDOR_ID, register::VENDOR_VALUE);
        page.set(register::INTERRUPT_STATUS, register::INTERRUPT_USED_BUFFER);
        // No shared memory region: length and base are all ones (section 4.2.2.1).
        for offset in (register::SHM_LENGTH_LOW..=register::SHM_BASE_HIGH).step_by(4) {
            page.set(offset, u32::MAX);
        }
        page.set_config(device.config());
        let mut transport = Self {
            name,
            page,
            device,
            device_features_select: 0,
            driver_features_select: 0,
            driver_features: 0,
            queue_select: 0,
            vrings: Vec::new(),
            active: false,
        };
        transport.clear();
        transport
    }

    /// The guest writes `value` to the register at `offset`. An error is the machine's end.
    pub(crate) fn write(&mut self, offset: usize, value: u32) -> Result<(), ExitReason> {
        match offset {
            register::DEVICE_FEATURES_SELECT => self.device_features_select = value,
            register::DRIVER_FEATURES_SELECT => self.driver_features_select = value,
            register::DRIVER_FEATURES => self.accept_features(value),
            register::QUEUE_SELECT => self.queue_select = value as usize,
            register::STATUS => return self.set_status(value),
            _ => self.configure_queue(offset, value),
        }
        self.refresh();
        Ok(())
    }

    fn accept_features(&mut self, value: u32) {
        let (shift, keep) = match self.driver_features_select {
            0 => (0, !0_u64 << 32),
            1 => (32, !0_u64 >> 32),
            _ => return,
        };
        if self.status() & status::FEATURES_OK == 0 {
            self.driver_features = self.driver_features & keep | u64::from(value) << shift;
        }
    }

    /// A register of the selected queue. Nothing of a queue may change once it is enabled, or the device runs.
    fn configure_queue(&mut self, offset: usize, value: u32) {
        if self.active {
            return;
        }
        let Some(vring) = self.vrings.get_mut(self.queue_select) else {
            return;
        };
        if offset == register::QUEUE_READY {
            vring.ready = value == 1;
            return;
        }
        if vring.ready {
            return;
        }
        match offset {
            register::QUEUE_SIZE => vring.size = u16::try_from(value).unwrap_or(0),
            register::QUEUE_DESCRIPTORS_LOW => set_low(&mut vring.descriptors, value),
            register::QUEUE_DESCRIPTORS_HIGH => set_high(&mut vring.descriptors, value),
            register::QUEUE_AVAIL_LOW => set_low(&mut vring.avail, value),
            register::QUEUE_AVAIL_HIGH => set_high(&mut vring.avail, value),
            register::QUEUE_USED_LOW => set_low(&mut vring.used, value),
            register::QUEUE_USED_HIGH => set_high(&mut vring.used, value),
            _ => {}
        }
    }

    fn set_status(&mut self, value: u32) -> Result<(), ExitReason> {
        if value == 0 {
            return self.reset();
        }
        // A bit once set stays until the reset, and only the device sets NEEDS_RESET (section 2.1.1).
        let mut next = self.status() | value & !status::NEEDS_RESET & 0xff;
        if next & status::FEATURES_OK != 0 && !self.features_agree() {
            next &= !status::FEATURES_OK;
        }
        let ready = status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;
        if next & ready == ready && !self.active && next & status::NEEDS_RESET == 0 {
            match self.activate() {
                Ok(()) => self.active = true,
                Err(DeviceError::Driver(why)) => {
                    tracing::warn!(device = %self.name, "the guest's driver cannot be served: {why}");
                    next |= status::NEEDS_RESET;
                }
                Err(DeviceError::Backend(error)) => return Err(self.backend_gone(&error)),
            }
        }
        self.page.set(register::STATUS, next);
        Ok(())
    }

    fn activate(&mut self) -> Result<(), DeviceError> {
        for (index, vring) in self.vrings.iter().enumerate() {
            let limit = self.device.queue_sizes()[index];
            if !vring.ready || !vring.size.is_power_of_two() || vring.size > limit {
                return Err(DeviceError::Driver(format!(
                    "queue {index} has size {} of at most {limit}, enabled: {}",
                    vring.size, vring.ready
                )));
            }
        }
        self.device.activate(self.driver_features, &self.vrings)
    }

    fn reset(&mut self) -> Result<(), ExitReason> {
        if self.active
            && let Err(error) = self.device.reset()
        {
            return Err(self.backend_gone(&error));
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.active = false;
        self.device_features_select = 0;
        self.driver_features_select = 0;
        self.driver_features = 0;
        self.queue_select = 0;
        self.vrings = vec![Vring::default(); self.device.queue_sizes().len()];
        self.page.set(register::STATUS, 0);
        self.refresh();
    }

    /// Makes the registers that depend on a selector true again.
    fn refresh(&self) {
        let features = self.device.features();
        let word = match self.device_features_select {
            0 => features & 0xffff_ffff,
            1 => features >> 32,
            _ => 0,
        };
        self.page
            .set(register::DEVICE_FEATURES, u32::try_from(word).unwrap_or(0));
        let sizes = self.device.queue_sizes();
        let size = sizes.get(self.queue_select).copied().unwrap_or(0);
        self.page.set(register::QUEUE_SIZE_MAX, u32::from(size));
        let ready = self
            .vrings
            .get(self.queue_select)
            .is_some_and(|vring| vring.ready);
        self.page.set(register::QUEUE_READY, u32::from(ready));
    }

    /// The driver took no feature that was not offered, and the one without which it is a legacy driver.
    fn features_agree(&self) -> bool {
        self.driver_features & !self.device.features() == 0
            && self.driver_features & 1 << VIRTIO_F_VERSION_1 != 0
    }

    fn status(&self) -> u32 {
        self.page.get(register::STATUS)
    }

    fn backend_gone(&self, error: &dyn std::fmt::Display) -> ExitReason {
        tracing::error!(device = %self.name, "{error}");
        ExitReason::BackendGone
    }
}

fn set_low(address: &mut u64, value: u32) {
    *address = *address & !0xffff_ffff | u64::from(value);
}

fn set_high(address: &mut u64, value: u32) {
    *address = *address & 0xffff_ffff | u64::from(value) << 32;
}
