/* tool.c - see tool.h */
#include "tool.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TURN_MS 2

struct stream {
        int fd;
        char *text;
        size_t len;
};

/* Return: the child's end. */
static int stream_open(struct stream *s)
{
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        *s = (struct stream){ .fd = ends[0], .text = calloc(1, 1) };
        assert_non_null(s->text);
        return ends[1];
}

static void stream_read(struct stream *s)
{
        char buf[65536];
        ssize_t n = read(s->fd, buf, sizeof buf);

        if (n <= 0) {
                close(s->fd);
                s->fd = -1;
                return;
        }
        s->text = realloc(s->text, s->len + (size_t)n + 1);
        assert_non_null(s->text);
        memcpy(s->text + s->len, buf, (size_t)n);
        s->len += (size_t)n;
        s->text[s->len] = '\0';
}

static pid_t start(const char *const *argv, int out, int err)
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                dup2(out, STDOUT_FILENO);
                dup2(err, STDERR_FILENO);
                execv(argv[0], (char *const *)argv);
                _exit(127);
        }
        close(out);
        close(err);
        return pid;
}

void tool_run(const char *const *argv, const struct tool_company *company, struct tool_result *ret)
{
        struct stream out, err;
        int out_end = stream_open(&out), err_end = stream_open(&err), status;
        pid_t pid = start(argv, out_end, err_end);

        while (out.fd >= 0 || err.fd >= 0) {
                struct pollfd fds[] = { { out.fd, POLLIN, 0 }, { err.fd, POLLIN, 0 } };

                poll(fds, 2, company ? TURN_MS : -1);
                if (fds[0].revents)
                        stream_read(&out);
                if (fds[1].revents)
                        stream_read(&err);
                if (company)
                        company->turn(company->ctx, out.text, pid);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        *ret = (struct tool_result){
                .exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                .out = out.text,
                .out_len = out.len,
                .err = err.text,
                .err_len = err.len,
        };
}

void tool_result_deinit(struct tool_result *result)
{
        free(result->out);
        free(result->err);
        *result = (struct tool_result){ 0 };
}
