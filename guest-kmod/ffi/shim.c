// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Rust cannot reach: static inline functions, macros, and structures that are missing in the kernel's bindings.
 * No decisions are taken here.
 */
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "shim.h"

/* Left by virtio for experiments (virtio 1.3, section 5). */
#define NEXUS_DEVICE_ID 63
#define NEXUS_F_STREAM 0
#define NEXUS_F_DATAGRAM 1
#define NEXUS_F_LISTEN 2
#define NEXUS_F_OPTIONS 3
#define NEXUS_F_INTERFACE 6
#define NEXUS_F_BIND 7

/* Sockets. */

struct nexus_sock {
	struct sock sk; /* First, as sk_alloc() wants it. */
	void *private;
};

static struct nexus_sock *nexus_sock(struct sock *sk)
{
	return container_of(sk, struct nexus_sock, sk);
}

static struct proto nexus_proto = {
	.name = "NEXUS",
	.owner = THIS_MODULE,
	.keepalive = nexus_keepalive,
	.obj_size = sizeof(struct nexus_sock),
};

static int nexus_accept_op(struct socket *sock, struct socket *newsock, struct proto_accept_arg *arg)
{
	bool is_empty = true;
	int err = nexus_accept(sock, newsock, arg->flags, &is_empty);

	arg->is_empty = is_empty;
	return err;
}

#define NEXUS_PROTO_OPS(number)                      \
	{                                            \
		.family = number,                    \
		.owner = THIS_MODULE,                \
		.release = nexus_release,            \
		.bind = nexus_bind,                  \
		.connect = nexus_connect,            \
		.socketpair = sock_no_socketpair,    \
		.accept = nexus_accept_op,           \
		.getname = nexus_getname,            \
		.poll = nexus_poll,                  \
		.ioctl = nexus_ioctl,                \
		.listen = nexus_listen,              \
		.shutdown = nexus_shutdown,          \
		.setsockopt = nexus_setsockopt,      \
		.getsockopt_iter = nexus_getsockopt, \
		.sendmsg = nexus_sendmsg,            \
		.recvmsg = nexus_recvmsg,            \
		.mmap = sock_no_mmap,                \
	}

static const struct proto_ops nexus_inet_ops = NEXUS_PROTO_OPS(PF_INET);
static const struct proto_ops nexus_inet6_ops = NEXUS_PROTO_OPS(PF_INET6);

static const struct net_proto_family nexus_inet_family = {
	.family = PF_INET,
	.create = nexus_create_inet,
	.owner = THIS_MODULE,
};

static const struct net_proto_family nexus_inet6_family = {
	.family = PF_INET6,
	.create = nexus_create_inet6,
	.owner = THIS_MODULE,
};

int nexus_families_register(void)
{
	int err = proto_register(&nexus_proto, 1);

	if (err)
		return err;
	err = sock_register(&nexus_inet_family);
	if (err)
		goto no_inet;
	err = sock_register(&nexus_inet6_family);
	if (err)
		goto no_inet6;
	return 0;

no_inet6:
	sock_unregister(PF_INET);
no_inet:
	proto_unregister(&nexus_proto);
	return err;
}

void nexus_families_unregister(void)
{
	sock_unregister(PF_INET6);
	sock_unregister(PF_INET);
	proto_unregister(&nexus_proto);
}

static void nexus_sk_destruct(struct sock *sk)
{
	nexus_socket_drop(nexus_sock(sk)->private);
}

/*
 * Takes over private if it succeeds. sk_state is TCP_CLOSE or TCP_LISTEN: that keeps generic code, which takes every
 * stream socket of PF_INET for a struct tcp_sock, from looking behind the end of ours (sock_set_timestamping()).
 */
