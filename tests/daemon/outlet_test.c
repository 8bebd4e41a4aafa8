/*
 * outlet_test.c - the socket on the loop, and the rings behind it
 *
 * What goes wrong with clients must leave the loop to the guest, and what a guest does with its modes must not pile up rings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "outlet.h"

struct rig {
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
};

static void rig_open(struct rig *rig)
{
        struct server_failure why;

        memset(rig, 0, sizeof(*rig));
        rig->config.ring.max_bytes = UINT64_C(2) << 30;
        rig->config.ring.slots = 3;
        rig->config.ring.mode = 0600;
        rig->config.ring.lease_ms = 500;
        rig->config.ring.max_clients = 4;
        snprintf(rig->config.ring.socket, sizeof(rig->config.ring.socket),
                "/tmp/vgpud-outlet-test-%d", (int)getpid());
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        assert_int_equal(outlet_init(&rig->outlet, &rig->loop, &rig->config, -1,
                                 &(struct outlet_hooks){ 0 }, &why),
                0);
}

static void rig_close(struct rig *rig)
{
        outlet_close(&rig->outlet);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static int dial(const struct rig *rig)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->config.ring.socket);
        assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        return fd;
}

/* No descriptor at all, not even the one in reserve: nothing can be accepted, and the client stays in the queue. */
static void a_listening_socket_that_fails_is_left_alone_until_the_next_tick(void **state)
{
        struct rlimit was, none;
        struct rig rig;
        int fd;

        (void)state;
        rig_open(&rig);
        fd = dial(&rig);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        none = was;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        while (uv_is_active((uv_handle_t *)&rig.outlet.listener))
                uv_run(&rig.loop, UV_RUN_ONCE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        assert_int_equal(server_n_peers(rig.outlet.server), 0);

        while (server_n_peers(rig.outlet.server) == 0)
                uv_run(&rig.loop, UV_RUN_ONCE);
        close(fd);
        rig_close(&rig);
}

/* ---- rings ------------------------------------------------------------------------------------------------------- */

#define FULL_HD (UINT64_C(1920) * 1080 * 4)
#define UHD     (UINT64_C(3840) * 2160 * 4)

/* Turns of the loop until something is so; a test that hangs here is ended by its TIMEOUT. */
#define UNTIL(rig, so)                                                                             \
        while (!(so))                                                                              \
        uv_run(&(rig)->loop, UV_RUN_ONCE)

static void publish(struct rig *rig, uint64_t frame_id, uint32_t width, uint32_t height)
{
        struct ring_frame frame = {
                .frame_id = frame_id,
                .epoch = 1,
                .run_epoch = 1,
                .width = width,
                .height = height,
                .stride = 4 * width,
                .timestamp_ns = 77,
        };

        assert_int_equal(outlet_fit(&rig->outlet, (uint64_t)height * 4 * width), 0);
        memset(outlet_begin(&rig->outlet), (int)frame_id, (size_t)height * 4 * width);
        outlet_publish(&rig->outlet, &frame);
}

/* Maps the ring in use, as a client would. */
static const uint8_t *map_ring(const struct rig *rig, size_t *ret_bytes)
{
        const struct ring *ring = rig->outlet.rings.current;
        const void *map;

        *ret_bytes = ring_identity(ring)->total_bytes;
        map = mmap(NULL, *ret_bytes, PROT_READ, MAP_SHARED, ring_fd(ring), 0);
        assert_true(map != MAP_FAILED);
        return map;
}

static void unmap(const uint8_t *map, size_t bytes)
{
        munmap((void *)map, bytes);
}

/* The newest frame of the ring in use, or 0, and whether all its pixels are its own. */
static uint64_t newest(const struct rig *rig)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        size_t bytes;
        const uint8_t *map = map_ring(rig, &bytes);
        uint64_t word = ((const struct vgpu_ring_header *)map)->publish, frame_id = 0;
        const struct vgpu_ring_desc *d;
        const uint8_t *pixels;

        if (word != 0) {
                d = (const void *)(map + id->desc_offset +
                                   VGPU_RING_WORD_SLOT(word) * id->desc_bytes);
                pixels = map + id->slot_offset + VGPU_RING_WORD_SLOT(word) * id->slot_bytes;
                frame_id = d->frame_id;
                assert_int_equal(d->serial, VGPU_RING_WORD_SERIAL(word));
                assert_int_equal(d->timestamp_ns, 77);
                for (uint64_t i = 0; i < (uint64_t)d->height * d->stride; i++)
                        if (pixels[i] != (uint8_t)frame_id)
                                fail_msg("foreign pixel at %llu", (unsigned long long)i);
        }
        unmap(map, bytes);
        return frame_id;
}

