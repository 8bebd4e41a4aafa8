/*
 * server_test.c - the listening socket, and clients that do not read
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "caller.h"

static struct server_config config_at(const char *path)
{
        return (struct server_config){ .listen_fd = -1,
                .path = path,
                .mode = 0660,
                .group = SERVER_GROUP_NONE,
                .max_clients = 4 };
}

static int fails(const struct server_config *config, enum server_reason expect)
{
        struct server_failure why = { SERVER_OK, 0 };
        struct server *s = NULL;
        int before = count_fds(), err = server_new(config, &s, &why);

        assert_true(err < 0);
        assert_int_equal(why.reason, expect);
        assert_int_equal(why.error, err);
        assert_int_equal(count_fds(), before);
        assert_true(strlen(server_reason_text(expect)) > 10);
        return err;
}

static void the_socket_file_has_the_mode_asked_for(void **state)
{
        struct relay r;
        struct stat st;

        (void)state;
        relay_start_with(
                &r, &(struct server_config){ .mode = 0620, .group = getegid(), .max_clients = 1 });
        assert_int_equal(stat(r.path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0620);
        relay_remove(&r);
}

static void a_living_daemon_keeps_its_socket(void **state)
{
        struct relay r;
        struct server_config config;
        int fd;

        (void)state;
        relay_start(&r);
        config = config_at(r.path);
        assert_int_equal(fails(&config, SERVER_IN_USE), -EADDRINUSE);
        fd = dial(r.path);
        assert_true(fd >= 0);
        close(fd);
        relay_remove(&r);
}

static void a_socket_somebody_else_listens_at_is_left_alone(void **state)
{
        char path[64] = "/tmp/vgpud-alien-XXXXXX";
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        struct server_config config = config_at(path);

        (void)state;
        close(mkstemp(path));
        unlink(path);
        strcpy(addr.sun_path, path);
        assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(listen(fd, 1), 0);
        fails(&config, SERVER_IN_USE);
        close(fd);
        unlink(path);
}

static void the_socket_of_a_killed_daemon_is_replaced(void **state)
{
        char dir[] = "/tmp/vgpud-stale-XXXXXX", path[64], lock[80];
        struct server_config config = config_at(path);
        struct server *s;
        struct stat st;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        process_kill(relay_fork(path, 1000, RELAY_BYTES));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(dial(path), -ECONNREFUSED);

        assert_int_equal(server_new(&config, &s, NULL), 0);
        close(dial(path));
        server_free(s);
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(stat(lock, &st), -1);
        assert_int_equal(rmdir(dir), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
        char path[] = "/tmp/vgpud-file-XXXXXX";
        struct server_config config = config_at(path);
        struct stat st;

        (void)state;
        close(mkstemp(path));
        fails(&config, SERVER_NOT_A_SOCKET);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        unlink(path);
}

static void a_bad_place_is_named(void **state)
{
        char longest[200] = "/tmp/";
        struct server_config config = config_at("/nonexistent/folder/ring.sock");

        (void)state;
        assert_int_equal(fails(&config, SERVER_FOLDER_MISSING), -ENOENT);
        memset(longest + 5, 'x', 150);
        config.path = longest;
        assert_int_equal(fails(&config, SERVER_PATH_TOO_LONG), -ENAMETOOLONG);
}

static void an_unwritable_folder_is_named(void **state)
{
        pid_t pid;

        (void)state;
        if (geteuid() != 0) {
                print_message("skipped: becoming another user takes root\n");
                skip();
        }
        pid = fork();
        if (pid == 0) {
                struct server_config config = config_at("/root-of-nobody.sock");
                struct server_failure why;
                struct server *s;

                if (!become_nobody())
                        _exit(2);
                if (server_new(&config, &s, &why) != -EACCES)
                        _exit(3);
                _exit(why.reason == SERVER_FOLDER_DENIED ? 0 : 4);
        }
        assert_int_equal(process_wait(pid), 0);
}

static void a_listening_descriptor_is_taken_only_if_it_is_one(void **state)
{
        struct server_config config = config_at(NULL);
        struct sockaddr_un any = { .sun_family = AF_UNIX };
        struct server *s;
        int fd;

        (void)state;
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        config.listen_fd = fd;
        fails(&config, SERVER_BAD_LISTEN_FD);
        close(fd);

        fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
        config.listen_fd = fd;
        fails(&config, SERVER_BAD_LISTEN_FD);
        assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(fd, 4), 0);
        assert_int_equal(server_new(&config, &s, NULL), 0);
        assert_int_equal(server_fd(s), fd);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        server_free(s);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void running_out_of_descriptors_refuses_instead_of_spinning(void **state)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        struct rlimit was, none;
        struct relay r;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial_and_greet(r.path, 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        none = was;
        none.rlim_cur = (rlim_t)fd + 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        relay_turn(&r);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);

        assert_int_equal(server_n_peers(r.server), 0);
        assert_int_equal(server_counters(r.server)->refused[VGPU_GOODBYE_INTERNAL], 1);
        assert_int_equal(hear(fd, buf, sizeof(buf), NULL, NULL), VGPU_MSG_GOODBYE);
        close(fd);
        relay_remove(&r);
}

/* Somebody else may take the last descriptor of the system at the wrong moment. */
static void a_reserve_that_was_lost_is_taken_again(void **state)
{
        struct rlimit was, none;
        struct peer *peer;
        struct relay r;
        int first, second;

        (void)state;
        relay_start(&r);
        first = dial_and_greet(r.path, 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        none = was;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(server_accept(r.server, test_now_ns(), &peer), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        relay_turn(&r);
        assert_int_equal(server_n_peers(r.server), 1);

        second = dial_and_greet(r.path, 0);
        none.rlim_cur = (rlim_t)second + 1;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        relay_turn(&r);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
        assert_int_equal(server_n_peers(r.server), 1);
        assert_int_equal(server_counters(r.server)->refused[VGPU_GOODBYE_INTERNAL], 1);
        close(first);
        close(second);
        relay_remove(&r);
}

/* A client that reads nothing gets one generation at a time, so it pins one ring, not one per mode change. */
static void who_does_not_read_is_sent_the_newest_ring_later(void **state)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        int fds[MESSAGE_MAX_FDS], before, fd;
        struct relay r;
        size_t n_fds;

        (void)state;
        relay_start(&r);
        fd = dial_and_greet(r.path, VGPU_WANT_RING);
        relay_turn(&r);
        before = count_fds();
        for (int i = 0; i < 100; i++)
                relay_regenerate(&r, RELAY_BYTES);
        assert_int_equal(count_fds(), before);
        assert_int_equal(server_counters(r.server)->deferred, 1);
        assert_true(peer_info(server_next_peer(r.server, NULL)).behind);

        assert_int_equal(hear(fd, buf, sizeof(buf), fds, &n_fds), VGPU_MSG_WELCOME);
        assert_int_equal(((struct vgpu_msg_welcome *)buf)->generation, 1);
        close(fds[0]);
        assert_int_equal(hear(fd, buf, sizeof(buf), fds, &n_fds), 0);

        relay_turn(&r);
        assert_int_equal(hear(fd, buf, sizeof(buf), fds, &n_fds), VGPU_MSG_RING);
        assert_int_equal(((struct vgpu_msg_ring *)buf)->generation, 101);
        assert_int_equal(n_fds, 1);
        close(fds[0]);
        assert_false(peer_info(server_next_peer(r.server, NULL)).behind);
        close(fd);
        relay_remove(&r);
}

static void goodbye_reaches_everybody(void **state)
{
        _Alignas(uint64_t) uint8_t buf[4096];
        struct relay r;
        int fds[3];

        (void)state;
        relay_start(&r);
        for (int i = 0; i < 3; i++)
                fds[i] = dial_and_greet(r.path, 0);
        relay_turn(&r);
        server_goodbye_all(r.server, VGPU_GOODBYE_STOPPING, "vgpud is stopping.");
        relay_remove(&r);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(hear(fds[i], buf, sizeof(buf), NULL, NULL), VGPU_MSG_WELCOME);
                assert_int_equal(hear(fds[i], buf, sizeof(buf), NULL, NULL), VGPU_MSG_GOODBYE);
                assert_string_equal(((struct vgpu_msg_goodbye *)buf)->text, "vgpud is stopping.");
                close(fds[i]);
        }
}

