/*
 * hostile_memory_test.c - what clients do with what the daemon gave them: page, holds, wake descriptor, maps of rings
 *
 * Every test is one attack. Four healthy clients see every frame's bytes meanwhile; see siege.h for what must hold.
 *
 *      hostile_memory_test [PATTERN]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "siege.h"

#define EVERYTHING (VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE)

static struct siege siege;

static int abandon(void **state)
{
        (void)state;
        siege_abandon(&siege);
        return 0;
}

static bool enter(struct hostile *h, const char *path, struct hostile_board *board)
{
        int r = hostile_enter(h, path, EVERYTHING);

        if (r == 0)
                r = hostile_settle(h);
        if (r < 0)
                hostile_found(board, "could not enter", r);
        return r == 0;
}

/* ---- the page ---------------------------------------------------------------------------------- */

/* Half of them words that mean something. */
static uint64_t any_hold(const struct hostile *h, uint64_t *random)
{
        uint64_t newest = __atomic_load_n(&h->ring->publish, __ATOMIC_ACQUIRE);
        uint64_t back = hostile_random(random) % 8;

        switch (hostile_random(random) % 4) {
        case 0:
                return newest;
        case 1:
                return VGPU_RING_WORD(VGPU_RING_WORD_SERIAL(newest) - back, back % 4);
        default:
                return hostile_random(random);
        }
}

static void scribble(struct hostile *h, uint64_t *random)
{
        h->page->armed = (uint32_t)hostile_random(random);
        h->page->interest = (uint32_t)hostile_random(random);
        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                h->page->hold[i] = any_hold(h, random);
}

/* What would pull the page from under the daemon. */
static void try_to_resize(const struct hostile *h, struct hostile_board *board)
{
        if (ftruncate(h->page_fd, 0) == 0)
                hostile_found(board, "the page can be truncated", 0);
        if (ftruncate(h->page_fd, 1 << 20) == 0)
                hostile_found(board, "the page can grow", 0);
        if (fallocate(h->page_fd, 0, VGPU_RING_PAGE, VGPU_RING_PAGE) == 0)
                hostile_found(board, "a second page can be allocated", 0);
        if (pwrite(h->page_fd, "", 1, VGPU_RING_PAGE) > 0)
                hostile_found(board, "the page can be written past its end", 0);
}

static bool punch_hole(const struct hostile *h)
{
        return fallocate(h->page_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                       VGPU_RING_PAGE) == 0;
}

/* What the daemon looks at must be there, and nothing but stores can change it. */
static void try_to_pull_away(const struct hostile *h, struct hostile_board *board)
{
        static const int seals[] = { F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE,
                F_SEAL_FUTURE_WRITE };

        try_to_resize(h, board);
        if (punch_hole(h))
                hostile_found(board, "a hole can be punched", 0);
        if (madvise((void *)h->page, VGPU_RING_PAGE, MADV_REMOVE) == 0)
                hostile_found(board, "the page can be removed by its map", 0);
        if (pwrite(h->page_fd, "", 1, 0) > 0)
                hostile_found(board, "the page can be written past its map", 0);
        for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
                if (fcntl(h->page_fd, F_ADD_SEALS, seals[i]) == 0)
                        hostile_found(board, "the page can be sealed again", 0);
        }
        /* both allowed, neither of any use: what is locked stays, and so does what is dropped from one map */
        madvise((void *)h->page, VGPU_RING_PAGE, MADV_DONTNEED);
        posix_fadvise(h->page_fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void scribble_for_ever(const char *path, uint64_t seed, struct hostile_board *board)
{
        uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15);
        struct hostile h;

        if (!enter(&h, path, board))
                return;
        for (;;) {
                try_to_pull_away(&h, board);
                for (int i = 0; i < 10000; i++)
                        scribble(&h, &random);
                hostile_round(board);
        }
}

enum { EARLY_HOLES, EARLY_UNSEALED, EARLY_READ_ONLY, EARLY_N };

static void say_page(const struct hostile *h)
{
        const struct vgpu_msg_header page = message_header(VGPU_MSG_PAGE, sizeof(page));

        hostile_say(h->fd, &page);
}

