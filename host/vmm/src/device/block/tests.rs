// SPDX-License-Identifier: Apache-2.0
//! The disk as a driver sees it: rings in guest memory, a real file behind.

use std::error::Error;
use std::io::Write;

use proptest::prelude::*;
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::MockSplitQueue;
use vm_memory::Bytes;

use super::*;
use crate::device::Lines;
use crate::memory::{GuestRam, MIN_MIB};

/// Behind an avail ring of the full size; MockSplitQueue puts the used ring of a large queue into it.
const USED: u64 = 0x8000;
const HEADER: u64 = 0x10_0000;
const STATUS: u64 = 0x10_1000;
const DATA: u64 = 0x20_0000;
const WRITE: u16 = 2;
const SECTORS: u64 = 64;

const IN: u32 = 0;
const OUT: u32 = 1;
const GET_ID: u32 = 8;

const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;
const UNTOUCHED: u8 = 0xaa;

struct Rig {
    ram: GuestRam,
    disk: Disk,
    worker: Arc<DiskWorker>,
    content: Vec<u8>,
}

fn rig() -> Result<Rig, Box<dyn Error>> {
    let bytes = (0..SECTORS * SECTOR).map(|i| u8::try_from(i % 251).unwrap_or(0));
    rig_with(bytes.collect())
}

fn rig_with(content: Vec<u8>) -> Result<Rig, Box<dyn Error>> {
    let ram = GuestRam::new(MIN_MIB)?;
    let mut image = tempfile::NamedTempFile::new()?;
    image.write_all(&content)?;
    let mut lines = Lines::new(1)?;
    let kick = lines.kicks.pop().ok_or("no kick")?;
    let (disk, worker) = Disk::open(image.path(), 3, &ram.memory, lines.interrupt, kick)?;
    Ok(Rig {
        ram,
        disk,
        worker,
        content,
    })
}

fn piece(address: u64, length: u32, flags: u16) -> RawDescriptor {
    RawDescriptor::from(Descriptor::new(address, length, flags, 0))
}

impl Rig {
    /// Gives the disk one request with these data pieces. Returns its status byte and the used length.
    fn request(
        &mut self,
        kind: u32,
        sector: u64,
        data: &[RawDescriptor],
    ) -> Result<(u8, u32), Box<dyn Error>> {
        let memory = &self.ram.memory;
        memory.write_obj(kind, GuestAddress(HEADER))?;
        memory.write_obj(sector, GuestAddress(HEADER + 8))?;
        let mut chain = vec![piece(HEADER, 16, 0)];
        chain.extend(data);
        chain.push(piece(STATUS, 1, WRITE));
        self.chain(&chain)
    }

    fn chain(&mut self, chain: &[RawDescriptor]) -> Result<(u8, u32), Box<dyn Error>> {
        let memory = &self.ram.memory;
        memory.write_slice(&[0; 0x1000], GuestAddress(0))?;
        memory.write_obj(UNTOUCHED, GuestAddress(STATUS))?;
        let driver = MockSplitQueue::new(memory, 16);
        driver.build_desc_chain(chain)?;
        let vring = Vring {
            size: 16,
            ready: true,
            descriptors: driver.desc_table_addr().0,
            avail: driver.avail_addr().0,
            used: driver.used_addr().0,
        };
        self.disk.activate(0, &[vring])?;
        self.worker.kick().write(1)?;
        self.worker.process();
        assert_eq!(driver.used().idx().load(), 1, "every chain comes back");
        assert_eq!(self.worker.interrupt.read()?, 1);
        let used = driver.used().ring().ref_at(0)?.load().len();
        Ok((memory.read_obj(GuestAddress(STATUS))?, used))
    }
}

#[test]
fn reads_come_from_the_file_in_pieces() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let data = [
        piece(DATA, 512, WRITE),
        piece(DATA + 0x1000, 1024, WRITE),
        piece(DATA + 0x3000, 512, WRITE),
    ];
    assert_eq!(rig.request(IN, 5, &data)?, (OK, 2049));
    let mut read = vec![0; 2048];
    rig.ram
        .memory
        .read_slice(&mut read[..512], GuestAddress(DATA))?;
    rig.ram
        .memory
        .read_slice(&mut read[512..1536], GuestAddress(DATA + 0x1000))?;
    rig.ram
        .memory
        .read_slice(&mut read[1536..], GuestAddress(DATA + 0x3000))?;
    assert_eq!(read, rig.content[5 * 512..9 * 512]);
    Ok(())
}

#[test]
fn identity_is_told() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    assert_eq!(rig.request(GET_ID, 0, &[piece(DATA, 20, WRITE)])?, (OK, 21));
    let mut id = [0; 20];
    rig.ram.memory.read_slice(&mut id, GuestAddress(DATA))?;
    assert_eq!(&id, b"nexus-disk-3\0\0\0\0\0\0\0\0");
    Ok(())
}

