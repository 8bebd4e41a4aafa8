/*
 * client_wake_test.c - the client's page: when the library asks to be woken, and for what
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "relay.h"
#include "stage.h"

static uint8_t pixels[1 << 16];

static int copy(struct vgpu_client *c, struct vgpu_client_frame *frame)
{
        return vgpu_client_copy_latest(c, pixels, sizeof(pixels), frame);
}

static void a_client_that_goes_to_poll_is_armed(void **state)
{
        struct vgpu_client *c;
        struct stage s;
        uint32_t first;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        first = s.page->armed;
        assert_int_not_equal(first, 0);
        assert_int_equal(s.page->interest, 0);
        assert_false(readable(vgpu_client_fd(c)));

        stage_publish(&s);
        assert_true(stage_wake(&s));
        assert_true(readable(vgpu_client_fd(c)));
        /* the frame at once; what woke us, and the next ticket, when it has been taken */
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME);
        assert_true(readable(vgpu_client_fd(c)));
        assert_int_equal(vgpu_client_dispatch(c), 0);
        assert_false(readable(vgpu_client_fd(c)));
        assert_int_not_equal(s.page->armed, 0);
        assert_int_not_equal(s.page->armed, first);
        vgpu_client_close(c);
        stage_stop(&s);
}

/* Frames that come faster than they are taken keep nobody from hearing of the rest. */
static void every_other_dispatch_reads_the_socket(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        stage_publish(&s);
        stage_hang_up(&s);
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_FRAME);
        stage_publish(&s);
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_FRAME | VGPU_CLIENT_DISCONNECTED);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void a_ticket_is_rung_for_once(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        for (int round = 0; round < 100; round++) {
                uint32_t ticket = s.page->armed;

                stage_publish(&s);
                assert_true(stage_wake(&s));
                stage_publish(&s);
                assert_false(stage_wake(&s));
                assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME);
                assert_int_equal(s.page->armed, ticket);
                assert_int_equal(vgpu_client_dispatch(c), 0);
                assert_int_not_equal(s.page->armed, 0);
                assert_int_not_equal(s.page->armed, ticket);
        }
        vgpu_client_close(c);
        stage_stop(&s);
}

static void what_came_before_arming_is_reported_and_not_slept_on(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        /* the daemon found an old ticket served already: nobody writes a byte */
        stage_publish(&s);
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        assert_int_equal(vgpu_client_dispatch(c), 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void a_client_that_comes_back_from_wait_is_not_armed(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        assert_int_equal(s.page->armed, 0);
        assert_int_equal(vgpu_client_wait(c, 1), 0);
        assert_int_equal(s.page->armed, 0);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void without_a_wake_descriptor_nothing_is_armed(void **state)
{
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_WAKE_FD };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &options);
        stage_connect(&s, c);
        assert_null(s.page);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_FRAME);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void interest_is_what_wakes_and_what_is_told(void **state)
{
        struct vgpu_client_options options = { .interest =
                                                       VGPU_CLIENT_CURSOR | VGPU_CLIENT_STATUS };
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, &options);
        assert_int_equal(stage_connect(&s, c) & VGPU_CLIENT_STATE, 0);
        assert_int_equal(s.page->interest, VGPU_CHANGE_CURSOR | VGPU_CHANGE_STATUS);
        stage_publish(&s);
        ring_set_geometry(s.ring, &(struct vgpu_ring_geometry){ .virt_w = 640 });
        assert_int_equal(vgpu_client_dispatch(c), 0);
        ring_set_cursor(s.ring, &(struct vgpu_ring_cursor){ .x = 3 });
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_CURSOR);
        /* it may still look for itself */
        assert_int_equal(copy(c, &(struct vgpu_client_frame){ 0 }), 1);
        stage_hang_up(&s);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
        vgpu_client_close(c);

        /* not a single change: the page has no word for it */
        options.interest = VGPU_CLIENT_INSTANCE;
        c = stage_client(&s, &options);
        stage_connect(&s, c);
        assert_int_equal(s.page->interest, VGPU_CHANGE_STATE);
        vgpu_client_close(c);
        stage_stop(&s);
}

