// SPDX-License-Identifier: GPL-2.0-only
/* Connecting, its errors and its states; addresses; closing. */
#include "check.h"

static void creation(void)
{
	int fd;

	WANT_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	WANT_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	WANT_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	WANT_ERRNO(socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */), EPROTONOSUPPORT);
	CHECK((fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)) >= 0);
	close(fd);
}

static void unconnected(void)
{
	int fd = stream(0);
	char byte;
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	signal(SIGPIPE, SIG_IGN);
	CHECK(polled(fd, 0) == (POLLOUT | POLLHUP));
	WANT_ERRNO(recv(fd, &byte, 1, 0), ENOTCONN);
	WANT_ERRNO(send(fd, "x", 1, 0), EPIPE);
	WANT_ERRNO(shutdown(fd, SHUT_RDWR), ENOTCONN);
	WANT_ERRNO(getpeername(fd, (struct sockaddr *)&address, &length), ENOTCONN);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK(length == sizeof(address) && address.sin_family == AF_INET && address.sin_port == 0);
	WANT_ERRNO(accept(fd, NULL, NULL), EINVAL);
	close(fd);
}

static void binding(void)
{
	int fd = stream(0);
	struct sockaddr_in any = { .sin_family = AF_INET };
	struct sockaddr_in port = { .sin_family = AF_INET, .sin_port = htons(23456) };
	struct sockaddr_in address;
	socklen_t length = sizeof(address);

	WANT_ERRNO(bind(fd, (struct sockaddr *)&port, 4), EINVAL);
	CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
	WANT_ERRNO(bind(fd, (struct sockaddr *)&port, sizeof(port)), EINVAL);
	CHECK(dial(fd, ECHO) == 0);
	close(fd);

	/* A port that the user chose is the one that the peer sees. */
	fd = stream(0);
	CHECK(bind(fd, (struct sockaddr *)&port, sizeof(port)) == 0);
	CHECK(dial(fd, ECHO) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK(address.sin_port == port.sin_port);
	close(fd);

	/* From loopback nothing leaves the guest. */
	fd = stream(0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
	WANT_ERRNO(dial(fd, ECHO), EINVAL);
	close(fd);
}

static void success(void)
{
	int fd = dialed(ECHO);
	struct sockaddr_in address;
	socklen_t length = 128;

	WANT_ERRNO(dial(fd, ECHO), EISCONN);
	CHECK(polled(fd, 0) == POLLOUT);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK(length == sizeof(address) && address.sin_port != 0);
	CHECK(getpeername(fd, (struct sockaddr *)&address, &length) == 0);
	CHECK(length == sizeof(address) && address.sin_port == htons(ECHO));
	CHECK(address.sin_addr.s_addr == peer(0).sin_addr.s_addr);
	close(fd);
}

static void refused(void)
{
	int fd = stream(0);

	WANT_ERRNO(dial(fd, CLOSED), ECONNREFUSED);
	CHECK(polled(fd, 0) == (POLLOUT | POLLHUP));
	CHECK(so_error(fd) == 0);
	/* The socket can be used again. */
	CHECK(dial(fd, ECHO) == 0);
	CHECK(send(fd, "x", 1, 0) == 1);
	close(fd);
}

static void bad_addresses(void)
{
	int fd = stream(0);
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = peer(ECHO);

	WANT_ERRNO(connect(fd, (struct sockaddr *)&six, sizeof(six)), EAFNOSUPPORT);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&four, 8), EINVAL);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&four, 1), EINVAL);
	close(fd);
}

static void nonblocking(void)
{
	int fd = stream(SOCK_NONBLOCK);
	char byte;

	WANT_ERRNO(dial(fd, ECHO), EINPROGRESS);
	CHECK(awaited(fd, POLLOUT) == POLLOUT);
	CHECK(so_error(fd) == 0);
	WANT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
	/* Linux reports the success once, then that it is connected. */
	CHECK(dial(fd, ECHO) == 0);
	WANT_ERRNO(dial(fd, ECHO), EISCONN);
	close(fd);
}

