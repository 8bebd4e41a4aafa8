/*
 * ring_test.c - the publisher: slots, order, seals, leases, what is left of a ring
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay.h"

static const struct ring_config config = {
        .slots = 3,
        .slot_bytes = RELAY_BYTES,
        .generation = 1,
        .tick_period_ms = RELAY_TICK_MS,
        .lease_ns = 1000000000,
};

static struct ring *make(void)
{
        struct ring *r = NULL;

        assert_int_equal(ring_new(&config, &r), 0);
        return r;
}

/* What a reader sees. */
static const struct vgpu_ring_header *map_readonly(const struct ring *r)
{
        size_t len = ring_identity(r)->total_bytes;
        void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, ring_fd(r), 0);

        assert_ptr_not_equal(map, MAP_FAILED);
        return map;
}

static void unmap(const struct ring *r, const struct vgpu_ring_header *h)
{
        munmap((void *)h, ring_identity(r)->total_bytes);
}

static const struct vgpu_ring_desc *desc_of(const struct vgpu_ring_header *h, uint32_t slot)
{
        return (const void *)((const uint8_t *)h + h->identity.desc_offset +
                              slot * h->identity.desc_bytes);
}

static const uint8_t *pixels_of(const struct vgpu_ring_header *h, uint32_t slot)
{
        return (const uint8_t *)h + h->identity.slot_offset + slot * h->identity.slot_bytes;
}

static uint64_t publish(struct ring *r, struct ring_frame *frame)
{
        ring_slot_begin(r);
        return ring_publish(r, frame);
}

static void a_config_out_of_range_is_refused(void **state)
{
        static const struct ring_config bad[] = {
                { .slots = 2, .slot_bytes = 4096, .generation = 1, .tick_period_ms = 1 },
                { .slots = 17, .slot_bytes = 4096, .generation = 1, .tick_period_ms = 1 },
                { .slots = 4, .slot_bytes = 0, .generation = 1, .tick_period_ms = 1 },
                { .slots = 4, .slot_bytes = UINT64_MAX, .generation = 1, .tick_period_ms = 1 },
                { .slots = 16,
                        .slot_bytes = VGPU_RING_MAX_BYTES / 16,
                        .generation = 1,
                        .tick_period_ms = 1 },
                { .slots = 4, .slot_bytes = 4096, .generation = 0, .tick_period_ms = 1 },
                { .slots = 4, .slot_bytes = 4096, .generation = 1, .tick_period_ms = 0 },
        };
        struct ring *r;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(ring_new(&bad[i], &r), -EINVAL);
}

static void slots_are_whole_pages_behind_the_descriptors(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);

        (void)state;
        assert_memory_equal(&h->identity, ring_identity(r), sizeof(h->identity));
        assert_int_equal(h->identity.slot_offset % VGPU_RING_PAGE, 0);
        assert_int_equal(h->identity.slot_bytes % VGPU_RING_PAGE, 0);
        assert_true(
                h->identity.desc_offset + 3 * h->identity.desc_bytes <= h->identity.slot_offset);
        assert_int_equal(h->publish, 0);
        assert_int_equal(h->liveness.value.state, VGPU_RING_ABSENT);
        unmap(r, h);
        ring_free(r);
}

/* Until somebody asks, a frame costs no system call more; and it is said once for each frame that is begun. */
static void a_frame_is_announced_only_if_that_was_asked_for(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);

        (void)state;
        assert_true(h->identity.features & VGPU_RING_FEATURE_SOON);
        publish(r, &frame);
        assert_int_equal(h->soon, 0);
        assert_int_equal(h->due_ns, 0);

        ring_announce(r, true);
        for (uint32_t i = 1; i <= 10; i++) {
                uint64_t before_ns = test_now_ns();

                ring_slot_begin(r);
                assert_int_equal(h->soon, i);
                assert_true(h->due_ns >= before_ns);
                /* one of them is thrown away */
                if (i == 5)
                        ring_slot_abort(r, 0, 0);
                else
                        ring_publish(r, &frame);
                assert_int_equal(h->soon, i);
        }
        ring_announce(r, false);
        publish(r, &frame);
        assert_int_equal(h->soon, 10);
        unmap(r, h);
        ring_free(r);
}

