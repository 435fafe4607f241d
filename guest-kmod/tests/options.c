// SPDX-License-Identifier: GPL-2.0-only
/* Options: stored and read back, within Linux' limits; every other one is an error and never a crash. */
#include "check.h"

static void number(int fd, int level, int name, int value)
{
	int back = -1;
	socklen_t length = sizeof(back);

	CHECK(setsockopt(fd, level, name, &value, sizeof(value)) == 0);
	CHECK(getsockopt(fd, level, name, &back, &length) == 0);
	if (back != value || length != sizeof(back))
		printf("level %d name %d: set %d, got %d\n", level, name, value, back);
	CHECK(back == value && length == sizeof(back));
}

static void known(void)
{
	int four = stream(0);
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	int value = 0;
	socklen_t length = sizeof(value);
	struct tcp_info info;

	number(four, IPPROTO_TCP, TCP_NODELAY, 1);
	number(four, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	number(four, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	number(four, IPPROTO_TCP, TCP_KEEPCNT, 3);
	number(four, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	number(four, IPPROTO_TCP, TCP_QUICKACK, 0);
	number(four, IPPROTO_IP, IP_TOS, 16);
	number(four, SOL_SOCKET, SO_KEEPALIVE, 1);
	number(four, SOL_SOCKET, SO_REUSEADDR, 1);
	number(four, SOL_SOCKET, SO_REUSEPORT, 1);
	number(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	number(six, IPPROTO_IPV6, IPV6_TCLASS, 8);
	number(six, IPPROTO_TCP, TCP_NODELAY, 1);
	CHECK(getsockopt(four, SOL_SOCKET, SO_PROTOCOL, &value, &length) == 0 && value == IPPROTO_TCP);
	CHECK(getsockopt(four, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 && value == AF_INET);
	CHECK(getsockopt(six, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 && value == AF_INET6);
	CHECK(getsockopt(four, SOL_SOCKET, SO_TYPE, &value, &length) == 0 && value == SOCK_STREAM);
	CHECK(getsockopt(four, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value == 0);
	CHECK(getsockopt(four, IPPROTO_TCP, TCP_MAXSEG, &value, &length) == 0 && value > 0);
	value = 0;
	WANT_ERRNO(setsockopt(four, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value)), EINVAL);
	WANT_ERRNO(setsockopt(four, IPPROTO_TCP, TCP_NODELAY, &value, 1), EINVAL);
	WANT_ERRNO(setsockopt(four, IPPROTO_TCP, TCP_NODELAY, (void *)8, 4), EFAULT);
	WANT_ERRNO(setsockopt(four, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)), ENOPROTOOPT);
	length = sizeof(info);
	CHECK(getsockopt(four, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_CLOSE);
	length = 1;
	CHECK(getsockopt(four, IPPROTO_TCP, TCP_NODELAY, &value, &length) == 0 && length == 1);
	close(four);
	close(six);
}

/* Every level and name, with values that mean nothing, on sockets in several states. */
static void sweep(int fd)
{
	static const int levels[] = { 0, 1, 6, 17, 41, 132, 255, 263, 270, 284, -1 };
	char buffer[256];

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		for (int name = -1; name < 300; name++) {
			socklen_t length = sizeof(buffer);

			if (levels[i] == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_RCVTIMEO_NEW))
				continue;
			getsockopt(fd, levels[i], name, buffer, &length);
			length = 0;
			getsockopt(fd, levels[i], name, NULL, &length);
			memset(buffer, name * 7, sizeof(buffer));
			setsockopt(fd, levels[i], name, buffer, name & 63);
			setsockopt(fd, levels[i], name, buffer, 4);
			setsockopt(fd, levels[i], name, NULL, 0);
		}
	}
}

int main(void)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	RUN(known());
	fd = stream(SOCK_NONBLOCK);
	sweep(fd);
	dial(fd, ECHO);
	sweep(fd);
	awaited(fd, POLLOUT);
	sweep(fd);
	CHECK(send(fd, "x", 1, MSG_DONTWAIT) <= 1);
	close(fd);
	return report("options");
}
