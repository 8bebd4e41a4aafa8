/*
 * monitor_test.c - a monitor that speaks, hangs, floods, stops in the middle of a line, lies, and goes away
 *
 * The fake monitor lives on the same loop: it listens, and answers each line by a script. Its silence is a short one:
 * the timer that would wait for QMP_TIMEOUT_MS is made to fire by hand.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define MTREE                                                                                      \
        "FlatView #0\\r\\n AS \\\"memory\\\", root: system\\r\\n"                                  \
        "  0000000000000000-000000003fffffff (prio 0, ram): ram0\\r\\n"

struct fake {
        uv_loop_t loop;
        char folder[64], path[96];
        int listener, fd; /* -1: none */
        uv_poll_t listening, *reading;
        char line[4096];
        size_t len;
        const char *status; /* what query-status says */
        const char *migration;
        bool mute;

        struct monitor monitor;
        unsigned news[MONITOR_NEWS_REFUSED + 1];
        unsigned seen; /* of all kinds */
};

/* ---- the fake ------------------------------------------------------------------------------------------------------ */

static void say(struct fake *f, const char *text)
{
        assert_int_equal(send(f->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void free_handle(uv_handle_t *handle)
{
        free(handle);
}

static void hang_up(struct fake *f)
{
        uv_close((uv_handle_t *)f->reading, free_handle);
        close(f->fd);
        f->fd = -1;
}

static void answer(struct fake *f, const char *request)
{
        char text[512];

        if (f->mute)
                return;
        if (strstr(request, "query-status"))
                snprintf(text, sizeof(text),
                        "{\"return\": {\"status\": \"%s\", \"running\": %s}}\r\n", f->status,
                        strcmp(f->status, "running") ? "false" : "true");
        else if (strstr(request, "query-migrate"))
                snprintf(
                        text, sizeof(text), "{\"return\": {\"status\": \"%s\"}}\r\n", f->migration);
        else if (strstr(request, "query-memdev"))
                snprintf(text, sizeof(text),
                        "{\"return\": [{\"id\": \"ram0\", \"share\": true, \"size\": 1}]}\r\n");
        else if (strstr(request, "info mtree"))
                snprintf(text, sizeof(text), "{\"return\": \"" MTREE "\"}\r\n");
        else if (strstr(request, "gpa2hva"))
                snprintf(text, sizeof(text),
                        "{\"return\": \"Host virtual address for 0x0 (ram0) is "
                        "0x7f00\\r\\n\"}\r\n");
        else if (strstr(request, "qom-get"))
                snprintf(text, sizeof(text), "{\"return\": \"/dev/shm/ram\"}\r\n");
        else
                snprintf(text, sizeof(text), "{\"return\": {}}\r\n");
        say(f, text);
}

static void on_request(uv_poll_t *poll, int status, int events)
{
        struct fake *f = poll->data;
        ssize_t n = recv(f->fd, f->line + f->len, sizeof(f->line) - f->len - 1, MSG_DONTWAIT);
        char *end;

        (void)status;
        (void)events;
        if (n <= 0) {
                hang_up(f);
                return;
        }
        f->len += (size_t)n;
        f->line[f->len] = '\0';
        while (f->fd >= 0 && (end = strchr(f->line, '\n'))) {
                *end = '\0';
                answer(f, f->line);
                f->len -= (size_t)(end + 1 - f->line);
                memmove(f->line, end + 1, f->len + 1);
        }
}

static void on_client(uv_poll_t *poll, int status, int events)
{
        struct fake *f = poll->data;

        (void)status;
        (void)events;
        assert_true(f->fd < 0); /* QEMU serves one at a time; we close ours before we come again */
        f->fd = accept(f->listener, NULL, NULL);
        assert_true(f->fd >= 0);
        f->len = 0;
        f->reading = malloc(sizeof(*f->reading));
        assert_int_equal(uv_poll_init(&f->loop, f->reading, f->fd), 0);
        f->reading->data = f;
        uv_poll_start(f->reading, UV_READABLE, on_request);
        if (!f->mute)
                say(f, GREETING);
}

static void listen_again(struct fake *f)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        unlink(f->path);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(f->listener, 1), 0);
        assert_int_equal(uv_poll_init(&f->loop, &f->listening, f->listener), 0);
        f->listening.data = f;
        uv_poll_start(&f->listening, UV_READABLE, on_client);
}

static void listen_no_more(struct fake *f)
{
        uv_poll_stop(&f->listening);
        uv_close((uv_handle_t *)&f->listening, NULL);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        close(f->listener);
        f->listener = -1;
}

static void on_news(struct monitor *m, enum monitor_news news)
{
        struct fake *f = m->ctx;

        f->news[news]++;
        f->seen++;
}

static struct fake *fake_new(void)
{
        struct fake *f = calloc(1, sizeof(*f));

        *f = (struct fake){ .folder = "/tmp/vgpud-monitor-XXXXXX",
                .fd = -1,
                .listener = -1,
                .status = "running",
                .migration = "none" };
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->path, sizeof(f->path), "%s/qmp", f->folder);
        assert_int_equal(uv_loop_init(&f->loop), 0);
        return f;
}

