// SPDX-License-Identifier: GPL-2.0-only
/* Sending and receiving: flags, limits, ends and errors. */
#include "check.h"

#include <linux/errqueue.h>

static char big[8 << 20];

static void receive_all(int fd, char *to, size_t length)
{
	while (length) {
		ssize_t got = recv(fd, to, length, 0);

		if (got <= 0) {
			CHECK(got > 0);
			return;
		}
		to += got;
		length -= got;
	}
}

static void flags(void)
{
	int fd = dialed(ECHO);
	char text[16] = "";
	char bytes[16];
	int count;
	struct iovec parts[2] = { { bytes, 3 }, { bytes + 8, 8 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	WANT_ERRNO(recv(fd, text, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(send(fd, "", 0, 0) == 0);
	CHECK(send(fd, "hello", 5, MSG_MORE) == 5);
	CHECK(send(fd, " world", 6, 0) == 6);
	for (int i = 0; i < 3; i++) {
		memset(text, 0, sizeof(text));
		CHECK(recv(fd, text, 11, MSG_PEEK | MSG_WAITALL) == 11 && !strcmp(text, "hello world"));
	}
	CHECK(ioctl(fd, FIONREAD, &count) == 0 && count == 11);
	CHECK(recv(fd, NULL, 6, MSG_TRUNC) == 6);
	CHECK(recvmsg(fd, &message, 0) == 5);
	CHECK(!memcmp(bytes, "wor", 3) && !memcmp(bytes + 8, "ld", 2));
	CHECK(ioctl(fd, FIONREAD, &count) == 0 && count == 0);
	CHECK(ioctl(fd, SIOCOUTQ, &count) == 0 && count >= 0);
	WANT_ERRNO(ioctl(fd, 0x12345678, &count), ENOTTY);
	WANT_ERRNO(send(fd, (void *)8, 10, 0), EFAULT);
	CHECK(send(fd, "xyz", 3, 0) == 3);
	CHECK(polled(fd, 1000) & POLLOUT);
	awaited(fd, POLLIN);
	WANT_ERRNO(recv(fd, (void *)8, 3, 0), EFAULT);
	CHECK(recv(fd, text, 3, MSG_WAITALL) == 3);
	close(fd);
}

static void timeouts(void)
{
	int fd = dialed(HOLD);
	struct timeval tenth = { .tv_usec = 100000 };
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tenth, sizeof(tenth));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tenth, sizeof(tenth));
	WANT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
	/* The peer takes nothing: buffers fill, then the call gives up with what it has sent. */
	CHECK(send(fd, big, sizeof(big), 0) > 0);
	while (send(fd, big, sizeof(big), 0) > 0)
		;
	CHECK(errno == EAGAIN);
	CHECK(!(polled(fd, 0) & POLLOUT));
	WANT_ERRNO(send(fd, big, 1, MSG_DONTWAIT), EAGAIN);
	interrupt_in(30, 0);
	WANT_ERRNO(recv(fd, &byte, 1, 0), EINTR);
	close(fd);
}

static void signals(void)
{
	int fd = dialed(DRIP);
	char bytes[10];

	interrupt_in(75, SA_RESTART);
	CHECK(recv(fd, bytes, 1, 0) == 1);
	/* Bytes that were received come back in spite of the signal. */
	interrupt_in(120, 0);
	CHECK(recv(fd, bytes, 9, MSG_WAITALL) > 0);
	close(fd);

	fd = dialed(HOLD);
	interrupt_in(50, 0);
	WANT_ERRNO(recv(fd, bytes, 1, 0), EINTR);
	close(fd);
}

static void low_water(void)
{
	int fd = dialed(DRIP);
	char bytes[32];
	int five = 5;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &five, sizeof(five)) == 0);
	CHECK(awaited(fd, POLLIN) & POLLIN);
	CHECK(recv(fd, bytes, sizeof(bytes), 0) >= 5);
	/* Ends before five more can come. */
	CHECK(recv(fd, bytes, 20, MSG_WAITALL) <= 5);
	CHECK(recv(fd, bytes, 20, 0) == 0);
	close(fd);
}

