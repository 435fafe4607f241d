// SPDX-License-Identifier: Apache-2.0
//! MP table (Intel MultiProcessor Specification 1.4): how a kernel without ACPI learns of its CPUs and its I/O APIC.
//!
//! Every pin of the I/O APIC is an edge-triggered interrupt of an ISA bus with the same number, so GSI, pin and the
//! guest's IRQ number are one. Edge-triggered lines need no end-of-interrupt exit, which is what an irqfd wants.

use vm_memory::{Bytes, GuestAddress};

use crate::exit::VmmError;
use crate::machine::layout;
use crate::memory::Memory;

const FLOATING_POINTER: usize = 16;
const HEADER: usize = 44;
const LOCAL_APIC_VERSION: u8 = 0x14;
const SPECIFICATION: u8 = 4;
const CPU_ENABLED: u8 = 1;
const CPU_BOOT: u8 = 2;
const FEATURE_FPU_APIC: u32 = 0x201;
const IO_APIC_VERSION: u8 = 0x11;
const BUS_ISA: u8 = 0;
const INTERRUPT_INT: u8 = 0;
const INTERRUPT_NMI: u8 = 1;
const INTERRUPT_EXTINT: u8 = 3;

/// Most CPUs that fit into the table's room.
pub const MAX_CPUS: u8 = 32;

/// Writes the table for `cpus` CPUs.
///
/// # Errors
/// [`VmmError::BadConfiguration`] if `cpus` is 0 or above [`MAX_CPUS`].
pub fn write(memory: &Memory, cpus: u8) -> Result<(), VmmError> {
    if !(1..=MAX_CPUS).contains(&cpus) {
        return Err(VmmError::BadConfiguration(format!(
            "--cpus {cpus}: must be 1 to {MAX_CPUS}"
        )));
    }
    let table = build(cpus);
    memory
        .write_slice(&table, GuestAddress(layout::MP_TABLE))
        .map_err(|e| {
            VmmError::BadConfiguration(format!("guest memory has no room for the MP table: {e}"))
        })
}

/// Floating pointer, header and entries as one run of bytes.
fn build(cpus: u8) -> Vec<u8> {
    let io_apic_id = cpus;
    let mut entries = Vec::new();
    for id in 0..cpus {
        let boot = if id == 0 { CPU_BOOT } else { 0 };
        entries.extend([0, id, LOCAL_APIC_VERSION, CPU_ENABLED | boot]);
        entries.extend(0x600_u32.to_le_bytes());
        entries.extend(FEATURE_FPU_APIC.to_le_bytes());
        entries.extend([0; 8]);
    }
    entries.extend([1, BUS_ISA]);
    entries.extend(b"ISA   ");
    entries.extend([2, io_apic_id, IO_APIC_VERSION, 1]);
    entries.extend(layout::IO_APIC.to_le_bytes());
    for pin in 0..layout::IO_APIC_PINS {
        entries.extend([3, INTERRUPT_INT, 0, 0, BUS_ISA, pin, io_apic_id, pin]);
    }
    entries.extend([4, INTERRUPT_EXTINT, 0, 0, BUS_ISA, 0, 0, 0]);
    entries.extend([4, INTERRUPT_NMI, 0, 0, BUS_ISA, 0, 0xff, 1]);

    let count = u16::from(cpus) + 2 + u16::from(layout::IO_APIC_PINS) + 2;
    let mut table = floating_pointer();
    let mut header = header(u16::try_from(HEADER + entries.len()).unwrap_or(0), count);
    let sum = checksum(header.iter().chain(&entries));
    header[7] = sum;
    table.extend(header);
    table.extend(entries);
    table
}

fn floating_pointer() -> Vec<u8> {
    let table = u32::try_from(layout::MP_TABLE).unwrap_or(0) + 16;
    let mut bytes = b"_MP_".to_vec();
    bytes.extend(table.to_le_bytes());
    bytes.extend([1, SPECIFICATION, 0, 0, 0, 0, 0, 0]);
    bytes[10] = checksum(bytes.iter());
    debug_assert_eq!(bytes.len(), FLOATING_POINTER);
    bytes
}

fn header(length: u16, count: u16) -> Vec<u8> {
    let mut bytes = b"PCMP".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend([SPECIFICATION, 0]);
    bytes.extend(b"NEXUS   VMM         ");
    bytes.extend([0; 6]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(layout::LOCAL_APIC.to_le_bytes());
    bytes.extend([0; 4]);
    debug_assert_eq!(bytes.len(), HEADER);
    bytes
}

/// The byte that makes the sum of all bytes zero.
fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u8 {
    bytes.fold(0_u8, |sum, byte| sum.wrapping_sub(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_zero_and_the_table_fits() {
        for cpus in 1..=MAX_CPUS {
            let table = build(cpus);
            assert!(table.len() <= layout::MP_TABLE_MAX);
            assert_eq!(checksum(table[..FLOATING_POINTER].iter()), 0);
            assert_eq!(checksum(table[FLOATING_POINTER..].iter()), 0);
        }
    }

    #[test]
    fn header_counts_what_follows() {
        let table = build(2);
        let header = &table[FLOATING_POINTER..];
        assert_eq!(&header[..4], b"PCMP");
        assert_eq!(
            usize::from(u16::from_le_bytes([header[4], header[5]])),
            header.len()
        );
        let mut entries = &header[HEADER..];
        let mut count = 0;
        while let Some(kind) = entries.first() {
            entries = &entries[if *kind == 0 { 20 } else { 8 }..];
            count += 1;
        }
        assert_eq!(u16::from_le_bytes([header[34], header[35]]), count);
    }

    #[test]
    fn no_cpu_and_too_many_are_refused() -> Result<(), VmmError> {
        let ram = crate::memory::GuestRam::new(crate::memory::MIN_MIB)?;
        for cpus in [0, MAX_CPUS + 1] {
            assert!(matches!(
                write(&ram.memory, cpus),
                Err(VmmError::BadConfiguration(_))
            ));
        }
        Ok(())
    }
}
