/* siege.c - see siege.h */
#include "siege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "vgpu_protocol.h"

#define NS_PER_MS UINT64_C(1000000)

/*
 * What a heap may grow by though nothing is kept: its own tables. Less than what ten thousand clients would leave behind.
 * A sanitizer keeps shadows, stacks and what was freed; under it leaks are told by the sanitizer, at the end.
 */
#ifdef __SANITIZE_ADDRESS__
#define HEAP_SLACK (UINT64_C(64) << 20)
#else
#define HEAP_SLACK (UINT64_C(4) << 20)
#endif

/* What SERVER_FDS_CLIENT times the clients of these tests comes to, and the ring that is being replaced. */
#define MOST_MORE_FDS 400

/* ---- waiting --------------------------------------------------------------------------------- */

static bool patience_is_over(uint64_t since_ns)
{
        return latency_now() - since_ns > HOSTILE_PATIENCE_MS * NS_PER_MS;
}

/* What is waited for are words in memory, in /proc and in a file; this is the grain of looking. */
static void nap(void)
{
        nanosleep(&(struct timespec){ .tv_nsec = 5 * NS_PER_MS }, NULL);
}

static void show_log(const struct siege *s)
{
        char *said = daemon_proc_said(&s->rig.daemon);
        size_t len = strlen(said);

        fprintf(stderr, "%s", len > 4000 ? said + len - 4000 : said);
        free(said);
}

static void fail_for(const struct siege *s, const char *what, unsigned i)
{
        struct crowd_tally t = crowd_tally(&s->crowd, i);

        show_log(s);
        fail_msg("waited for %s: healthy client '%s' has %llu frames, serial %llu, generation "
                 "%llu, mode %llux%llu, is %s, error %llu",
                what, crowd_kind_name(s->crowd.member[i].kind), (unsigned long long)t.frames,
                (unsigned long long)t.serial, (unsigned long long)t.generation,
                (unsigned long long)t.mode >> 32, (unsigned long long)t.mode & UINT32_MAX,
                t.online ? "online" : "offline", (unsigned long long)t.failed);
}

static bool has_frames(const struct crowd_tally *tally, uint64_t frames)
{
        return tally->frames >= frames;
}

static bool has_mode(const struct crowd_tally *tally, uint64_t mode)
{
        return tally->mode == mode;
}

static void until_all(struct siege *s, crowd_condition condition, uint64_t arg, const char *what)
{
        int who = crowd_until(&s->crowd, condition, arg, HOSTILE_PATIENCE_MS);

        if (who >= 0)
                fail_for(s, what, (unsigned)who);
}

void siege_until_said(struct siege *s, const char *words)
{
        uint64_t since_ns = latency_now();
        bool found;

        do {
                char *said = daemon_proc_said(&s->rig.daemon);

                found = strstr(said, words) != NULL;
                free(said);
                if (!found && patience_is_over(since_ns)) {
                        show_log(s);
                        fail_msg("the daemon did not say: %s", words);
                }
                if (!found)
                        nap();
        } while (!found);
}

uint64_t siege_status(struct siege *s, const char *key)
{
        struct vgpu_client_failure why;
        uint64_t value = 0;
        char quoted[64], *json, *at;

        if (vgpu_client_query(
                    siege_socket(s), VGPU_QUERY_STATUS, HOSTILE_PATIENCE_MS, &json, &why) < 0)
                fail_msg("no status: %s", why.text);
        snprintf(quoted, sizeof(quoted), "\"%s\":", key);
        at = strstr(json, quoted);
        if (at)
                value = strtoull(at + strlen(quoted), NULL, 10);
        free(json);
        assert_non_null(at);
        return value;
}

void siege_until_status(struct siege *s, const char *key, uint64_t value)
{
        uint64_t since_ns = latency_now();

        while (siege_status(s, key) < value) {
                if (patience_is_over(since_ns))
                        fail_msg("status does not show %s of %llu", key, (unsigned long long)value);
                nap();
        }
}

/* ---- what the daemon holds --------------------------------------------------------------------- */