static void an_old_ring_counts_until_nobody_has_it(void **state)
{
        struct rig rig;
        const uint8_t *map;
        size_t bytes;

        (void)state;
        rig_open(&rig);
        publish(&rig, 1, 64, 64);
        map = map_ring(&rig, &bytes);
        publish(&rig, 2, 3840, 2160);
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        assert_int_equal(rig.outlet.rings.n_old, 1);
        assert_int_equal(rig.outlet.rings.old_bytes, bytes);
        assert_int_equal(((const struct vgpu_ring_header *)map)->superseded_by, 2);

        /* without a word from anybody */
        unmap(map, bytes);
        UNTIL(&rig, rig.outlet.rings.n_old == 0);
        assert_int_equal(rig.outlet.rings.old_bytes, 0);
        assert_int_equal(newest(&rig), 2);

        /* nobody had this one at all */
        assert_int_equal(outlet_fit(&rig.outlet, 2 * UHD), 0);
        assert_int_equal(rig.outlet.rings.n_generations, 3);
        assert_int_equal(rig.outlet.rings.n_old, 0);
        rig_close(&rig);
}

static void a_tick_that_is_due_soon_is_done_by_who_is_awake(void **state)
{
        struct rig rig;
        uint32_t before;

        (void)state;
        rig_open(&rig);
        UNTIL(&rig, rig.outlet.n_ticks > 0);
        before = rig.outlet.n_ticks;
        outlet_tick_early(&rig.outlet, 0);
        assert_int_equal(rig.outlet.n_ticks, before);
        outlet_tick_early(&rig.outlet, OUTLET_TICK_MS);
        assert_int_equal(rig.outlet.n_ticks, before + 1);
        assert_int_equal(uv_timer_get_due_in(&rig.outlet.tick), OUTLET_TICK_MS);
        UNTIL(&rig, rig.outlet.n_ticks > before + 1);
        rig_close(&rig);
}

static void capacity_shrinks_when_nobody_has_an_older_ring(void **state)
{
        struct rig rig;
        const uint8_t *map;
        size_t bytes;

        (void)state;
        rig_open(&rig);
        rig.outlet.rings.config.shrink_after_ns = 1;
        map = map_ring(&rig, &bytes);
        publish(&rig, 1, 3840, 2160);
        publish(&rig, 2, 1920, 1080);
        for (int tick = 0; tick < 3; tick++) {
                uint32_t before = rig.outlet.n_ticks;

                UNTIL(&rig, rig.outlet.n_ticks != before);
        }
        assert_int_equal(rig.outlet.rings.n_generations, 2);

        /* at rest: no frame comes, and the newest goes along */
        unmap(map, bytes);
        UNTIL(&rig, rig.outlet.rings.n_generations == 3);
        assert_int_equal(ring_identity(rig.outlet.rings.current)->slot_bytes, FULL_HD);
        assert_int_equal(newest(&rig), 2);
        publish(&rig, 3, 1920, 1080);
        assert_int_equal(newest(&rig), 3);
        rig_close(&rig);
}

