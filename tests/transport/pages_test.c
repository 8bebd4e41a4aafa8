/*
 * pages_test.c - the client's own page: what a client can do to it, and what that does to anybody else
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"

#define CROWD 24
#define HOLDS (VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE)

static struct relay relay;

static int start(void **state)
{
        (void)state;
        relay_start_with(&relay,
                &(struct server_config){ .group = SERVER_GROUP_NONE, .max_clients = CROWD });
        return 0;
}

static int stop(void **state)
{
        (void)state;
        relay_remove(&relay);
        return 0;
}

static struct vgpu_ring_header *map_ring(const struct caller *c)
{
        void *map = mmap(
                NULL, ring_identity(relay.ring)->total_bytes, PROT_READ, MAP_SHARED, c->ring_fd, 0);

        assert_true(map != MAP_FAILED);
        return map;
}

static uint64_t newest(const struct vgpu_ring_header *header)
{
        return __atomic_load_n(&header->publish, __ATOMIC_ACQUIRE);
}

static const uint64_t *pixels(const struct vgpu_ring_header *header, uint64_t word)
{
        return (const void *)((const uint8_t *)header + header->identity.slot_offset +
                              VGPU_RING_WORD_SLOT(word) * header->identity.slot_bytes);
}

static struct peer_info info_of(uint32_t nth)
{
        struct peer *p = server_next_peer(relay.server, NULL);

        while (nth-- > 0)
                p = server_next_peer(relay.server, p);
        return peer_info(p);
}

static int punch(const struct caller *c)
{
        return fallocate(c->page_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static void resizing_fails(const struct caller *c)
{
        struct stat st;

        assert_int_equal(fstat(c->page_fd, &st), 0);
        assert_int_equal(st.st_size, sysconf(_SC_PAGESIZE));
        assert_int_equal(st.st_mode & 07777, 0600);
        for (off_t len = 0; len < 16384; len += 2048) {
                if (len != st.st_size)
                        assert_int_equal(ftruncate(c->page_fd, len), -1);
        }
        assert_int_equal(fallocate(c->page_fd, 0, st.st_size, 4096), -1);
        assert_int_equal(pwrite(c->page_fd, "x", 1, st.st_size), -1);
}

/* Connected and welcomed, the page mapped, and nothing said of it yet. */
static void start_unsettled(struct caller *c)
{
        int fd = dial_and_greet(relay.path, HOLDS);

        relay_turn(&relay);
        caller_welcomed(c, fd);
}

static void a_page_can_be_written_through_its_map_and_nothing_else(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_LEASE);
        assert_int_equal(
                fcntl(c.page_fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE);
        resizing_fails(&c);
        assert_int_equal(punch(&c), -1);
        assert_int_equal(madvise((void *)c.page, 4096, MADV_REMOVE), -1);
        assert_int_equal(pwrite(c.page_fd, "x", 1, 0), -1);
        assert_true(
                mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c.page_fd, 0) == MAP_FAILED);
        c.page->hold[6] = 1;
        assert_int_equal(c.page->hold[6], 1);
        caller_stop(&c);
}

static void a_page_is_not_looked_at_before_it_is_mapped(void **state)
{
        struct caller c;

        (void)state;
        start_unsettled(&c);
        resizing_fails(&c);
        caller_arm(&c, 1, VGPU_CHANGE_CURSOR);
        relay_publish(&relay);
        assert_int_equal(punch(&c), 0);
        caller_arm(&c, 2, VGPU_CHANGE_CURSOR);
        server_wake(relay.server, 0);
        assert_int_equal(caller_wakes(&c), 0);
        assert_false(info_of(0).armed);

        /* who slept in the meantime is woken, for whatever it was */
        caller_settle(&c);
        relay_turn(&relay);
        assert_int_equal(caller_wakes(&c), 1);
        assert_int_equal(punch(&c), -1);
        caller_arm(&c, 3, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&c), 1);
        caller_stop(&c);
}

static void a_page_that_was_punched_is_whole_when_it_is_looked_at(void **state)
{
        struct caller c;

        (void)state;
        start_unsettled(&c);
        caller_arm(&c, 1, 0);
        assert_int_equal(punch(&c), 0);
        caller_settle(&c);
        relay_turn(&relay);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&c), 0);
        caller_arm(&c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&c), 1);
        caller_stop(&c);
}

