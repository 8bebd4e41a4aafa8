/*
 * reload_apply_test.c - what of a new configuration could not be put into force is tried again with the next signal
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "reload.h"

static char path[] = "/tmp/vgpud-reload-XXXXXX";

struct stage {
        uv_loop_t loop;
        struct vgpu_config config;
        struct reload reload;
        int answer; /* of apply() */
        unsigned n_applied;
};

static void write_config(const char *users)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fprintf(f, "[guest]\nram = /dev/shm/a.ram\n[access]\nusers = %s\n", users);
        assert_int_equal(fclose(f), 0);
}

static int apply(void *ctx)
{
        struct stage *s = ctx;

        s->n_applied++;
        return s->answer;
}

static void send_signal(struct stage *s)
{
        uint64_t done = s->reload.n_done + s->reload.n_refused;

        assert_int_equal(kill(getpid(), SIGHUP), 0);
        while (s->reload.n_done + s->reload.n_refused == done)
                uv_run(&s->loop, UV_RUN_ONCE);
}

static void what_could_not_be_applied_is_applied_with_the_next_signal(void **state)
{
        struct config_report report = { 0 };
        struct stage s = { .answer = -12 };

        (void)state;
        write_config("0, 1");
        assert_int_equal(config_load(path, &s.config, &report), 0);
        config_report_free(&report);
        assert_int_equal(uv_loop_init(&s.loop), 0);
        assert_int_equal(reload_init(&s.reload, &s.loop, path, &s.config, apply, &s), 0);
        send_signal(&s);
        assert_int_equal(s.n_applied, 0);

        write_config("0");
        send_signal(&s);
        assert_int_equal(s.n_applied, 1);
        send_signal(&s);
        assert_int_equal(s.n_applied, 2);
        s.answer = 0;
        send_signal(&s);
        assert_int_equal(s.n_applied, 3);
        send_signal(&s);
        assert_int_equal(s.n_applied, 3);

        reload_stop(&s.reload);
        uv_run(&s.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&s.loop), 0);
}

static int set_up(void **state)
{
        int fd = mkstemp(path);

        (void)state;
        return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
        (void)state;
        return unlink(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_could_not_be_applied_is_applied_with_the_next_signal),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