static void what_has_no_room_is_refused_and_the_rest_goes_on(void **state)
{
        const uint8_t *map[GENERATION_MAX_OLD];
        size_t bytes[GENERATION_MAX_OLD];
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.outlet.rings.config.max_bytes = 3 * (FULL_HD + UHD) + 64 * 1024;
        map[0] = map_ring(&rig, &bytes[0]);
        publish(&rig, 1, 3840, 2160);
        assert_int_equal(outlet_fit(&rig.outlet, 2 * UHD), -ENOSPC);
        publish(&rig, 2, 1920, 1080);
        publish(&rig, 3, 3840, 2160);
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        assert_int_equal(newest(&rig), 3);
        unmap(map[0], bytes[0]);
        rig_close(&rig);

        /* by number: a client that keeps every ring it ever saw */
        rig_open(&rig);
        rig.outlet.rings.config.max_bytes = UINT64_MAX / 2;
        for (uint32_t i = 0; i < GENERATION_MAX_OLD; i++) {
                map[i] = map_ring(&rig, &bytes[i]);
                assert_int_equal(outlet_fit(&rig.outlet,
                                         ring_identity(rig.outlet.rings.current)->slot_bytes + 1),
                        0);
        }
        assert_int_equal(rig.outlet.rings.n_old, GENERATION_MAX_OLD);
        assert_int_equal(outlet_fit(&rig.outlet, UINT64_C(1) << 40), -ENOSPC);
        publish(&rig, 1, 64, 64);
        unmap(map[3], bytes[3]);
        UNTIL(&rig, rig.outlet.rings.n_old == GENERATION_MAX_OLD - 1);
        assert_int_equal(
                outlet_fit(&rig.outlet, ring_identity(rig.outlet.rings.current)->slot_bytes + 1),
                0);
        for (uint32_t i = 0; i < GENERATION_MAX_OLD; i++)
                if (i != 3)
                        unmap(map[i], bytes[i]);
        rig_close(&rig);
}

static uint32_t n_descriptors(void)
{
        DIR *d = opendir("/proc/self/fd");
        uint32_t n = 0;

        while (readdir(d) != NULL)
                n++;
        closedir(d);
        return n;
}

static void modes_that_flip_make_two_rings_and_no_more(void **state)
{
        uint32_t fds = 0;
        struct rig rig;

        (void)state;
        rig_open(&rig);
        for (uint64_t frame = 1; frame <= 60000; frame++) {
                assert_int_equal(outlet_fit(&rig.outlet, frame % 2 ? FULL_HD : UHD), 0);
                if (frame == 2)
                        fds = n_descriptors();
                if (frame % 1000 == 0)
                        uv_run(&rig.loop, UV_RUN_NOWAIT);
        }
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        assert_int_equal(n_descriptors(), fds);
        rig_close(&rig);
}

static void a_drop_leads_to_another_ring_that_begins_with_the_newest_frame(void **state)
{
        const struct vgpu_ring_header *old;
        struct rig rig;
        uint64_t word;
        size_t bytes;
        int fd;

        (void)state;
        rig_open(&rig);
        fd = dial(&rig);
        UNTIL(&rig, server_n_peers(rig.outlet.server) == 1);
        publish(&rig, 1, 64, 64);
        publish(&rig, 2, 64, 64);
        old = (const void *)map_ring(&rig, &bytes);
        word = old->publish;

        assert_int_equal(server_drop(rig.outlet.server, getpid()), 1);
        UNTIL(&rig, rig.outlet.rings.n_generations == 2);
        assert_int_equal(server_n_peers(rig.outlet.server), 0);
        assert_int_equal(newest(&rig), 2);
        publish(&rig, 3, 64, 64);
        assert_int_equal(newest(&rig), 3);
        assert_int_equal(old->publish, word);
        assert_int_equal(old->superseded_by, 2);

        /* once is enough */
        uv_run(&rig.loop, UV_RUN_ONCE);
        publish(&rig, 4, 64, 64);
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        unmap((const void *)old, bytes);
        close(fd);
        rig_close(&rig);
}