static void a_page_that_is_not_sealed_is_not_looked_at(void **state)
{
        struct caller c;

        (void)state;
        for (int last = 0; last < 2; last++) {
                start_unsettled(&c);
                /* nor can it be any more */
                if (last)
                        assert_int_equal(fcntl(c.page_fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
                caller_say_page(&c);
                relay_turn(&relay);
                assert_int_equal(caller_hear(&c), VGPU_MSG_GOODBYE);
                assert_int_equal(relay.last_goodbye, VGPU_GOODBYE_MALFORMED);
                caller_stop(&c);
        }
}

static void a_page_sealed_as_well_as_can_be_is_looked_at(void **state)
{
        struct caller c;

        (void)state;
        start_unsettled(&c);
        assert_int_equal(fcntl(c.page_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
        caller_say_page(&c);
        relay_turn(&relay);
        caller_arm(&c, 1, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&c), 1);
        caller_stop(&c);
}

/* ---- a page whose inode its client keeps locked ------------------------------------------------ */

/* Memory that a copy stops at until trap_open(). */
struct trap {
        int uffd; /* < 0: this system has none for us */
        void *mem;
};

static struct trap trap_set(void)
{
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
        struct trap t = { .uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC) };

        if (t.uffd < 0)
                return t;
        t.mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(t.mem != MAP_FAILED);
        reg.range = (struct uffdio_range){ .start = (uintptr_t)t.mem, .len = 4096 };
        assert_int_equal(ioctl(t.uffd, UFFDIO_API, &api), 0);
        assert_int_equal(ioctl(t.uffd, UFFDIO_REGISTER, &reg), 0);
        return t;
}

static void trap_await(const struct trap *t)
{
        struct uffd_msg msg;

        assert_int_equal(read(t->uffd, &msg, sizeof(msg)), sizeof(msg));
        assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void trap_open(struct trap *t)
{
        struct uffdio_zeropage zero = { .range = { (uintptr_t)t->mem, 4096 } };

        assert_int_equal(ioctl(t->uffd, UFFDIO_ZEROPAGE, &zero), 0);
}

struct stuck {
        int page_fd;
        const void *from;
};

static void *write_page(void *arg)
{
        const struct stuck *s = arg;

        return pwrite(s->page_fd, s->from, 8, 0) == 8 ? arg : NULL;
}

static void a_client_that_keeps_its_page_busy_holds_nobody_up(void **state)
{
        struct trap trap = trap_set();
        struct caller busy, other;
        pthread_t thread;
        void *written;

        (void)state;
        if (trap.uffd < 0) {
                print_message("no userfaultfd: %s\n", strerror(errno));
                skip();
        }
        caller_start(&other, &relay, HOLDS);
        start_unsettled(&busy);
        assert_int_equal(pthread_create(&thread, NULL, write_page,
                                 &(struct stuck){ busy.page_fd, trap.mem }),
                0);
        trap_await(&trap);

        /* its write has the inode's lock from here on; a daemon that took it, too, would hang in this turn */
        caller_say_page(&busy);
        relay_turn(&relay);
        caller_arm(&other, 1, 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&other), 1);
        assert_int_equal(caller_hear(&busy), VGPU_MSG_GOODBYE);

        trap_open(&trap);
        pthread_join(thread, &written);
        assert_non_null(written);
        munmap(trap.mem, 4096);
        close(trap.uffd);
        caller_stop(&busy);
        caller_stop(&other);
}

static void a_page_is_settled_once_and_only_if_there_is_one(void **state)
{
        struct caller c;

        (void)state;
        caller_start(&c, &relay, HOLDS);
        caller_say_page(&c);
        relay_turn(&relay);
        assert_int_equal(caller_hear(&c), VGPU_MSG_GOODBYE);
        caller_stop(&c);

        caller_start(&c, &relay, VGPU_WANT_RING);
        caller_say_page(&c);
        relay_turn(&relay);
        assert_int_equal(caller_hear(&c), VGPU_MSG_GOODBYE);
        assert_int_equal(server_n_peers(relay.server), 0);
        caller_stop(&c);
}

static void a_held_frame_is_left_alone_until_it_is_let_go(void **state)
{
        struct vgpu_ring_header *header;
        uint64_t word, serial;
        struct caller c;

        (void)state;
        caller_start(&c, &relay, HOLDS);
        header = map_ring(&c);
        serial = relay_publish(&relay);
        word = newest(header);
        c.page->hold[3] = word;
        for (int i = 0; i < 50; i++) {
                relay_publish(&relay);
                assert_true(frame_is_whole(pixels(header, word), RELAY_BYTES, serial));
                assert_int_equal(info_of(0).n_held, 1);
                assert_int_equal(ring_n_held(relay.ring), 1);
        }
        assert_int_equal(info_of(0).n_ended, 0);
        c.page->hold[3] = 0;
        for (int i = 0; i < 4; i++)
                relay_publish(&relay);
        assert_int_equal(info_of(0).n_held, 0);
        assert_false(frame_is_whole(pixels(header, word), RELAY_BYTES, serial));
        munmap(header, ring_identity(relay.ring)->total_bytes);
        caller_stop(&c);
}

static void the_lease_time_ends_a_hold_and_counts_it(void **state)
{
        struct vgpu_ring_header *header;
        struct caller c;
        uint64_t now = test_now_ns();

        (void)state;
        caller_start(&c, &relay, HOLDS);
        header = map_ring(&c);
        relay_publish(&relay);
        c.page->hold[0] = newest(header);
        relay_publish(&relay);
        assert_int_equal(info_of(0).n_held, 1);
        server_published(relay.server, now + 10 * RELAY_LEASE_NS);
        assert_int_equal(info_of(0).n_held, 0);
        assert_int_equal(info_of(0).n_ended, 1);
        munmap(header, ring_identity(relay.ring)->total_bytes);
        caller_stop(&c);
}

static void holds_end_with_the_socket(void **state)
{
        struct vgpu_ring_header *header;
        struct caller dies, stays;

        (void)state;
        caller_start(&stays, &relay, HOLDS);
        caller_start(&dies, &relay, HOLDS);
        header = map_ring(&stays);
        relay_publish(&relay);
        dies.page->hold[0] = newest(header);
        relay_publish(&relay);
        assert_int_equal(ring_n_held(relay.ring), 1);
        caller_stop(&dies);
        relay_turn(&relay);
        relay_publish(&relay);
        assert_int_equal(ring_n_held(relay.ring), 0);
        munmap(header, ring_identity(relay.ring)->total_bytes);
        caller_stop(&stays);
}

static void holds_count_only_for_who_was_granted_leases(void **state)
{
        struct vgpu_ring_header *header;
        struct caller c;

        (void)state;
        caller_start(&c, &relay, VGPU_WANT_RING | VGPU_WANT_WAKE);
        assert_int_equal(c.welcome.lease_ns, 0);
        header = map_ring(&c);
        relay_publish(&relay);
        c.page->hold[0] = newest(header);
        relay_publish(&relay);
        assert_int_equal(ring_n_held(relay.ring), 0);
        munmap(header, ring_identity(relay.ring)->total_bytes);
        caller_stop(&c);
}

/* ---- pages full of anything, at full speed ----------------------------------------------------- */

struct vandal {
        pthread_t thread;
        struct caller caller;
        const struct vgpu_ring_header *header;
        bool stop;
};

static void *scribble(void *arg)
{
        struct vandal *v = arg;
        uint64_t x = 88172645463325252u;

        while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                v->caller.page->armed = (uint32_t)x;
                v->caller.page->interest = (uint32_t)(x >> 32);
                for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++) {
                        /* noise, and words that were true a moment ago */
                        v->caller.page->hold[i] =
                                x >> i & 1 ? x * (i + 1) : newest(v->header) - ((x >> 8) & 0x3FF);
                }
        }
        return NULL;
}