/* Before the daemon was told to look. */
static void spoil_early(struct hostile *h, uint64_t how, struct hostile_board *board)
{
        _Alignas(uint64_t) uint8_t buf[4096];

        try_to_resize(h, board);
        if (how == EARLY_UNSEALED) {
                say_page(h);
                if (hostile_hear(h->fd, buf, sizeof(buf), NULL, NULL) != VGPU_MSG_GOODBYE)
                        hostile_found(board, "a page that is not sealed is looked at", 0);
                return;
        }
        if (how == EARLY_READ_ONLY) {
                munmap((void *)h->page, VGPU_RING_PAGE);
                h->page = NULL;
                if (fcntl(h->page_fd, F_ADD_SEALS, F_SEAL_WRITE) < 0)
                        hostile_found(board, "a page that is not mapped cannot be sealed", -errno);
        }
        if (!punch_hole(h) && how == EARLY_HOLES)
                hostile_found(board, "no hole can be punched before PAGE", -errno);
        if (hostile_settle(h) < 0)
                hostile_found(board, "the page was not taken", 0);
        if (h->page)
                try_to_pull_away(h, board);
}

static void spoil_early_for_ever(const char *path, uint64_t arg, struct hostile_board *board)
{
        for (uint64_t how = arg;; how = (how + 1) % EARLY_N) {
                struct hostile h;
                int r = hostile_enter(&h, path, EVERYTHING);

                if (r == -ECONNREFUSED)
                        continue;
                if (r < 0) {
                        hostile_found(board, "could not enter", r);
                        return;
                }
                spoil_early(&h, how, board);
                hostile_leave(&h);
                hostile_round(board);
        }
}

static void a_page_spoilt_before_it_is_looked_at_hurts_nobody(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, spoil_early_for_ever, 0);
        siege_goes_on(&siege, 60);
        siege_until_rounds(&siege, p, 3 * EARLY_N);
        siege_end(&siege);
}

static void a_page_of_random_writes_hurts_nobody(void **state)
{
        struct hostile_proc *p[3];

        (void)state;
        siege_begin(&siege, NULL);
        for (unsigned i = 0; i < 3; i++)
                p[i] = siege_attack(&siege, scribble_for_ever, i + 1);
        for (unsigned i = 0; i < 3; i++)
                siege_until_rounds(&siege, p[i], 1);
        siege_goes_on(&siege, 120);
        for (unsigned i = 0; i < 3; i++)
                siege_until_rounds(&siege, p[i], 20);
        siege_end(&siege);
}

/* ---- locks ------------------------------------------------------------------------------------- */

/*
 * Some system calls copy from or to their caller's memory with a lock held. If that memory makes them wait, whoever needs the
 * lock waits, too, and the daemon must not be among them.
 */
enum { BOG_PAGE_WRITTEN, BOG_RING_READ, BOG_WAKE_READ, BOG_SOCKET_READ, BOG_N };

struct bogged {
        int fd;
        bool writes;
        struct hostile_bog bog;
};

static void *go_into_the_bog(void *arg)
{
        const struct bogged *b = arg;
        ssize_t n;

        if (b->writes)
                n = write(b->fd, b->bog.page, VGPU_RING_PAGE);
        else
                n = read(b->fd, b->bog.page, VGPU_RING_PAGE);
        return n < 0 ? NULL : b->bog.page;
}

/* The page is written before it is sealed, for afterwards it cannot be, and PAGE said while that lasts. */
static void keep_locked(const char *path, uint64_t how, struct hostile_board *board)
{
        const struct vgpu_msg_header page = message_header(VGPU_MSG_PAGE, sizeof(page));
        struct bogged b = { .writes = how == BOG_PAGE_WRITTEN, .bog = hostile_bog() };
        uint32_t ticket = 0;
        pthread_t thread;
        struct hostile h;
        int r = hostile_enter(&h, path, EVERYTHING);

        if (r == 0 && how != BOG_PAGE_WRITTEN)
                r = hostile_settle(&h);
        if (r < 0) {
                hostile_found(board, "could not enter", r);
                return;
        }
        b.fd = (const int[BOG_N]){ h.page_fd, h.ring_fd, h.wake_fd, h.fd }[how];
        fcntl(b.fd, F_SETFL, 0);
        pthread_create(&thread, NULL, go_into_the_bog, &b);
        hostile_step(board, 1);
        h.page->armed = ++ticket;
        if (!hostile_bog_has_somebody(&b.bog))
                hostile_found(board, "nobody waits", 0);
        hostile_step(board, 2);
        if (how == BOG_PAGE_WRITTEN)
                hostile_say(h.fd, &page);
        for (;;) {
                h.page->armed = ++ticket;
                hostile_round(board);
        }
}

