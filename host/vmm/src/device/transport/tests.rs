// SPDX-License-Identifier: Apache-2.0
//! The transport as a driver sees it, with a real disk behind it.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::device::Lines;
use crate::device::block::{Disk, DiskWorker, QUEUE_SIZE};
use crate::memory::{GuestRam, MIN_MIB};

/// What a driver sets before DRIVER_OK.
const ACCEPTED: u32 = 1 | status::DRIVER | status::FEATURES_OK;

struct Rig {
    transport: Transport,
    pages: RegisterPages,
    _worker: Arc<DiskWorker>,
    _ram: GuestRam,
}

fn rig() -> Result<Rig, Box<dyn Error>> {
    let ram = GuestRam::new(MIN_MIB)?;
    let mut image = tempfile::NamedTempFile::new()?;
    image.write_all(&[0; 4096])?;
    let mut lines = Lines::new(1)?;
    let kick = lines.kicks.pop().ok_or("no kick")?;
    let (disk, worker) = Disk::open(image.path(), 0, &ram.memory, lines.interrupt, kick)?;
    let pages = RegisterPages::new(2)?;
    let transport = Transport::new("disk0".into(), pages.page(1), Box::new(disk));
    Ok(Rig {
        transport,
        pages,
        _worker: worker,
        _ram: ram,
    })
}

impl Rig {
    fn write(&mut self, offset: usize, value: u32) -> Result<(), ExitReason> {
        self.transport.write(offset, value)
    }

    fn read(&self, offset: usize) -> u32 {
        self.pages.page(1).get(offset)
    }

    fn accept(&mut self, features: u64) -> Result<(), Box<dyn Error>> {
        self.write(register::STATUS, 0)?;
        self.write(register::STATUS, 1 | status::DRIVER)?;
        for (select, word) in [(0, features & 0xffff_ffff), (1, features >> 32)] {
            self.write(register::DRIVER_FEATURES_SELECT, select)?;
            self.write(register::DRIVER_FEATURES, u32::try_from(word)?)?;
        }
        self.write(register::STATUS, ACCEPTED)?;
        Ok(())
    }

    fn enable_queue(&mut self, size: u32, descriptors: u32) -> Result<(), ExitReason> {
        self.write(register::QUEUE_SELECT, 0)?;
        self.write(register::QUEUE_SIZE, size)?;
        self.write(register::QUEUE_DESCRIPTORS_LOW, descriptors)?;
        self.write(register::QUEUE_AVAIL_LOW, descriptors + 0x1000)?;
        self.write(register::QUEUE_USED_LOW, descriptors + 0x2000)?;
        self.write(register::QUEUE_READY, 1)
    }
}

#[test]
fn identity_is_there_before_the_driver() -> Result<(), Box<dyn Error>> {
    let rig = rig()?;
    assert_eq!(rig.read(register::MAGIC).to_le_bytes(), *b"virt");
    assert_eq!(rig.read(register::VERSION), 2);
    assert_eq!(rig.read(register::DEVICE_ID), 2);
    assert_eq!(rig.read(register::INTERRUPT_STATUS), 1);
    assert_eq!(rig.read(register::SHM_LENGTH_LOW), u32::MAX);
    assert_eq!(rig.read(register::CONFIG), 8, "capacity in sectors");
    assert_eq!(rig.pages.page(0).get(register::MAGIC), 0, "pages are apart");
    Ok(())
}

#[test]
fn selectors_change_what_is_read() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let low = rig.read(register::DEVICE_FEATURES);
    rig.write(register::DEVICE_FEATURES_SELECT, 1)?;
    assert_eq!(rig.read(register::DEVICE_FEATURES), 1, "VERSION_1");
    rig.write(register::DEVICE_FEATURES_SELECT, 0)?;
    assert_eq!(rig.read(register::DEVICE_FEATURES), low);
    assert_eq!(rig.read(register::QUEUE_SIZE_MAX), u32::from(QUEUE_SIZE));
    rig.write(register::QUEUE_SELECT, 1)?;
    assert_eq!(rig.read(register::QUEUE_SIZE_MAX), 0, "no such queue");
    Ok(())
}

#[test]
fn features_must_be_offered_and_modern() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let version = 1 << VIRTIO_F_VERSION_1;
    for (features, agreed) in [(version, true), (0, false), (version | 1 << 24, false)] {
        rig.accept(features)?;
        let status = rig.read(register::STATUS);
        assert_eq!(status & status::FEATURES_OK != 0, agreed, "{features:#x}");
    }
    Ok(())
}

#[test]
fn device_starts_and_resets() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    rig.accept(1 << VIRTIO_F_VERSION_1)?;
    rig.enable_queue(16, 0x10_0000)?;
    assert_eq!(rig.read(register::QUEUE_READY), 1);
    rig.write(register::STATUS, ACCEPTED | status::DRIVER_OK)?;
    assert_eq!(rig.read(register::STATUS), ACCEPTED | status::DRIVER_OK);
    assert!(rig.transport.active);
    rig.write(register::QUEUE_READY, 0)?;
    assert_eq!(rig.read(register::QUEUE_READY), 1, "a running queue stays");
    rig.write(register::STATUS, 0)?;
    assert_eq!(rig.read(register::STATUS), 0);
    assert_eq!(rig.read(register::QUEUE_READY), 0);
    assert!(!rig.transport.active);
    Ok(())
}

#[test]
fn driver_that_errs_has_to_reset() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let outside = 0xfff0_0000;
    for (size, address) in [
        (16, outside),
        (24, 0x10_0000),
        (256, 0x10_0000),
        (0, 0x10_0000),
    ] {
        rig.accept(1 << VIRTIO_F_VERSION_1)?;
        rig.enable_queue(size, address)?;
        rig.write(register::STATUS, ACCEPTED | status::DRIVER_OK)?;
        let status = rig.read(register::STATUS);
        assert_ne!(
            status & status::NEEDS_RESET,
            0,
            "size {size} at {address:#x}"
        );
        assert!(!rig.transport.active);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a guest writes where: no panic, no end of the machine, and identity stays.
    #[test]
    fn no_write_breaks_the_device(writes in prop::collection::vec((0_usize..0x120, prop_oneof![0_u32..256, any::<u32>()]), 0..64)) {
        let mut rig = rig().map_err(|e| TestCaseError::fail(e.to_string()))?;
        for (offset, value) in writes {
            prop_assert_eq!(rig.write(offset, value), Ok(()));
        }
        prop_assert_eq!(rig.read(register::MAGIC), register::MAGIC_VALUE);
        prop_assert_eq!(rig.read(register::INTERRUPT_STATUS), register::INTERRUPT_USED_BUFFER);
    }
}
