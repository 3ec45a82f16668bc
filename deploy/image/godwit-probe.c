/*
 * godwit-probe live|ready SOCKET: is the agent in this container well? For the kubelet's exec probes; a whole Node would cost 40 ms and 40 MB each time.
 *
 * live:  the agent's event loop turns: a client of the control socket is greeted. Says nothing of the API server, peers or routes.
 * ready: `show status` is answered: the agent has read its source, programmed what it found and opened its sessions.
 * Exit status 0, or 1 with the reason on stderr.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_SECONDS 8 /* less than the probe's own timeout, so that the reason is told */

/* The codes of BIRD's control protocol that a reply may begin with. */
#define WELCOME "0001"
#define TOO_MANY_CLIENTS "8007"
#define VERSION "1000" /* the first line of the answer to `show status` */

static int fail(const char *what)
{
	fprintf(stderr, "godwit-probe: %s: %s\n", what, errno == EAGAIN ? "no answer in time" : strerror(errno));
	return 1;
}

/* Reads one line, without its end; its length, or -1 with errno. A longer line is cut. */
static int read_line(int fd, char *line, int room)
{
	int length = 0;
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = ECONNRESET;
			return -1;
		}
		if (c == '\n')
			break;
		if (length < room - 1)
			line[length++] = c;
	}
	line[length] = 0;
	return length;
}

/* `other` is as good as `code`; both are codes, the first of them what one expects. */
static int expect(int fd, const char *code, const char *other, const char *what)
{
	char line[256];

	if (read_line(fd, line, sizeof line) < 0)
		return fail(what);
	if (strncmp(line, code, strlen(code)) && strncmp(line, other, strlen(other))) {
		fprintf(stderr, "godwit-probe: %s: %s\n", what, line);
		return 1;
	}
	return 0;
}

int main(int count, char **words)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	static const char question[] = "show status\n";

	if (count != 3 || (strcmp(words[1], "live") && strcmp(words[1], "ready")) ||
	    strlen(words[2]) >= sizeof address.sun_path) {
		fprintf(stderr, "usage: godwit-probe live|ready SOCKET\n");
		return 1;
	}
	strcpy(address.sun_path, words[2]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address))
		return fail(words[2]);
	if (!strcmp(words[1], "live"))
		return expect(fd, WELCOME, TOO_MANY_CLIENTS, "greeting");
	if (expect(fd, WELCOME, WELCOME, "greeting"))
		return 1;
	if (send(fd, question, sizeof question - 1, MSG_NOSIGNAL) < 0)
		return fail("show status");
	return expect(fd, VERSION, VERSION, "show status");
}