static void a_page_that_could_fault_is_not_taken(void **state)
{
        static const struct {
                const char *name;
                size_t bytes;
                int seals;
        } pages[] = {
                { "unsealed", VGPU_RING_PAGE, 0 },
                { "sealed_against_growing_only", VGPU_RING_PAGE, F_SEAL_GROW },
                { "not_writable", VGPU_RING_PAGE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE },
                { "empty", 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL },
                { "short_by_one", 63, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL },
        };
        int fds = count_fds();

        (void)state;
        for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
                struct vgpu_client *c;
                struct stage s;

                print_message("  %s\n", pages[i].name);
                stage_start(&s);
                s.page_bytes = pages[i].bytes;
                s.page_seals = pages[i].seals;
                c = stage_client(&s, NULL);
                stage_accept(&s, c);
                stage_welcome(&s);
                assert_int_equal(vgpu_client_dispatch(c) & VGPU_CLIENT_RECONNECTED, 0);
                /* hung up on, and tried again */
                stage_hang_up(&s);
                s.page_bytes = sizeof(struct vgpu_client_page);
                s.page_seals = F_SEAL_SHRINK;
                stage_connect(&s, c);
                assert_int_not_equal(s.page->armed, 0);
                vgpu_client_close(c);
                stage_stop(&s);
        }
        assert_int_equal(count_fds(), fds);
        assert_int_equal(count_maps("vgpud-page"), 0);
}

static void the_daemon_is_told_when_the_page_is_mapped(void **state)
{
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_WAKE_FD };
        struct vgpu_msg_header msg;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        assert_true(stage_receive(&s, VGPU_MSG_PAGE, &msg, sizeof(msg)));
        /* nobody maps it writable again; who has it goes on writing */
        assert_int_equal(
                fcntl(s.page_fd, F_GET_SEALS), s.page_seals | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
        stage_publish(&s);
        assert_true(stage_wake(&s));
        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME);
        assert_int_equal(vgpu_client_dispatch(c), 0);
        stage_publish(&s);
        assert_true(stage_wake(&s));
        vgpu_client_close(c);
        stage_hang_up(&s);

        c = stage_client(&s, &options);
        stage_connect(&s, c);
        assert_false(stage_receive(&s, VGPU_MSG_PAGE, &msg, sizeof(msg)));
        vgpu_client_close(c);
        stage_stop(&s);
}

/* Welcomed by a wait that has no time to sleep: nothing was armed. */
static void welcome_without_arming(struct stage *s, struct vgpu_client *c)
{
        stage_accept(s, c);
        stage_welcome(s);
        while (!(vgpu_client_wait(c, 0) & VGPU_CLIENT_RECONNECTED))
                ;
        assert_int_equal(s->page->armed, 0);
}

/* A look at a page costs the daemon more than all else about a client that does not wait. */
static void a_page_is_not_to_be_looked_at_before_it_is_used(void **state)
{
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_LEASES };
        struct vgpu_msg_header msg;
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        welcome_without_arming(&s, c);
        stage_publish(&s);
        assert_true(vgpu_client_wait(c, 0) & VGPU_CLIENT_FRAME);
        assert_int_equal(copy(c, &(struct vgpu_client_frame){ 0 }), 1);
        assert_false(stage_receive(&s, VGPU_MSG_PAGE, &msg, sizeof(msg)));
        for (int i = 0; i < 3; i++) {
                assert_int_equal(vgpu_client_dispatch(c), 0);
                assert_int_not_equal(s.page->armed, 0);
                assert_int_equal(stage_receive(&s, VGPU_MSG_PAGE, &msg, sizeof(msg)), i == 0);
        }
        vgpu_client_close(c);
        stage_hang_up(&s);

        /* the first frame held has to be found there */
        c = stage_client(&s, &options);
        welcome_without_arming(&s, c);
        assert_true(stage_receive(&s, VGPU_MSG_PAGE, &msg, sizeof(msg)));
        vgpu_client_close(c);
        stage_stop(&s);
}