static bool there_is_a_bog(void)
{
        struct hostile_bog bog = hostile_bog();

        munmap(bog.page, VGPU_RING_PAGE);
        return bog.fd >= 0 && close(bog.fd) == 0;
}

static void locks_that_clients_keep_in_the_kernel_are_none_of_the_daemons(void **state)
{
        struct hostile_proc *p[BOG_N];

        (void)state;
        if (!there_is_a_bog()) {
                print_message("skipped: this kernel lets us have no userfaultfd\n");
                skip();
        }
        siege_begin(&siege, NULL);
        for (uint64_t how = 0; how < BOG_N; how++)
                p[how] = siege_attack(&siege, keep_locked, how);
        for (uint64_t how = 0; how < BOG_N; how++)
                siege_until_step(&siege, p[how], 1);
        /* a message for who reads the socket */
        siege_mode(&siege, "2048x1152@60");
        for (uint64_t how = 0; how < BOG_N; how++) {
                siege_until_step(&siege, p[how], 2);
                siege_until_rounds(&siege, p[how], 1);
        }
        siege_mode(&siege, SIEGE_MODE);
        siege_goes_on(&siege, 60);
        siege_end(&siege);
}

/* ---- holds ------------------------------------------------------------------------------------- */

static uint64_t word_of_slot(const struct hostile *h, uint32_t slot)
{
        return VGPU_RING_WORD(
                __atomic_load_n(&hostile_desc(h, slot)->serial, __ATOMIC_RELAXED), slot);
}

/* All slots at once, on and off, as fast as can be. */
static void toggle_holds(const char *path, uint64_t arg, struct hostile_board *board)
{
        struct hostile h;
        uint32_t n;

        (void)arg;
        if (!enter(&h, path, board))
                return;
        n = h.ring->identity.slot_count;
        for (;;) {
                for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                        __atomic_store_n(&((struct vgpu_client_page *)h.page)->hold[i],
                                word_of_slot(&h, i % n), __ATOMIC_RELEASE);
                for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                        __atomic_store_n(
                                &((struct vgpu_client_page *)h.page)->hold[i], 0, __ATOMIC_RELEASE);
                hostile_round(board);
        }
}

/*
 * Holds the newest frame and never lets go, but stores the same hold over and over; a round for each that was taken from
 * it, which its slot's next frame shows.
 */
static void hold_for_ever(const char *path, uint64_t arg, struct hostile_board *board)
{
        struct vgpu_client_page *page;
        struct hostile h;

        (void)arg;
        if (!enter(&h, path, board))
                return;
        page = (struct vgpu_client_page *)h.page;
        for (;;) {
                uint64_t word = __atomic_load_n(&h.ring->publish, __ATOMIC_ACQUIRE);
                const struct vgpu_ring_desc *desc = hostile_desc(&h, VGPU_RING_WORD_SLOT(word));

                do {
                        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                                __atomic_store_n(&page->hold[i], word, __ATOMIC_SEQ_CST);
                } while (__atomic_load_n(&desc->serial, __ATOMIC_RELAXED) ==
                         VGPU_RING_WORD_SERIAL(word));
                hostile_round(board);
        }
}

static void holds_toggled_on_all_slots_delay_no_frame(void **state)
{
        struct hostile_proc *p[3];

        (void)state;
        siege_begin(&siege, NULL);
        for (unsigned i = 0; i < 3; i++)
                p[i] = siege_attack(&siege, toggle_holds, i);
        for (unsigned i = 0; i < 3; i++)
                siege_until_rounds(&siege, p[i], 1);
        siege_goes_on(&siege, 60);
        siege_end(&siege);
}

static void holds_never_let_go_end_with_the_lease_time(void **state)
{
        struct hostile_proc *p[3];

        (void)state;
        siege_begin(&siege, "lease_ms = 50\n");
        for (unsigned i = 0; i < 3; i++)
                p[i] = siege_attack(&siege, hold_for_ever, i);
        siege_goes_on(&siege, 60);
        for (unsigned i = 0; i < 3; i++)
                siege_until_rounds(&siege, p[i], 5);
        siege_until_status(&siege, "lost", 10);
        siege_end(&siege);
}

