// SPDX-License-Identifier: GPL-2.0-only
/* What epoll shows: levels and edges. */
#include "check.h"

static int watch(int fd, unsigned int events)
{
	int epoll = epoll_create1(0);
	struct epoll_event event = { .events = events };

	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	return epoll;
}

static unsigned int next(int epoll, int timeout)
{
	struct epoll_event event = { 0 };

	return epoll_wait(epoll, &event, 1, timeout) == 1 ? event.events : 0;
}

static void connecting(void)
{
	int fd = stream(SOCK_NONBLOCK);
	int epoll;

	WANT_ERRNO(dial(fd, ECHO), EINPROGRESS);
	epoll = watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	CHECK(next(epoll, 2000) == EPOLLOUT);
	/* Once is enough. */
	CHECK(next(epoll, 100) == 0);
	close(epoll);
	close(fd);

	fd = stream(SOCK_NONBLOCK);
	epoll = watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	CHECK(next(epoll, 0) == (EPOLLOUT | EPOLLHUP));
	WANT_ERRNO(dial(fd, CLOSED), EINPROGRESS);
	CHECK(next(epoll, 2000) == (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP));
	CHECK(next(epoll, 100) == 0);
	close(epoll);
	close(fd);
}

static void level(void)
{
	int fd = dialed(ECHO);
	int epoll = watch(fd, EPOLLIN | EPOLLRDHUP);
	char bytes[8];

	CHECK(next(epoll, 50) == 0);
	CHECK(send(fd, "abcd", 4, 0) == 4);
	CHECK(next(epoll, 2000) == EPOLLIN);
	CHECK(next(epoll, 0) == EPOLLIN);
	CHECK(recv(fd, bytes, 4, MSG_WAITALL) == 4);
	CHECK(next(epoll, 50) == 0);
	CHECK(shutdown(fd, SHUT_WR) == 0);
	CHECK(next(epoll, 2000) & EPOLLRDHUP);
	close(epoll);
	close(fd);
}

/* Each arrival is an edge, even if nothing was read in between. */
static void arrivals(void)
{
	int fd = dialed(DRIP);
	int epoll = watch(fd, EPOLLIN | EPOLLET);
	int edges = 0;
	int count;

	while (edges < 20 && next(epoll, 1000) & EPOLLIN) {
		edges++;
		if (polled(fd, 0) & POLLRDHUP)
			break;
	}
	CHECK(edges >= 5);
	CHECK(ioctl(fd, FIONREAD, &count) == 0 && count == 10);
	close(epoll);
	close(fd);
}

/* New room is an edge, after a write that found none. */
static void room(void)
{
	static char data[1 << 20];
	int fd = dialed(SLOW);
	int epoll = watch(fd, EPOLLOUT | EPOLLET);
	size_t sent = 0;
	int edges = 0;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	CHECK(next(epoll, 0) == EPOLLOUT);
	while (sent < 3 << 20) {
		ssize_t length = send(fd, data, sizeof(data), 0);

		if (length > 0) {
			sent += length;
			continue;
		}
		CHECK(errno == EAGAIN);
		if (!(next(epoll, 10000) & EPOLLOUT))
			break;
		edges++;
	}
	CHECK(sent >= 3 << 20);
	CHECK(edges > 3);
	close(epoll);
	close(fd);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	RUN(connecting());
	RUN(level());
	RUN(arrivals());
	RUN(room());
	return report("events");
}