static void the_newest_slot_is_never_written(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);

        (void)state;
        for (int i = 0; i < 20; i++) {
                uint32_t newest = VGPU_RING_WORD_SLOT(h->publish);

                ring_slot_begin(r);
                if (h->publish != 0)
                        assert_int_equal(desc_of(h, newest)->seq & 1, 0);
                if (i % 3 == 2)
                        ring_slot_abort(r, 0, 64);
                else
                        ring_publish(r, &frame);
        }
        unmap(r, h);
        ring_free(r);
}

static void the_oldest_frame_gives_way(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);
        uint32_t slot[4];

        (void)state;
        for (int i = 0; i < 4; i++) {
                publish(r, &frame);
                slot[i] = VGPU_RING_WORD_SLOT(h->publish);
        }
        assert_int_not_equal(slot[0], slot[1]);
        assert_int_not_equal(slot[1], slot[2]);
        assert_int_not_equal(slot[0], slot[2]);
        assert_int_equal(slot[3], slot[0]);
        unmap(r, h);
        ring_free(r);
}

static void an_aborted_slot_is_zeroed_and_never_published(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);
        static const uint8_t zero[RELAY_BYTES];
        uint64_t word;
        uint32_t slot = 0;

        (void)state;
        publish(r, &frame);
        word = h->publish;
        memset(ring_slot_begin(r), 0xAA, RELAY_BYTES);
        while (!(desc_of(h, slot)->seq & 1))
                slot++;
        ring_slot_abort(r, 64, 128);
        assert_memory_equal(pixels_of(h, slot) + 64, zero, 64);
        assert_int_equal(pixels_of(h, slot)[63], 0xAA);
        assert_int_equal(pixels_of(h, slot)[128], 0xAA);

        ring_slot_begin(r);
        ring_slot_abort(r, 0, RELAY_BYTES);

        assert_memory_equal(pixels_of(h, slot), zero, RELAY_BYTES);
        assert_int_equal(desc_of(h, slot)->seq & 1, 1);
        assert_int_equal(h->publish, word);

        /* and is the first to be used again, with a seq that moved on */
        publish(r, &frame);
        assert_int_equal(VGPU_RING_WORD_SLOT(h->publish), slot);
        assert_int_equal(desc_of(h, slot)->seq, 6);
        unmap(r, h);
        ring_free(r);
}

static void a_published_frame_says_all_it_was_given(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(40);
        const struct vgpu_ring_desc *d;
        uint64_t before = test_now_ns();

        (void)state;
        publish(r, &frame);
        frame = relay_frame(41);
        frame.flags = VGPU_RING_FRAME_CURSOR_DRAWN;
        frame.timestamp_ns = 99;
        frame.n_damage = 1;
        frame.damage[0] = (struct vgpu_ring_rect){ 1, 2, 3, 4 };
        assert_int_equal(publish(r, &frame), 2);
        d = desc_of(h, VGPU_RING_WORD_SLOT(h->publish));

        assert_int_equal(VGPU_RING_WORD_SERIAL(h->publish), 2);
        assert_int_equal(d->seq & 1, 0);
        assert_int_equal(d->serial, 2);
        assert_int_equal(d->frame_id, 41);
        assert_int_equal(d->epoch, 1);
        assert_int_equal(d->run_epoch, 1);
        assert_int_equal(d->producer_pid, 77);
        assert_int_equal(d->width, RELAY_WIDTH);
        assert_int_equal(d->height, RELAY_HEIGHT);
        assert_int_equal(d->stride, RELAY_STRIDE);
        assert_int_equal(d->fourcc, RELAY_FOURCC);
        assert_int_equal(d->flags, VGPU_RING_FRAME_CURSOR_DRAWN);
        assert_int_equal(d->timestamp_ns, 99);
        assert_true(d->publish_ns >= before && d->publish_ns <= test_now_ns());
        assert_int_equal(d->n_damage, 1);
        assert_memory_equal(d->damage, frame.damage, sizeof(frame.damage[0]));
        unmap(r, h);
        ring_free(r);
}

static void change_width(struct ring_frame *f)
{
        f->width--;
}

static void change_epoch(struct ring_frame *f)
{
        f->epoch++;
}

