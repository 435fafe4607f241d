// SPDX-License-Identifier: GPL-2.0-only
//! The virtio driver: probe, remove and the queues' callbacks.
//!
//! There is one device; a second one is refused. Sockets ask [`current`] for it when they connect.

mod device;
mod member;
mod queue;

use core::ptr::NonNull;
use kernel::{
    ffi::{c_int, c_void},
    prelude::*,
    sync::{global_lock, Arc, ArcBorrow},
    types::ForeignOwnable,
};

use crate::ffi::raw::{self, VirtioDevice, Virtqueue};
use crate::proto::config::{self, feature};
use crate::proto::{Config, Family, Ip};

pub(crate) use device::Device;
pub(crate) use member::{Member, News, Place, Waits};
pub(crate) use queue::RequestQueue;
use device::Queues;

global_lock! {
    // SAFETY: Initialised by `init()`, before the driver is registered and any socket can exist.
    unsafe(uninit) static CURRENT: Mutex<Option<Arc<Device>>> = None;
}

global_lock! {
    // SAFETY: As above.
    unsafe(uninit) static INTERFACE: SpinLock<Option<Interface>> = None;
}

/// The guest's own addresses beside loopback.
#[derive(Clone, Copy)]
pub(crate) struct Interface {
    v4: [u8; 4],
    v6: [u8; 16],
}

impl Interface {
    /// Whether the canonical address is one of them.
    pub(crate) fn has(&self, ip: Ip) -> bool {
        ip == Ip::V4(self.v4) || ip == Ip::V6(self.v6)
    }

    /// The address of a family.
    pub(crate) fn address(&self, family: Family) -> Ip {
        match family {
            Family::V4 => Ip::V4(self.v4),
            Family::V6 => Ip::V6(self.v6),
        }
    }
}

/// The guest's own addresses, if the device says them. Never sleeps.
pub(crate) fn interface() -> Option<Interface> {
    *INTERFACE.lock()
}

/// The device that sockets use.
pub(crate) fn current() -> Option<Arc<Device>> {
    CURRENT.lock().clone()
}

/// Prepares the module for [`Driver::register`] and [`current`].
///
/// # Safety
///
/// Must be called once, before anything else of this module.
pub(crate) unsafe fn init() {
    // SAFETY: The caller promises that this happens once.
    unsafe { CURRENT.init() };
    // SAFETY: As above.
    unsafe { INTERFACE.init() }
}

/// The registration of the driver; dropping it removes the device.
pub(crate) struct Driver(());

impl Driver {
    /// Registers the driver, which probes devices at once.
    pub(crate) fn register() -> Result<Self> {
        // SAFETY: The driver's structure is static, and its functions are those below.
        kernel::error::to_result(unsafe { raw::nexus_driver_register() })?;
        Ok(Self(()))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { raw::nexus_driver_unregister() }
    }
}

/// Makes the device ready for sockets.
///
/// # Safety
///
/// `vdev` must be a device in its probe.
unsafe fn probe(vdev: *mut VirtioDevice) -> Result {
    let mut registered = CURRENT.lock();
    if registered.is_some() {
        pr_err!("a second device is not driven\n");
        return Err(EBUSY);
    }
    let mut bytes = [0; config::CONFIG_SIZE];
    // SAFETY: `vdev` is valid, `bytes` has room.
    unsafe {
        raw::nexus_device_config(vdev, bytes.as_mut_ptr().cast(), config::CONFIG_SIZE as u32)
    };
    let config = Config::decode(&bytes).map_err(|error| {
        pr_err!("cannot drive the device: {}\n", format_args!("{error}"));
        EINVAL
    })?;
    // SAFETY: `vdev` is valid, and its features are negotiated before its probe.
    let features = unsafe { raw::nexus_device_features(vdev) };
    let device = Device::new(config, features)?;
    // SAFETY: `vdev` is valid; its callbacks find an `Arc<Device>` in its private pointer, which `remove()` takes back.
    unsafe { raw::nexus_device_set_private(vdev, device.clone().into_foreign()) };
    // SAFETY: `vdev` is valid, and its private pointer is set.
    match unsafe { find_queues(vdev) } {
        Ok((requests, events)) => {
            // SAFETY: The queues are those of `vdev`, and nobody else uses them.
            let started = unsafe { start(vdev, &device, requests, events) };
            if started.is_err() {
                // SAFETY: `vdev` has queues, and its private pointer was set above.
                unsafe { stop(vdev) };
            } else {
                *registered = Some(device);
                if features & feature::INTERFACE != 0 {
                    show_interface(Interface {
                        v4: config.address_v4,
                        v6: config.address_v6,
                    });
                }
            }
            started
        }
        Err(error) => {
            // SAFETY: The private pointer was set above, and no callback will use it.
            drop(unsafe { Arc::<Device>::from_foreign(raw::nexus_device_private(vdev)) });
            Err(error)
        }
    }
}