int nexus_sk_create(struct net *net, struct socket *sock, int family, int protocol, int kern, void *private)
{
	struct sock *sk = sk_alloc(net, family, GFP_KERNEL, &nexus_proto, kern);

	if (!sk)
		return -ENOMEM;
	nexus_sock(sk)->private = private;
	sock_init_data(sock, sk);
	sk->sk_protocol = protocol;
	if (protocol == IPPROTO_TCP) {
		/* Linux' defaults for TCP (net.ipv4.tcp_wmem, tcp_rmem; tcp_init_sock()). */
		sk->sk_sndbuf = 16384;
		sk->sk_rcvbuf = 131072;
		sk->sk_txrehash = SOCK_TXREHASH_ENABLED;
	}
	sk->sk_destruct = nexus_sk_destruct;
	sock->ops = family == PF_INET6 ? &nexus_inet6_ops : &nexus_inet_ops;
	return 0;
}

/*
 * Makes the sock of an accepted connection, with the options that Linux copies from the listener's. Takes over private
 * if it succeeds.
 */
int nexus_sk_accept(struct socket *listener, struct socket *sock, void *private)
{
	const unsigned long inherited = BIT(SOCK_LINGER) | BIT(SOCK_KEEPOPEN) | BIT(SOCK_URGINLINE) |
					BIT(SOCK_BROADCAST) | BIT(SOCK_LOCALROUTE) | BIT(SOCK_DBG) | BIT(SOCK_ZEROCOPY) |
					BIT(SOCK_RCVTSTAMP) | BIT(SOCK_RCVTSTAMPNS) | BIT(SOCK_TSTAMP_NEW);
	struct sock *sk, *from = listener->sk;
	int err = nexus_sk_create(sock_net(from), sock, from->sk_family, IPPROTO_TCP, 0, private);

	if (err)
		return err;
	sk = sock->sk;
	sk->sk_flags |= from->sk_flags & inherited;
	sk->sk_lingertime = READ_ONCE(from->sk_lingertime);
	sk->sk_rcvtimeo = READ_ONCE(from->sk_rcvtimeo);
	sk->sk_sndtimeo = READ_ONCE(from->sk_sndtimeo);
	sk->sk_rcvlowat = READ_ONCE(from->sk_rcvlowat);
	sk->sk_rcvbuf = READ_ONCE(from->sk_rcvbuf);
	sk->sk_sndbuf = READ_ONCE(from->sk_sndbuf);
	sk->sk_userlocks = from->sk_userlocks & (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK);
	sk->sk_priority = READ_ONCE(from->sk_priority);
	sk->sk_mark = READ_ONCE(from->sk_mark);
	sk->sk_reuse = from->sk_reuse;
	sk->sk_reuseport = from->sk_reuseport;
	sk->sk_bound_dev_if = READ_ONCE(from->sk_bound_dev_if);
	return 0;
}

void nexus_sk_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	sock_orphan(sk);
	sock->sk = NULL;
	sock_put(sk);
}

void *nexus_sk_private(struct sock *sk)
{
	return nexus_sock(sk)->private;
}

void nexus_sk_set_error(struct sock *sk, int error)
{
	WRITE_ONCE(sk->sk_err, error);
}

bool nexus_sk_has_error(struct sock *sk)
{
	return READ_ONCE(sk->sk_err);
}

int nexus_sk_take_error(struct sock *sk)
{
	return sock_error(sk);
}

long nexus_sk_rcvtimeo(struct sock *sk, bool nonblock)
{
	return sock_rcvtimeo(sk, nonblock);
}

long nexus_sk_sndtimeo(struct sock *sk, bool nonblock)
{
	return sock_sndtimeo(sk, nonblock);
}

int nexus_sk_rcvlowat(struct sock *sk, bool waitall, int len)
{
	return sock_rcvlowat(sk, waitall, len);
}

/* Jiffies that close() may wait, or -1 if SO_LINGER is off. A dying process does not wait, as in inet_release(). */
long nexus_sk_linger(struct sock *sk)
{
	if (!sock_flag(sk, SOCK_LINGER))
		return -1;
	if (sk->sk_lingertime && (current->flags & PF_EXITING))
		return -1;
	return sk->sk_lingertime;
}