static void change_run_epoch(struct ring_frame *f)
{
        f->run_epoch++;
}

static void change_producer(struct ring_frame *f)
{
        f->producer_pid++;
}

static void leave_the_frame(struct ring_frame *f)
{
        f->damage[0].x = UINT32_MAX;
}

static void exceed_the_list(struct ring_frame *f)
{
        f->n_damage = VGPU_RING_MAX_DAMAGE + 1;
}

static void damage_is_whole_when_it_would_mislead(void **state)
{
        void (*const cases[])(struct ring_frame *) = { change_width, change_epoch, change_run_epoch,
                change_producer, leave_the_frame, exceed_the_list };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct ring *r = make();
                const struct vgpu_ring_header *h = map_readonly(r);
                struct ring_frame frame = relay_frame(1);

                frame.n_damage = 1;
                frame.damage[0] = (struct vgpu_ring_rect){ 0, 0, 1, 1 };
                publish(r, &frame);
                assert_int_equal(desc_of(h, VGPU_RING_WORD_SLOT(h->publish))->n_damage, 0);
                publish(r, &frame);
                assert_int_equal(desc_of(h, VGPU_RING_WORD_SLOT(h->publish))->n_damage, 1);
                cases[i](&frame);
                publish(r, &frame);
                assert_int_equal(desc_of(h, VGPU_RING_WORD_SLOT(h->publish))->n_damage, 0);
                unmap(r, h);
                ring_free(r);
        }
}

static const struct vgpu_ring_change *change_of(const struct vgpu_ring_header *h, uint64_t serial)
{
        return (const void *)((const uint8_t *)h + h->identity.history_offset +
                              serial % h->identity.history_count * h->identity.history_bytes);
}

static void the_history_lies_between_descriptors_and_slots(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_identity *id = ring_identity(r);

        (void)state;
        assert_true(id->features & VGPU_RING_FEATURE_HISTORY);
        assert_int_equal(id->history_count, VGPU_RING_HISTORY);
        assert_int_equal(id->history_offset % 64, 0);
        assert_true(id->history_offset >= id->desc_offset + id->slot_count * id->desc_bytes);
        assert_true(id->history_offset + id->history_count * id->history_bytes <= id->slot_offset);
        ring_free(r);
}

static void past_damage_outlives_its_slot(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);
        const uint64_t n = VGPU_RING_HISTORY + 5;

        (void)state;
        for (uint64_t serial = 1; serial <= n; serial++) {
                frame.n_damage = (uint32_t)(serial % (VGPU_RING_MAX_DAMAGE + 1));
                for (uint32_t i = 0; i < frame.n_damage; i++)
                        frame.damage[i] = (struct vgpu_ring_rect){ i, (uint32_t)serial % 8, 1, 2 };
                publish(r, &frame);
        }
        for (uint64_t serial = n - VGPU_RING_HISTORY + 1; serial <= n; serial++) {
                const struct vgpu_ring_change *c = change_of(h, serial);

                assert_int_equal(c->seq & 1, 0);
                assert_int_equal(c->serial, serial);
                assert_int_equal(c->n_damage, serial % (VGPU_RING_MAX_DAMAGE + 1));
                for (uint32_t i = 0; i < c->n_damage; i++) {
                        const struct vgpu_ring_rect rect = { i, (uint32_t)serial % 8, 1, 2 };

                        assert_memory_equal(&c->damage[i], &rect, sizeof(rect));
                }
        }
        unmap(r, h);
        ring_free(r);
}

static void the_first_change_of_a_ring_is_the_whole_frame(void **state)
{
        struct ring *old = make(), *r = NULL;
        struct ring_config next = config;
        struct ring_frame frame = relay_frame(1);
        const struct vgpu_ring_header *h;

        (void)state;
        publish(old, &frame);
        next.generation = 2;
        next.replaces = old;
        assert_int_equal(ring_new(&next, &r), 0);
        h = map_readonly(r);
        frame.n_damage = 1;
        frame.damage[0] = (struct vgpu_ring_rect){ 0, 0, 1, 1 };
        publish(r, &frame);
        assert_int_equal(change_of(h, 2)->serial, 2);
        assert_int_equal(change_of(h, 2)->n_damage, 0);
        unmap(r, h);
        ring_free(old);
        ring_free(r);
}

