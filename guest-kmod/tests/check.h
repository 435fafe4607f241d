/* SPDX-License-Identifier: GPL-2.0-only */
/* A few words to write checks with: CHECK(what is true), WANT_ERRNO(call, errno). The exit code counts failures. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ports of tests/peers.py. */
enum {
	ECHO = 7001,
	SINK,
	SOURCE,
	RESET,
	GREET,
	HOLD,
	REMEMBER,
	RECALL,
	DRIP,
	SLOW,
	HALF,
	CLOSED = 1,
};

static int failures;

#define CHECK(condition)                                                                            \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			failures++;                                                                 \
			printf("FAIL %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
		}                                                                                   \
	} while (0)

#define WANT_ERRNO(call, wanted) CHECK((call) == -1 && errno == (wanted))

/* Address of the machine that runs tests/peers.py. */
static inline struct sockaddr_in peer(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	const char *host = getenv("PEER");

	inet_pton(AF_INET, host ? host : "10.0.0.1", &address.sin_addr);
	return address;
}

static inline int stream(int flags)
{
	return socket(AF_INET, SOCK_STREAM | flags, 0);
}

static inline int dial(int fd, int port)
{
	struct sockaddr_in address = peer(port);

	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static inline int dialed(int port)
{
	int fd = stream(0);

	CHECK(dial(fd, port) == 0);
	return fd;
}

static inline short polled(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP };

	poll(&p, 1, timeout);
	return p.revents;
}

/* Waits until a poll shows all of these events; returns what it shows then. */
static inline short awaited(int fd, short events)
{
	short shown = 0;

	for (int i = 0; i < 500 && (shown & events) != events; i++) {
		shown = polled(fd, 0);
		usleep(10000);
	}
	return shown;
}

static inline int so_error(int fd)
{
	int error = -1;
	socklen_t length = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
	return error;
}

static inline void nothing(int signal)
{
	(void)signal;
}

/* Interrupts the process after some milliseconds, without restarting calls unless asked to. */
static inline void interrupt_in(int milliseconds, int flags)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = flags };
	struct itimerval timer = { .it_value.tv_usec = milliseconds * 1000 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Runs a group of checks; with TRACE set, says how long it took. */
#define RUN(call)                                                                                   \
	do {                                                                                        \
		struct timespec from, to;                                                           \
		setvbuf(stdout, NULL, _IONBF, 0);                                                   \
		clock_gettime(CLOCK_MONOTONIC, &from);                                              \
		call;                                                                               \
		clock_gettime(CLOCK_MONOTONIC, &to);                                                \
		if (getenv("TRACE"))                                                                \
			printf("%8ld ms %s\n",                                                      \
			       (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000, #call); \
	} while (0)

static inline int report(const char *name)
{
	printf("%s: %s\n", name, failures ? "FAILED" : "ok");
	return failures;
}

#endif