/// Lets programs see the guest's addresses. Without it sockets work all the same, so a failure is only logged.
fn show_interface(interface: Interface) {
    *INTERFACE.lock() = Some(interface);
    // SAFETY: Both point to as many bytes as addresses of their family have. There is one device, so this happens once until
    // `nexus_interface_remove()`.
    let added =
        unsafe { raw::nexus_interface_add(interface.v4.as_ptr(), interface.v6.as_ptr()) };
    if added != 0 {
        pr_err!("no interface can be shown: error {added}\n");
    }
}

/// Asks the transport for both queues.
///
/// # Safety
///
/// `vdev` must be a device in its probe, its private pointer set.
unsafe fn find_queues(vdev: *mut VirtioDevice) -> Result<(NonNull<Virtqueue>, NonNull<Virtqueue>)> {
    let mut queues: [*mut Virtqueue; config::QUEUE_COUNT as usize] = [core::ptr::null_mut(); _];
    // SAFETY: `vdev` is valid, and there is room for two queues.
    kernel::error::to_result(unsafe { raw::nexus_device_queues(vdev, queues.as_mut_ptr()) })?;
    let [requests, events] = queues;
    // Both were asked for by name, so they are there.
    Ok((
        NonNull::new(requests).ok_or(ENODEV)?,
        NonNull::new(events).ok_or(ENODEV)?,
    ))
}

/// Fills the queues and sets the device off.
///
/// # Safety
///
/// `vdev` must be a device in its probe, its private pointer set, with these two queues, which nobody else uses.
unsafe fn start(
    vdev: *mut VirtioDevice,
    device: &Device,
    requests: NonNull<Virtqueue>,
    events: NonNull<Virtqueue>,
) -> Result {
    // SAFETY: Both are valid until `stop()`, which takes them from the device before it deletes them.
    let queues = unsafe { Queues::new(requests, events)? };
    device.attach(queues);
    // SAFETY: `vdev` is valid and its queues are filled.
    unsafe { raw::nexus_device_ready(vdev) };
    device.kick_events();
    Ok(())
}

/// Stops the device and fails its sockets.
///
/// # Safety
///
/// `vdev` must be a device with queues whose private pointer [`probe`] has set, and it must be called once.
unsafe fn stop(vdev: *mut VirtioDevice) {
    // SAFETY: `probe()` put an `Arc<Device>` there, and the caller promises to take it once.
    let device = unsafe { Arc::<Device>::from_foreign(raw::nexus_device_private(vdev)) };
    // SAFETY: `vdev` is valid.
    unsafe { raw::nexus_device_quiesce(vdev) };
    // The device touches neither queues nor rings from here on.
    device.detach();
    // SAFETY: `vdev` is valid, and nothing refers to its queues any more.
    unsafe { raw::nexus_device_delete_queues(vdev) };
}

/// The device of a queue, in that queue's callback.
///
/// # Safety
///
/// `vq` must be a queue of a device whose private pointer [`probe`] has set, in a callback: `remove()` waits for it.
unsafe fn device_of<'a>(vq: *mut Virtqueue) -> ArcBorrow<'a, Device> {
    // SAFETY: `vq` is valid.
    let private: *mut c_void = unsafe { raw::nexus_device_private(raw::nexus_queue_device(vq)) };
    // SAFETY: The private pointer is set before there are queues, and taken back when callbacks have ended.
    unsafe { Arc::<Device>::borrow(private) }
}

/// `virtio_driver.probe`
///
/// # Safety
///
/// Called by the virtio core only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_probe(vdev: *mut VirtioDevice) -> c_int {
    // SAFETY: The virtio core passes a valid device.
    match unsafe { probe(vdev) } {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// `virtio_driver.remove`
///
/// # Safety
///
/// Called by the virtio core only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_remove(vdev: *mut VirtioDevice) {
    *CURRENT.lock() = None;
    *INTERFACE.lock() = None;
    // SAFETY: No requirements.
    unsafe { raw::nexus_interface_remove() };
    // SAFETY: The virtio core calls this once for a device that was probed.
    unsafe { stop(vdev) }
}

/// The request queue's callback: the device has returned requests. In interrupts.
///
/// # Safety
///
/// Called by the virtio core only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_requests_returned(vq: *mut Virtqueue) {
    // SAFETY: The virtio core passes a queue of a probed device.
    unsafe { device_of(vq) }.on_requests_returned();
}

/// The event queue's callback: there are events. In interrupts.
///
/// # Safety
///
/// Called by the virtio core only, which passes valid arguments.
#[no_mangle]
unsafe extern "C" fn nexus_events_arrived(vq: *mut Virtqueue) {
    // SAFETY: As above.
    unsafe { device_of(vq) }.on_events();
}