static void another_connection_is_another_page(void **state)
{
        struct vgpu_client *c;
        struct stage s;

        (void)state;
        stage_start(&s);
        c = stage_client(&s, NULL);
        stage_connect(&s, c);
        for (int i = 0; i < 5; i++) {
                stage_die(&s);
                assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_DISCONNECTED);
                assert_int_equal(count_maps("vgpud-page"), 0);
                stage_connect(&s, c);
                assert_int_equal(count_maps("vgpud-page"), 2);
                assert_int_not_equal(s.page->armed, 0);
        }
        vgpu_client_close(c);
        stage_stop(&s);
}

/* ---- no wake-up is lost ------------------------------------------------------------------------ */

#define ROUNDS   50000u
#define MOST_NS  UINT64_C(5000000000) /* on a loaded machine each handover costs a time slice */
#define NO_ROUND UINT32_MAX

struct race {
        struct stage s;
        uint32_t go, done; /* round */
        uint32_t woken;
};

/* Return: whether there is such a round. */
static bool await(const uint32_t *word, uint32_t round)
{
        uint32_t now;

        while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) != round && now != NO_ROUND)
                sched_yield();
        return now == round;
}

/* One change each round, at another moment of the client's dispatch. */
static void *change_and_wake(void *arg)
{
        struct race *r = arg;

        for (uint32_t i = 1; await(&r->go, i); i++) {
                for (volatile uint32_t spin = i * 7919 % 4096; spin > 0;)
                        spin = spin - 1;
                stage_publish(&r->s);
                r->woken += stage_wake(&r->s);
                __atomic_store_n(&r->done, i, __ATOMIC_RELEASE);
        }
        return NULL;
}

static void race(uint32_t knows)
{
        struct race r = { .woken = 0 };
        struct vgpu_client *c;
        uint64_t end_ns = test_now_ns() + MOST_NS;
        pthread_t daemon;
        uint32_t i;

        stage_start(&r.s);
        r.s.knows = knows;
        c = stage_client(&r.s, NULL);
        stage_connect(&r.s, c);
        assert_int_equal(pthread_create(&daemon, NULL, change_and_wake, &r), 0);
        for (i = 1; i <= ROUNDS && test_now_ns() < end_ns; i++) {
                int got;

                /* the last ticket has had its byte: only a new one brings another */
                r.s.served = r.s.page->armed;
                __atomic_store_n(&r.go, i, __ATOMIC_RELEASE);
                got = vgpu_client_dispatch(c);
                await(&r.done, i);
                if (!(got & VGPU_CLIENT_FRAME)) {
                        assert_true(readable(vgpu_client_fd(c)));
                        assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME);
                }
                vgpu_client_dispatch(c);
        }
        __atomic_store_n(&r.go, NO_ROUND, __ATOMIC_RELEASE);
        pthread_join(daemon, NULL);
        print_message("  %u changes, %u wake-ups\n", i - 1, r.woken);
        vgpu_client_close(c);
        stage_stop(&r.s);
}

static void a_change_during_dispatch_is_reported_or_rung_for(void **state)
{
        (void)state;
        race(UINT32_MAX);
}

/* A daemon, or a kernel, without edges. */
static void so_it_is_where_it_is_bytes_that_ring(void **state)
{
        (void)state;
        race(~VGPU_WANT_EDGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_client_that_goes_to_poll_is_armed),
                cmocka_unit_test(every_other_dispatch_reads_the_socket),
                cmocka_unit_test(a_ticket_is_rung_for_once),
                cmocka_unit_test(what_came_before_arming_is_reported_and_not_slept_on),
                cmocka_unit_test(a_client_that_comes_back_from_wait_is_not_armed),
                cmocka_unit_test(without_a_wake_descriptor_nothing_is_armed),
                cmocka_unit_test(interest_is_what_wakes_and_what_is_told),
                cmocka_unit_test(a_page_that_could_fault_is_not_taken),
                cmocka_unit_test(the_daemon_is_told_when_the_page_is_mapped),
                cmocka_unit_test(a_page_is_not_to_be_looked_at_before_it_is_used),
                cmocka_unit_test(another_connection_is_another_page),
                cmocka_unit_test(a_change_during_dispatch_is_reported_or_rung_for),
                cmocka_unit_test(so_it_is_where_it_is_bytes_that_ring),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
