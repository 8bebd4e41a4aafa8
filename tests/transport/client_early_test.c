/*
 * client_early_test.c - being awake before the frame: hints that help, mislead, are missing, or cannot be slept on
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "early.h"
#include "relay.h"
#include "stage.h"

#define NS_PER_MS UINT64_C(1000000)
#define NAP_NS    (20 * NS_PER_MS)
#define MISSES    8u /* after which nobody spins any more */

static const struct vgpu_client_options early_options = { .flags = VGPU_CLIENT_EARLY };

/* ---- a nap by itself: the words are ours ------------------------------------------------------- */

static struct vgpu_ring_header header;
static struct mapping map;
static struct early early;

static int start(void **state)
{
        (void)state;
        memset(&header, 0, sizeof(header));
        map = (struct mapping){ .header = &header, .identity.features = VGPU_RING_FEATURE_SOON };
        early_init(&early, 50);
        return 0;
}

/* @soon was loaded before the daemon raised it. */
static void nap_announced(uint64_t due_ns)
{
        uint32_t before = header.soon++;

        header.due_ns = due_ns;
        assert_int_equal(early_nap(&early, &map, header.wake, before, NAP_NS), 0);
}

static void announcements_that_nothing_follows_are_slept_through(void **state)
{
        (void)state;
        for (uint32_t i = 1; i <= 3 * MISSES; i++) {
                nap_announced(test_now_ns());
                assert_int_equal(early.n_missed, i < MISSES ? i : MISSES);
        }
        /* until one is followed by something */
        header.wake++;
        assert_int_equal(early_nap(&early, &map, header.wake - 1, header.soon, NAP_NS), 0);
        assert_int_equal(early.n_missed, 0);
        nap_announced(test_now_ns());
        assert_int_equal(early.n_missed, 1);
}

/* Whatever stands there, it is not waited for: neither for long nor at all. */
static void a_frame_due_at_no_sensible_time_is_not_waited_for(void **state)
{
        const uint64_t now_ns = test_now_ns();
        const uint64_t due[] = { 0, 1, 10, now_ns - 1000 * NS_PER_MS, now_ns + 3600000 * NS_PER_MS,
                INT64_MAX, UINT64_MAX - 1, UINT64_MAX };

        (void)state;
        for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
                nap_announced(due[i]);
                assert_int_equal(early.n_missed, 0);
        }
}

static void a_nap_ends_without_news(void **state)
{
        (void)state;
        assert_int_equal(early_nap(&early, &map, header.wake, header.soon, NS_PER_MS), 0);
        /* nor is a frame waited for longer */
        early_init(&early, 0);
        header.due_ns = test_now_ns() + 500 * NS_PER_MS;
        header.soon++;
        assert_int_equal(early_nap(&early, &map, header.wake, header.soon - 1, 0), 0);
        assert_int_equal(early.n_missed, 1);
}

static void refuse_waitv(uint32_t error)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
                _exit(77);
}

static void where_two_words_cannot_be_slept_on_one_is(void **state)
{
        static const uint32_t errors[] = { ENOSYS, EPERM };

        (void)state;
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0) {
                        refuse_waitv(errors[i]);
                        if (!early_works(&early, &map) ||
                                early_nap(&early, &map, 0, 0, NAP_NS) != 0)
                                _exit(2);
                        _exit(early_works(&early, &map) ? 3 : 0);
                }
                status = process_wait(pid);
                if (status == 77) {
                        print_message("skipped: no seccomp\n");
                        skip();
                }
                assert_int_equal(status, 0);
        }
}

static void a_ring_that_announces_nothing_is_slept_on_as_ever(void **state)
{
        (void)state;
        map.identity.features = VGPU_RING_FEATURE_LEASE | VGPU_RING_FEATURE_HISTORY;
        assert_false(early_works(&early, &map));
}

/* ---- a client ---------------------------------------------------------------------------------- */

