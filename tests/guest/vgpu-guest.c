/*
 * vgpu-guest.c - the simulated guest as a program: a timer, standard input and the machine between them
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "guest.h"

#define MAX_LINE 1024

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct input {
        char line[MAX_LINE];
        size_t len;
        bool too_long, ended;
};

static bool say(const char *line)
{
        return puts(line) >= 0 && fflush(stdout) == 0;
}

/* Answers every complete line that is there. Return: false when nobody reads the answers. */
static bool answer_lines(struct guest *g, struct input *in)
{
        char chunk[512], answer[8192];
        ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        in->ended = n == 0;
        for (ssize_t i = 0; i < n && !g->quit; i++) {
                if (chunk[i] != '\n') {
                        if (in->len + 1 < sizeof(in->line))
                                in->line[in->len++] = chunk[i];
                        else
                                in->too_long = true;
                        continue;
                }
                in->line[in->len] = '\0';
                if (in->too_long)
                        snprintf(answer, sizeof(answer), "error line too long");
                else
                        guest_command(g, in->line, answer, sizeof(answer));
                in->len = 0;
                in->too_long = false;
                if (!say(answer))
                        return false;
        }
        return true;
}

static void arm(int timer, uint64_t at_ns)
{
        struct itimerspec when = { 0 };

        if (at_ns != GUEST_NEVER) {
                when.it_value.tv_sec = (time_t)(at_ns / 1000000000);
                when.it_value.tv_nsec = (long)(at_ns % 1000000000);
        }
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static int serve(struct guest *g, int timer)
{
        struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                { .fd = timer, .events = POLLIN } };
        struct input in = { .len = 0 };
        uint64_t expirations;

        while (!g->quit && !in.ended) {
                arm(timer, guest_run_due(g));
                if (poll(fds, 2, -1) < 0 && errno != EINTR) {
                        perror("vgpu-guest: poll");
                        return EXIT_FAILED;
                }
                if ((fds[1].revents & POLLIN) &&
                        read(timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN) {
                        perror("vgpu-guest: timer");
                        return EXIT_FAILED;
                }
                if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && !answer_lines(g, &in)) {
                        fprintf(stderr, "vgpu-guest: cannot answer on standard output\n");
                        return EXIT_FAILED;
                }
        }
        return EXIT_OK;
}

static int run(struct guest *g)
{
        char facts[8192], line[8300];
        int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        int status = EXIT_FAILED;

        if (timer < 0) {
                perror("vgpu-guest: timerfd");
                return EXIT_FAILED;
        }
        guest_run_due(g); /* there is a frame to see when we say we are ready */
        guest_facts(g, facts, sizeof(facts));
        snprintf(line, sizeof(line), "ready %s", facts);
        if (say(line))
                status = serve(g, timer);
        close(timer);
        return status;
}

int main(int argc, char **argv)
{
        static struct guest guest; /* holds the process table: too large for a stack */
        struct guest_options options;
        char why[256] = "";
        int status = EXIT_FAILED;

        signal(SIGPIPE, SIG_IGN);
        if (!guest_options_parse(&options, argc, argv, why, sizeof(why))) {
                fprintf(stderr, "vgpu-guest: %s\nTry 'vgpu-guest --help'.\n", why);
                return EXIT_USAGE;
        }
        if (options.help) {
                fputs(guest_options_help, stdout);
                return EXIT_OK;
        }
        if (guest_open(&guest, &options))
                status = run(&guest);
        else
                fprintf(stderr, "vgpu-guest: %s\n", guest.why);
        guest_close(&guest);
        return status;
}
