/*
 * faults.c - vgpu-faults: fail every call of a life, one at a time, and see what comes of it
 *
 * Lives mostly wait, for timers and for a guest, so many are lived at once. What is printed of a failure repeats it.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "daemon_proc.h"
#include "lives.h"
#include "monitor.h"
#include "plan.h"
#include "vgpu_client.h"

#define JOBS_MOST 64

struct options {
        const char *life; /* NULL: all */
        const char *only; /* NULL: the plan */
        struct plan_how how;
        unsigned jobs;
        bool verbose;
};

/* What workers share. */
struct tally {
        atomic_size_t next;
        atomic_uint n[CAME_N];
};

static const char *const status_words[] = { VGPU_BIN_DIR "/vgpuctl", "--socket", "@SOCKET",
        "status", NULL };
static const char *const shot_words[] = { VGPU_BIN_DIR "/vgpuctl", "--socket", "@SOCKET",
        "screenshot", "@FILE", NULL };
static const char *const client_words[] = { VGPU_BIN_DIR "/fault-client", "@SOCKET", NULL };

const struct life life_table[] = {
        { .name = "daemon",
                .phases = { "start", "attach", "join", "stream", "ask", "reload", "stop" },
                .live = live_daemon,
                .what = VGPU_BIN_DIR "/vgpud" },
        { .name = "client",
                .phases = { "connect", "take", "hold", "reconnect", "close" },
                .live = live_program,
                .what = client_words },
        { .name = "status", .phases = { "run" }, .live = live_program, .what = status_words },
        { .name = "screenshot", .phases = { "run" }, .live = live_program, .what = shot_words },
};

const size_t n_lives = sizeof(life_table) / sizeof(life_table[0]);

/* ---- one fault ------------------------------------------------------------------------------------------------------ */

static void print_callers(const struct board *b)
{
        printf("    %s, called by\n", b->what);
        for (uint32_t i = 0; i < b->n_callers; i++)
                printf("      %s\n", b->callers[i]);
}

static void print_grief(const struct life *life, const struct fault *fault, const struct outcome *o)
{
        char text[64];

        printf("FAILED %s %s: %s\n", life->name, plan_print(life, fault, text), o->text);
        if (fault->call < 0 && atomic_load(&o->board.fired))
                print_callers(&o->board);
        printf("    its last words: %s\n", o->said[0] ? o->said : "none");
        printf("    again: script/faults --life %s --only %s\n", life->name, text);
}

static void print_line(const struct life *life, const struct fault *fault, const struct outcome *o)
{
        static const char *const came[CAME_N] = { "not reached", "carried on", "ended", "FAILED" };
        char text[64];

        printf("%s %s: %s%s%s\n", life->name, plan_print(life, fault, text), came[o->what],
                o->text[0] ? ": " : "", o->text);
}

static enum came_of_it try(
        const struct life *life, const struct world *world, const struct fault *fault, bool verbose)
{
        struct outcome o = { 0 };

        life->live(life, world, fault, &o);
        if (o.what == CAME_TO_GRIEF)
                print_grief(life, fault, &o);
        else if (verbose)
                print_line(life, fault, &o);
        fflush(stdout);
        return o.what;
}

/* ---- all of a plan -------------------------------------------------------------------------------------------------- */

static __attribute__((noreturn)) void work(const struct life *life, const struct world *world,
        const struct plan *plan, struct tally *tally, bool verbose)
{
        size_t i;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(3);
        while ((i = atomic_fetch_add(&tally->next, 1)) < plan->n)
                atomic_fetch_add(&tally->n[try(life, world, &plan->fault[i], verbose)], 1);
        _exit(0);
}

/* Return: whether every worker came back. */
static bool work_all(const struct life *life, const struct world *world, const struct plan *plan,
        struct tally *tally, const struct options *o)
{
        pid_t pid[JOBS_MOST];
        bool all = true;
        int status;