bool nexus_sk_zerocopy(struct sock *sk)
{
	return sock_flag(sk, SOCK_ZEROCOPY);
}

bool nexus_sk_reuse(struct sock *sk)
{
	return sk->sk_reuse;
}

bool nexus_sk_reuseport(struct sock *sk)
{
	return sk->sk_reuseport;
}

/* What the user set, or -1 if that was not done. */
int nexus_sk_sndbuf(struct sock *sk)
{
	return sk->sk_userlocks & SOCK_SNDBUF_LOCK ? READ_ONCE(sk->sk_sndbuf) : -1;
}

int nexus_sk_rcvbuf(struct sock *sk)
{
	return sk->sk_userlocks & SOCK_RCVBUF_LOCK ? READ_ONCE(sk->sk_rcvbuf) : -1;
}

int nexus_sk_receive_room(struct sock *sk)
{
	return READ_ONCE(sk->sk_rcvbuf);
}

bool nexus_sk_urginline(struct sock *sk)
{
	return sock_flag(sk, SOCK_URGINLINE);
}

void nexus_sk_send_sigurg(struct sock *sk)
{
	sk_send_sigurg(sk);
}

void nexus_sk_set_listening(struct sock *sk, bool listening)
{
	WRITE_ONCE(sk->sk_state, listening ? TCP_LISTEN : TCP_CLOSE);
}

/* Wakes who waits for one of the events, or everybody if there is none given. Callable from interrupts. */
void nexus_sk_wake(struct sock *sk, __poll_t events)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq)) {
		if (events)
			wake_up_interruptible_poll(&wq->wait, events);
		else
			wake_up_interruptible_all(&wq->wait);
	}
	if (!events || (events & EPOLLIN))
		sk_wake_async_rcu(sk, SOCK_WAKE_WAITD, POLL_IN);
	if (!events || (events & EPOLLOUT))
		sk_wake_async_rcu(sk, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

/*
 * Waits until ready() says so. Returns the jiffies left, -EAGAIN when the timeout is over, or the error for a signal.
 * ready() may not sleep.
 */
long nexus_sk_wait(struct sock *sk, long timeout, bool exclusive, bool (*ready)(void *), void *argument)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long left = timeout;

	if (!timeout)
		return ready(argument) ? 0 : -EAGAIN;
	if (exclusive)
		add_wait_queue_exclusive(sk_sleep(sk), &wait);
	else
		add_wait_queue(sk_sleep(sk), &wait);
	while (!ready(argument)) {
		if (!left) {
			left = -EAGAIN;
			break;
		}
		if (signal_pending(current)) {
			left = sock_intr_errno(timeout);
			break;
		}
		left = wait_woken(&wait, TASK_INTERRUPTIBLE, left);
	}
	remove_wait_queue(sk_sleep(sk), &wait);
	return left;
}

void nexus_poll_wait(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	sock_poll_wait(file, sock, wait);
}

void nexus_send_sigpipe(void)
{
	send_sig(SIGPIPE, current, 0);
}

/* Options of IPv4 may be given as a byte, or not at all, which means zero (do_ip_setsockopt()). */
int nexus_read_option(sockptr_t value, unsigned int length, bool short_too, int *out)
{
	unsigned char byte = 0;

	if (short_too && length < sizeof(*out)) {
		if (length && copy_from_sockptr(&byte, value, sizeof(byte)))
			return -EFAULT;
		*out = byte;
		return 0;
	}
	return copy_safe_from_sockptr(out, sizeof(*out), value, length);
}

int nexus_put_int(unsigned long address, int value)
{
	return put_user(value, (int __user *)address);
}

/* Memory that the device may reach. */

void *nexus_ring_alloc(unsigned int size, bool last_try)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | (last_try ? 0 : __GFP_NORETRY);

	return (void *)__get_free_pages(gfp, get_order(size));
}