static void an_aborted_frame_leaves_no_change(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);

        (void)state;
        publish(r, &frame);
        ring_slot_begin(r);
        ring_slot_abort(r, 0, 0);
        assert_int_equal(change_of(h, 2)->serial, 0);
        publish(r, &frame);
        assert_int_equal(change_of(h, 2)->serial, 2);
        unmap(r, h);
        ring_free(r);
}

/* Publish, then look at one client's page. */
static void publish_and_look(
        struct ring *r, struct ring_holder *holder, const uint64_t *holds, uint64_t now_ns)
{
        struct ring_frame frame = relay_frame(1);

        publish(r, &frame);
        ring_look_begin(r, now_ns);
        ring_look_at(r, holder, holds, VGPU_PAGE_HOLDS);
        ring_look_end(r);
}

static void a_held_frame_stays_until_it_is_let_go(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        uint64_t holds[VGPU_PAGE_HOLDS] = { 0 };
        struct ring_holder holder = { 0 };
        const struct vgpu_ring_desc *d;
        uint32_t seq;

        (void)state;
        assert_true(h->identity.features & VGPU_RING_FEATURE_LEASE);
        publish_and_look(r, &holder, holds, 1);
        holds[3] = h->publish;
        d = desc_of(h, VGPU_RING_WORD_SLOT(h->publish));
        seq = d->seq;
        for (int i = 0; i < 10; i++) {
                publish_and_look(r, &holder, holds, 2);
                assert_int_equal(ring_n_held(r), 1);
        }
        assert_int_equal(d->seq, seq);
        assert_int_equal(d->serial, 1);

        holds[3] = 0;
        publish_and_look(r, &holder, holds, 2);
        assert_int_equal(ring_n_held(r), 0);
        publish_and_look(r, &holder, holds, 2);
        assert_int_not_equal(d->seq, seq);
        assert_int_equal(ring_n_lost(r), 0);
        unmap(r, h);
        ring_free(r);
}

static void a_lease_ends_with_its_time_and_is_counted(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        uint64_t holds[VGPU_PAGE_HOLDS] = { 0 };
        struct ring_holder holder = { 0 };

        (void)state;
        publish_and_look(r, &holder, holds, 0);
        holds[0] = h->publish;
        publish_and_look(r, &holder, holds, 5);
        publish_and_look(r, &holder, holds, 5 + config.lease_ns - 1);
        assert_int_equal(ring_n_held(r), 1);
        publish_and_look(r, &holder, holds, 5 + config.lease_ns);
        assert_int_equal(ring_n_held(r), 0);
        assert_int_equal(ring_n_lost(r), 1);
        assert_int_equal(holder.lost, 1);
        unmap(r, h);
        ring_free(r);
}

static void what_stood_in_another_generation_counts_for_nothing(void **state)
{
        struct ring *old = make(), *r = NULL;
        struct ring_config next = config;
        const struct vgpu_ring_header *h = map_readonly(old);
        uint64_t holds[VGPU_PAGE_HOLDS] = { 0 };
        struct ring_holder holder = { .lost = 7 };

        (void)state;
        publish_and_look(old, &holder, holds, 1);
        holds[0] = h->publish;
        publish_and_look(old, &holder, holds, 1);
        assert_int_not_equal(holder.standing, 0);

        next.generation = 2;
        next.replaces = old;
        assert_int_equal(ring_new(&next, &r), 0);
        publish_and_look(r, &holder, holds, 2);
        assert_int_equal(holder.generation, 2);
        assert_int_equal(holder.standing, 0);
        assert_int_equal(ring_n_held(r), 0);
        assert_int_equal(holder.lost, 7);
        unmap(old, h);
        ring_free(old);
        ring_free(r);
}

static void without_a_lease_time_no_lease_is_promised(void **state)
{
        struct ring_config none = config;
        struct ring *r = NULL;

        (void)state;
        none.lease_ns = 0;
        assert_int_equal(ring_new(&none, &r), 0);
        assert_false(ring_identity(r)->features & VGPU_RING_FEATURE_LEASE);
        ring_free(r);
}

