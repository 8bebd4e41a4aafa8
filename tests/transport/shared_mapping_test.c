/*
 * shared_mapping_test.c - publisher and clients as threads on the same memory, for ThreadSanitizer to watch
 *
 * ThreadSanitizer knows memory by its address, and publisher and client normally have maps of their own, so across
 * them it would see nothing. Here the linker hands every mmap() of the program to this file (--wrap), and whoever
 * maps a memfd that is mapped already is given the map that exists. Publisher, server and library are the real ones;
 * each client is a thread, as each would be a process.
 *
 * What a client has read from a slot must have happened before the publisher writes it again: holders read pixels
 * plainly, so that every hole in the order of holds and publish words is a race here. Copies are checked by their
 * pattern. The test means something without ThreadSanitizer, too, but less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "relay.h"

#define FRAMES      500 /* each reader has to get so many */
#define HELD_FOR    3   /* newer frames that a holder lets pass */
#define FOREVER     (UINT64_MAX / 2)
#define MAX_MAPS    32
#define FRAME_WORDS (RELAY_BYTES / 8)

/* ---- one map per file -------------------------------------------------------------------------------------------- */

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t len);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t len);

static struct one_map {
        dev_t dev;
        ino_t ino;
        void *addr;
        unsigned int n_users; /* 0: free */
} maps[MAX_MAPS];
static pthread_mutex_t maps_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int n_shared;

static struct one_map *find_file(const struct stat *st)
{
        for (int i = 0; i < MAX_MAPS; i++) {
                if (maps[i].n_users > 0 && maps[i].dev == st->st_dev && maps[i].ino == st->st_ino)
                        return &maps[i];
        }
        return NULL;
}

static struct one_map *find_addr(const void *addr)
{
        for (int i = 0; i < MAX_MAPS; i++) {
                if (maps[i].n_users > 0 && maps[i].addr == addr)
                        return &maps[i];
        }
        return NULL;
}

static void remember(const struct stat *st, void *addr)
{
        for (int i = 0; i < MAX_MAPS; i++) {
                if (maps[i].n_users == 0) {
                        maps[i] = (struct one_map){ st->st_dev, st->st_ino, addr, 1 };
                        return;
                }
        }
        abort();
}

static void *map_file(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
        struct one_map *known;
        struct stat st;
        void *map;

        if (fstat(fd, &st) < 0)
                abort();
        known = find_file(&st);
        if (known) {
                known->n_users++;
                n_shared++;
                return known->addr;
        }
        /* for all who will share it, clients who write their page included */
        map = __real_mmap(addr, len, prot | PROT_WRITE, flags, fd, offset);
        if (map != MAP_FAILED)
                remember(&st, map);
        return map;
}

void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
        struct one_map *buried;
        void *map;

        pthread_mutex_lock(&maps_lock);
        if (fd >= 0 && (flags & MAP_SHARED) && offset == 0) {
                map = map_file(addr, len, prot, flags, fd, offset);
        } else {
                buried = flags & MAP_FIXED ? find_addr(addr) : NULL;
                if (buried)
                        buried->n_users = 0;
                map = __real_mmap(addr, len, prot, flags, fd, offset);
        }
        pthread_mutex_unlock(&maps_lock);
        return map;
}