/* ---- the futex --------------------------------------------------------------------------------- */

/* Whoever waits on the wake word finds itself waiting on another, which nobody ever wakes. */
static void requeue_waiters(const char *path, uint64_t arg, struct hostile_board *board)
{
        const uint32_t *wake, *elsewhere;
        struct hostile h;

        (void)arg;
        if (!enter(&h, path, board))
                return;
        wake = &h.ring->wake;
        elsewhere = &h.ring->identity.version;
        for (;;) {
                long n = syscall(SYS_futex, wake, FUTEX_CMP_REQUEUE, 0, (void *)INT_MAX, elsewhere,
                        __atomic_load_n(wake, __ATOMIC_RELAXED));

                if (n > 0)
                        hostile_round(board);
                else if (n < 0 && errno != EAGAIN)
                        hostile_found(board, "waiters cannot be requeued", -errno);
        }
}

static void wake_for_nothing(const char *path, uint64_t arg, struct hostile_board *board)
{
        struct hostile h;

        (void)arg;
        if (!enter(&h, path, board))
                return;
        for (;;) {
                if (syscall(SYS_futex, &h.ring->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0) > 0)
                        hostile_round(board);
        }
}

static void requeued_waiters_wait_a_tick_at_most(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, requeue_waiters, 0);
        siege_until_rounds(&siege, p, 5);
        siege_goes_on(&siege, 20);
        siege_end(&siege);
}

static void waiters_woken_for_nothing_wait_again(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, NULL);
        p = siege_attack(&siege, wake_for_nothing, 0);
        siege_until_rounds(&siege, p, 5);
        siege_goes_on(&siege, 30);
        siege_end(&siege);
}

/* ---- the wake descriptor ----------------------------------------------------------------------- */

enum { WAKE_UNREAD, WAKE_CLOSED, WAKE_SHUT, WAKE_FILLED, WAKE_N };

static void fill(int fd)
{
        static const char junk[65536];

        while (send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
                write(fd, junk, sizeof(junk)) > 0)
                continue;
}

/* All that its holder can do to it. The daemon's end must not wait, and nothing must pile up in it. */
static void abuse(int fd, struct hostile_board *board)
{
        const int most = INT_MAX;
        char path[64];
        int again;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_WRONLY | O_NONBLOCK);
        if (again >= 0)
                hostile_found(board, "the wake descriptor can be opened for writing", 0);
        if (fcntl(fd, F_SETPIPE_SZ, 1 << 20) >= 0)
                hostile_found(board, "the wake descriptor can be resized", 0);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof(most));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most));
        fill(fd);
        fcntl(fd, F_SETFL, 0); /* neither O_NONBLOCK is the other's */
        signal(SIGIO, SIG_IGN);
        fcntl(fd, F_SETOWN, getpid());
        fcntl(fd, F_SETFL, O_ASYNC);
}

static void spoil_wake(const char *path, uint64_t how, struct hostile_board *board)
{
        uint32_t ticket = 0;
        struct hostile h;

        if (!enter(&h, path, board))
                return;
        if (how == WAKE_CLOSED)
                close(h.wake_fd);
        if (how == WAKE_SHUT)
                shutdown(h.wake_fd, SHUT_RDWR);
        if (how == WAKE_FILLED)
                abuse(h.wake_fd, board);
        for (;;) {
                h.page->armed = ++ticket;
                hostile_round(board);
        }
}

static void spoil_wakes(const char *config)
{
        siege_begin(&siege, config);
        for (uint64_t how = 0; how < WAKE_N; how++)
                siege_until_rounds(&siege, siege_attack(&siege, spoil_wake, how), 1);
        siege_goes_on(&siege, 60);
        siege_end(&siege);
}

static void wake_descriptors_full_shut_or_closed_stop_no_other_wake(void **state)
{
        (void)state;
        spoil_wakes("wake_batch = never\n");
}

static void the_same_when_all_are_woken_by_one_submission(void **state)
{
        (void)state;
        spoil_wakes("wake_batch = 1\n");
}