static struct fake *fake_start(void)
{
        struct fake *f = fake_new();

        listen_again(f);
        assert_int_equal(monitor_init(&f->monitor, &f->loop, f->path, on_news, f), 0);
        return f;
}

/* Closing the loop fails when a handle was forgotten. */
static void fake_end(struct fake *f)
{
        monitor_stop(&f->monitor);
        if (f->fd >= 0)
                hang_up(f);
        if (f->listener >= 0)
                listen_no_more(f);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->loop), 0);
        unlink(f->path);
        rmdir(f->folder);
        free(f);
}

static void until(struct fake *f, const unsigned *counter, unsigned value)
{
        while (*counter < value)
                assert_true(uv_run(&f->loop, UV_RUN_ONCE) != 0);
}

static void until_runs(struct fake *f)
{
        while (f->monitor.says != MONITOR_RUNS)
                assert_true(uv_run(&f->loop, UV_RUN_ONCE) != 0);
}

/* A second has passed since it was asked last. */
static void ask_again(struct fake *f)
{
        assert_true(uv_is_active((uv_handle_t *)&f->monitor.again));
        uv_timer_start(&f->monitor.again, f->monitor.again.timer_cb, 0, 0);
}

/* What is waited for does not come: let the timeout be over. */
static void give_up_waiting(struct fake *f)
{
        assert_true(uv_is_active((uv_handle_t *)&f->monitor.qmp.timer));
        uv_timer_start(&f->monitor.qmp.timer, f->monitor.qmp.timer.timer_cb, 0, 0);
}

/* ---- a monitor that is well ---------------------------------------------------------------------------------------- */

static void all_is_known_before_the_machine_is_said_to_run(void **state)
{
        struct fake *f = fake_start();
        const struct monitor_view *v = &f->monitor.view;

        (void)state;
        assert_int_equal(f->monitor.says, MONITOR_SILENT);
        until(f, &f->news[MONITOR_NEWS_RUNS], 1);
        assert_int_equal(f->monitor.says, MONITOR_RUNS);
        assert_int_equal(v->n_backends, 1);
        assert_string_equal(v->backend[0].id, "ram0");
        assert_string_equal(v->backend[0].path, "/dev/shm/ram");
        assert_int_equal(v->backend[0].hva, 0x7f00);
        assert_true(v->backend[0].shared);
        assert_int_equal(v->layout.n_pieces, 1);
        assert_int_equal(v->layout.piece[0].len, 1 << 30);
        assert_int_equal(f->seen, 1);
        fake_end(f);
}

static void a_machine_is_not_said_to_run_in_any_other_status(void **state)
{
        static const char *const others[] = { "inmigrate", "paused", "prelaunch", "restore-vm",
                "shutdown", "suspended", "postmigrate", "internal-error", "" };

        (void)state;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                struct fake *f = fake_start();

                f->status = others[i];
                until(f, &f->news[MONITOR_NEWS_HALTED], 1);
                assert_string_equal(f->monitor.view.status, others[i]);
                /* It goes on, and no event says so. */
                f->status = "running";
                ask_again(f);
                until_runs(f);
                fake_end(f);
        }
}

