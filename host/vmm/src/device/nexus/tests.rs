// SPDX-License-Identifier: Apache-2.0
//! The frontend against the bytes of the vhost-user protocol, written out by hand so that an error of the vhost crate's
//! types would show.

use std::error::Error;
use std::io::{Read, Write};
use std::thread::JoinHandle;

use super::*;
use crate::device::Lines;
use crate::memory::{GuestRam, MIN_MIB};

/// Request codes of the protocol.
mod request {
    pub(super) const GET_FEATURES: u32 = 1;
    pub(super) const SET_FEATURES: u32 = 2;
    pub(super) const SET_OWNER: u32 = 3;
    pub(super) const SET_MEM_TABLE: u32 = 5;
    pub(super) const SET_VRING_NUM: u32 = 8;
    pub(super) const SET_VRING_ADDR: u32 = 9;
    pub(super) const SET_VRING_BASE: u32 = 10;
    pub(super) const GET_VRING_BASE: u32 = 11;
    pub(super) const SET_VRING_KICK: u32 = 12;
    pub(super) const SET_VRING_CALL: u32 = 13;
    pub(super) const GET_PROTOCOL_FEATURES: u32 = 15;
    pub(super) const SET_PROTOCOL_FEATURES: u32 = 16;
    pub(super) const SET_VRING_ENABLE: u32 = 18;
    pub(super) const GET_CONFIG: u32 = 24;
    pub(super) const RESET_DEVICE: u32 = 34;
}

const NEED_REPLY: u32 = 8;
const REPLY: u32 = 5;
const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;
/// REPLY_ACK, CONFIG, RESET_DEVICE.
const ALL: u64 = 1 << 3 | 1 << 9 | 1 << 13;

type Log = Vec<(u32, Vec<u8>)>;

/// A backend that offers these features, answers what has to be answered, and returns what it was asked.
fn backend(mut stream: UnixStream, features: u64, protocol: u64) -> JoinHandle<Log> {
    std::thread::spawn(move || {
        let mut log = Log::new();
        while let Some((code, flags, body)) = receive(&mut stream) {
            let answer = match code {
                request::GET_FEATURES => Some(features.to_le_bytes().to_vec()),
                request::GET_PROTOCOL_FEATURES => Some(protocol.to_le_bytes().to_vec()),
                request::GET_CONFIG | request::GET_VRING_BASE => Some(with_config(&body)),
                _ if flags & NEED_REPLY != 0 => Some(vec![0; 8]),
                _ => None,
            };
            log.push((code, body));
            if let Some(answer) = answer
                && send(&mut stream, code, &answer).is_err()
            {
                break;
            }
        }
        log
    })
}

/// The body of GET_CONFIG with a recognisable first word; shorter bodies unchanged.
fn with_config(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if let Some(word) = body.get_mut(12..16) {
        word.copy_from_slice(b"NXUS");
    }
    body
}

fn receive(stream: &mut UnixStream) -> Option<(u32, u32, Vec<u8>)> {
    let mut header = [[0; 4]; 3];
    stream.read_exact(header.as_flattened_mut()).ok()?;
    let [code, flags, size] = header.map(u32::from_le_bytes);
    let mut body = vec![0; size as usize];
    stream.read_exact(&mut body).ok()?;
    Some((code, flags, body))
}

fn send(stream: &mut UnixStream, code: u32, body: &[u8]) -> std::io::Result<()> {
    let size = u32::try_from(body.len()).map_err(std::io::Error::other)?;
    let mut message = [code, REPLY, size].map(u32::to_le_bytes).concat();
    message.extend(body);
    stream.write_all(&message)
}

/// A device or why there is none, its backend, and the memory that must outlive both.
type Connected = (Result<NexusDevice, VmmError>, JoinHandle<Log>, GuestRam);

fn connect(features: u64, protocol: u64) -> Result<Connected, Box<dyn Error>> {
    let ram = GuestRam::new(MIN_MIB)?;
    let lines = Lines::new(QUEUES)?;
    let (ours, theirs) = UnixStream::pair()?;
    let thread = backend(theirs, features, protocol);
    let device = NexusDevice::connect(ours, &ram.memory, lines.interrupt, lines.kicks);
    Ok((device, thread, ram))
}