static void who_connected_is_known(void **state)
{
        struct relay r;
        struct peer_info info;
        struct peer *p;
        int fd;

        (void)state;
        relay_start(&r);
        fd = dial_and_greet(r.path, VGPU_WANT_RING);
        relay_turn(&r);
        p = server_next_peer(r.server, NULL);
        info = peer_info(p);
        assert_int_equal(info.uid, getuid());
        assert_int_equal(info.gid, getgid());
        assert_int_equal(info.pid, getpid());
        assert_true(info.ready);
        assert_int_equal(info.generation, 1);
        peer_set_data(p, &r);
        assert_ptr_equal(peer_data(p), &r);
        assert_null(server_next_peer(r.server, p));
        close(fd);
        relay_remove(&r);
}

static void a_thousand_clients_leave_nothing(void **state)
{
        struct relay r;
        int before;

        (void)state;
        relay_start(&r);
        before = count_fds();
        for (int i = 0; i < 1000; i++) {
                int fd = dial_and_greet(r.path, VGPU_WANT_RING | VGPU_WANT_WAKE);

                if (i % 2)
                        relay_turn(&r);
                close(fd);
                relay_turn(&r);
        }
        assert_int_equal(count_fds(), before);
        assert_int_equal(server_counters(r.server)->accepted, 1000);
        relay_remove(&r);
}