#[test]
fn what_cannot_be_done_is_refused() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let sector = [piece(DATA, 512, WRITE)];
    assert_eq!(
        rig.request(OUT, 0, &[piece(DATA, 512, 0)])?,
        (UNSUPPORTED, 1)
    );
    assert_eq!(rig.request(77, 0, &sector)?, (UNSUPPORTED, 1));
    assert_eq!(rig.request(IN, SECTORS, &sector)?, (IO_ERROR, 1));
    assert_eq!(rig.request(IN, u64::MAX, &sector)?, (IO_ERROR, 1));
    assert_eq!(rig.request(IN, 0, &[])?, (IO_ERROR, 1));
    let odd = [piece(DATA, 100, WRITE)];
    assert_eq!(rig.request(IN, 0, &odd)?, (IO_ERROR, 1));
    let read_only = [piece(DATA, 512, 0)];
    assert_eq!(rig.request(IN, 0, &read_only)?, (IO_ERROR, 1));
    let outside = [piece(MIN_MIB << 20, 512, WRITE)];
    assert_eq!(rig.request(IN, 0, &outside)?, (IO_ERROR, 1));
    let wrapping = [piece(u64::MAX - 100, 512, WRITE)];
    assert_eq!(rig.request(IN, 0, &wrapping)?, (IO_ERROR, 1));
    assert_eq!(
        rig.request(GET_ID, 0, &[piece(DATA, 19, WRITE)])?,
        (IO_ERROR, 1)
    );
    Ok(())
}

#[test]
fn chains_that_are_no_requests_come_back_empty() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    let header_only = [piece(HEADER, 16, 0)];
    assert_eq!(rig.chain(&header_only)?, (UNTOUCHED, 0));
    let short_header = [piece(HEADER, 8, 0), piece(STATUS, 1, WRITE)];
    assert_eq!(rig.chain(&short_header)?, (UNTOUCHED, 0));
    let no_status = [piece(HEADER, 16, 0), piece(DATA, 512, 0)];
    assert_eq!(rig.chain(&no_status)?, (UNTOUCHED, 0));
    Ok(())
}

#[test]
fn reset_disk_leaves_memory_alone() -> Result<(), Box<dyn Error>> {
    let mut rig = rig()?;
    rig.request(IN, 0, &[piece(DATA, 512, WRITE)])?;
    rig.disk.reset()?;
    rig.ram.memory.write_obj(2_u16, GuestAddress(16 * 16 + 2))?;
    rig.worker.kick().write(1)?;
    rig.worker.process();
    assert!(rig.worker.interrupt.read().is_err(), "no interrupt");
    Ok(())
}

/// A request whose data lands on its own header and on the avail ring's index, so that each sector read makes the request
/// for the next one available: more than a ring ever holds, out of one kick.
#[test]
fn driver_that_never_stops_asking_gets_a_bounded_turn() -> Result<(), Box<dyn Error>> {
    let requests = 2 * QUEUE_SIZE + 2;
    let mut content = Vec::new();
    for sector in 0..requests {
        let mut bytes = vec![0; 512];
        bytes[..4].copy_from_slice(&IN.to_le_bytes());
        bytes[8..16].copy_from_slice(&u64::from(sector + 1).to_le_bytes());
        bytes[18..20].copy_from_slice(&(sector + 2).to_le_bytes());
        content.extend(bytes);
    }
    let mut rig = rig_with(content)?;
    let memory = &rig.ram.memory;
    let driver = MockSplitQueue::new(memory, QUEUE_SIZE);
    driver.build_desc_chain(&[
        piece(HEADER, 16, 0),
        piece(HEADER, 16, WRITE),
        piece(driver.avail_addr().0, 4, WRITE),
        piece(DATA, 492, WRITE),
        piece(STATUS, 1, WRITE),
    ])?;
    let vring = Vring {
        size: QUEUE_SIZE,
        ready: true,
        descriptors: driver.desc_table_addr().0,
        avail: driver.avail_addr().0,
        used: USED,
    };
    let used_index = || memory.read_obj::<u16>(GuestAddress(USED + 2));
    rig.disk.activate(0, &[vring])?;
    rig.worker.kick().write(1)?;
    for served in [QUEUE_SIZE, 2 * QUEUE_SIZE] {
        rig.worker.process();
        assert_eq!(used_index()?, served);
        assert_eq!(rig.worker.interrupt.read()?, 1);
    }
    // The rest, the last of which asks for a sector that is not there and so for nothing more.
    rig.worker.process();
    assert_eq!(used_index()?, requests + 1);
    assert!(rig.worker.kick().read().is_err(), "nothing is left to do");
    Ok(())
}

#[test]
fn image_must_have_a_sector() -> Result<(), Box<dyn Error>> {
    let ram = GuestRam::new(MIN_MIB)?;
    let empty = tempfile::NamedTempFile::new()?;
    let folder = tempfile::tempdir()?;
    for path in [empty.path(), folder.path(), Path::new("/nonexistent")] {
        let (interrupt, kick) = (EventFd::new(0)?, EventFd::new(0)?);
        let opened = Disk::open(path, 0, &ram.memory, interrupt, kick);
        assert!(
            matches!(opened, Err(VmmError::BadDisk { .. })),
            "{}",
            path.display()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Whatever a guest writes into its rings and descriptors: no panic, and no endless loop.
    #[test]
    fn garbage_in_rings_is_survived(garbage in prop::collection::vec(any::<u8>(), 0x400), near in any::<bool>()) {
        let mut rig = rig().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let memory = &rig.ram.memory;
        let fail = |e: vm_memory::GuestMemoryError| TestCaseError::fail(e.to_string());
        memory.write_slice(&garbage, GuestAddress(0)).map_err(fail)?;
        if near {
            // Few enough entries for the ring, so that the descriptors are looked at.
            memory.write_obj(16_u16, GuestAddress(16 * 16 + 2)).map_err(fail)?;
        }
        let vring = Vring { size: 16, ready: true, descriptors: 0, avail: 0x100, used: 0x800 };
        rig.disk.activate(1 << 28, &[vring]).map_err(|e| TestCaseError::fail(e.to_string()))?;
        rig.worker.process();
        let used: u16 = memory.read_obj(GuestAddress(0x802)).map_err(fail)?;
        prop_assert!(used <= 16);
    }
}
