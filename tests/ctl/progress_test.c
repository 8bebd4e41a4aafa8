/* progress_test.c - the line that says that something is going on: its words, and that it comes and goes */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "progress.h"

static void a_known_total_makes_a_bar_and_an_unknown_one_a_spinner(void **state)
{
        char a[128], b[128];

        (void)state;
        assert_string_equal(progress_format(a, sizeof a, "candidates", 1, 2, 3200, 0),
                "candidates  [##########----------]  50 %  3.2 s");
        assert_string_equal(progress_format(a, sizeof a, "alive", 9, 4, 0, 0),
                "alive       [####################] 100 %  0.0 s");
        assert_string_equal(
                progress_format(a, sizeof a, "kernel", 7, 0, 61000, 0), "kernel      | 1 min 1 s");
        assert_string_not_equal(progress_format(a, sizeof a, "kernel", 0, 0, 0, 1),
                progress_format(b, sizeof b, "kernel", 0, 0, 0, 2));
}

/* Reads until @what has come. */
static void await(int fd, char *seen, size_t cap, const char *what)
{
        size_t len = strlen(seen);

        while (!strstr(seen, what)) {
                ssize_t n = read(fd, seen + len, cap - 1 - len);

                assert_true(n > 0);
                len += (size_t)n;
                seen[len] = '\0';
        }
}

static void a_long_stage_is_seen_and_its_line_is_gone_before_the_result(void **state)
{
        atomic_size_t done = 2, total = 4;
        char seen[4096] = "";
        struct progress p;
        int ends[2];
        FILE *out;

        (void)state;
        assert_int_equal(pipe(ends), 0);
        out = fdopen(ends[1], "w");
        progress_start(&p, out);
        progress_stage(&p, "candidates");
        progress_count(&p, 1, 4);
        await(ends[0], seen, sizeof seen, "candidates  [#####-");
        progress_clear(&p);
        progress_stage(&p, "processes");
        progress_follow(&p, &done, &total);
        await(ends[0], seen, sizeof seen, "processes   [##########-");
        progress_clear(&p);
        fputs("result", out);
        fflush(out);
        await(ends[0], seen, sizeof seen, "result");
        assert_non_null(strstr(seen, "\r\033[Kresult"));
        progress_stop(&p);
        fclose(out);
        close(ends[0]);
}

static void without_a_terminal_nothing_is_drawn(void **state)
{
        struct progress p;

        (void)state;
        progress_start(&p, NULL);
        progress_stage(&p, "kernel");
        progress_count(&p, 1, 2);
        progress_clear(&p);
        progress_stop(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_known_total_makes_a_bar_and_an_unknown_one_a_spinner),
                cmocka_unit_test(a_long_stage_is_seen_and_its_line_is_gone_before_the_result),
                cmocka_unit_test(without_a_terminal_nothing_is_drawn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