static void nonblocking_refused(void)
{
	int fd = stream(SOCK_NONBLOCK);

	WANT_ERRNO(dial(fd, CLOSED), EINPROGRESS);
	CHECK(awaited(fd, POLLERR) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK(so_error(fd) == ECONNREFUSED);
	CHECK(so_error(fd) == 0);
	CHECK(polled(fd, 0) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	WANT_ERRNO(dial(fd, ECHO), ECONNABORTED);
	WANT_ERRNO(dial(fd, ECHO), EINPROGRESS);
	CHECK(awaited(fd, POLLOUT) == POLLOUT);
	close(fd);

	fd = stream(SOCK_NONBLOCK);
	WANT_ERRNO(dial(fd, CLOSED), EINPROGRESS);
	awaited(fd, POLLERR);
	WANT_ERRNO(dial(fd, CLOSED), ECONNREFUSED);
	close(fd);
}

static void unanswered(void)
{
	int fd = stream(SOCK_NONBLOCK);
	struct sockaddr_in address = peer(80);
	struct timeval tenth = { .tv_usec = 100000 };
	char byte;

	/* The peers' machine never answers for this one. */
	inet_pton(AF_INET, getenv("SILENT") ? getenv("SILENT") : "10.0.0.9", &address.sin_addr);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof(address)), EINPROGRESS);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof(address)), EALREADY);
	CHECK(polled(fd, 50) == 0);
	WANT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EAGAIN);
	WANT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN);
	close(fd);

	fd = stream(0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tenth, sizeof(tenth));
	WANT_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof(address)), EINPROGRESS);
	interrupt_in(50, 0);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof(address)), EINTR);
	close(fd);

	/* A forgotten connect can be taken back, and the socket used for another. */
	fd = stream(SOCK_NONBLOCK);
	WANT_ERRNO(connect(fd, (struct sockaddr *)&address, sizeof(address)), EINPROGRESS);
	address.sin_family = AF_UNSPEC;
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	WANT_ERRNO(dial(fd, ECHO), EINPROGRESS);
	CHECK(awaited(fd, POLLOUT) == POLLOUT);
	close(fd);
}

/* How the peer saw the last connection to REMEMBER end. */
static const char *recalled(void)
{
	static char text[64];
	int fd = dialed(RECALL);
	ssize_t length = recv(fd, text, sizeof(text) - 1, MSG_WAITALL);

	close(fd);
	text[length > 0 ? length : 0] = 0;
	return text;
}

static void closing(void)
{
	struct linger now = { .l_onoff = 1 };
	struct linger later = { .l_onoff = 1, .l_linger = 5 };
	static char data[60000];
	int fd;

	/* Data in flight arrives, then FIN. */
	fd = dialed(REMEMBER);
	CHECK(send(fd, data, sizeof(data), 0) == sizeof(data));
	close(fd);
	for (int i = 0; i < 20 && strcmp(recalled(), "fin 60000\n"); i++)
		;
	CHECK(!strcmp(recalled(), "fin 60000\n"));

	fd = dialed(REMEMBER);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	CHECK(!strcmp(recalled(), "rst\n"));

	fd = dialed(REMEMBER);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &later, sizeof(later));
	CHECK(send(fd, data, 5, 0) == 5);
	CHECK(close(fd) == 0);
	CHECK(!strcmp(recalled(), "fin 5\n"));
}

static void many(void)
{
	enum { COUNT = 200 };
	static int fds[COUNT];
	char byte;

	for (int i = 0; i < COUNT; i++) {
		fds[i] = stream(SOCK_NONBLOCK);
		WANT_ERRNO(dial(fds[i], ECHO), EINPROGRESS);
	}
	for (int i = 0; i < COUNT; i++) {
		CHECK(awaited(fds[i], POLLOUT) & POLLOUT);
		CHECK(send(fds[i], &(char){ i }, 1, 0) == 1);
	}
	for (int i = 0; i < COUNT; i++) {
		CHECK(awaited(fds[i], POLLIN) & POLLIN);
		CHECK(recv(fds[i], &byte, 1, 0) == 1 && byte == (char)i);
		close(fds[i]);
	}
	/* Ids come back. */
	for (int i = 0; i < 2000; i++) {
		int fd = stream(i % 2 ? SOCK_NONBLOCK : 0);

		dial(fd, i % 3 ? ECHO : CLOSED);
		close(fd);
	}
}

int main(void)
{
	RUN(creation());
	RUN(unconnected());
	RUN(binding());
	RUN(success());
	RUN(refused());
	RUN(bad_addresses());
	RUN(nonblocking());
	RUN(nonblocking_refused());
	RUN(unanswered());
	RUN(closing());
	RUN(many());
	return report("connect");
}