static void a_record_that_says_nothing_new_wakes_nobody(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct vgpu_ring_cursor cursor = { .x = -5, .y = 7, .visible = 1 };
        struct vgpu_ring_status status = { .status = 1, .heartbeat = 1 };
        struct vgpu_ring_geometry geometry = { .virt_w = 640 };
        struct vgpu_ring_liveness live = { .state = VGPU_RING_SEARCHING };
        uint32_t wake;

        (void)state;
        assert_true(ring_set_cursor(r, &cursor));
        assert_true(ring_set_status(r, &status));
        assert_true(ring_set_geometry(r, &geometry));
        assert_true(ring_set_liveness(r, &live));
        wake = h->wake;
        assert_int_equal(wake, 4);

        cursor.report = 9;
        status.heartbeat = 2;
        status.content_change_ns = 3;
        assert_false(ring_set_cursor(r, &cursor));
        assert_false(ring_set_status(r, &status));
        assert_false(ring_set_geometry(r, &geometry));
        assert_false(ring_set_liveness(r, &live));
        ring_tick(r, 1234);

        assert_int_equal(h->wake, wake);
        assert_int_equal(h->cursor.serial, 1);
        assert_int_equal(h->cursor.value.report, 9);
        assert_int_equal(h->cursor.value.x, -5);
        assert_int_equal(h->status.serial, 1);
        assert_int_equal(h->status.value.heartbeat, 2);
        assert_int_equal(h->tick_ns, 1234);

        cursor.x = 6;
        assert_true(ring_set_cursor(r, &cursor));
        assert_int_equal(h->cursor.serial, 2);
        assert_int_equal(h->cursor.seq & 1, 0);
        unmap(r, h);
        ring_free(r);
}

static void a_value_of_zeros_counts_the_first_time(void **state)
{
        struct ring *r = make();

        (void)state;
        assert_true(ring_set_cursor(r, &(struct vgpu_ring_cursor){ 0 }));
        assert_true(ring_set_status(r, &(struct vgpu_ring_status){ 0 }));
        assert_true(ring_set_geometry(r, &(struct vgpu_ring_geometry){ 0 }));
        assert_true(ring_set_liveness(r, &(struct vgpu_ring_liveness){ 0 }));
        ring_free(r);
}

static void a_ring_that_replaces_another_goes_on_where_it_was(void **state)
{
        struct ring *old = make(), *r = NULL;
        struct ring_config next = config;
        struct vgpu_ring_cursor cursor = { .x = 3 };
        struct ring_frame frame = relay_frame(1);
        const struct vgpu_ring_header *h, *was = map_readonly(old);

        (void)state;
        publish(old, &frame);
        publish(old, &frame);
        ring_set_cursor(old, &cursor);
        ring_tick(old, 55);
        next.generation = 2;
        next.replaces = old;
        assert_int_equal(ring_new(&next, &r), 0);
        h = map_readonly(r);

        assert_int_equal(h->cursor.value.x, 3);
        assert_int_equal(h->cursor.serial, 1);
        assert_int_equal(h->tick_ns, 55);
        assert_int_equal(h->publish, 0);
        assert_int_equal(publish(r, &frame), 3);

        ring_supersede(old, 2);
        assert_int_equal(was->superseded_by, 2);
        assert_int_equal(was->wake, 4);
        ring_close(r, 77);
        assert_int_equal(h->liveness.value.state, VGPU_RING_CLOSED);
        assert_int_equal(h->liveness.value.since_ns, 77);
        unmap(old, was);
        unmap(r, h);
        ring_free(old);
        ring_free(r);
}

/* Every way of writing or resizing, by descriptor @fd. Returns how many worked. */
static int try_to_harm(int fd, size_t total)
{
        char path[32], byte = 'x';
        int harmed = 0, again;
        void *map;

        harmed += pwrite(fd, &byte, 1, 0) == 1;
        harmed += ftruncate(fd, 0) == 0;
        harmed += ftruncate(fd, (off_t)total * 2) == 0;
        harmed += fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
        harmed += mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
        harmed += fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
        map = mmap(NULL, total, PROT_READ, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) {
                harmed += mprotect(map, total, PROT_READ | PROT_WRITE) == 0;
                harmed += madvise(map, total, MADV_REMOVE) == 0;
                munmap(map, total);
        }

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        again = open(path, O_RDWR | O_CLOEXEC);
        if (again >= 0) {
                harmed += pwrite(again, &byte, 1, 0) == 1;
                harmed += ftruncate(again, 0) == 0;
                harmed += ftruncate(again, (off_t)total * 2) == 0;
                harmed +=
                        fallocate(again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
                harmed += mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) !=
                          MAP_FAILED;
                close(again);
        }
        return harmed;
}