static void random_writes_at_full_speed_harm_nobody_else(void **state)
{
        struct vgpu_ring_header *header;
        struct vandal vandals[3] = { 0 };
        struct caller healthy;
        uint64_t before, word = 0;

        (void)state;
        caller_start(&healthy, &relay, HOLDS);
        header = map_ring(&healthy);
        relay_publish(&relay);
        for (int i = 0; i < 3; i++) {
                caller_start(&vandals[i].caller, &relay, HOLDS);
                vandals[i].header = header;
                assert_int_equal(
                        pthread_create(&vandals[i].thread, NULL, scribble, &vandals[i]), 0);
        }
        before = server_counters(relay.server)->wakes_full;
        for (uint32_t i = 1; i < 20000; i++) {
                uint64_t serial;

                caller_arm(&healthy, i, 0);
                serial = relay_publish(&relay);
                assert_int_equal(caller_wakes(&healthy), 1);
                word = newest(header);
                assert_int_equal(VGPU_RING_WORD_SERIAL(word), serial);
                assert_true(frame_is_whole(pixels(header, word), RELAY_BYTES, serial));
                assert_true(ring_n_held(relay.ring) <= 2);
        }
        /* theirs filled up long ago */
        assert_true(server_counters(relay.server)->wakes_full > before);
        for (int i = 0; i < 3; i++) {
                __atomic_store_n(&vandals[i].stop, true, __ATOMIC_RELAXED);
                pthread_join(vandals[i].thread, NULL);
                caller_stop(&vandals[i].caller);
        }
        relay_turn(&relay);
        assert_int_equal(server_n_peers(relay.server), 1);
        munmap(header, ring_identity(relay.ring)->total_bytes);
        caller_stop(&healthy);
}

