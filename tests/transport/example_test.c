/*
 * example_test.c - the program in docs/client.md, built against the shared library, does what it says
 *
 * argv[1]: that program.
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

static const char *example;

static int run(const char *path, char *said, size_t cap)
{
        char command[256];
        FILE *out;
        size_t n;

        snprintf(command, sizeof(command), "'%s' '%s' 3 2>&1", example, path);
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
        assert_int_not_equal(run(path, said, sizeof(said)), 0);
        assert_non_null(strstr(said, "vgpud is not running"));

        pid = relay_fork(path, 1000, RELAY_BYTES);
        assert_int_equal(run(path, said, sizeof(said)), 0);
        assert_non_null(strstr(said, ": 64x32\n"));
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_example_prints_frames),
        };

        if (argc != 2)
                return 2;
        example = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
