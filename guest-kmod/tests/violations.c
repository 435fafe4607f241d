// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that breaks the protocol: for each kind that the test device knows, the socket fails with EPROTO and the
 * guest goes on. The device does it for connections to 10.99.0.1, by port.
 */
#include "check.h"

int main(void)
{
	char bytes[256];

	signal(SIGPIPE, SIG_IGN);
	for (int kind = 1; kind <= 10; kind++) {
		int bystander = dialed(ECHO);
		int fd = stream(0);
		struct sockaddr_in address = peer(kind);
		int error = 0;

		inet_pton(AF_INET, "10.99.0.1", &address.sin_addr);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
			error = errno;
		/* Whatever was right before the violation stays readable. */
		for (int i = 0; i < 50 && !error; i++) {
			if (recv(fd, bytes, sizeof(bytes), 0) < 0)
				error = errno;
			usleep(10000);
		}
		if (error != EPROTO)
			printf("kind %d: errno %d\n", kind, error);
		CHECK(error == EPROTO);
		WANT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
		close(fd);
		/* Others fail only if the device named no socket. */
		if (kind != 4 && kind != 5)
			CHECK(send(bystander, "x", 1, 0) == 1 && recv(bystander, bytes, 1, 0) == 1);
		else
			CHECK(so_error(bystander) == EPROTO);
		close(bystander);
	}
	return report("violations");
}