/* ---- what they cost ---------------------------------------------------------------------------- */

static int n_mapped_pages(void)
{
        FILE *maps = fopen("/proc/self/maps", "re");
        char line[512];
        int n = 0;

        assert_non_null(maps);
        while (fgets(line, sizeof(line), maps))
                n += strstr(line, "memfd:vgpud-client") && strstr(line, "r--s");
        fclose(maps);
        return n;
}

static void pages_come_and_go_with_their_clients(void **state)
{
        static struct caller crowd[CROWD];
        int before = count_fds();
        uint64_t seed = 1;

        (void)state;
        for (int i = 0; i < CROWD; i++)
                crowd[i].fd = -1;
        for (int i = 0; i < 500; i++) {
                struct caller *c;

                seed = seed * 6364136223846793005u + 1;
                c = &crowd[(seed >> 33) % CROWD];
                if (c->fd < 0) {
                        caller_start(c, &relay, i % 3 ? HOLDS : VGPU_WANT_RING);
                } else {
                        caller_stop(c);
                        relay_turn(&relay);
                }
                relay_publish(&relay);
        }
        for (int i = 0; i < CROWD; i++) {
                if (crowd[i].fd >= 0)
                        caller_stop(&crowd[i]);
        }
        relay_turn(&relay);
        assert_int_equal(n_mapped_pages(), 0);
        for (int i = 0; i < CROWD; i++)
                caller_start(&crowd[i], &relay, HOLDS);
        assert_int_equal(n_mapped_pages(), CROWD);
        for (int i = 0; i < CROWD; i++)
                caller_stop(&crowd[i]);
        relay_turn(&relay);
        assert_int_equal(n_mapped_pages(), 0);
        assert_int_equal(count_fds(), before);
}

static void a_page_is_its_clients_alone(void **state)
{
        struct caller a, b;

        (void)state;
        caller_start(&a, &relay, HOLDS);
        caller_start(&b, &relay, HOLDS);
        memset((void *)a.page, 0xFF, sizeof(*a.page));
        for (uint32_t i = 0; i < VGPU_PAGE_HOLDS; i++)
                assert_int_equal(b.page->hold[i], 0);
        relay_publish(&relay);
        assert_int_equal(caller_wakes(&a), 1);
        assert_int_equal(caller_wakes(&b), 0);
        /* who comes next gets a new one */
        caller_stop(&a);
        relay_turn(&relay);
        caller_start(&a, &relay, HOLDS);
        assert_int_equal(a.page->armed, 0);
        caller_stop(&a);
        caller_stop(&b);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_page_can_be_written_through_its_map_and_nothing_else),
                TEST(a_page_is_not_looked_at_before_it_is_mapped),
                TEST(a_page_that_was_punched_is_whole_when_it_is_looked_at),
                TEST(a_page_that_is_not_sealed_is_not_looked_at),
                TEST(a_page_sealed_as_well_as_can_be_is_looked_at),
                TEST(a_client_that_keeps_its_page_busy_holds_nobody_up),
                TEST(a_page_is_settled_once_and_only_if_there_is_one),
                TEST(a_held_frame_is_left_alone_until_it_is_let_go),
                TEST(the_lease_time_ends_a_hold_and_counts_it),
                TEST(holds_end_with_the_socket),
                TEST(holds_count_only_for_who_was_granted_leases),
                TEST(random_writes_at_full_speed_harm_nobody_else),
                TEST(pages_come_and_go_with_their_clients),
                TEST(a_page_is_its_clients_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
