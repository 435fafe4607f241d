// SPDX-License-Identifier: Apache-2.0
//! Register offsets of virtio-mmio (virtio 1.3, section 4.2.2) and the values that never change.

pub(crate) const MAGIC: usize = 0x00;
pub(crate) const VERSION: usize = 0x04;
pub(crate) const DEVICE_ID: usize = 0x08;
pub(crate) const VENDOR_ID: usize = 0x0c;
pub(crate) const DEVICE_FEATURES: usize = 0x10;
pub(crate) const DEVICE_FEATURES_SELECT: usize = 0x14;
pub(crate) const DRIVER_FEATURES: usize = 0x20;
pub(crate) const DRIVER_FEATURES_SELECT: usize = 0x24;
pub(crate) const QUEUE_SELECT: usize = 0x30;
pub(crate) const QUEUE_SIZE_MAX: usize = 0x34;
pub(crate) const QUEUE_SIZE: usize = 0x38;
pub(crate) const QUEUE_READY: usize = 0x44;
pub(crate) const QUEUE_NOTIFY: usize = 0x50;
pub(crate) const INTERRUPT_STATUS: usize = 0x60;
pub(crate) const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
pub(crate) const STATUS: usize = 0x70;
pub(crate) const QUEUE_DESCRIPTORS_LOW: usize = 0x80;
pub(crate) const QUEUE_DESCRIPTORS_HIGH: usize = 0x84;
pub(crate) const QUEUE_AVAIL_LOW: usize = 0x90;
pub(crate) const QUEUE_AVAIL_HIGH: usize = 0x94;
pub(crate) const QUEUE_USED_LOW: usize = 0xa0;
pub(crate) const QUEUE_USED_HIGH: usize = 0xa4;
/// First of the four words that tell length and address of a shared memory region.
pub(crate) const SHM_LENGTH_LOW: usize = 0xb0;
pub(crate) const SHM_BASE_HIGH: usize = 0xbc;
/// Start of the configuration space.
pub(crate) const CONFIG: usize = 0x100;

/// "virt".
pub(crate) const MAGIC_VALUE: u32 = 0x7472_6976;
/// The transport's version; 1 is the legacy one.
pub(crate) const VERSION_VALUE: u32 = 2;
/// "NEXS"; nothing depends on it.
pub(crate) const VENDOR_VALUE: u32 = 0x5358_454e;
/// A used buffer notification is the only interrupt that a device of ours has.
pub(crate) const INTERRUPT_USED_BUFFER: u32 = 1;

/// Device status bits (virtio 1.3, section 2.1).
pub(crate) mod status {
    pub(crate) const DRIVER: u32 = 2;
    pub(crate) const DRIVER_OK: u32 = 4;
    pub(crate) const FEATURES_OK: u32 = 8;
    pub(crate) const NEEDS_RESET: u32 = 64;
}

/// Name of a register, for counters.
pub(crate) fn name(offset: usize) -> &'static str {
    match offset {
        DEVICE_FEATURES_SELECT => "device_features_select",
        DRIVER_FEATURES => "driver_features",
        DRIVER_FEATURES_SELECT => "driver_features_select",
        QUEUE_SELECT => "queue_select",
        QUEUE_SIZE => "queue_size",
        QUEUE_READY => "queue_ready",
        QUEUE_NOTIFY => "queue_notify",
        INTERRUPT_ACKNOWLEDGE => "interrupt_acknowledge",
        STATUS => "status",
        QUEUE_DESCRIPTORS_LOW..=QUEUE_USED_HIGH => "queue_address",
        _ => "other",
    }
}