static void no_holder_of_the_descriptor_can_write_or_resize(void **state)
{
        struct ring *r = make();
        const size_t total = ring_identity(r)->total_bytes;
        const struct vgpu_ring_header *h = map_readonly(r);
        struct stat st;

        (void)state;
        assert_int_equal(fcntl(ring_fd(r), F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fcntl(ring_fd(r), F_GET_SEALS),
                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
        assert_int_equal(try_to_harm(ring_fd(r), total), 0);
        assert_int_equal(fstat(ring_fd(r), &st), 0);
        assert_int_equal(st.st_size, total);
        assert_int_equal(st.st_mode & 0777, 0400);
        assert_int_equal(h->identity.magic, VGPU_RING_MAGIC);

        /* while the daemon's own map still can */
        assert_int_equal(
                publish(r, &(struct ring_frame){ .width = 1, .height = 1, .stride = 4 }), 1);
        unmap(r, h);
        ring_free(r);
}

static void another_user_cannot_either(void **state)
{
        struct ring *r = make();
        pid_t pid;

        (void)state;
        if (geteuid() != 0) {
                print_message("skipped: becoming another user takes root\n");
                ring_free(r);
                skip();
        }
        pid = fork();
        if (pid == 0) {
                char path[32];

                if (!become_nobody())
                        _exit(2);
                if (try_to_harm(ring_fd(r), ring_identity(r)->total_bytes) != 0)
                        _exit(3);
                snprintf(path, sizeof(path), "/proc/self/fd/%d", ring_fd(r));
                _exit(open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 4);
        }
        assert_int_equal(process_wait(pid), 0);
        ring_free(r);
}

static void a_retired_ring_that_nobody_has_is_free(void **state)
{
        int watch = ring_watch_new(), number;

        (void)state;
        assert_true(watch >= 0);
        assert_int_equal(fcntl(watch, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(ring_watch_next(watch), 0);
        number = ring_retire(make(), watch);
        assert_true(number > 0);
        assert_int_equal(ring_watch_next(watch), number);
        assert_int_equal(ring_watch_next(watch), 0); /* told once */
        close(watch);
        assert_int_equal(ring_retire(make(), -EMFILE), -EMFILE);
        assert_int_equal(ring_watch_next(-EMFILE), 0);
}

/* Each takes something of a ring from its descriptor and returns what gives it back. */
struct hold {
        int fd;
        void *map;
        int pair[2];
};

static void hold_descriptor(struct hold *h, int fd)
{
        h->fd = dup(fd);
        assert_true(h->fd >= 0);
}

static void hold_map(struct hold *h, int fd)
{
        h->map = mmap(NULL, VGPU_RING_PAGE, PROT_READ, MAP_SHARED, fd, 0);
        assert_ptr_not_equal(h->map, MAP_FAILED);
}

static void reopen(struct hold *h, int fd, int flags)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        h->fd = open(path, flags | O_CLOEXEC);
        assert_true(h->fd >= 0);
}

static void hold_reopened(struct hold *h, int fd)
{
        reopen(h, fd, O_RDONLY);
}

/* From it the ring can be opened again, though the descriptor itself can neither read nor map. */
static void hold_path(struct hold *h, int fd)
{
        reopen(h, fd, O_PATH);
}

/* In a message that nobody has received. */
static void hold_in_flight(struct hold *h, int fd)
{
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char byte = 'x';
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.buf,
                .msg_controllen = sizeof(control.buf),
        };

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, h->pair), 0);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
        assert_int_equal(sendmsg(h->pair[0], &msg, 0), 1);
}

