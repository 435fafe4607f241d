// SPDX-License-Identifier: Apache-2.0
//! Where things are in the guest's address space, and which interrupt and I/O ports they have.
//!
//! ```text
//! 0x0000_6000   hvm_start_info        0xd000_0000 + n * 4 KiB   virtio-mmio device n, GSI 5 + n
//! 0x0000_7000   PVH memory map        0xfec0_0000               I/O APIC (in KVM)
//! 0x0002_0000   command line          0xfee0_0000               local APIC (in KVM)
//! 0x0009_fc00   MP table              0xfffb_c000               pages that KVM needs on Intel
//! 0x0010_0000   memory, to 3 GiB at most; the rest from 4 GiB on
//! ```

/// `hvm_start_info` of the PVH protocol.
pub const PVH_START_INFO: u64 = 0x6000;
/// Memory map that `hvm_start_info` refers to.
pub const PVH_MEMORY_MAP: u64 = 0x7000;
/// Command line, zero-terminated.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Longest command line that an x86 kernel takes, with its final zero.
pub const COMMAND_LINE_MAX: usize = 2048;
/// MP table: in the last KiB of conventional memory, where kernels look for it.
pub const MP_TABLE: u64 = 0x9_fc00;
/// Room for the MP table.
pub const MP_TABLE_MAX: usize = 0x400;
/// First byte above the legacy hole.
pub const HIGH_MEMORY: u64 = 0x10_0000;
/// Memory ends here and goes on at [`GAP_END`].
pub const GAP_START: u64 = 3 << 30;
/// End of the gap that holds the devices.
pub const GAP_END: u64 = 4 << 30;

/// Register page of the first virtio-mmio device.
pub const VIRTIO_BASE: u64 = 0xd000_0000;
/// Distance between two devices, one page.
pub const VIRTIO_STRIDE: u64 = 0x1000;
/// Interrupt of the first virtio-mmio device.
pub const VIRTIO_GSI: u32 = 5;
/// Devices that the interrupt lines allow.
pub const VIRTIO_MAX: usize = 16;

/// Pins of the I/O APIC.
pub const IO_APIC_PINS: u8 = 24;
/// I/O APIC registers.
pub const IO_APIC: u32 = 0xfec0_0000;
/// Local APIC registers.
pub const LOCAL_APIC: u32 = 0xfee0_0000;
/// Page for KVM's identity map (Intel without unrestricted guest).
pub const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;
/// Three pages for KVM's real-mode task state segment (Intel).
pub const KVM_TSS: u64 = 0xfffb_d000;

/// First port of the serial console (COM1), eight ports long.
pub const PORT_SERIAL: u16 = 0x3f8;
/// Interrupt of the serial console.
pub const SERIAL_GSI: u32 = 4;
/// Keyboard controller: writing 0xfe pulls the reset line.
pub const PORT_RESET: u16 = 0x64;
/// Exit port. The guest's init writes one byte here when it is done: the machine ends in order, with that byte as its code.
pub const PORT_EXIT: u16 = 0x501;

/// Memory regions of a machine with `size` bytes: (start, length).
pub fn ram_regions(size: u64) -> Vec<(u64, u64)> {
    let low = size.min(GAP_START);
    let mut regions = vec![(0, low)];
    if size > low {
        regions.push((GAP_END, size - low));
    }
    regions
}

/// Register page of virtio-mmio device `index`.
pub fn virtio_address(index: usize) -> u64 {
    VIRTIO_BASE + index as u64 * VIRTIO_STRIDE
}

/// Interrupt of virtio-mmio device `index`; `index` is below [`VIRTIO_MAX`].
pub fn virtio_gsi(index: usize) -> u32 {
    VIRTIO_GSI + u32::try_from(index).unwrap_or(0)
}