/* The frame that comes next must not be seen by who was dropped, not even when it comes before the loop turns. */
static void a_drop_leads_to_another_ring_before_the_next_frame(void **state)
{
        struct rig rig;
        int fd;

        (void)state;
        rig_open(&rig);
        fd = dial(&rig);
        UNTIL(&rig, server_n_peers(rig.outlet.server) == 1);
        publish(&rig, 1, 64, 64);
        assert_int_equal(server_drop(rig.outlet.server, getpid()), 1);
        publish(&rig, 2, 64, 64);
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        UNTIL(&rig, server_n_peers(rig.outlet.server) == 0);
        close(fd);
        rig_close(&rig);
}

/* Somebody who is dropped, keeps his map and comes again cannot make rings without end; there is another when one is free. */
static void a_drop_for_which_there_is_no_room_is_made_up_for(void **state)
{
        const uint8_t *map;
        struct rig rig;
        size_t bytes;
        int fd;

        (void)state;
        rig_open(&rig);
        rig.outlet.rings.config.max_old = 1;
        map = map_ring(&rig, &bytes);
        for (uint64_t i = 1; i <= 2; i++) {
                fd = dial(&rig);
                UNTIL(&rig, server_n_peers(rig.outlet.server) == 1);
                server_drop(rig.outlet.server, getpid());
                publish(&rig, i, 64, 64);
                UNTIL(&rig, server_n_peers(rig.outlet.server) == 0);
                close(fd);
        }
        assert_int_equal(rig.outlet.rings.n_generations, 2);
        unmap(map, bytes);
        UNTIL(&rig, rig.outlet.rings.n_generations == 3);
        assert_int_equal(newest(&rig), 2);
        rig_close(&rig);
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static void limits_go_by_the_configuration_after_a_reload(void **state)
{
        const uint64_t before = 3 * FULL_HD + 64 * 1024;
        struct rig rig;

        (void)state;
        rig_open(&rig);
        rig.config.ring.max_bytes = before & ~UINT64_C(4095);
        rig.config.ring.max_clients = 9;
        assert_int_equal(outlet_reload(&rig.outlet), 0);
        assert_int_equal(server_max_clients(rig.outlet.server), 9);
        assert_int_equal(outlet_fit(&rig.outlet, UHD), -ENOSPC);
        publish(&rig, 1, 1920, 1080);

        rig.config.ring.max_bytes = UINT64_C(1) << 30;
        rig.config.ring.max_clients = 200;
        assert_int_equal(outlet_reload(&rig.outlet), 0);
        assert_int_equal(server_max_clients(rig.outlet.server), 200);
        publish(&rig, 2, 3840, 2160);

        /* less than there is takes nothing away */
        rig.config.ring.max_bytes = UINT64_C(64) << 20;
        assert_int_equal(outlet_reload(&rig.outlet), 0);
        publish(&rig, 3, 3840, 2160);
        assert_int_equal(newest(&rig), 3);
        rig_close(&rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_listening_socket_that_fails_is_left_alone_until_the_next_tick),
                cmocka_unit_test(an_old_ring_counts_until_nobody_has_it),
                cmocka_unit_test(a_tick_that_is_due_soon_is_done_by_who_is_awake),
                cmocka_unit_test(capacity_shrinks_when_nobody_has_an_older_ring),
                cmocka_unit_test(what_has_no_room_is_refused_and_the_rest_goes_on),
                cmocka_unit_test(modes_that_flip_make_two_rings_and_no_more),
                cmocka_unit_test(a_drop_leads_to_another_ring_that_begins_with_the_newest_frame),
                cmocka_unit_test(a_drop_leads_to_another_ring_before_the_next_frame),
                cmocka_unit_test(a_drop_for_which_there_is_no_room_is_made_up_for),
                cmocka_unit_test(limits_go_by_the_configuration_after_a_reload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
