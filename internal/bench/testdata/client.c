/* The floor: a client that speaks the protocol and does nothing else.
 *
 *   client PORT TO       sends standard input, which has LF line ends
 *   client spool DIR     keeps it there, durably
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[64 << 10], out[160 << 10], reply[4096];

static void fail(const char *what) { perror(what); exit(75); }

static void put(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);
		if (k <= 0)
			fail("write");
		p += k, n -= k;
	}
}

/* hear reads until n final reply lines have come. */
static void hear(int fd, int n)
{
	static size_t have;
	while (n > 0) {
		char *end;
		while (n > 0 && (end = memchr(reply, '\n', have))) {
			if (reply[0] > '3')
				fail(reply);
			if (reply[3] == ' ')
				n--;
			have -= end + 1 - reply;
			memmove(reply, end + 1, have);
		}
		if (n > 0) {
			ssize_t k = read(fd, reply + have, sizeof reply - have);
			if (k <= 0)
				fail("read");
			have += k;
		}
	}
}

static void send_body(int fd)
{
	ssize_t k;
	int begin = 1;
	while ((k = read(0, in, sizeof in)) > 0) {
		char *o = out;
		for (ssize_t i = 0; i < k; i++) {
			if (begin && in[i] == '.')
				*o++ = '.';
			if ((begin = in[i] == '\n'))
				*o++ = '\r';
			*o++ = in[i];
		}
		if (k == sizeof in) {
			put(fd, out, o - out);
			continue;
		}
		memcpy(o, ".\r\nQUIT\r\n", 9); /* a short read is the end of a file */
		put(fd, out, o + 9 - out);
		return;
	}
	put(fd, ".\r\nQUIT\r\n", 9);
}

static int spool(const char *dir)
{
	char tmp[32], name[32];
	snprintf(tmp, sizeof tmp, "tmp.%d", getpid());
	snprintf(name, sizeof name, "new.%d", getpid());
	if (chdir(dir))
		fail(dir);
	int d = open(".", O_RDONLY), fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ssize_t k;
	while ((k = read(0, in, sizeof in)) > 0)
		put(fd, in, k);
	if (fsync(fd) || close(fd) || rename(tmp, name) || fsync(d))
		fail("spool");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	if (!strcmp(argv[1], "spool"))
		return spool(argv[2]);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to))
		fail("connect");
	hear(fd, 1);
	put(fd, "EHLO floor.test\r\n", 17);
	hear(fd, 1);
	int n = snprintf(out, sizeof out, "MAIL FROM:<floor@floor.test>\r\nRCPT TO:<%s>\r\nDATA\r\n", argv[2]);
	put(fd, out, n);
	hear(fd, 3);
	send_body(fd);
	hear(fd, 2);
	return 0;
}
