/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What crosses between the Rust code and the kernel's C: first what the C files give to Rust, then what Rust
 * gives to them. ffi/raw.rs has the same list in Rust.
 */
#ifndef NEXUS_SHIM_H
#define NEXUS_SHIM_H

#include <linux/net.h>
#include <linux/virtio.h>
#include <net/sock.h>

/* Sockets. */
int nexus_families_register(void);
void nexus_families_unregister(void);
int nexus_sk_create(struct net *net, struct socket *sock, int family, int protocol, int kern, void *private);
int nexus_sk_accept(struct socket *listener, struct socket *sock, void *private);
void nexus_sk_release(struct socket *sock);
void *nexus_sk_private(struct sock *sk);
void nexus_sk_set_error(struct sock *sk, int error);
bool nexus_sk_has_error(struct sock *sk);
int nexus_sk_take_error(struct sock *sk);
long nexus_sk_rcvtimeo(struct sock *sk, bool nonblock);
long nexus_sk_sndtimeo(struct sock *sk, bool nonblock);
int nexus_sk_rcvlowat(struct sock *sk, bool waitall, int len);
long nexus_sk_linger(struct sock *sk);
bool nexus_sk_zerocopy(struct sock *sk);
bool nexus_sk_broadcast(struct sock *sk);
bool nexus_sk_reuse(struct sock *sk);
bool nexus_sk_reuseport(struct sock *sk);
bool nexus_sk_stays_within(struct sock *sk);
int nexus_sk_sndbuf(struct sock *sk);
int nexus_sk_rcvbuf(struct sock *sk);
int nexus_sk_receive_room(struct sock *sk);
bool nexus_sk_urginline(struct sock *sk);
unsigned int nexus_sk_peek_offset(struct sock *sk);
void nexus_sk_move_peek_offset(struct sock *sk, bool peek, unsigned int bytes);
void nexus_sk_send_sigurg(struct sock *sk);
void nexus_sk_set_listening(struct sock *sk, bool listening);
void nexus_sk_wake(struct sock *sk, __poll_t events);
long nexus_sk_wait(struct sock *sk, long timeout, bool exclusive, bool (*ready)(void *), void *argument);
void nexus_sk_put_timestamp(struct sock *sk, struct msghdr *message, s64 nanoseconds);
void nexus_sk_put_drops(struct sock *sk, struct msghdr *message, u32 dropped);
void nexus_poll_wait(struct file *file, struct socket *sock, struct poll_table_struct *wait);
void nexus_send_sigpipe(void);
int nexus_read_option(sockptr_t value, unsigned int length, bool short_too, int *out);
int nexus_copy_option(sockptr_t value, unsigned int length, void *to);
int nexus_put_int(unsigned long address, int value);

/* What programs see of the network: interface.c. */
int nexus_interfaces_init(void);
void nexus_interfaces_exit(void);
int nexus_interface_add(const u8 v4[4], const u8 v6[16]);
void nexus_interface_remove(void);
int nexus_interface_ioctl(unsigned int command, unsigned long argument);

/* Memory that the device may reach. */
void *nexus_ring_alloc(unsigned int size, bool last_try);
void nexus_ring_free(void *start, unsigned int size);
u64 nexus_memory(void);
u64 nexus_ring_address(void *start);

/* The virtio device and its queues. */
int nexus_driver_register(void);
void nexus_driver_unregister(void);
void nexus_device_set_private(struct virtio_device *vdev, void *private);
void *nexus_device_private(struct virtio_device *vdev);
int nexus_device_queues(struct virtio_device *vdev, struct virtqueue *queues[2]);
void nexus_device_ready(struct virtio_device *vdev);
void nexus_device_quiesce(struct virtio_device *vdev);
void nexus_device_delete_queues(struct virtio_device *vdev);
u64 nexus_device_features(struct virtio_device *vdev);
void nexus_device_config(struct virtio_device *vdev, void *to, unsigned int length);
struct virtio_device *nexus_queue_device(struct virtqueue *vq);
int nexus_queue_add_out(struct virtqueue *vq, void *buffer, unsigned int length, void *token);
int nexus_queue_add_in(struct virtqueue *vq, void *buffer, unsigned int length, void *token);

/* Implemented in Rust: socket/ops.rs. */
int nexus_create_inet(struct net *net, struct socket *sock, int protocol, int kern);
int nexus_create_inet6(struct net *net, struct socket *sock, int protocol, int kern);
void nexus_socket_drop(void *private);
int nexus_release(struct socket *sock);
int nexus_bind(struct socket *sock, struct sockaddr_unsized *address, int length);
int nexus_connect(struct socket *sock, struct sockaddr_unsized *address, int length, int flags);
int nexus_listen(struct socket *sock, int backlog);
int nexus_accept(struct socket *sock, struct socket *newsock, int flags, bool *is_empty);
int nexus_getname(struct socket *sock, struct sockaddr *address, int peer);
__poll_t nexus_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait);
int nexus_ioctl(struct socket *sock, unsigned int command, unsigned long argument);
int nexus_shutdown(struct socket *sock, int how);
int nexus_setsockopt(struct socket *sock, int level, int name, sockptr_t value, unsigned int length);
int nexus_getsockopt(struct socket *sock, int level, int name, sockopt_t *value);
void nexus_keepalive(struct sock *sk, int on);
int nexus_sendmsg(struct socket *sock, struct msghdr *message, size_t length);
int nexus_recvmsg(struct socket *sock, struct msghdr *message, size_t length, int flags);

/* Implemented in Rust: virtio/mod.rs. */
int nexus_probe(struct virtio_device *vdev);
void nexus_remove(struct virtio_device *vdev);
void nexus_requests_returned(struct virtqueue *vq);
void nexus_events_arrived(struct virtqueue *vq);

#endif