/* What publishing a frame in the relay's ring does to `soon`. */
static uint32_t announced(struct relay *r)
{
        size_t len = ring_identity(r->ring)->total_bytes;
        const struct vgpu_ring_header *h =
                mmap(NULL, len, PROT_READ, MAP_SHARED, ring_fd(r->ring), 0);
        uint32_t before, after;

        assert_true(h != MAP_FAILED);
        before = __atomic_load_n(&h->soon, __ATOMIC_ACQUIRE);
        relay_publish(r);
        after = __atomic_load_n(&h->soon, __ATOMIC_ACQUIRE);
        munmap((void *)h, len);
        return after - before;
}

static void frames_are_announced_while_somebody_connected_asks_for_it(void **state)
{
        struct caller plain, one, other;
        struct relay r;

        (void)state;
        relay_start(&r);
        caller_start(&plain, &r, VGPU_WANT_RING | VGPU_WANT_WAKE);
        assert_int_equal(announced(&r), 0);
        caller_start(&one, &r, VGPU_WANT_RING | VGPU_WANT_SOON);
        caller_start(&other, &r, VGPU_WANT_RING | VGPU_WANT_SOON);
        assert_int_equal(announced(&r), 1);
        relay_regenerate(&r, 2 * RELAY_BYTES);
        assert_int_equal(announced(&r), 1);
        caller_stop(&one);
        relay_turn(&r);
        assert_int_equal(announced(&r), 1);
        caller_stop(&other);
        relay_turn(&r);
        assert_int_equal(announced(&r), 0);
        caller_stop(&plain);
        relay_remove(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_socket_file_has_the_mode_asked_for),
                cmocka_unit_test(a_living_daemon_keeps_its_socket),
                cmocka_unit_test(a_socket_somebody_else_listens_at_is_left_alone),
                cmocka_unit_test(the_socket_of_a_killed_daemon_is_replaced),
                cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
                cmocka_unit_test(a_bad_place_is_named),
                cmocka_unit_test(an_unwritable_folder_is_named),
                cmocka_unit_test(a_listening_descriptor_is_taken_only_if_it_is_one),
                cmocka_unit_test(running_out_of_descriptors_refuses_instead_of_spinning),
                cmocka_unit_test(a_reserve_that_was_lost_is_taken_again),
                cmocka_unit_test(who_does_not_read_is_sent_the_newest_ring_later),
                cmocka_unit_test(goodbye_reaches_everybody),
                cmocka_unit_test(who_connected_is_known),
                cmocka_unit_test(frames_are_announced_while_somebody_connected_asks_for_it),
                cmocka_unit_test(a_thousand_clients_leave_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
