/* crowd.c - see crowd.h */
#include "crowd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "member.h"

#define NS_PER_MS UINT64_C(1000000)

/* A tally on cache lines of its own: members must not slow one another. */
union place {
        struct crowd_tally tally;
        uint8_t lines[128];
};

_Static_assert(sizeof(union place) == 128, "a tally fits its place");

const char *crowd_kind_name(enum crowd_kind kind)
{
        static const char *const name[CROWD_N_KINDS] = { "copy", "lease", "word", "fd" };

        return (unsigned)kind < CROWD_N_KINDS ? name[kind] : "unknown";
}

int crowd_init(struct crowd *crowd)
{
        void *shared = mmap(NULL, CROWD_MAX * sizeof(union place), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        *crowd = (struct crowd){ 0 };
        if (shared == MAP_FAILED)
                return -errno;
        crowd->shared = shared;
        return 0;
}

int crowd_add(struct crowd *crowd, const char *socket, enum crowd_kind kind, bool all_bytes)
{
        struct crowd_member *m = &crowd->member[crowd->n];

        if (crowd->n == CROWD_MAX)
                return -ENOSPC;
        m->kind = kind;
        m->all_bytes = all_bytes;
        m->tally = &((union place *)crowd->shared)[crowd->n].tally;
        m->pid = fork();
        if (m->pid < 0)
                return -errno;
        if (m->pid == 0)
                _exit(member_run(socket, kind, all_bytes, m->tally));
        crowd->n++;
        return 0;
}

struct crowd_tally crowd_tally(const struct crowd *crowd, unsigned i)
{
        const uint64_t *from = (const uint64_t *)crowd->member[i].tally;
        struct crowd_tally copy;

        for (size_t k = 0; k < sizeof(copy) / sizeof(*from); k++)
                ((uint64_t *)&copy)[k] = __atomic_load_n(from + k, __ATOMIC_RELAXED);
        return copy;
}

struct crowd_tally crowd_sum(const struct crowd *crowd)
{
        struct crowd_tally sum = { 0 };

        for (unsigned i = 0; i < crowd->n; i++) {
                struct crowd_tally t = crowd_tally(crowd, i);

                sum.online += t.online;
                sum.frames += t.frames;
                sum.whole += t.whole;
                sum.missed += t.missed;
                sum.torn += t.torn;
                sum.foreign += t.foreign;
                sum.lost += t.lost;
                sum.instances += t.instances;
                sum.disconnects += t.disconnects;
                sum.failed += t.failed != 0;
        }
        return sum;
}

static bool ended(struct crowd_member *m)
{
        siginfo_t info = { 0 };

        return waitid(P_PID, (id_t)m->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
               info.si_pid != 0;
}

int crowd_until(struct crowd *crowd, crowd_condition condition, uint64_t arg, int patience_ms)
{
        uint64_t end_ns = latency_now() + (uint64_t)patience_ms * NS_PER_MS;
        unsigned i = 0;

        while (i < crowd->n) {
                struct crowd_tally tally = crowd_tally(crowd, i);

                if (condition(&tally, arg)) {
                        i++;
                        continue;
                }
                if (ended(&crowd->member[i]) || latency_now() > end_ns)
                        return (int)i;
                /* Tallies are words in memory that nobody can be waited on for; this is the grain of looking. */
                nanosleep(&(struct timespec){ .tv_nsec = 5 * NS_PER_MS }, NULL);
        }
        return -1;
}

unsigned crowd_stop(struct crowd *crowd)
{
        unsigned bad = 0;

        for (unsigned i = 0; i < crowd->n; i++)
                kill(crowd->member[i].pid, SIGTERM);
        for (unsigned i = 0; i < crowd->n; i++) {
                int status = -1;

                while (waitpid(crowd->member[i].pid, &status, 0) < 0 && errno == EINTR)
                        continue;
                bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        }
        if (crowd->shared)
                munmap(crowd->shared, CROWD_MAX * sizeof(union place));
        *crowd = (struct crowd){ 0 };
        return bad;
}