int __wrap_munmap(void *addr, size_t len)
{
        struct one_map *known;
        int err = 0;

        pthread_mutex_lock(&maps_lock);
        known = find_addr(addr);
        if (known)
                known->n_users--;
        if (!known || known->n_users == 0)
                err = __real_munmap(addr, len);
        pthread_mutex_unlock(&maps_lock);
        return err;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

struct reader {
        pthread_t thread;
        const char *path;
        uint32_t flags;
        void (*read)(struct reader *r, struct vgpu_client *c);
        unsigned int n_frames;
        const char *failure;
};

static unsigned int n_connected;
static pthread_barrier_t
        all_seen; /* a hold counts once the server looks at its page: nobody reads before */
static unsigned int n_content; /* readers that have all their frames */
static bool over;
static unsigned int n_idle; /* readers that want nothing more */
static pthread_barrier_t
        all_idle; /* no client may go while the server turns: it would unmap the page they share */

/* The publisher puts the same number everywhere. */
static void check_records(struct reader *r, struct vgpu_client *c)
{
        struct vgpu_ring_cursor cursor;
        struct vgpu_ring_geometry geometry;
        struct vgpu_ring_status status;
        struct vgpu_client_state live;

        vgpu_client_state(c, &live);
        if (vgpu_client_cursor(c, &cursor) == 1 && cursor.x != -cursor.y)
                r->failure = "a torn cursor";
        if (vgpu_client_geometry(c, &geometry) == 1 && geometry.virt_w != geometry.virt_h)
                r->failure = "a torn geometry";
        if (vgpu_client_status(c, &status) == 1 && status.heartbeat != status.content_change_ns)
                r->failure = "a torn status";
}

static void copy_frame(struct reader *r, struct vgpu_client *c)
{
        struct vgpu_client_frame frame;
        uint64_t pixels[FRAME_WORDS];

        if (vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame) != 1)
                return;
        r->n_frames++;
        if (frame.frame_id != frame.serial || !frame_is_whole(pixels, sizeof(pixels), frame.serial))
                r->failure = "a torn copy";
        check_records(r, c);
}

static void hold_frame(struct reader *r, struct vgpu_client *c)
{
        struct vgpu_client_frame frame;
        const void *pixels;

        if (vgpu_client_acquire(c, &frame, &pixels) != 1)
                return;
        r->n_frames++;
        for (int newer = 0; newer < HELD_FOR; newer++) {
                if (!frame_is_whole(pixels, frame.bytes, frame.serial))
                        r->failure = "a held frame was written";
                vgpu_client_wait(c, -1);
        }
        if (!frame_is_whole(pixels, frame.bytes, frame.serial))
                r->failure = "a held frame was written";
        if (vgpu_client_release(c, frame.serial) != 1)
                r->failure = "a hold was ended";
}

static void read_frames(struct reader *r, struct vgpu_client *c)
{
        while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
                unsigned int had = r->n_frames;

                vgpu_client_wait(c, -1);
                r->read(r, c);
                if (had < FRAMES && r->n_frames >= FRAMES)
                        __atomic_fetch_add(&n_content, 1, __ATOMIC_RELEASE);
        }
}

static void *run(void *arg)
{
        struct vgpu_client_options options = { .name = "thread" };
        struct vgpu_client *c = NULL;
        struct reader *r = arg;

        options.flags = r->flags;
        if (vgpu_client_connect(r->path, &options, &c, NULL) < 0)
                r->failure = "no connection";
        __atomic_fetch_add(&n_connected, 1, __ATOMIC_RELEASE);
        pthread_barrier_wait(&all_seen);
        if (c)
                read_frames(r, c);
        else
                __atomic_fetch_add(&n_content, 1, __ATOMIC_RELEASE);
        __atomic_fetch_add(&n_idle, 1, __ATOMIC_RELEASE);
        pthread_barrier_wait(&all_idle);
        if (c)
                vgpu_client_close(c);
        return NULL;
}

/* ---- the publisher ----------------------------------------------------------------------------------------------- */