        fflush(stdout);
        for (unsigned i = 0; i < o->jobs; i++) {
                pid[i] = fork();
                if (pid[i] == 0)
                        work(life, world, plan, tally, o->verbose);
        }
        for (unsigned i = 0; i < o->jobs; i++)
                all &= pid[i] > 0 && waitpid(pid[i], &status, 0) == pid[i] && status == 0;
        return all;
}

/* A life in which all goes well. Ends the harness if it does not. */
static struct board *live_well(const struct life *life, const struct world *world, int call)
{
        const struct fault none = { .call = call };
        struct board *b = malloc(sizeof(*b));
        struct outcome o = { 0 };

        life->live(life, world, &none, &o);
        if (o.what == CAME_TO_GRIEF || o.text[0] || !b) {
                printf("FAILED %s without any fault: %s\n%s\n", life->name, o.text, o.said);
                exit(1);
        }
        *b = o.board;
        return b;
}

static void print_counts(
        const struct life *life, const struct board *allocations, const struct board *calls)
{
        for (unsigned phase = 0; phase < BOARD_PHASES && life->phases[phase]; phase++) {
                unsigned n_calls = 0, n_kinds = 0;

                for (int number = 0; number < BOARD_CALLS; number++) {
                        unsigned n = atomic_load(&calls->n_calls[phase][number]);

                        n_calls += n;
                        n_kinds += n > 0;
                        if (n && !call_by_number(number))
                                printf("%s %s: system call %d is not failed\n", life->name,
                                        life->phases[phase], number);
                }
                printf("%s %s: %u allocations, %u system calls of %u kinds\n", life->name,
                        life->phases[phase], atomic_load(&allocations->n_allocations[phase]),
                        n_calls, n_kinds);
        }
}