static void a_machine_whose_ram_is_still_coming_does_not_run(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        f->migration = "postcopy-active";
        until(f, &f->news[MONITOR_NEWS_HALTED], 1);
        assert_string_equal(f->monitor.view.status, "postcopy-active");
        f->migration = "completed";
        ask_again(f);
        until_runs(f);
        fake_end(f);
}

static void events_mean_something_at_once(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        f->status = "paused";
        say(f, "{\"event\": \"STOP\", \"timestamp\": {}}\r\n");
        until(f, &f->news[MONITOR_NEWS_HALTED], 1);
        f->status = "running";
        say(f, "{\"event\": \"RESUME\"}\r\n");
        until(f, &f->news[MONITOR_NEWS_RUNS], 2);
        say(f, "{\"event\": \"RESET\", \"data\": {\"guest\": false}}\r\n");
        until(f, &f->news[MONITOR_NEWS_RESET], 1);
        f->status = "shutdown";
        say(f, "{\"event\": \"NIC_RX_FILTER_CHANGED\"}\r\n{\"event\": \"SHUTDOWN\"}\r\n");
        until(f, &f->news[MONITOR_NEWS_OFF], 1);
        assert_int_equal(f->monitor.says, MONITOR_HALTED);
        fake_end(f);
}

static void what_is_said_and_not_heard_yet_is_not_quiet(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        assert_true(monitor_quiet(&f->monitor));
        say(f, "{\"event\": \"RES");
        assert_false(monitor_quiet(&f->monitor));
        while (f->monitor.qmp.len == 0)
                uv_run(&f->loop, UV_RUN_ONCE);
        assert_false(monitor_quiet(&f->monitor));
        say(f, "ET\"}\r\n");
        until(f, &f->news[MONITOR_NEWS_RESET], 1);
        until_runs(f);
        while (f->monitor.asking)
                uv_run(&f->loop, UV_RUN_ONCE);
        assert_true(monitor_quiet(&f->monitor));
        fake_end(f);
}

/* ---- one that is not ----------------------------------------------------------------------------------------------- */

/* Whatever was wrong, it is connected to again, and what it said before still holds. */
static void is_lost_and_found(struct fake *f)
{
        until(f, &f->news[MONITOR_NEWS_LOST], 1);
        assert_int_equal(f->monitor.says, MONITOR_RUNS);
        assert_true(monitor_quiet(&f->monitor));
        f->mute = false;
        until(f, &f->news[MONITOR_NEWS_BACK], 1);
        while (f->monitor.asking)
                uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(f->monitor.says, MONITOR_RUNS);
        assert_int_equal(f->news[MONITOR_NEWS_HALTED], 0);
        fake_end(f);
}

static void a_monitor_that_closes_is_connected_to_again(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        hang_up(f);
        is_lost_and_found(f);
}

static void a_monitor_that_does_not_answer_is_given_up(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        f->mute = true;
        say(f, "{\"event\": \"RESUME\"}\r\n");
        while (!f->monitor.asking)
                uv_run(&f->loop, UV_RUN_ONCE);
        give_up_waiting(f);
        is_lost_and_found(f);
}

static void a_monitor_that_does_not_greet_is_given_up(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        f->mute = true;
        while (f->fd < 0)
                uv_run(&f->loop, UV_RUN_ONCE);
        give_up_waiting(f);
        until(f, &f->news[MONITOR_NEWS_LOST], 1);
        assert_int_equal(f->monitor.says, MONITOR_SILENT);
        assert_non_null(strstr(f->monitor.why, "another client may hold it"));
        f->mute = false;
        until(f, &f->news[MONITOR_NEWS_RUNS], 1);
        fake_end(f);
}

static void half_a_line_is_waited_for_and_given_up(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        say(f, "{\"event\": ");
        while (f->monitor.qmp.len == 0)
                uv_run(&f->loop, UV_RUN_ONCE);
        give_up_waiting(f);
        is_lost_and_found(f);
}

