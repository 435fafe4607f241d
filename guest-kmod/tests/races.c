// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls on one socket from several threads. Whoever loses may get an error; the device must hear nothing that is
 * wrong (it would stop the guest), and nobody may hang. DURATION is how many seconds each group goes on (3).
 */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { THREADS = 4, PIECE = 256 << 10 };

/* What the threads of a group share. */
static int shared;
static atomic_int over;

static int seconds(void)
{
	return getenv("DURATION") ? atoi(getenv("DURATION")) : 3;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int unconnect(int fd)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(fd, &none, sizeof(none));
}

/* Sends from pages that are not there yet, so that the copy into the ring takes its time. Counts what was sent. */
static void *send_faulting(void *sent)
{
	ssize_t length;

	do {
		char *fresh = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(fresh != MAP_FAILED);
		length = send(shared, fresh, PIECE, MSG_NOSIGNAL);
		munmap(fresh, PIECE);
		if (length > 0)
			*(size_t *)sent += length;
	} while (length > 0);
	CHECK(errno == EPIPE);
	return NULL;
}

/* What was reported as sent before the half-close arrives, and nothing else. */
static void half_closed_while_sending(void)
{
	double end = now() + seconds();

	for (int round = 0; now() < end; round++) {
		pthread_t senders[THREADS];
		size_t sent[THREADS] = { 0 };
		size_t sum = 0;
		char line[32] = "";

		shared = dialed(SINK);
		for (int i = 0; i < THREADS; i++)
			pthread_create(&senders[i], NULL, send_faulting, &sent[i]);
		usleep(round % 50 * 1000);
		CHECK(shutdown(shared, SHUT_WR) == 0);
		for (int i = 0; i < THREADS; i++) {
			pthread_join(senders[i], NULL);
			sum += sent[i];
		}
		CHECK(recv(shared, line, sizeof(line) - 1, MSG_WAITALL) > 0);
		CHECK((size_t)atol(line) == sum);
		close(shared);
	}
}

static void *send_and_receive(void *unused)
{
	while (!over) {
		char *fresh = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		send(shared, fresh, PIECE / 4, MSG_NOSIGNAL | MSG_DONTWAIT);
		recv(shared, fresh, PIECE, MSG_DONTWAIT);
		munmap(fresh, PIECE);
	}
	return unused;
}

static void *half_close(void *unused)
{
	while (!over) {
		shutdown(shared, SHUT_RD);
		sched_yield();
		shutdown(shared, SHUT_RDWR);
		usleep(500);
	}
	return unused;
}

static void *look(void *unused)
{
	struct sockaddr_in address;
	char byte;

	while (!over) {
		socklen_t length = sizeof(address);

		polled(shared, 1);
		so_error(shared);
		getpeername(shared, (struct sockaddr *)&address, &length);
		recv(shared, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
	}
	return unused;
}

/* Connects to who answers, who refuses and who is silent. */
static void *connect_to_all(void *unused)
{
	static const int ports[] = { ECHO, CLOSED, HOLD, SINK };
	struct sockaddr_in silent = peer(80);

	inet_pton(AF_INET, getenv("SILENT") ? getenv("SILENT") : "10.0.0.9", &silent.sin_addr);
	for (unsigned int i = 0; !over; i++) {
		if (i % 5 == 4)
			connect(shared, (struct sockaddr *)&silent, sizeof(silent));
		else
			dial(shared, ports[i % 5]);
		if (i % 3 == 0)
			sched_yield();
	}
	return unused;
}

static void *unconnect_often(void *unused)
{
	while (!over) {
		CHECK(unconnect(shared) == 0);
		usleep(200);
	}
	return unused;
}

/* Runs the threads on one socket after another, each for a while. */
static void storm(int flags, void *(*const *bodies)(void *), int count)
{
	struct timeval tenth = { .tv_usec = 100000 };
	double end = now() + seconds();

	while (now() < end) {
		pthread_t threads[16];

		shared = stream(flags);
		setsockopt(shared, SOL_SOCKET, SO_SNDTIMEO, &tenth, sizeof(tenth));
		over = 0;
		for (int i = 0; i < count; i++)
			pthread_create(&threads[i], NULL, bodies[i], NULL);
		usleep(300000);
		over = 1;
		for (int i = 0; i < count; i++)
			pthread_join(threads[i], NULL);
		close(shared);
		/* The device still answers, and no waiter of a socket that is gone is woken. */
		close(dialed(ECHO));
	}
}

#define STORM(flags, ...)                                                                   \
	do {                                                                                \
		static void *(*const bodies[])(void *) = { __VA_ARGS__ };                   \
		storm(flags, bodies, sizeof(bodies) / sizeof(*bodies));                     \
	} while (0)

static void reconnected_while_used(void)
{
	STORM(SOCK_NONBLOCK, connect_to_all, unconnect_often, send_and_receive, send_and_receive, half_close, look);
}

static void connected_at_once(void)
{
	STORM(SOCK_NONBLOCK, connect_to_all, connect_to_all, connect_to_all, connect_to_all, unconnect_often, look);
	STORM(0, connect_to_all, connect_to_all, unconnect_often, unconnect_often, send_and_receive, look);
}

static void *dial_echo(void *unused)
{
	int result;

	while ((result = dial(shared, ECHO)) && errno == EALREADY)
		;
	CHECK(result == 0 || errno == EISCONN);
	return unused;
}

/* Of several that connect a socket to the same peer nobody fails, and there is one connection. */
static void one_of_many_connects(void)
{
	double end = now() + seconds();

	while (now() < end) {
		pthread_t threads[THREADS];
		char byte;

		shared = stream(0);
		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, dial_echo, NULL);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		CHECK(send(shared, "x", 1, 0) == 1);
		CHECK(recv(shared, &byte, 1, 0) == 1 && byte == 'x');
		close(shared);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	RUN(half_closed_while_sending());
	RUN(reconnected_while_used());
	RUN(connected_at_once());
	RUN(one_of_many_connects());
	return report("races");
}