static void who_is_early_sleeps_in_the_ring(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &early_options);
        stage_connect(&s, c);
        assert_int_equal(s.hello.wants, VGPU_WANT_RING | VGPU_WANT_SOON);
        assert_null(s.page);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        assert_int_equal(vgpu_client_wait(c, 1), 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

#define ROUNDS  2000u
#define MOST_NS UINT64_C(5000000000)

struct play {
        struct stage s;
        uint32_t round; /* that the client has seen; ROUNDS: enough */
        uint32_t begun; /* by the daemon */
};

/* Frames announced and not, thrown away, and changes that are no frame. */
static void change_something(struct stage *s, uint32_t round)
{
        ring_announce(s->ring, round % 5 != 0);
        if (round % 3 == 0) {
                ring_slot_begin(s->ring);
                ring_slot_abort(s->ring, 0, 0);
        }
        if (round % 7 == 0)
                ring_set_cursor(s->ring, &(struct vgpu_ring_cursor){ .x = (int32_t)round });
        else
                stage_publish(s);
}

static void *play_daemon(void *arg)
{
        struct play *p = arg;

        for (uint32_t i = 1; i <= ROUNDS; i++) {
                uint32_t seen;

                ring_tick(p->s.ring, test_now_ns());
                change_something(&p->s, i);
                __atomic_store_n(&p->begun, i, __ATOMIC_RELEASE);
                while ((seen = __atomic_load_n(&p->round, __ATOMIC_ACQUIRE)) < i)
                        sched_yield();
                if (seen >= ROUNDS)
                        break;
        }
        return NULL;
}

static void hear_of_everything(struct play *p, struct vgpu_client *c)
{
        uint64_t end_ns = test_now_ns() + MOST_NS;

        for (uint32_t i = 1; i <= ROUNDS; i++) {
                int event = i % 7 == 0 ? VGPU_CLIENT_CURSOR : VGPU_CLIENT_FRAME;
                int got = 0;

                while (!(got & event)) {
                        got = vgpu_client_wait(c, -1);
                        assert_true(got >= 0);
                }
                if (test_now_ns() > end_ns)
                        i = ROUNDS;
                __atomic_store_n(&p->round, i, __ATOMIC_RELEASE);
        }
}

/* @knows: what the daemon makes of HELLO. */
static void play_with(uint32_t knows)
{
        struct play p = { .round = 0 };
        struct vgpu_client *c;
        pthread_t daemon;

        stage_start(&p.s);
        p.s.knows = knows;
        c = stage_client(&p.s, &early_options);
        stage_connect(&p.s, c);
        assert_int_equal(pthread_create(&daemon, NULL, play_daemon, &p), 0);
        hear_of_everything(&p, c);
        pthread_join(daemon, NULL);
        print_message("  %u changes\n", p.begun);
        vgpu_client_close(c);
        stage_stop(&p.s);
}

static void every_change_is_heard_of_announced_or_not(void **state)
{
        (void)state;
        play_with(UINT32_MAX);
}

static void a_daemon_that_does_not_know_of_it_is_heard_all_the_same(void **state)
{
        (void)state;
        play_with(VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE);
}

static void a_ring_that_ends_is_left(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &early_options);
        stage_connect(&s, c);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        /* announced in the old ring, published in the new one */
        ring_announce(s.ring, true);
        ring_slot_begin(s.ring);
        ring_slot_abort(s.ring, 0, 0);
        stage_regenerate(&s, 2 * RELAY_BYTES);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_GENERATION);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        ring_announce(s.ring, true);
        ring_slot_begin(s.ring);
        stage_hang_up(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        ring_slot_abort(s.ring, 0, 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(announcements_that_nothing_follows_are_slept_through, start),
                cmocka_unit_test_setup(a_frame_due_at_no_sensible_time_is_not_waited_for, start),
                cmocka_unit_test_setup(a_nap_ends_without_news, start),
                cmocka_unit_test_setup(where_two_words_cannot_be_slept_on_one_is, start),
                cmocka_unit_test_setup(a_ring_that_announces_nothing_is_slept_on_as_ever, start),
                cmocka_unit_test(who_is_early_sleeps_in_the_ring),
                cmocka_unit_test(every_change_is_heard_of_announced_or_not),
                cmocka_unit_test(a_daemon_that_does_not_know_of_it_is_heard_all_the_same),
                cmocka_unit_test(a_ring_that_ends_is_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
