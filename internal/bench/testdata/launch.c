/* Starts programs and tells what they cost. It is small itself, since the
 * greatest memory use of a process counts that of its parent before exec(2).
 *
 *   launch COUNT PARALLEL INPUT program [argument …]
 *
 * INPUT is the file for standard input. For each process a line: wall clock and
 * CPU time in microseconds, greatest memory in KiB, exit status. The last line
 * has the wall clock of all of them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct { pid_t pid; long began; } *started;

static void start(int i, int null, char **argv)
{
	started[i].began = now();
	pid_t pid = vfork();
	if (pid < 0) {
		perror("vfork");
		exit(71);
	}
	if (pid == 0) {
		int in = open(argv[3], O_RDONLY | O_CLOEXEC);
		if (in < 0)
			_exit(66);
		dup2(in, 0), dup2(null, 1), dup2(null, 2);
		execv(argv[4], argv + 4);
		_exit(127);
	}
	started[i].pid = pid;
}

static void reap(int n)
{
	struct rusage u;
	int status, i;
	pid_t pid = wait4(-1, &status, 0, &u);
	long end = now();
	for (i = 0; i < n && started[i].pid != pid; i++)
		;
	long cpu = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
	printf("%ld %ld %ld %d\n", i < n ? end - started[i].began : -1, cpu, u.ru_maxrss,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 64;
	int count = atoi(argv[1]), parallel = atoi(argv[2]), running = 0;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	started = calloc(count, sizeof *started);
	long begin = now();
	for (int i = 0; i < count; i++) {
		if (running == parallel)
			reap(i), running--;
		start(i, null, argv);
		running++;
	}
	while (running-- > 0)
		reap(count);
	printf("%ld\n", now() - begin);
	return 0;
}