static void garbage_is_given_up(void **state)
{
        static const char *const garbage[] = { "\x01\x02\xff{{{\n", "[1, 2]\n", "42\n", "\"x\"\n",
                "{\"event\": \n", "nonsense\n" };

        (void)state;
        for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
                struct fake *f = fake_start();

                until_runs(f);
                say(f, garbage[i]);
                is_lost_and_found(f);
        }
}

static void objects_that_make_no_sense_are_passed_over(void **state)
{
        struct fake *f = fake_start();

        (void)state;
        until_runs(f);
        say(f, "{}\r\n\r\n{\"event\": 7}\r\n{\"return\": {}}\r\n{\"error\": 3}\r\n{\"QMP\": 1}\r\n"
               "{\"event\": \"RESET\", \"data\": []}\r\n");
        until(f, &f->news[MONITOR_NEWS_RESET], 1);
        assert_int_equal(f->news[MONITOR_NEWS_LOST], 0);
        fake_end(f);
}

static void a_line_without_end_is_given_up(void **state)
{
        struct fake *f = fake_start();
        char spaces[4096];

        (void)state;
        until_runs(f);
        memset(spaces, ' ', sizeof(spaces));
        while (f->news[MONITOR_NEWS_LOST] == 0) {
                send(f->fd, spaces, sizeof(spaces), MSG_DONTWAIT | MSG_NOSIGNAL);
                uv_run(&f->loop, UV_RUN_NOWAIT);
                assert_true(f->monitor.qmp.cap <= QMP_LINE_MAX);
        }
        is_lost_and_found(f);
}

static void a_flood_of_events_is_given_up(void **state)
{
        struct fake *f = fake_start();
        char events[4096] = "";

        (void)state;
        until_runs(f);
        while (strlen(events) + 32 < sizeof(events))
                strcat(events, "{\"event\": \"RTC_CHANGE\"}\n");
        while (f->news[MONITOR_NEWS_LOST] == 0) {
                f->monitor.qmp.flood_since_ns = uv_hrtime(); /* this second never ends */
                send(f->fd, events, strlen(events), MSG_DONTWAIT | MSG_NOSIGNAL);
                uv_run(&f->loop, UV_RUN_NOWAIT);
        }
        is_lost_and_found(f);
}

static void nobody_there_is_said_once_and_looked_for_again(void **state)
{
        struct fake *f = fake_new();

        (void)state;
        assert_int_equal(monitor_init(&f->monitor, &f->loop, f->path, on_news, f), 0);
        until(f, &f->news[MONITOR_NEWS_REFUSED], 1);
        for (int i = 0; i < 3; i++)
                uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(f->news[MONITOR_NEWS_REFUSED], 1);
        assert_true(f->monitor.refused);
        listen_again(f);
        until(f, &f->news[MONITOR_NEWS_RUNS], 1);
        assert_false(f->monitor.refused);
        fake_end(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_is_known_before_the_machine_is_said_to_run),
                cmocka_unit_test(a_machine_is_not_said_to_run_in_any_other_status),
                cmocka_unit_test(a_machine_whose_ram_is_still_coming_does_not_run),
                cmocka_unit_test(events_mean_something_at_once),
                cmocka_unit_test(what_is_said_and_not_heard_yet_is_not_quiet),
                cmocka_unit_test(a_monitor_that_closes_is_connected_to_again),
                cmocka_unit_test(a_monitor_that_does_not_answer_is_given_up),
                cmocka_unit_test(a_monitor_that_does_not_greet_is_given_up),
                cmocka_unit_test(half_a_line_is_waited_for_and_given_up),
                cmocka_unit_test(garbage_is_given_up),
                cmocka_unit_test(objects_that_make_no_sense_are_passed_over),
                cmocka_unit_test(a_line_without_end_is_given_up),
                cmocka_unit_test(a_flood_of_events_is_given_up),
                cmocka_unit_test(nobody_there_is_said_once_and_looked_for_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