static uint64_t anon_bytes(pid_t pid)
{
        unsigned long long kib = 0;
        char path[64], line[256];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) && sscanf(line, "RssAnon: %llu kB", &kib) != 1)
                continue;
        fclose(f);
        return kib << 10;
}

static struct siege_holds holds_of(const struct siege *s)
{
        return (struct siege_holds){
                .files = daemon_proc_holds(&s->rig.daemon),
                .anon_bytes = anon_bytes(s->rig.daemon.pid),
        };
}

static bool is_as_before(const struct siege *s, struct siege_holds now)
{
        return now.files.n_fds == s->before.files.n_fds &&
               now.files.n_maps == s->before.files.n_maps &&
               now.anon_bytes <= s->before.anon_bytes + HEAP_SLACK;
}

static void until_as_before(struct siege *s)
{
        struct siege_holds now = holds_of(s);
        uint64_t since_ns = latency_now();

        while (!is_as_before(s, now)) {
                if (patience_is_over(since_ns)) {
                        show_log(s);
                        fail_msg("the daemon held %u descriptors, %u files mapped, %llu KiB; now "
                                 "%u, %u, %llu KiB",
                                s->before.files.n_fds, s->before.files.n_maps,
                                (unsigned long long)s->before.anon_bytes >> 10, now.files.n_fds,
                                now.files.n_maps, (unsigned long long)now.anon_bytes >> 10);
                }
                nap();
                now = holds_of(s);
        }
}

static void check_bounds(const struct siege *s)
{
        struct siege_holds now = holds_of(s);

        assert_in_range(now.files.n_fds, 0, s->before.files.n_fds + MOST_MORE_FDS);
        assert_in_range(now.anon_bytes, 0, s->before.anon_bytes + HEAP_SLACK);
}

/* ---- beginning and end ------------------------------------------------------------------------- */

/* A sanitizer keeps what was freed for a while, and by default a great deal of it. */
static void see_what_is_freed(void)
{
        const char *options = getenv("ASAN_OPTIONS");
        char more[512];

        if (options && strstr(options, "quarantine_size_mb"))
                return;
        snprintf(more, sizeof(more), "%s:quarantine_size_mb=1", options ? options : "");
        setenv("ASAN_OPTIONS", more, 1);
}

void siege_begin(struct siege *s, const char *config)
{
        const char *const args[] = { "--scatter", "--mode", SIEGE_MODE, NULL };

        char more[512];

        *s = (struct siege){ .rig = RIG_NONE };
        see_what_is_freed();
        rig_guest_simulated(&s->rig, args);
        /* not found out while it serves: that takes descriptors for a while, and they are counted here */
        snprintf(more, sizeof(more), "%s%s",
                config && strstr(config, "wake_batch") ? "" : "wake_batch = 8\n",
                config ? config : "");
        rig_daemon(&s->rig, more);
        assert_int_equal(crowd_init(&s->crowd), 0);
        for (int kind = 0; kind < CROWD_N_KINDS; kind++)
                assert_int_equal(
                        crowd_add(&s->crowd, siege_socket(s), (enum crowd_kind)kind, true), 0);
        until_all(s, has_frames, 5, "first frames");
        s->before = holds_of(s);
}

void siege_abandon(struct siege *s)
{
        for (unsigned i = 0; i < s->n_attackers; i++)
                hostile_end(&s->attacker[i]);
        crowd_stop(&s->crowd);
        daemon_proc_stop(&s->rig.daemon);
        guest_proc_stop(&s->rig.guest);
        *s = (struct siege){ .rig = RIG_NONE };
}

static void check_attacker(const struct siege *s, const struct hostile_proc *p)
{
        if (p->board->found[0] == '\0')
                return;
        show_log(s);
        fail_msg("an attacker: %s", p->board->found);
}

static void check_crowd(const struct siege *s)
{
        struct crowd_tally sum = crowd_sum(&s->crowd);

        assert_int_equal(sum.torn, 0);
        assert_int_equal(sum.foreign, 0);
        assert_int_equal(sum.failed, 0);
        assert_int_equal(sum.disconnects, 0);
        assert_int_equal(sum.online, s->crowd.n);
}

const char *siege_socket(const struct siege *s)
{
        return s->rig.daemon.socket;
}