fn vring(at: u64) -> Vring {
    Vring {
        size: QUEUE_SIZE,
        ready: true,
        descriptors: at,
        avail: at + 0x1000,
        used: at + 0x2000,
    }
}

#[test]
fn life_of_a_device_in_messages() -> Result<(), Box<dyn Error>> {
    use request::*;

    let offered = PROTOCOL_FEATURES | VERSION_1 | 1 << 29 | 1 << 26 | 1;
    let (device, thread, ram) = connect(offered, ALL)?;
    let mut device = device?;
    assert_eq!(device.device_id(), 63);
    assert_eq!(
        device.features(),
        VERSION_1 | 1 << 29 | 1,
        "the log feature is not for drivers"
    );
    assert_eq!(device.config().len(), CONFIG_SIZE);
    assert_eq!(&device.config()[..4], b"NXUS");
    device.activate(VERSION_1 | 1, &[vring(0x10_0000), vring(0x20_0000)])?;
    device.reset()?;
    drop(device);

    let log = thread.join().map_err(|_| "the backend panicked")?;
    let codes: Vec<u32> = log.iter().map(|(code, _)| *code).collect();
    let ring = [
        SET_VRING_NUM,
        SET_VRING_BASE,
        SET_VRING_ADDR,
        SET_VRING_CALL,
        SET_VRING_KICK,
    ];
    let expected = [
        &[
            GET_FEATURES,
            GET_PROTOCOL_FEATURES,
            SET_PROTOCOL_FEATURES,
            SET_OWNER,
            GET_CONFIG,
        ][..],
        &[SET_FEATURES, SET_MEM_TABLE],
        &ring,
        &ring,
        &[SET_VRING_ENABLE, SET_VRING_ENABLE],
        &[
            SET_VRING_ENABLE,
            GET_VRING_BASE,
            SET_VRING_ENABLE,
            GET_VRING_BASE,
            RESET_DEVICE,
        ],
    ]
    .concat();
    assert_eq!(codes, expected);
    let body = |code| {
        log.iter()
            .find(|(c, _)| *c == code)
            .map(|(_, body)| body.clone())
    };
    let accepted = PROTOCOL_FEATURES | VERSION_1 | 1;
    assert_eq!(body(SET_FEATURES), Some(accepted.to_le_bytes().to_vec()));
    let table = body(SET_MEM_TABLE).ok_or("no memory table")?;
    assert_eq!(table[..4], 1_u32.to_le_bytes(), "one region");
    assert_eq!(table[16..24], ram.size().to_le_bytes());
    Ok(())
}

#[test]
fn backend_that_lacks_something_is_refused() -> Result<(), Box<dyn Error>> {
    let good = PROTOCOL_FEATURES | VERSION_1;
    for (features, protocol) in [(VERSION_1, ALL), (PROTOCOL_FEATURES, ALL), (good, 1 << 3)] {
        let (device, thread, _ram) = connect(features, protocol)?;
        assert!(
            matches!(device, Err(VmmError::Backend(_))),
            "{features:#x} {protocol:#x}"
        );
        thread.join().map_err(|_| "the backend panicked")?;
    }
    Ok(())
}

#[test]
fn backend_that_hangs_up_is_told_from_a_driver_that_errs() -> Result<(), Box<dyn Error>> {
    let (device, thread, _ram) = connect(PROTOCOL_FEATURES | VERSION_1, ALL)?;
    let mut device = device?;
    let outside = device.activate(VERSION_1, &[vring(MIN_MIB << 20), vring(0x20_0000)]);
    assert!(matches!(outside, Err(DeviceError::Driver(_))));
    let mut unaligned = vring(0x10_0000);
    unaligned.descriptors += 8;
    let unaligned = device.activate(VERSION_1, &[unaligned, vring(0x20_0000)]);
    assert!(matches!(unaligned, Err(DeviceError::Driver(_))));
    drop(device);
    thread.join().map_err(|_| "the backend panicked")?;

    let ram = GuestRam::new(MIN_MIB)?;
    let lines = Lines::new(QUEUES)?;
    let (ours, theirs) = UnixStream::pair()?;
    drop(theirs);
    let gone = NexusDevice::connect(ours, &ram.memory, lines.interrupt, lines.kicks);
    assert!(matches!(gone, Err(VmmError::Backend(_))));
    Ok(())
}