void nexus_ring_free(void *start, unsigned int size)
{
	free_pages((unsigned long)start, get_order(size));
}

u64 nexus_ring_address(void *start)
{
	return virt_to_phys(start);
}

/* The virtio device and its queues. */

static const struct virtio_device_id nexus_ids[] = {
	{ NEXUS_DEVICE_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static const unsigned int nexus_features[] = {
	NEXUS_F_STREAM,
	NEXUS_F_DATAGRAM,
	NEXUS_F_LISTEN,
	NEXUS_F_OPTIONS,
	NEXUS_F_INTERFACE,
	NEXUS_F_BIND,
};

/* Takes back what the transport would accept and version 1 of the protocol does not have. */
static int nexus_validate(struct virtio_device *vdev)
{
	if (!virtio_has_feature(vdev, VIRTIO_F_VERSION_1) || !virtio_has_feature(vdev, NEXUS_F_STREAM)) {
		dev_err(&vdev->dev, "offers neither version 1 of virtio nor stream sockets: not driven\n");
		return -ENODEV;
	}
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	__virtio_clear_bit(vdev, VIRTIO_F_RING_PACKED);
	__virtio_clear_bit(vdev, VIRTIO_F_NOTIFICATION_DATA);
	/* Rings are named by their physical addresses. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static struct virtio_driver nexus_driver = {
	.driver.name = "virtio_nexus",
	.id_table = nexus_ids,
	.feature_table = nexus_features,
	.feature_table_size = ARRAY_SIZE(nexus_features),
	.validate = nexus_validate,
	.probe = nexus_probe,
	.remove = nexus_remove,
};

int nexus_driver_register(void)
{
	return register_virtio_driver(&nexus_driver);
}

void nexus_driver_unregister(void)
{
	unregister_virtio_driver(&nexus_driver);
}

void nexus_device_set_private(struct virtio_device *vdev, void *private)
{
	vdev->priv = private;
}

void *nexus_device_private(struct virtio_device *vdev)
{
	return vdev->priv;
}

int nexus_device_queues(struct virtio_device *vdev, struct virtqueue *queues[2])
{
	struct virtqueue_info info[] = {
		{ "requests", nexus_requests_returned },
		{ "events", nexus_events_arrived },
	};

	return virtio_find_vqs(vdev, ARRAY_SIZE(info), queues, info, NULL);
}

void nexus_device_ready(struct virtio_device *vdev)
{
	virtio_device_ready(vdev);
}

/* Afterwards the device touches no memory, and no callback runs. */
void nexus_device_quiesce(struct virtio_device *vdev)
{
	virtio_reset_device(vdev);
}

void nexus_device_delete_queues(struct virtio_device *vdev)
{
	vdev->config->del_vqs(vdev);
}

/* The features of our own that both sides have. */
u64 nexus_device_features(struct virtio_device *vdev)
{
	u64 features = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nexus_features); i++)
		if (virtio_has_feature(vdev, nexus_features[i]))
			features |= BIT_ULL(nexus_features[i]);
	return features;
}

void nexus_device_config(struct virtio_device *vdev, void *to, unsigned int length)
{
	virtio_cread_bytes(vdev, 0, to, length);
}

struct virtio_device *nexus_queue_device(struct virtqueue *vq)
{
	return vq->vdev;
}

int nexus_queue_add_out(struct virtqueue *vq, void *buffer, unsigned int length, void *token)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, length);
	return virtqueue_add_outbuf(vq, &sg, 1, token, GFP_ATOMIC);
}

int nexus_queue_add_in(struct virtqueue *vq, void *buffer, unsigned int length, void *token)
{
	struct scatterlist sg;

	sg_init_one(&sg, buffer, length);
	return virtqueue_add_inbuf(vq, &sg, 1, token, GFP_ATOMIC);
}

MODULE_DEVICE_TABLE(virtio, nexus_ids);
MODULE_ALIAS_NETPROTO(PF_INET);
MODULE_ALIAS_NETPROTO(PF_INET6);
