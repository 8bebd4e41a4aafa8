/*
 * example_test.c - the programs in docs/client.md, built against the shared library, do what they say
 *
 * argv[1], argv[2]: those programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay.h"

static const char *example, *lease_example;

static int run(const char *program, const char *path, char *said, size_t cap)
{
        char command[256];
        FILE *out;
        size_t n;

        snprintf(command, sizeof(command), "'%s' '%s' 3 2>&1", program, path);
        out = popen(command, "r");
        assert_non_null(out);
        n = fread(said, 1, cap - 1, out);
        said[n] = '\0';
        return pclose(out);
}

static void the_example_prints_frames(void **state)
{
        char dir[] = "/tmp/vgpud-example-XXXXXX", path[64], lock[80], said[512];
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        assert_int_not_equal(run(example, path, said, sizeof(said)), 0);
        assert_non_null(strstr(said, "vgpud is not running"));

        pid = relay_fork(path, 1000, RELAY_BYTES);
        assert_int_equal(run(example, path, said, sizeof(said)), 0);
        assert_non_null(strstr(said, ": 64x32\n"));
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

static void the_lease_example_sums_up_frames(void **state)
{
        char dir[] = "/tmp/vgpud-example-XXXXXX", path[64], lock[80], said[512];
        unsigned long serial[3], sum[3];
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        pid = relay_fork(path, 1000, RELAY_BYTES);
        assert_int_equal(run(lease_example, path, said, sizeof(said)), 0);
        assert_int_equal(sscanf(said, "frame %lu: %lu\nframe %lu: %lu\nframe %lu: %lu\n",
                                 &serial[0], &sum[0], &serial[1], &sum[1], &serial[2], &sum[2]),
                6);
        for (int i = 0; i < 3; i++) {
                unsigned long expect = 0;

                /* every 8 bytes are the serial */
                for (unsigned long rest = serial[i]; rest > 0; rest >>= 8)
                        expect += rest & 0xFF;
                assert_int_equal(sum[i], expect * RELAY_BYTES / 8);
        }
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_example_prints_frames),
                cmocka_unit_test(the_lease_example_sums_up_frames),
        };

        if (argc != 3)
                return 2;
        example = argv[1];
        lease_example = argv[2];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