static void let_go(struct hold *h)
{
        if (h->fd >= 0)
                close(h->fd);
        if (h->map)
                munmap(h->map, VGPU_RING_PAGE);
        if (h->pair[0] >= 0) {
                close(h->pair[0]);
                close(h->pair[1]);
        }
}

static void a_retired_ring_is_in_use_as_long_as_anything_refers_to_it(void **state)
{
        void (*const kinds[])(struct hold *, int) = { hold_descriptor, hold_map, hold_reopened,
                hold_path, hold_in_flight };

        (void)state;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct hold h = { .fd = -1, .pair = { -1, -1 } };
                struct ring *r = make();
                int watch = ring_watch_new(), number;

                kinds[i](&h, ring_fd(r));
                number = ring_retire(r, watch);
                assert_true(number > 0);
                assert_int_equal(ring_watch_next(watch), 0);
                let_go(&h);
                assert_int_equal(ring_watch_next(watch), number);
                close(watch);
        }
}

/* A user has few watches, and a daemon may have several old rings. */
static void one_watch_tells_of_many_rings_as_they_go(void **state)
{
        int watch = ring_watch_new(), number[8], before;
        struct hold h[8];

        (void)state;
        for (int i = 0; i < 8; i++) {
                struct ring *r = make();

                h[i] = (struct hold){ .fd = -1, .pair = { -1, -1 } };
                hold_map(&h[i], ring_fd(r));
                before = count_fds();
                number[i] = ring_retire(r, watch);
                assert_true(count_fds() < before);
                for (int k = 0; k < i; k++)
                        assert_int_not_equal(number[i], number[k]);
        }
        for (int i = 7; i >= 0; i--) {
                assert_int_equal(ring_watch_next(watch), 0);
                let_go(&h[i]);
                assert_int_equal(ring_watch_next(watch), number[i]);
        }
        close(watch);
}

