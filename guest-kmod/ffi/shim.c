// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets, as far as Rust cannot reach them: static inline functions, macros, and structures that are missing in the
 * kernel's bindings. No decisions are taken here.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/net_tstamp.h>
#include <linux/sched/signal.h>

#include "shim.h"

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

/* SO_PEEK_OFF, of streams only. */
static int nexus_set_peek_off(struct sock *sk, int offset)
{
	return sk->sk_protocol == IPPROTO_TCP ? sk_set_peek_off(sk, offset) : -EOPNOTSUPP;
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
		.gettstamp = sock_gettstamp,         \
		.set_peek_off = nexus_set_peek_off,  \
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

/*
 * Registers a family, in the place of the kernel's own if it has one: the guest has no other way out than the device, so sockets of
 * that one would reach nobody. Those that exist already stay what they are.
 */
static int nexus_family_register(const struct net_proto_family *family)
{
	int err = sock_register(family);

	if (err != -EEXIST)
		return err;
	pr_info("takes the place of the kernel's own sockets of family %d\n", family->family);
	sock_unregister(family->family);
	return sock_register(family);
}

int nexus_families_register(void)
{
	int err = proto_register(&nexus_proto, 1);

	if (err)
		return err;
	err = nexus_family_register(&nexus_inet_family);
	if (err)
		goto no_inet;
	err = nexus_family_register(&nexus_inet6_family);
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

bool nexus_sk_broadcast(struct sock *sk)
{
	return sock_flag(sk, SOCK_BROADCAST);
}

bool nexus_sk_reuse(struct sock *sk)
{
	return sk->sk_reuse;
}

bool nexus_sk_reuseport(struct sock *sk)
{
	return sk->sk_reuseport;
}

/* SO_BINDTODEVICE to lo. */
bool nexus_sk_stays_within(struct sock *sk)
{
	return READ_ONCE(sk->sk_bound_dev_if) == LOOPBACK_IFINDEX;
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

/* Bytes that a receive with MSG_PEEK passes over. */
unsigned int nexus_sk_peek_offset(struct sock *sk)
{
	return max(READ_ONCE(sk->sk_peek_off), 0);
}

/* Bytes were received, or peeked at. */
void nexus_sk_move_peek_offset(struct sock *sk, bool peek, unsigned int bytes)
{
	if (peek)
		sk_peek_offset_fwd(sk, bytes);
	else
		sk_peek_offset_bwd(sk, bytes);
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

/* As sock_recv_timestamp(), which wants a packet. */
void nexus_sk_put_timestamp(struct sock *sk, struct msghdr *message, s64 nanoseconds)
{
	struct timespec64 at = ktime_to_timespec64(nanoseconds);
	u32 wanted = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;
	bool new = sock_flag(sk, SOCK_TSTAMP_NEW);

	if (sock_flag(sk, SOCK_RCVTSTAMP) && !sock_flag(sk, SOCK_RCVTSTAMPNS)) {
		/* struct __kernel_old_timeval and struct __kernel_sock_timeval alike, on 64 bits. */
		s64 told[2] = { at.tv_sec, at.tv_nsec / NSEC_PER_USEC };

		put_cmsg(message, SOL_SOCKET, new ? SO_TIMESTAMP_NEW : SO_TIMESTAMP_OLD, sizeof(told), told);
	} else if (sock_flag(sk, SOCK_RCVTSTAMP)) {
		s64 told[2] = { at.tv_sec, at.tv_nsec };

		put_cmsg(message, SOL_SOCKET, new ? SO_TIMESTAMPNS_NEW : SO_TIMESTAMPNS_OLD, sizeof(told), told);
	}
	if ((READ_ONCE(sk->sk_tsflags) & wanted) == wanted) {
		/* struct scm_timestamping: software, and two that only hardware fills. */
		s64 told[6] = { at.tv_sec, at.tv_nsec };

		put_cmsg(message, SOL_SOCKET, new ? SO_TIMESTAMPING_NEW : SO_TIMESTAMPING_OLD, sizeof(told), told);
	}
	/* For SIOCGSTAMP, which in its first call asks for times from then on, and so gets that of the call. */
	if (!sock_flag(sk, SOCK_RCVTSTAMP))
		sock_write_timestamp(sk, sock_flag(sk, SOCK_TIMESTAMP) ? nanoseconds : 0);
}

/* As sock_recv_drops(). */
void nexus_sk_put_drops(struct sock *sk, struct msghdr *message, u32 dropped)
{
	if (sock_flag(sk, SOCK_RXQ_OVFL) && dropped)
		put_cmsg(message, SOL_SOCKET, SO_RXQ_OVFL, sizeof(dropped), &dropped);
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

int nexus_copy_option(sockptr_t value, unsigned int length, void *to)
{
	return copy_from_sockptr(to, value, length) ? -EFAULT : 0;
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

u64 nexus_memory(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}

u64 nexus_ring_address(void *start)
{
	return virt_to_phys(start);
}

MODULE_ALIAS_NETPROTO(PF_INET);
MODULE_ALIAS_NETPROTO(PF_INET6);
