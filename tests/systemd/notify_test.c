/*
 * notify_test.c - what the service manager gets to hear
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "full_queue.h"
#include "systemd/notify.h"

static int manager = -1;

/* Binds @fd to an abstract name of this process. */
static void bind_abstract(int fd, const char *what, char ret_name[64])
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int len = snprintf(ret_name, 64, "@vgpu-%s-%d", what, (int)getpid());

        memcpy(address.sun_path + 1, ret_name + 1, (size_t)len - 1);
        assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                0);
}

static int begin_managed(void **state)
{
        char name[64];

        (void)state;
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(manager >= 0);
        bind_abstract(manager, "notify", name);
        return setenv("NOTIFY_SOCKET", name, 1);
}

static int end_managed(void **state)
{
        (void)state;
        close(manager);
        return unsetenv("NOTIFY_SOCKET");
}

/* The next message, or "" when there is none. */
static const char *heard(void)
{
        static char text[2048];
        ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

static void each_message_reaches_the_manager(void **state)
{
        (void)state;
        notify_ready();
        assert_string_equal(heard(), "READY=1");
        notify_stopping();
        assert_string_equal(heard(), "STOPPING=1");
        notify_alive();
        assert_string_equal(heard(), "WATCHDOG=1");
        notify_reloading();
        assert_memory_equal(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27);
        assert_string_equal(heard(), "");
}

static void a_status_is_sent_when_it_changes(void **state)
{
        (void)state;
        notify_status("streaming %u fps", 60);
        assert_string_equal(heard(), "STATUS=streaming 60 fps");
        notify_status("streaming %u fps", 60);
        assert_string_equal(heard(), "");
        notify_status("streaming %u fps", 61);
        assert_string_equal(heard(), "STATUS=streaming 61 fps");
}

static void that_it_is_ready_is_said_until_the_manager_has_heard(void **state)
{
        char name[64];

        (void)state;
        snprintf(name, sizeof(name), "%s", getenv("NOTIFY_SOCKET"));
        setenv("NOTIFY_SOCKET", "@vgpu-nobody-is-here", 1);
        notify_ready();
        setenv("NOTIFY_SOCKET", name, 1);
        notify_status("once more");
        assert_string_equal(heard(), "READY=1");
        assert_string_equal(heard(), "STATUS=once more");
        notify_status("and not again");
        assert_string_equal(heard(), "STATUS=and not again");
}

static void a_status_that_did_not_arrive_is_sent_again(void **state)
{
        char name[64];

        (void)state;
        snprintf(name, sizeof(name), "%s", getenv("NOTIFY_SOCKET"));
        setenv("NOTIFY_SOCKET", "@vgpu-nobody-is-here", 1);
        notify_status("lost");
        setenv("NOTIFY_SOCKET", name, 1);
        notify_status("lost");
        assert_string_equal(heard(), "STATUS=lost");
}

static void a_manager_that_takes_nothing_in_is_not_waited_for(void **state)
{
        unsigned n = fill_queue(manager);

        (void)state;
        notify_status("as it was");
        notify_ready();
        notify_alive();
        notify_reloading();
        notify_ready();
        notify_status("as it is");
        notify_stopping();
        while (n-- > 0)
                assert_string_equal(heard(), "X=1");
        /* It has room again: what it waits for is said, once, and the rest is over. */
        assert_string_equal(heard(), "");
        notify_status("as it is");
        assert_string_equal(heard(), "READY=1");
        assert_string_equal(heard(), "STATUS=as it is");
        assert_string_equal(heard(), "");
}

static void a_status_cannot_smuggle_another_message(void **state)
{
        (void)state;
        notify_status("producer %s", "evil\nSTOPPING=1\r\x1b\x7f");
        assert_string_equal(heard(), "STATUS=producer evil?STOPPING=1???");
}

static void an_overlong_status_is_cut(void **state)
{
        char big[2000];

        (void)state;
        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        notify_status("%s", big);
        assert_int_equal(strlen(heard()), strlen("STATUS=") + 511);
}

static void without_a_manager_nothing_happens(void **state)
{
        (void)state;
        unsetenv("NOTIFY_SOCKET");
        notify_ready();
        notify_status("nobody listens");
        notify_alive();
        setenv("NOTIFY_SOCKET", "@vgpu-nobody-is-here", 1);
        notify_ready();
        notify_stopping();
        unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_wants_to_be_fed_twice_a_period(void **state)
{
        char pid[32];

        (void)state;
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        assert_int_equal(notify_watchdog_interval_ms(), 0);
        setenv("WATCHDOG_USEC", "10000000", 1);
        assert_int_equal(notify_watchdog_interval_ms(), 5000);
        setenv("WATCHDOG_USEC", "1", 1);
        assert_int_equal(notify_watchdog_interval_ms(), 1);
        setenv("WATCHDOG_USEC", "nonsense", 1);
        assert_int_equal(notify_watchdog_interval_ms(), 0);
        setenv("WATCHDOG_USEC", "10000000", 1);
        snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
        setenv("WATCHDOG_PID", pid, 1);
        assert_int_equal(notify_watchdog_interval_ms(), 0);
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        each_message_reaches_the_manager, begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        a_status_is_sent_when_it_changes, begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        that_it_is_ready_is_said_until_the_manager_has_heard, begin_managed,
                        end_managed),
                cmocka_unit_test_setup_teardown(
                        a_status_that_did_not_arrive_is_sent_again, begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(a_manager_that_takes_nothing_in_is_not_waited_for,
                        begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        a_status_cannot_smuggle_another_message, begin_managed, end_managed),
                cmocka_unit_test_setup_teardown(
                        an_overlong_status_is_cut, begin_managed, end_managed),
                cmocka_unit_test(without_a_manager_nothing_happens),
                cmocka_unit_test(the_watchdog_wants_to_be_fed_twice_a_period),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