static void server_speaks_first(void)
{
	for (int i = 0; i < 20; i++) {
		int fd = dialed(GREET);
		char text[6];

		CHECK(recv(fd, text, 6, MSG_WAITALL) == 6 && !memcmp(text, "hello\n", 6));
		close(fd);
	}
}

static void half_close(void)
{
	int fd = dialed(HALF);
	char text[9];

	CHECK(send(fd, "abc", 3, 0) == 3);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	WANT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(polled(fd, 0) == POLLOUT);
	CHECK(recv(fd, text, 9, MSG_WAITALL) == 9 && !memcmp(text, "after-fin", 9));
	CHECK(recv(fd, text, 9, 0) == 0);
	CHECK(awaited(fd, POLLHUP) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	close(fd);

	fd = dialed(ECHO);
	CHECK(shutdown(fd, SHUT_RD) == 0);
	CHECK(polled(fd, 0) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(recv(fd, text, 9, 0) == 0);
	CHECK(send(fd, "x", 1, 0) == 1);
	WANT_ERRNO(shutdown(fd, 3), EINVAL);
	close(fd);
}

static volatile int pipes;

static void on_pipe(int signal)
{
	(void)signal;
	pipes++;
}

static void reset(void)
{
	int fd = dialed(RESET);
	char text[8];

	signal(SIGPIPE, on_pipe);
	CHECK(send(fd, "x", 1, 0) == 1);
	CHECK(awaited(fd, POLLERR) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	/* What came before the reset is readable, then the error comes once. */
	CHECK(recv(fd, text, sizeof(text), 0) == 5);
	WANT_ERRNO(recv(fd, text, sizeof(text), 0), ECONNRESET);
	CHECK(recv(fd, text, sizeof(text), 0) == 0);
	WANT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(pipes == 0);
	WANT_ERRNO(send(fd, "x", 1, 0), EPIPE);
	CHECK(pipes == 1);
	close(fd);
}

static void bulk(size_t size)
{
	int fd = dialed(SOURCE);
	char line[64];
	size_t got = 0;
	ssize_t length;
	int right = 1;

	snprintf(line, sizeof(line), "%zu\n", size);
	CHECK(send(fd, line, strlen(line), 0) == (ssize_t)strlen(line));
	while ((length = recv(fd, big, 100000, got % 3 ? 0 : MSG_WAITALL)) > 0) {
		for (ssize_t i = 0; i < length; i++)
			right &= big[i] == (char)((got + i) % 251 * 7 % 251);
		got += length;
	}
	CHECK(length == 0 && got == size && right);
	close(fd);

	fd = dialed(SINK);
	for (size_t sent = 0; sent < size; sent += length) {
		size_t left = size - sent < sizeof(big) ? size - sent : sizeof(big);

		length = send(fd, big, left, 0);
		if (length <= 0)
			break;
	}
	CHECK(shutdown(fd, SHUT_WR) == 0);
	memset(line, 0, sizeof(line));
	CHECK(recv(fd, line, sizeof(line) - 1, MSG_WAITALL) > 0);
	CHECK((size_t)atol(line) == size);
	close(fd);
}

static void slow_reader(void)
{
	int fd = dialed(SLOW);
	char line[32] = "";

	CHECK(send(fd, big, 2 << 20, 0) == 2 << 20);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	CHECK(recv(fd, line, sizeof(line) - 1, MSG_WAITALL) > 0);
	CHECK(atol(line) == 2 << 20);
	close(fd);
}

static void *send_big(void *fd)
{
	CHECK(send(*(int *)fd, big, 4 << 20, 0) == 4 << 20);
	shutdown(*(int *)fd, SHUT_WR);
	return NULL;
}

/* Both directions at once, from two threads, while a third call looks at the socket. */
static void duplex(void)
{
	static char back[4 << 20];
	int fd = dialed(ECHO);
	pthread_t sender;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 31 >> 3;
	pthread_create(&sender, NULL, send_big, &fd);
	receive_all(fd, back, 4 << 20);
	CHECK(!memcmp(big, back, 4 << 20));
	pthread_join(sender, NULL);
	close(fd);
}

static void *block(void *fd)
{
	char byte;

	return (void *)recv(*(int *)fd, &byte, 1, 0);
}

/* A blocked receive blocks nobody else, and ends with the connection. */
static void blocked(void)
{
	int fd = dialed(HOLD);
	pthread_t reader;
	void *result = (void *)1;
	int value = 1;

	pthread_create(&reader, NULL, block, &fd);
	usleep(50000);
	CHECK(send(fd, "x", 1, 0) == 1);
	CHECK(so_error(fd) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) == 0);
	CHECK(polled(fd, 0) == POLLOUT);
	CHECK(shutdown(fd, SHUT_RDWR) == 0);
	pthread_join(reader, &result);
	CHECK(result == NULL);
	close(fd);
}

static void zero_copy_calls(void)
{
	int fd = dialed(ECHO);
	int file = open("/tmp/data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int ends[2];
	char back[5000];
	off_t at = 0;

	CHECK(write(file, big, 5000) == 5000);
	CHECK(sendfile(fd, file, &at, 5000) == 5000);
	receive_all(fd, back, 5000);
	CHECK(!memcmp(big, back, 5000));
	CHECK(pipe(ends) == 0);
	CHECK(send(fd, big, 3000, 0) == 3000);
	awaited(fd, POLLIN);
	CHECK(splice(fd, NULL, ends[1], NULL, 3000, 0) > 0);
	CHECK(read(ends[0], back, 1) == 1 && back[0] == big[0]);
	close(file);
	close(fd);
}

/* Zero-copy sends are completed, with the note that they were copied, if they were asked for; else the flag means nothing. */
static void message_zero_copy(void)
{
	int fd = dialed(ECHO);
	int one = 1;
	char text[3], control[128];
	struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *told;
	struct sock_extended_err *error;

	CHECK(send(fd, "a", 1, MSG_ZEROCOPY) == 1);
	WANT_ERRNO(recvmsg(fd, &message, MSG_ERRQUEUE), EAGAIN);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) == 0);
	CHECK(send(fd, "b", 1, MSG_ZEROCOPY) == 1);
	CHECK(send(fd, "c", 1, MSG_ZEROCOPY) == 1);
	CHECK(recvmsg(fd, &message, MSG_ERRQUEUE) == 0 && message.msg_flags & MSG_ERRQUEUE);
	told = CMSG_FIRSTHDR(&message);
	CHECK(told && told->cmsg_level == SOL_IP && told->cmsg_type == IP_RECVERR);
	error = (struct sock_extended_err *)CMSG_DATA(told);
	CHECK(error->ee_errno == 0 && error->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
	CHECK(error->ee_code == SO_EE_CODE_ZEROCOPY_COPIED && error->ee_info == 0 && error->ee_data == 1);
	receive_all(fd, text, 3);
	CHECK(!memcmp(text, "abc", 3));
	close(fd);
}

static void inherited(void)
{
	int fd = dialed(ECHO);
	int status;
	char text[4];

	if (fork() == 0)
		_exit(send(fd, "kid", 3, 0) != 3);
	wait(&status);
	CHECK(status == 0);
	/* The child's end does not end the connection. */
	CHECK(recv(fd, text, 3, MSG_WAITALL) == 3 && !memcmp(text, "kid", 3));
	CHECK(write(fd, "more", 4) == 4);
	CHECK(recv(fd, text, 4, MSG_WAITALL) == 4);
	close(fd);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	RUN(flags());
	RUN(timeouts());
	signals();
	RUN(low_water());
	RUN(server_speaks_first());
	RUN(half_close());
	RUN(reset());
	RUN(bulk(1));
	RUN(bulk(245760));
	RUN(bulk(16 << 20));
	RUN(slow_reader());
	RUN(duplex());
	RUN(blocked());
	RUN(zero_copy_calls());
	RUN(message_zero_copy());
	RUN(inherited());
	return report("stream");
}