/* ---- maps of rings ----------------------------------------------------------------------------- */

/* Map whatever comes, keep all of it, come back when thrown out. Rounds: rings it has. */
static void hoard(const char *path, uint64_t arg, struct hostile_board *board)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds;

        (void)arg;
        for (;;) {
                struct hostile h;

                if (!enter(&h, path, board))
                        return;
                hostile_round(board);
                while (hostile_hear(h.fd, buf, sizeof(buf), fds, &n_fds) == VGPU_MSG_RING) {
                        mmap(NULL, VGPU_RING_PAGE, PROT_READ, MAP_SHARED, fds[0], 0);
                        hostile_round(board);
                }
                close(h.fd);
        }
}

#define MAX_BYTES (UINT64_C(160) << 20)

static void assert_rings_are_bounded(void)
{
        uint64_t slots = siege_status(&siege, "slots");

        assert_in_range(
                siege_status(&siege, "retired_bytes") + slots * siege_status(&siege, "slot_bytes"),
                1, MAX_BYTES);
}

/*
 * Of 160 MiB the first ring takes 32, that of a larger mode 64; a third that held 3000x1700 does not fit beside both,
 * and does beside one.
 */
static void rings_that_are_hoarded_are_counted_and_what_fits_goes_on(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, "max_bytes = 160M\n");
        p = siege_attack(&siege, hoard, 0);
        siege_until_rounds(&siege, p, 1);
        siege_mode(&siege, "2048x1152@60");
        siege_until_rounds(&siege, p, 2);
        rig_tell(&siege.rig, "mode 3000x1700@30");
        siege_until_said(&siege, "max_bytes");
        assert_int_equal(siege_status(&siege, "generation"), 2);
        assert_int_equal(siege_status(&siege, "retired"), 1);
        assert_rings_are_bounded();
        siege_mode(&siege, SIEGE_MODE);
        siege_goes_on(&siege, 30);
        siege_kill(&siege, p);
        siege_mode(&siege, "3000x1700@30");
        siege_mode(&siege, SIEGE_MODE);
        siege_end(&siege);
}

static void who_is_dropped_and_comes_back_hoards_no_more_rings_than_may_be(void **state)
{
        struct hostile_proc *p;

        (void)state;
        siege_begin(&siege, "max_bytes = 160M\n");
        p = siege_attack(&siege, hoard, 0);
        for (uint64_t i = 1; i <= 6; i++) {
                struct vgpu_client_failure why;

                siege_until_rounds(&siege, p, i);
                if (vgpu_client_drop(siege_socket(&siege), (uint32_t)p->pid, HOSTILE_PATIENCE_MS,
                            NULL, &why) < 0)
                        fail_msg("the hoarder was not dropped: %s", why.text);
                assert_rings_are_bounded();
        }
        siege_until_said(&siege, "no room for another ring");
        siege_goes_on(&siege, 30);
        assert_rings_are_bounded();
        siege_end(&siege);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(a_page_of_random_writes_hurts_nobody, abandon),
                cmocka_unit_test_teardown(
                        a_page_spoilt_before_it_is_looked_at_hurts_nobody, abandon),
                cmocka_unit_test_teardown(
                        locks_that_clients_keep_in_the_kernel_are_none_of_the_daemons, abandon),
                cmocka_unit_test_teardown(holds_toggled_on_all_slots_delay_no_frame, abandon),
                cmocka_unit_test_teardown(holds_never_let_go_end_with_the_lease_time, abandon),
                cmocka_unit_test_teardown(requeued_waiters_wait_a_tick_at_most, abandon),
                cmocka_unit_test_teardown(waiters_woken_for_nothing_wait_again, abandon),
                cmocka_unit_test_teardown(
                        wake_descriptors_full_shut_or_closed_stop_no_other_wake, abandon),
                cmocka_unit_test_teardown(the_same_when_all_are_woken_by_one_submission, abandon),
                cmocka_unit_test_teardown(
                        rings_that_are_hoarded_are_counted_and_what_fits_goes_on, abandon),
                cmocka_unit_test_teardown(
                        who_is_dropped_and_comes_back_hoards_no_more_rings_than_may_be, abandon),
        };

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests_name("hostile_memory", tests, NULL, NULL);
}