static void publish(struct relay *r)
{
        uint64_t serial = ring_serial(r->ring) + 1;
        uint32_t n = (uint32_t)serial;
        struct ring_frame frame = relay_frame(serial);
        uint64_t *pixels;

        ring_set_cursor(r->ring, &(struct vgpu_ring_cursor){ .x = (int32_t)n, .y = -(int32_t)n });
        ring_set_geometry(r->ring, &(struct vgpu_ring_geometry){ .virt_w = n, .virt_h = n });
        ring_set_status(
                r->ring, &(struct vgpu_ring_status){ .heartbeat = n, .content_change_ns = n });
        pixels = (uint64_t *)ring_slot_begin(r->ring);
        for (size_t i = 0; i < FRAME_WORDS; i++)
                pixels[i] = serial;
        if (serial % 5 == 0) {
                ring_slot_abort(r->ring, 0, RELAY_BYTES);
                pixels = (uint64_t *)ring_slot_begin(r->ring);
                for (size_t i = 0; i < FRAME_WORDS; i++)
                        pixels[i] = serial;
        }
        frame.n_damage = 1;
        frame.damage[0] = (struct vgpu_ring_rect){ n % 16, n % 8, 2, 3 };
        ring_publish(r->ring, &frame);
        server_published(r->server, test_now_ns());
}

static void turn(struct relay *r)
{
        r->now_ns = test_now_ns();
        ring_tick(r->ring, r->now_ns);
        relay_turn(r);
}

/* A client sends PAGE before its connect returns: the turn after that takes it in. */
static void connect_all(struct relay *r, unsigned int n)
{
        while (__atomic_load_n(&n_connected, __ATOMIC_ACQUIRE) < n) {
                turn(r);
                sched_yield();
        }
        turn(r);
        pthread_barrier_wait(&all_seen);
}

static void publish_until(struct relay *r, const unsigned int *count, unsigned int n)
{
        while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < n) {
                turn(r);
                publish(r);
                sched_yield();
        }
}

/* A ring whose holds never expire: one that did would be a race, and rightly so. */
static void start(struct relay *r)
{
        struct ring_config config = {
                .slots = 5,
                .slot_bytes = RELAY_BYTES,
                .generation = 2,
                .tick_period_ms = RELAY_TICK_MS,
                .lease_ns = FOREVER,
        };
        struct ring *ring;

        relay_start(r);
        config.replaces = r->ring;
        memcpy(config.instance, ring_identity(r->ring)->instance, sizeof(config.instance));
        assert_int_equal(ring_new(&config, &ring), 0);
        server_set_ring(r->server, ring);
        ring_free(r->ring);
        r->ring = ring;
}

static void threads_on_one_map_see_whole_frames_and_do_not_race(void **state)
{
        struct reader readers[] = {
                { .read = copy_frame },
                { .read = copy_frame, .flags = VGPU_CLIENT_NO_WAKE_FD },
                { .read = hold_frame, .flags = VGPU_CLIENT_LEASES },
                { .read = hold_frame, .flags = VGPU_CLIENT_LEASES | VGPU_CLIENT_NO_WAKE_FD },
                { .read = hold_frame, .flags = VGPU_CLIENT_LEASES | VGPU_CLIENT_NO_WAKE_FD },
        };
        const unsigned int n = sizeof(readers) / sizeof(readers[0]);
        struct relay r;

        (void)state;
        start(&r);
        assert_int_equal(pthread_barrier_init(&all_seen, NULL, n + 1), 0);
        assert_int_equal(pthread_barrier_init(&all_idle, NULL, n + 1), 0);
        for (unsigned int i = 0; i < n; i++) {
                readers[i].path = r.path;
                assert_int_equal(pthread_create(&readers[i].thread, NULL, run, &readers[i]), 0);
        }
        connect_all(&r, n);
        publish_until(&r, &n_content, n);
        __atomic_store_n(&over, true, __ATOMIC_RELEASE);
        publish_until(&r, &n_idle, n);
        pthread_barrier_wait(&all_idle);
        for (unsigned int i = 0; i < n; i++)
                pthread_join(readers[i].thread, NULL);
        for (unsigned int i = 0; i < n; i++) {
                if (readers[i].failure)
                        fail_msg("reader %u: %s", i, readers[i].failure);
        }
        pthread_barrier_destroy(&all_seen);
        pthread_barrier_destroy(&all_idle);
        assert_true(n_shared >= n);
        assert_int_equal(ring_n_lost(r.ring), 0);
        relay_remove(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(threads_on_one_map_see_whole_frames_and_do_not_race),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
