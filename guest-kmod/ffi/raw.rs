// SPDX-License-Identifier: GPL-2.0-only
//! Declarations of what the kernel's bindings lack: `shim.h` in Rust, and the exported functions of `linux/virtio.h`.
//!
//! Only the wrappers in [`super`] and `virtio/queue.rs` call these.

use kernel::{
    bindings,
    ffi::{c_int, c_long, c_uint, c_ulong, c_void},
};

/// `struct virtio_device`, opaque.
#[repr(C)]
pub(crate) struct VirtioDevice {
    _opaque: [u8; 0],
}

/// `struct virtqueue`; only its leading public fields are of interest, and only to the shim.
#[repr(C)]
pub(crate) struct Virtqueue {
    _opaque: [u8; 0],
}

// Signatures as in shim.h.
#[allow(
    improper_ctypes,
    reason = "pointers only; without SMP the kernel's structures hold empty spinlocks"
)]
extern "C" {
    pub(crate) fn nexus_families_register() -> c_int;
    pub(crate) fn nexus_families_unregister();
    pub(crate) fn nexus_sk_create(
        net: *mut bindings::net,
        sock: *mut bindings::socket,
        family: c_int,
        protocol: c_int,
        kern: c_int,
        private: *mut c_void,
    ) -> c_int;
    pub(crate) fn nexus_sk_accept(
        listener: *mut bindings::socket,
        sock: *mut bindings::socket,
        private: *mut c_void,
    ) -> c_int;
    pub(crate) fn nexus_sk_release(sock: *mut bindings::socket);
    pub(crate) fn nexus_sk_private(sk: *mut bindings::sock) -> *mut c_void;
    pub(crate) fn nexus_sk_set_error(sk: *mut bindings::sock, error: c_int);
    pub(crate) fn nexus_sk_has_error(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_take_error(sk: *mut bindings::sock) -> c_int;
    pub(crate) fn nexus_sk_rcvtimeo(sk: *mut bindings::sock, nonblock: bool) -> c_long;
    pub(crate) fn nexus_sk_sndtimeo(sk: *mut bindings::sock, nonblock: bool) -> c_long;
    pub(crate) fn nexus_sk_rcvlowat(sk: *mut bindings::sock, waitall: bool, len: c_int) -> c_int;
    pub(crate) fn nexus_sk_linger(sk: *mut bindings::sock) -> c_long;
    pub(crate) fn nexus_sk_zerocopy(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_broadcast(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_reuse(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_reuseport(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_stays_within(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_sndbuf(sk: *mut bindings::sock) -> c_int;
    pub(crate) fn nexus_sk_rcvbuf(sk: *mut bindings::sock) -> c_int;
    pub(crate) fn nexus_sk_receive_room(sk: *mut bindings::sock) -> c_int;
    pub(crate) fn nexus_sk_urginline(sk: *mut bindings::sock) -> bool;
    pub(crate) fn nexus_sk_peek_offset(sk: *mut bindings::sock) -> c_uint;
    pub(crate) fn nexus_sk_move_peek_offset(sk: *mut bindings::sock, peek: bool, bytes: c_uint);
    pub(crate) fn nexus_sk_send_sigurg(sk: *mut bindings::sock);
    pub(crate) fn nexus_sk_set_listening(sk: *mut bindings::sock, listening: bool);
    pub(crate) fn nexus_sk_wake(sk: *mut bindings::sock, events: c_uint);
    pub(crate) fn nexus_sk_wait(
        sk: *mut bindings::sock,
        timeout: c_long,
        exclusive: bool,
        ready: unsafe extern "C" fn(*mut c_void) -> bool,
        argument: *mut c_void,
    ) -> c_long;
    pub(crate) fn nexus_sk_put_timestamp(
        sk: *mut bindings::sock,
        message: *mut bindings::msghdr,
        nanoseconds: i64,
    );
    pub(crate) fn nexus_sk_put_drops(
        sk: *mut bindings::sock,
        message: *mut bindings::msghdr,
        dropped: c_uint,
    );
    pub(crate) fn nexus_poll_wait(
        file: *mut bindings::file,
        sock: *mut bindings::socket,
        wait: *mut bindings::poll_table_struct,
    );
    pub(crate) fn nexus_send_sigpipe();
    pub(crate) fn nexus_read_option(
        value: bindings::sockptr_t,
        length: c_uint,
        short_too: bool,
        out: *mut c_int,
    ) -> c_int;
    pub(crate) fn nexus_copy_option(
        value: bindings::sockptr_t,
        length: c_uint,
        to: *mut c_void,
    ) -> c_int;
    pub(crate) fn nexus_put_int(address: c_ulong, value: c_int) -> c_int;

    pub(crate) fn nexus_interfaces_init() -> c_int;
    pub(crate) fn nexus_interfaces_exit();
    pub(crate) fn nexus_interface_add(v4: *const u8, v6: *const u8) -> c_int;
    pub(crate) fn nexus_interface_remove();
    pub(crate) fn nexus_interface_ioctl(command: c_uint, argument: c_ulong) -> c_int;

    pub(crate) fn nexus_ring_alloc(size: c_uint, last_try: bool) -> *mut c_void;
    pub(crate) fn nexus_ring_free(start: *mut c_void, size: c_uint);
    pub(crate) fn nexus_memory() -> u64;
    pub(crate) fn nexus_ring_address(start: *mut c_void) -> u64;

    pub(crate) fn nexus_driver_register() -> c_int;
    pub(crate) fn nexus_driver_unregister();
    pub(crate) fn nexus_device_set_private(vdev: *mut VirtioDevice, private: *mut c_void);
    pub(crate) fn nexus_device_private(vdev: *mut VirtioDevice) -> *mut c_void;
    pub(crate) fn nexus_device_queues(
        vdev: *mut VirtioDevice,
        queues: *mut *mut Virtqueue,
    ) -> c_int;
    pub(crate) fn nexus_device_ready(vdev: *mut VirtioDevice);
    pub(crate) fn nexus_device_quiesce(vdev: *mut VirtioDevice);
    pub(crate) fn nexus_device_delete_queues(vdev: *mut VirtioDevice);
    pub(crate) fn nexus_device_features(vdev: *mut VirtioDevice) -> u64;
    pub(crate) fn nexus_device_config(vdev: *mut VirtioDevice, to: *mut c_void, length: c_uint);
    pub(crate) fn nexus_queue_add_out(
        vq: *mut Virtqueue,
        buffer: *mut c_void,
        length: c_uint,
        token: *mut c_void,
    ) -> c_int;
    pub(crate) fn nexus_queue_add_in(
        vq: *mut Virtqueue,
        buffer: *mut c_void,
        length: c_uint,
        token: *mut c_void,
    ) -> c_int;
    pub(crate) fn nexus_queue_device(vq: *mut Virtqueue) -> *mut VirtioDevice;
}

// include/linux/socket.h
#[allow(improper_ctypes, reason = "a pointer only")]
extern "C" {
    pub(crate) fn put_cmsg(
        message: *mut bindings::msghdr,
        level: c_int,
        kind: c_int,
        length: c_int,
        data: *mut c_void,
    ) -> c_int;
}

// include/linux/virtio.h
extern "C" {
    pub(crate) fn virtqueue_get_buf(vq: *mut Virtqueue, length: *mut c_uint) -> *mut c_void;
    pub(crate) fn virtqueue_get_vring_size(vq: *const Virtqueue) -> c_uint;
    pub(crate) fn virtqueue_kick_prepare(vq: *mut Virtqueue) -> bool;
    pub(crate) fn virtqueue_notify(vq: *mut Virtqueue) -> bool;
    pub(crate) fn virtqueue_disable_cb(vq: *mut Virtqueue);
    pub(crate) fn virtqueue_enable_cb(vq: *mut Virtqueue) -> bool;
}
