/*
 * hammer_test.c - readers against a publisher that never pauses
 *
 * Frames are large and the publisher as fast as it can be, so slots are taken again under readers all the time. What a
 * reader is given must be one frame all the same: every 8 bytes carry its serial.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay.h"

#define FRAME_BYTES (1u << 20)
#define FRAMES      300
#define READERS     2

/* Exit status: 0, or what went wrong. */
static int read_frames(const char *path, uint32_t flags)
{
        struct vgpu_client_options options = { .flags = flags };
        uint8_t *buf = malloc(FRAME_BYTES);
        struct vgpu_client_stats stats;
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        uint64_t last = 0;

        if (!buf || vgpu_client_connect(path, &options, &c, NULL) < 0)
                return 1;
        for (int n = 0; n < FRAMES;) {
                int got = vgpu_client_wait(c, -1);

                if (got < 0)
                        return 2;
                got = vgpu_client_copy_latest(c, buf, FRAME_BYTES, &frame);
                if (got < 0)
                        return 3;
                if (got == 0)
                        continue;
                if (frame.serial <= last || !frame_is_whole(buf, frame.bytes, frame.serial))
                        return 4;
                last = frame.serial;
                n++;
        }
        vgpu_client_stats(c, &stats);
        printf("frames %lu missed %lu torn retries %lu\n", (unsigned long)stats.frames,
                (unsigned long)stats.missed, (unsigned long)stats.torn_retries);
        fflush(stdout);
        vgpu_client_close(c);
        free(buf);
        return 0;
}

static void no_reader_is_ever_given_a_torn_frame(void **state)
{
        char dir[] = "/tmp/vgpud-hammer-XXXXXX", path[64], lock[80];
        pid_t publisher, reader[READERS];

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        publisher = relay_fork(path, 0, FRAME_BYTES);
        for (int i = 0; i < READERS; i++) {
                reader[i] = fork();
                if (reader[i] == 0)
                        _exit(read_frames(path, i % 2 ? VGPU_CLIENT_NO_WAKE_FD : 0));
        }
        for (int i = 0; i < READERS; i++)
                assert_int_equal(process_wait(reader[i]), 0);
        process_kill(publisher);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_reader_is_ever_given_a_torn_frame),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