static void another_process_keeps_it_in_use_and_its_end_frees_it(void **state)
{
        struct ring *r = make();
        int input[2], watch = ring_watch_new(), number;
        pid_t pid;

        (void)state;
        assert_int_equal(pipe2(input, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char byte;

                close(input[1]);
                _exit(read(input[0], &byte, 1) == 0 ? 0 : 1);
        }
        number = ring_retire(r, watch);
        assert_int_equal(ring_watch_next(watch), 0);
        close(input[1]);
        close(input[0]);
        assert_int_equal(process_wait(pid), 0);
        assert_int_equal(ring_watch_next(watch), number);
        close(watch);
}

static void an_owner_without_privileges_can_tell(void **state)
{
        pid_t pid = fork();

        (void)state;
        assert_true(pid >= 0);
        if (pid == 0) {
                struct hold h = { .fd = -1, .pair = { -1, -1 } };
                struct ring *r;
                int watch = ring_watch_new(), number, early;

                if (geteuid() == 0 && !become_nobody())
                        _exit(2);
                if (ring_new(&config, &r) < 0)
                        _exit(3);
                hold_map(&h, ring_fd(r));
                number = ring_retire(r, watch);
                early = ring_watch_next(watch);
                let_go(&h);
                if (early || number <= 0)
                        _exit(4);
                _exit(ring_watch_next(watch) == number ? 0 : 5);
        }
        assert_int_equal(process_wait(pid), 0);
}

static void a_waiter_in_another_process_is_woken(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        struct ring_frame frame = relay_frame(1);
        pid_t pid = fork();

        (void)state;
        if (pid == 0) {
                while (__atomic_load_n(&h->wake, __ATOMIC_ACQUIRE) == 0)
                        syscall(SYS_futex, &h->wake, FUTEX_WAIT, 0, NULL, NULL, 0);
                _exit(VGPU_RING_WORD_SERIAL(h->publish) == 1 ? 0 : 1);
        }
        publish(r, &frame);
        assert_int_equal(process_wait(pid), 0);
        unmap(r, h);
        ring_free(r);
}

/* What one process can queue by itself is no matter of threads. Return: how many wait, 0 where the kernel cannot. */
static int queue_waiters(struct io_uring *uring, const uint32_t *word, int n)
{
        struct io_uring_cqe *cqe;

        for (int i = 0; i < n; i++) {
                struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

                assert_non_null(sqe);
                memset(sqe, 0, sizeof(*sqe));
                sqe->opcode = 51; /* IORING_OP_FUTEX_WAIT */
                sqe->fd = 2;      /* FUTEX2_SIZE_U32 */
                sqe->addr = (uintptr_t)word;
                sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
        }
        assert_int_equal(io_uring_submit(uring), n);
        return io_uring_peek_cqe(uring, &cqe) == 0 ? 0 : n;
}

/* Return: how many of 4096 that wait on @word a frame left waiting; 0 where the kernel cannot queue them. */
static int left_waiting(struct ring *r, const uint32_t *word)
{
        struct ring_frame frame = relay_frame(1);
        struct io_uring uring;
        int n;

        if (io_uring_queue_init(4096, &uring, 0) < 0)
                return 0;
        n = queue_waiters(&uring, word, 4096);
        publish(r, &frame);
        if (n > 0)
                n = (int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        io_uring_queue_exit(&uring);
        return n;
}

static void waiters_beyond_number_do_not_hold_the_publisher_up(void **state)
{
        struct ring *r = make();
        const struct vgpu_ring_header *h = map_readonly(r);
        int left = left_waiting(r, &h->wake), left_by_soon;

        (void)state;
        ring_announce(r, true);
        left_by_soon = left_waiting(r, &h->soon);
        unmap(r, h);
        ring_free(r);
        if (left == 0) {
                print_message("skipped: this kernel queues no waiters by io_uring\n");
                skip();
        }
        /* those that were left out are all there still */
        assert_int_equal(left, 4096 - RING_WAKE_MOST);
        assert_int_equal(left_by_soon, 4096 - RING_ANNOUNCE_MOST);
}

static void nothing_is_left_behind(void **state)
{
        int before = count_fds();

        (void)state;
        for (int i = 0; i < 50; i++) {
                ring_free(make());
                ring_retire(make(), -EMFILE);
        }
        ring_free(NULL);
        assert_int_equal(count_fds(), before);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_config_out_of_range_is_refused),
                cmocka_unit_test(slots_are_whole_pages_behind_the_descriptors),
                cmocka_unit_test(a_frame_is_announced_only_if_that_was_asked_for),
                cmocka_unit_test(the_newest_slot_is_never_written),
                cmocka_unit_test(the_oldest_frame_gives_way),
                cmocka_unit_test(an_aborted_slot_is_zeroed_and_never_published),
                cmocka_unit_test(a_published_frame_says_all_it_was_given),
                cmocka_unit_test(damage_is_whole_when_it_would_mislead),
                cmocka_unit_test(the_history_lies_between_descriptors_and_slots),
                cmocka_unit_test(past_damage_outlives_its_slot),
                cmocka_unit_test(the_first_change_of_a_ring_is_the_whole_frame),
                cmocka_unit_test(an_aborted_frame_leaves_no_change),
                cmocka_unit_test(a_held_frame_stays_until_it_is_let_go),
                cmocka_unit_test(a_lease_ends_with_its_time_and_is_counted),
                cmocka_unit_test(what_stood_in_another_generation_counts_for_nothing),
                cmocka_unit_test(without_a_lease_time_no_lease_is_promised),
                cmocka_unit_test(a_record_that_says_nothing_new_wakes_nobody),
                cmocka_unit_test(a_value_of_zeros_counts_the_first_time),
                cmocka_unit_test(a_ring_that_replaces_another_goes_on_where_it_was),
                cmocka_unit_test(no_holder_of_the_descriptor_can_write_or_resize),
                cmocka_unit_test(another_user_cannot_either),
                cmocka_unit_test(a_retired_ring_that_nobody_has_is_free),
                cmocka_unit_test(a_retired_ring_is_in_use_as_long_as_anything_refers_to_it),
                cmocka_unit_test(one_watch_tells_of_many_rings_as_they_go),
                cmocka_unit_test(another_process_keeps_it_in_use_and_its_end_frees_it),
                cmocka_unit_test(an_owner_without_privileges_can_tell),
                cmocka_unit_test(a_waiter_in_another_process_is_woken),
                cmocka_unit_test(waiters_beyond_number_do_not_hold_the_publisher_up),
                cmocka_unit_test(nothing_is_left_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
