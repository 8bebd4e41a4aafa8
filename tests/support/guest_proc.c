/*
 * guest_proc.c - spawn, speak, parse, stop
 */
#include "guest_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 62

static const char *program(void)
{
        const char *from_environment = getenv("VGPU_GUEST");

        return from_environment ? from_environment : VGPU_GUEST_PATH;
}

static uint64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Move the first complete line from the buffer into g->line. */
static bool take_line(struct guest_proc *g)
{
        char *end = memchr(g->buffer, '\n', g->len);
        size_t n, copy;

        if (!end)
                return false;
        n = (size_t)(end - g->buffer);
        copy = n < sizeof(g->line) - 1 ? n : sizeof(g->line) - 1;
        memcpy(g->line, g->buffer, copy);
        if (copy > 0 && g->line[copy - 1] == '\r')
                copy--;
        g->line[copy] = '\0';
        g->len -= n + 1;
        memmove(g->buffer, end + 1, g->len);
        return true;
}

static int read_line(struct guest_proc *g)
{
        uint64_t deadline = now_ms() + GUEST_PROC_TIMEOUT_MS;

        while (!take_line(g)) {
                struct pollfd fd = { .fd = g->out, .events = POLLIN };
                uint64_t now = now_ms();
                ssize_t n;
                int r = now < deadline ? poll(&fd, 1, (int)(deadline - now)) : 0;

                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r == 0)
                        return -ETIMEDOUT;
                if (r < 0)
                        continue;
                if (g->len == sizeof(g->buffer))
                        return -EPROTO;
                n = read(g->out, g->buffer + g->len, sizeof(g->buffer) - g->len);
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (n == 0)
                        return -EPROTO;
                if (n > 0)
                        g->len += (size_t)n;
        }
        return 0;
}

static const char *value_of(const char *line, const char *key)
{
        size_t n = strlen(key);

        for (const char *at = line; (at = strstr(at, key)); at += n)
                if ((at == line || at[-1] == ' ') && at[n] == '=')
                        return at + n + 1;
        return NULL;
}

static void parse_number(const char *line, const char *key, uint64_t *to)
{
        const char *value = value_of(line, key);

        if (value)
                *to = strtoull(value, NULL, 0);
}

static void parse_number32(const char *line, const char *key, uint32_t *to)
{
        uint64_t n = *to;

        parse_number(line, key, &n);
        *to = (uint32_t)n;
}

static void parse_text(const char *line, const char *key, char *to, size_t size)
{
        const char *value = value_of(line, key);

        if (value)
                snprintf(to, size, "%.*s", (int)strcspn(value, " "), value);
}

void guest_facts_parse(struct guest_facts *facts, const char *line)
{
        const char *mode = value_of(line, "mode");

        parse_text(line, "ram", facts->ram, sizeof(facts->ram));
        parse_text(line, "machine", facts->machine, sizeof(facts->machine));
        parse_number(line, "ram_size", &facts->ram_size);
        parse_number32(line, "build", &facts->build);
        parse_number(line, "kcr3", &facts->kcr3);
        parse_number(line, "kernel", &facts->kernel);
        parse_number32(line, "pid", &facts->pid);
        parse_number(line, "cr3", &facts->cr3);
        parse_number(line, "region", &facts->region);
        parse_number(line, "region_bytes", &facts->region_bytes);
        if (mode)
                sscanf(mode, "%ux%u@%u", &facts->width, &facts->height, &facts->fps);
        parse_text(line, "format", facts->format, sizeof(facts->format));
        parse_number32(line, "run_epoch", &facts->run_epoch);
        parse_number32(line, "boot_id", &facts->boot_id);
        parse_text(line, "state", facts->state, sizeof(facts->state));
        parse_number(line, "frames", &facts->frames);
}

static int await(struct guest_proc *g, const char *word)
{
        size_t n = strlen(word);

        for (;;) {
                int r = read_line(g);

                if (r < 0)
                        return r;
                if (strncmp(g->line, "error", 5) == 0 && (g->line[5] == ' ' || g->line[5] == '\0'))
                        return -EREMOTEIO;
                if (strncmp(g->line, word, n) == 0 && (g->line[n] == ' ' || g->line[n] == '\0'))
                        break;
        }
        guest_facts_parse(&g->facts, g->line);
        return 0;
}

int guest_proc_wait_ready(struct guest_proc *g)
{
        return await(g, "ready");
}

static int write_all(int fd, const char *at, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, at, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EPIPE ? -EPROTO : -errno;
                at += n;
                len -= (size_t)n;
        }
        return 0;
}

int guest_proc_command(struct guest_proc *g, const char *command)
{
        char line[1024];
        int n = snprintf(line, sizeof(line), "%s\n", command);
        int r;

        if (n < 0 || (size_t)n >= sizeof(line))
                return -EMSGSIZE;
        r = write_all(g->in, line, (size_t)n);
        return r < 0 ? r : await(g, "ok");
}

static _Noreturn void become_guest(int in, int out, const char *const args[])
{
        const char *argv[MAX_ARGS + 2] = { program() };

        for (size_t i = 0; i < MAX_ARGS && args[i]; i++)
                argv[i + 1] = args[i];
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        execv(argv[0], (char *const *)argv);
        perror(argv[0]);
        _exit(127);
}

int guest_proc_spawn(struct guest_proc *g, const char *const args[])
{
        int to[2], from[2];

        if (pipe2(to, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(from, O_CLOEXEC) < 0) {
                close(to[0]);
                close(to[1]);
                return -errno;
        }
        signal(SIGPIPE, SIG_IGN); /* a guest that is gone is an answer, not the end of the test */
        g->pid = fork();
        if (g->pid == 0)
                become_guest(to[0], from[1], args);
        close(to[0]);
        close(from[1]);
        guest_proc_attach(g, to[1], from[0]);
        if (g->pid < 0) {
                g->pid = 0;
                return -errno;
        }
        return guest_proc_wait_ready(g);
}

void guest_proc_attach(struct guest_proc *g, int in, int out)
{
        g->in = in;
        g->out = out;
        g->len = 0;
}

/* Its output ends when it does. Return: false when it does not within the limit. */
static bool drain(struct guest_proc *g)
{
        int r;

        do
                r = read_line(g);
        while (r == 0);
        return r != -ETIMEDOUT;
}

int guest_proc_stop(struct guest_proc *g)
{
        int status = 0;

        if (g->in >= 0 && g->in != g->out)
                close(g->in);
        if (g->pid > 0) {
                if (!drain(g))
                        kill(g->pid, SIGKILL);
                while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        if (g->out >= 0)
                close(g->out);
        g->in = g->out = -1;
        if (g->pid == 0)
                return -1;
        g->pid = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
