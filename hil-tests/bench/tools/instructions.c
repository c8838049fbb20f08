/*
 * instructions COMMAND [ARGUMENT...]: runs a command and says on standard error how many instructions it and its
 * children executed in user mode. For the guest in metered or virtual time, where QEMU counts them exactly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct perf_event_attr what = {
		.size = sizeof(what),
		.type = PERF_TYPE_HARDWARE,
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.disabled = 1,
		.inherit = 1,
		.enable_on_exec = 1,
	};
	uint64_t count = 0;
	int start[2], counter, status = 0;
	pid_t child;

	if (argc < 2) {
		fprintf(stderr, "instructions: no command given\n");
		return 64;
	}
	if (pipe2(start, O_CLOEXEC)) {
		perror("instructions: pipe");
		return 71;
	}
	child = fork();
	if (child == 0) {
		char byte;

		/* Waits until it is being counted. */
		close(start[1]);
		if (read(start[0], &byte, 1) < 0)
			_exit(71);
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	counter = syscall(SYS_perf_event_open, &what, child, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (counter < 0)
		fprintf(stderr, "instructions: cannot count: %s\n", strerror(errno));
	close(start[1]);
	waitpid(child, &status, 0);
	if (counter < 0 || read(counter, &count, sizeof(count)) != sizeof(count))
		return 69;
	fprintf(stderr, "instructions %llu\n", (unsigned long long)count);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