/* ---- attackers --------------------------------------------------------------------------------- */

struct hostile_proc *siege_attack(struct siege *s, hostile_attack attack, uint64_t arg)
{
        struct hostile_proc *p = &s->attacker[s->n_attackers];

        assert_true(s->n_attackers < SIEGE_ATTACKERS);
        s->n_attackers++;
        assert_int_equal(hostile_start(p, attack, siege_socket(s), arg), 0);
        return p;
}

void siege_kill(struct siege *s, struct hostile_proc *p)
{
        hostile_kill(p);
        check_attacker(s, p);
}

static void until_word(struct siege *s, const struct hostile_proc *p, const uint64_t *word,
        uint64_t value, const char *what)
{
        uint64_t since_ns = latency_now();

        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) < value) {
                check_attacker(s, p);
                if (patience_is_over(since_ns)) {
                        show_log(s);
                        fail_msg("an attacker did not get to %s %llu: it stands at %llu", what,
                                (unsigned long long)value, (unsigned long long)*word);
                }
                nap();
        }
        check_attacker(s, p);
}

void siege_until_step(struct siege *s, const struct hostile_proc *p, uint64_t step)
{
        until_word(s, p, &p->board->step, step, "step");
}

void siege_until_rounds(struct siege *s, const struct hostile_proc *p, uint64_t rounds)
{
        until_word(s, p, &p->board->rounds, rounds, "round");
}

/* ---- the healthy ones -------------------------------------------------------------------------- */

/* Asks nothing of the daemon, whose places and backlog may all be taken. */
static uint64_t published(const struct siege *s)
{
        uint64_t serial = 0;

        for (unsigned i = 0; i < s->crowd.n; i++) {
                struct crowd_tally tally = crowd_tally(&s->crowd, i);

                serial = tally.serial > serial ? tally.serial : serial;
        }
        return serial;
}

static uint64_t drawn(struct siege *s)
{
        rig_tell(&s->rig, "status");
        return s->rig.guest.facts.frames;
}

static void until_more_frames(struct siege *s, uint64_t frames)
{
        uint64_t target[CROWD_N_KINDS], since_ns = latency_now();

        for (unsigned i = 0; i < s->crowd.n; i++)
                target[i] = crowd_tally(&s->crowd, i).frames + frames;
        for (unsigned i = 0; i < s->crowd.n;) {
                struct crowd_tally tally = crowd_tally(&s->crowd, i);

                if (tally.frames >= target[i]) {
                        i++;
                        continue;
                }
                if (tally.failed || patience_is_over(since_ns))
                        fail_for(s, "more frames", i);
                check_bounds(s);
                nap();
        }
}

void siege_goes_on(struct siege *s, uint64_t frames)
{
        uint64_t came = published(s), drew = drawn(s);

        until_more_frames(s, frames);
        drew = drawn(s) - drew;
        came = published(s) - came;
        print_message("%llu frames drawn meanwhile, %llu published\n", (unsigned long long)drew,
                (unsigned long long)came);
        assert_in_range(came, drew / 4, UINT64_MAX);
        check_crowd(s);
        for (unsigned i = 0; i < s->n_attackers; i++)
                check_attacker(s, &s->attacker[i]);
}

void siege_end(struct siege *s)
{
        for (unsigned i = 0; i < s->n_attackers; i++)
                siege_kill(s, &s->attacker[i]);
        until_as_before(s);
        until_more_frames(s, 1);
        check_crowd(s);
        assert_int_equal(crowd_stop(&s->crowd), 0);
        for (unsigned i = 0; i < s->n_attackers; i++)
                hostile_end(&s->attacker[i]);
        rig_stop(&s->rig);
        *s = (struct siege){ .rig = RIG_NONE };
}

void siege_mode(struct siege *s, const char *mode)
{
        unsigned width, height;
        char command[64];

        assert_int_equal(sscanf(mode, "%ux%u", &width, &height), 2);
        snprintf(command, sizeof(command), "mode %s", mode);
        rig_tell(&s->rig, command);
        until_all(s, has_mode, (uint64_t)width << 32 | height, command);
}