/* Return: whether nothing came to grief. */
static bool sweep(struct life life, const struct world *world, const struct options *o)
{
        struct tally *tally = mmap(
                NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct board *allocations = live_well(&life, world, -1);
        struct board *calls = live_well(&life, world, SUBJECT_COUNT);
        struct fault only;
        struct plan plan;
        bool well;

        life.well = allocations;
        if (o->only) {
                if (!plan_parse(&life, o->only, &only)) {
                        fprintf(stderr, "vgpu-faults: '%s' is no fault of '%s'\n", o->only,
                                life.name);
                        exit(2);
                }
                well = try(&life, world, &only, true) != CAME_TO_GRIEF;
        } else {
                print_counts(&life, allocations, calls);
                plan_make(&plan, &o->how, allocations, calls);
                well = work_all(&life, world, &plan, tally, o);
                printf("%s: %zu faults: carried on %u, ended with a sentence %u, not reached %u, "
                       "FAILED %u\n",
                        life.name, plan.n, tally->n[CAME_THROUGH], tally->n[CAME_TO_AN_END],
                        tally->n[CAME_NOT_REACHED], tally->n[CAME_TO_GRIEF]);
                well &= tally->n[CAME_TO_GRIEF] == 0;
                plan_free(&plan);
        }
        munmap(tally, sizeof(*tally));
        free(allocations);
        free(calls);
        return well;
}

/* ---- the world ------------------------------------------------------------------------------------------------------ */

static void await_stream(const char *socket)
{
        const struct vgpu_client_options options = { .flags = VGPU_CLIENT_WAIT_DAEMON,
                .name = "faults" };
        struct vgpu_client_failure why;
        struct vgpu_client_state state = { 0 };
        struct vgpu_client *c;

        if (vgpu_client_connect(socket, &options, &c, &why) < 0) {
                fprintf(stderr, "%s\n", why.text);
                exit(3);
        }
        while (state.stream.state != VGPU_RING_STREAMING && vgpu_client_wait(c, 1000) >= 0)
                vgpu_client_state(c, &state);
        vgpu_client_close(c);
}

static bool sweep_all(const struct options *o)
{
        static const char *const args[] = { "--memfd", "--mode", "64x48@60", NULL };
        struct guest_proc guest = GUEST_PROC_NULL;
        struct daemon_proc daemon = DAEMON_PROC_NONE;
        struct world world = { .guest = &guest.facts };
        char path[96];
        pid_t monitor;
        bool well = true;

        if (guest_proc_spawn(&guest, args) < 0 ||
                daemon_proc_start(&daemon, guest.facts.ram, guest.facts.machine,
                        guest.facts.ram_size, "max_clients_user = 64\n") < 0) {
                fputs("vgpu-faults: no guest, or no daemon\n", stderr);
                exit(3);
        }
        world.socket = daemon.socket;
        snprintf(path, sizeof(path), "%s/qmp", daemon.dir);
        world.monitor = path;
        monitor = monitor_start(path);
        await_stream(world.socket);
        for (size_t i = 0; i < n_lives; i++)
                if (!o->life || strcmp(o->life, life_table[i].name) == 0)
                        well &= sweep(life_table[i], &world, o);
        /* before the guest, whose input it has inherited: the guest ends when that is closed */
        kill(monitor, SIGKILL);
        waitpid(monitor, NULL, 0);
        well &= daemon_proc_stop(&daemon) == 0;
        guest_proc_stop(&guest);
        return well;
}

/* ---- command line --------------------------------------------------------------------------------------------------- */

static void print_help(void)
{
        puts("Usage: vgpu-faults [OPTION...]\n"
             "\n"
             "Fails each allocation and each system call in the life of a program, one at a time.\n"
             "\n"
             "  --life NAME      only this one: daemon, client, status, screenshot\n"
             "  --allocations    only allocations\n"
             "  --calls          only system calls\n"
             "  --every-until N  each up to the Nth of a kind and phase, then ever fewer; 0: each\n"
             "  --all-errors     each system call with each errno of its kind\n"
             "  --jobs N         lives at a time\n"
             "  --only FAULT     just this one, as a failure names it\n"
             "  --verbose        a line for each fault\n"
             "\n"
             "Exit status: 0 all is well, 1 something is not, 2 usage, 77 not possible here.");
}

static bool parse(int argc, char **argv, struct options *ret)
{
        static const struct option longs[] = {
                { "life", required_argument, NULL, 'l' },
                { "allocations", no_argument, NULL, 'a' },
                { "calls", no_argument, NULL, 'c' },
                { "every-until", required_argument, NULL, 'u' },
                { "all-errors", no_argument, NULL, 'e' },
                { "jobs", required_argument, NULL, 'j' },
                { "only", required_argument, NULL, 'o' },
                { "verbose", no_argument, NULL, 'v' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        int c;

        *ret = (struct options){ .jobs = 8 };
        while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
                switch (c) {
                case 'l':
                        ret->life = optarg;
                        break;
                case 'a':
                        ret->how.allocations = true;
                        break;
                case 'c':
                        ret->how.calls = true;
                        break;
                case 'u':
                        ret->how.every_until = (uint32_t)atoi(optarg);
                        break;
                case 'e':
                        ret->how.all_errors = true;
                        break;
                case 'j':
                        ret->jobs = (unsigned)atoi(optarg);
                        break;
                case 'o':
                        ret->only = optarg;
                        break;
                case 'v':
                        ret->verbose = true;
                        break;
                case 'h':
                        print_help();
                        exit(0);
                default:
                        return false;
                }
        }
        if (!ret->how.allocations && !ret->how.calls)
                ret->how.allocations = ret->how.calls = true;
        return optind == argc && ret->jobs > 0 && ret->jobs <= JOBS_MOST &&
               (!ret->only || ret->life);
}

int main(int argc, char **argv)
{
        struct options options;

        if (!parse(argc, argv, &options)) {
                fputs("Try 'vgpu-faults --help'.\n", stderr);
                return 2;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        if (!subject_supported())
                return 77;
        return sweep_all(&options) ? 0 : 1;
}
