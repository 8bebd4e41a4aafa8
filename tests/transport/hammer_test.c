/*
 * hammer_test.c - readers against a publisher that overtakes them
 *
 * Frames take far longer to copy than to mark, and come in bursts, so that slots are taken again under readers all the
 * time. What a reader is given must be one frame all the same, and so must what a holder is told is whole. The tests go
 * on until copies really were overtaken, and holds really ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "relay.h"

#define FRAME_BYTES (16u << 20)
#define MARK_EVERY  4096u /* bytes between the marks that say whose frame it is */
#define FRAMES      60
#define OVERTAKEN   10
#define TAKEN_BACK  3
#define HELD_FOR    3 /* newer frames that a holder lets pass */
#define READERS     2
#define HOLDERS     4 /* more than there are slots to hold */

static void burst(struct relay *r, uint32_t n)
{
        struct ring_frame frame = relay_frame(n);
        uint8_t *slot = ring_slot_begin(r->ring);
        uint64_t serial = ring_serial(r->ring) + 1;

        for (size_t at = 0; at < FRAME_BYTES; at += MARK_EVERY)
                *(uint64_t *)(slot + at) = serial;
        *(uint64_t *)(slot + FRAME_BYTES - 8) = serial;
        frame.height = FRAME_BYTES / RELAY_STRIDE;
        ring_publish(r->ring, &frame);
        server_published(r->server, test_now_ns());
        /* the pace of a producer, nothing is waited for: sometimes long enough for a copy, mostly not */
        if (n % 7 == 6)
                usleep(n % 28 == 27 ? 30000 : 500);
}

static bool is_whole(const uint8_t *pixels, uint64_t serial)
{
        for (size_t at = 0; at < FRAME_BYTES; at += MARK_EVERY) {
                if (*(const uint64_t *)(pixels + at) != serial)
                        return false;
        }
        return *(const uint64_t *)(pixels + FRAME_BYTES - 8) == serial;
}

/* Exit status: 0, or what went wrong. */
static int read_frames(const char *path, uint32_t flags)
{
        struct vgpu_client_options options = { .flags = flags };
        struct vgpu_client_stats stats = { 0 };
        uint8_t *buf = malloc(FRAME_BYTES);
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        uint64_t last = 0;

        if (!buf || vgpu_client_connect(path, &options, &c, NULL) < 0)
                return 1;
        while (stats.frames < FRAMES || stats.torn_retries < OVERTAKEN) {
                int got = vgpu_client_wait(c, -1);

                if (got < 0)
                        return 2;
                got = vgpu_client_copy_latest(c, buf, FRAME_BYTES, &frame);
                if (got < 0)
                        return 3;
                if (got == 1 && (frame.serial <= last || !is_whole(buf, frame.serial)))
                        return 4;
                if (got == 1)
                        last = frame.serial;
                vgpu_client_stats(c, &stats);
        }
        printf("frames %lu missed %lu torn retries %lu\n", (unsigned long)stats.frames,
                (unsigned long)stats.missed, (unsigned long)stats.torn_retries);
        fflush(stdout);
        vgpu_client_close(c);
        free(buf);
        return 0;
}

/*
 * Look at a held frame until @newer frames have come, or until the daemon took it back. Return: whether each look that
 * was said to be of a whole frame was.
 */
static bool watch_held(struct vgpu_client *c, const struct vgpu_client_frame *f, const void *pixels,
        unsigned newer)
{
        for (unsigned int i = 0; i < newer; i++) {
                bool whole = is_whole(pixels, f->serial);

                if (vgpu_client_intact(c, f->serial) != 1)
                        return true;
                if (!whole || vgpu_client_wait(c, -1) < 0)
                        return false;
        }
        return true;
}

/* Every fourth frame is held until it is lost. */
static int hold_frames(const char *path, uint32_t flags)
{
        struct vgpu_client_options options = { .flags = flags | VGPU_CLIENT_LEASES };
        struct vgpu_client_stats stats = { 0 };
        struct vgpu_client *c;

        if (vgpu_client_connect(path, &options, &c, NULL) < 0)
                return 1;
        while (stats.leases < FRAMES / 4 || stats.lost < TAKEN_BACK) {
                struct vgpu_client_frame frame;
                const void *pixels;
                bool whole;
                int got;

                if (vgpu_client_wait(c, -1) < 0)
                        return 2;
                got = vgpu_client_acquire(c, &frame, &pixels);
                if (got < 0)
                        return 3;
                if (got == 0)
                        continue;
                if (!watch_held(c, &frame, pixels, frame.serial % 4 ? HELD_FOR : UINT_MAX))
                        return 4;
                whole = is_whole(pixels, frame.serial);
                if (vgpu_client_release(c, frame.serial) == 1 && !whole)
                        return 5;
                vgpu_client_stats(c, &stats);
        }
        printf("leases %lu lost %lu torn retries %lu\n", (unsigned long)stats.leases,
                (unsigned long)stats.lost, (unsigned long)stats.torn_retries);
        fflush(stdout);
        vgpu_client_close(c);
        return 0;
}

static void against_readers(int (*read)(const char *path, uint32_t flags), int n)
{
        char dir[] = "/tmp/vgpud-hammer-XXXXXX", path[64], lock[80];
        pid_t publisher, reader[HOLDERS];

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        publisher = relay_fork_with(path, FRAME_BYTES, burst);
        for (int i = 0; i < n; i++) {
                reader[i] = fork();
                assert_true(reader[i] >= 0);
                if (reader[i] == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        _exit(read(path, i % 2 ? VGPU_CLIENT_NO_WAKE_FD : 0));
                }
        }
        for (int i = 0; i < n; i++)
                assert_int_equal(process_wait(reader[i]), 0);
        process_kill(publisher);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

static void no_reader_is_ever_given_a_torn_frame(void **state)
{
        (void)state;
        against_readers(read_frames, READERS);
}

static void no_holder_is_told_that_a_torn_frame_is_whole(void **state)
{
        (void)state;
        against_readers(hold_frames, HOLDERS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_reader_is_ever_given_a_torn_frame),
                cmocka_unit_test(no_holder_is_told_that_a_torn_frame_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
