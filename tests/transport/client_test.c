/*
 * client_test.c - the client library against a server: frames, records, generations, losses
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "relay.h"

static uint8_t pixels[1 << 20];

static int copy(struct vgpu_client *c, struct vgpu_client_frame *frame)
{
        return vgpu_client_copy_latest(c, pixels, sizeof(pixels), frame);
}

/* ---- frames ------------------------------------------------------------------------------------ */

static void a_published_frame_arrives_whole(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        assert_int_equal(copy(c, &frame), 0);
        relay_publish(&r);
        relay_turn_until(&r, c, VGPU_CLIENT_FRAME);
        assert_int_equal(copy(c, &frame), 1);
        assert_true(frame_is_whole(pixels, frame.bytes, frame.serial));
        assert_int_equal(frame.serial, 1);
        assert_int_equal(frame.width, RELAY_WIDTH);
        assert_int_equal(frame.height, RELAY_HEIGHT);
        assert_int_equal(frame.stride, RELAY_STRIDE);
        assert_int_equal(frame.bytes, RELAY_BYTES);
        assert_int_equal(frame.fourcc, RELAY_FOURCC);
        assert_int_equal(frame.producer_pid, 77);
        assert_int_equal(frame.missed, 0);
        assert_false(frame.stale);

        /* once */
        assert_int_equal(copy(c, &frame), 0);
        assert_int_equal(vgpu_client_copy_again(c, pixels, sizeof(pixels), &frame), 1);
        assert_int_equal(frame.serial, 1);
        vgpu_client_close(c);
        relay_remove(&r);
}

static void a_frame_that_was_there_first_makes_the_descriptor_readable(void **state)
{
        static const uint32_t flags[] = { 0, VGPU_CLIENT_NO_WAKE_FD };

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                struct vgpu_client_options options = { .flags = flags[i] };
                char dir[] = "/tmp/vgpud-first-XXXXXX", path[64];
                struct pollfd pfd = { .events = POLLIN };
                struct vgpu_client *c;
                pid_t pid;

                assert_non_null(mkdtemp(dir));
                snprintf(path, sizeof(path), "%s/ring.sock", dir);
                pid = relay_fork(path, 1000, RELAY_BYTES);
                assert_int_equal(vgpu_client_connect(path, &options, &c, NULL), 0);
                kill(pid, SIGSTOP);
                pfd.fd = vgpu_client_fd(c);
                assert_int_equal(poll(&pfd, 1, -1), 1);
                assert_true(vgpu_client_dispatch(c) & VGPU_CLIENT_STATE);
                vgpu_client_close(c);
                process_kill(pid);
                unlink(path);
                snprintf(path, sizeof(path), "%s/ring.sock.lock", dir);
                unlink(path);
                rmdir(dir);
        }
}

static void a_buffer_too_small_is_told_what_is_needed(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        relay_publish(&r);
        pixels[0] = 0xEE;
        assert_int_equal(vgpu_client_copy_latest(c, pixels, RELAY_BYTES - 1, &frame), -ENOSPC);
        assert_int_equal(frame.bytes, RELAY_BYTES);
        assert_int_equal(pixels[0], 0xEE);
        pixels[RELAY_BYTES] = 0xEE;
        assert_int_equal(vgpu_client_copy_latest(c, pixels, RELAY_BYTES, &frame), 1);
        assert_int_equal(pixels[RELAY_BYTES], 0xEE);
        vgpu_client_close(c);
        relay_remove(&r);
}

static void rows_alone_are_copied_and_rows_that_are_not_there_refused(void **state)
{
        const uint32_t all = UINT32_MAX;
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        relay_publish(&r);
        pixels[0] = pixels[RELAY_STRIDE * 2] = 0xEE;
        assert_int_equal(
                vgpu_client_copy_rows(c, RELAY_HEIGHT - 1, 2, pixels, sizeof(pixels), &frame),
                -ERANGE);
        assert_int_equal(frame.height, RELAY_HEIGHT);
        assert_int_equal(
                vgpu_client_copy_rows(c, all, all - 1, pixels, sizeof(pixels), &frame), -ERANGE);
        assert_int_equal(
                vgpu_client_copy_rows(c, 7, 2, pixels, 2 * RELAY_STRIDE - 1, &frame), -ENOSPC);
        assert_int_equal(pixels[0], 0xEE);
        assert_int_equal(vgpu_client_copy_rows(c, 7, 2, pixels, 2 * RELAY_STRIDE, &frame), 1);
        assert_true(frame_is_whole(pixels, 2 * RELAY_STRIDE, frame.serial));
        assert_int_equal(pixels[RELAY_STRIDE * 2], 0xEE);
        assert_int_equal(vgpu_client_copy_rows(c, 7, 2, pixels, sizeof(pixels), &frame), 0);
        relay_publish(&r);
        assert_int_equal(vgpu_client_copy_rows(c, 9, all, pixels, sizeof(pixels), &frame), 1);
        assert_true(frame_is_whole(pixels, frame.bytes, frame.serial));
        vgpu_client_close(c);
        relay_remove(&r);
}

static void missed_frames_are_counted(void **state)
{
        struct vgpu_client_stats stats;
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        for (int i = 0; i < 10; i++)
                relay_publish(&r);
        c = relay_client(&r, 0);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.missed, 0); /* what was before it came is not missed */
        for (int i = 0; i < 5; i++)
                relay_publish(&r);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.missed, 4);
        vgpu_client_stats(c, &stats);
        assert_int_equal(stats.frames, 2);
        assert_int_equal(stats.missed, 4);
        vgpu_client_close(c);
        relay_remove(&r);
}

static void a_slot_being_written_is_not_delivered(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        memset(ring_slot_begin(r.ring), 0xAA, RELAY_BYTES);
        assert_int_equal(copy(c, &frame), 0);
        ring_slot_abort(r.ring, 0, RELAY_BYTES);
        assert_int_equal(copy(c, &frame), 0);
        relay_publish(&r);
        ring_slot_begin(r.ring);
        assert_int_equal(copy(c, &frame), 1);
        assert_int_equal(frame.serial, 1);
        ring_slot_abort(r.ring, 0, 0);
        vgpu_client_close(c);
        relay_remove(&r);
}

/* ---- records ------------------------------------------------------------------------------------ */

static void records_are_snapshots_with_events_of_their_own(void **state)
{
        struct vgpu_ring_cursor cursor;
        struct vgpu_ring_geometry geometry;
        struct vgpu_ring_status status;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        vgpu_client_dispatch(c);
        assert_int_equal(vgpu_client_cursor(c, &cursor), 0);
        assert_int_equal(vgpu_client_geometry(c, &geometry), 0);
        assert_int_equal(vgpu_client_status(c, &status), 0);

        ring_set_cursor(r.ring, &(struct vgpu_ring_cursor){ .x = -7, .visible = 1 });
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_CURSOR);
        assert_int_equal(vgpu_client_cursor(c, &cursor), 1);
        assert_int_equal(cursor.x, -7);

        ring_set_geometry(r.ring, &(struct vgpu_ring_geometry){ .virt_w = 640 });
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_GEOMETRY);
        assert_int_equal(vgpu_client_geometry(c, &geometry), 1);
        assert_int_equal(geometry.virt_w, 640);

        ring_set_status(r.ring, &(struct vgpu_ring_status){ .backend = 3 });
        assert_int_equal(vgpu_client_dispatch(c), VGPU_CLIENT_STATUS);
        assert_int_equal(vgpu_client_status(c, &status), 1);
        assert_int_equal(status.backend, 3);
        assert_int_equal(vgpu_client_dispatch(c), 0);
        vgpu_client_close(c);
        relay_remove(&r);
}

static void the_state_is_told_and_makes_frames_stale(void **state)
{
        struct vgpu_client_state now;
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, 0);
        relay_publish(&r);
        vgpu_client_dispatch(c);
        ring_set_liveness(
                r.ring, &(struct vgpu_ring_liveness){ .state = VGPU_RING_STALLED, .epoch = 2 });
        assert_int_equal(vgpu_client_dispatch(c) & VGPU_CLIENT_STATE, VGPU_CLIENT_STATE);
        vgpu_client_state(c, &now);
        assert_int_equal(now.stream.state, VGPU_RING_STALLED);
        assert_int_equal(now.stream.epoch, 2);
        assert_true(now.connected);
        assert_int_equal(now.generation, 1);
        assert_string_equal(vgpu_client_state_name(now.stream.state), "stalled");
        assert_string_equal(vgpu_client_state_name(99), "unknown");
        assert_int_equal(copy(c, &frame), 1);
        assert_true(frame.stale);
        vgpu_client_close(c);
        relay_remove(&r);
}

static void a_daemon_that_hangs_is_overdue_and_recovers(void **state)
{
        struct vgpu_client_state now;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        ring_tick(r.ring, test_now_ns());
        c = relay_client(&r, 0);
        do {
                vgpu_client_wait(c, -1);
                vgpu_client_state(c, &now);
        } while (!now.tick_overdue);
        assert_true(now.connected);
        ring_tick(r.ring, test_now_ns() + 1000000000);
        assert_true(vgpu_client_wait(c, -1) & VGPU_CLIENT_STATE);
        vgpu_client_state(c, &now);
        assert_false(now.tick_overdue);
        vgpu_client_close(c);
        relay_remove(&r);
}

/* ---- generations and losses ---------------------------------------------------------------------- */

static void a_new_generation_reaches_every_client(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client *c[3];
        struct relay r;

        (void)state;
        relay_start(&r);
        for (int i = 0; i < 3; i++)
                c[i] = relay_client(&r, i == 2 ? VGPU_CLIENT_NO_WAKE_FD : 0);
        relay_publish(&r);
        for (int i = 0; i < 3; i++)
                assert_int_equal(copy(c[i], &frame), 1);

        for (int round = 0; round < 5; round++) {
                struct ring_frame big = relay_frame(2);

                big.height = RELAY_HEIGHT * 4;
                relay_regenerate(&r, RELAY_BYTES * 4);
                relay_publish_frame(&r, &big);
                for (int i = 0; i < 3; i++) {
                        relay_turn_until(&r, c[i], VGPU_CLIENT_GENERATION | VGPU_CLIENT_FRAME);
                        assert_int_equal(copy(c[i], &frame), 1);
                        assert_int_equal(frame.height, RELAY_HEIGHT * 4);
                        assert_int_equal(frame.missed, 0);
                        assert_int_equal(frame.generation, round + 2);
                        assert_true(frame_is_whole(pixels, frame.bytes, frame.serial));
                }
                relay_turn(&r);
                assert_int_equal(peer_info(server_next_peer(r.server, NULL)).released, round + 1);
        }
        for (int i = 0; i < 3; i++)
                vgpu_client_close(c[i]);
        relay_remove(&r);
}

static void after_a_loss_the_last_frame_stays_and_is_stale(void **state)
{
        struct vgpu_client_frame frame;
        struct vgpu_client_state now;
        struct vgpu_client *c;
        struct relay r;
        uint32_t reason;
        int got;

        (void)state;
        relay_start(&r);
        c = relay_client(&r, VGPU_CLIENT_NO_RECONNECT);
        relay_publish(&r);
        server_goodbye_all(r.server, VGPU_GOODBYE_STOPPING, "vgpud is stopping.");
        relay_remove(&r);

        got = vgpu_client_wait(c, -1);
        assert_true(got & VGPU_CLIENT_DISCONNECTED);
        assert_int_equal(copy(c, &frame), 1);
        assert_true(frame.stale);
        assert_true(frame_is_whole(pixels, frame.bytes, frame.serial));
        assert_string_equal(vgpu_client_goodbye(c, &reason), "vgpud is stopping.");
        assert_int_equal(reason, VGPU_GOODBYE_STOPPING);
        vgpu_client_state(c, &now);
        assert_false(now.connected);
        assert_int_equal(vgpu_client_wait(c, -1), -ENOTCONN);
        vgpu_client_close(c);
}

static int wait_for(struct vgpu_client *c, int events)
{
        int seen = 0;

        while ((seen & events) != events) {
                int got = vgpu_client_wait(c, -1);

                assert_true(got >= 0);
                seen |= got;
        }
        return seen;
}

static void a_killed_daemon_is_found_again(void **state)
{
        static const uint32_t flags[] = { 0, VGPU_CLIENT_NO_WAKE_FD };
        char dir[] = "/tmp/vgpud-again-XXXXXX", path[64], lock[80];
        int before = count_fds();

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        for (size_t i = 0; i < 2; i++) {
                struct vgpu_client_options options = { .flags = flags[i] };
                struct vgpu_client_frame frame;
                struct vgpu_client_stats stats;
                struct vgpu_client *c;
                pid_t pid = relay_fork(path, 1000, RELAY_BYTES);
                int fd;

                assert_int_equal(vgpu_client_connect(path, &options, &c, NULL), 0);
                fd = vgpu_client_fd(c);
                for (int round = 0; round < 5; round++) {
                        wait_for(c, VGPU_CLIENT_FRAME);
                        assert_int_equal(copy(c, &frame), 1);
                        assert_true(frame_is_whole(pixels, frame.bytes, frame.serial));
                        process_kill(pid);
                        wait_for(c, VGPU_CLIENT_DISCONNECTED);
                        assert_int_equal(
                                vgpu_client_copy_again(c, pixels, sizeof(pixels), &frame), 1);
                        assert_true(frame.stale);
                        pid = relay_fork(path, 1000, RELAY_BYTES);
                        wait_for(c, VGPU_CLIENT_RECONNECTED | VGPU_CLIENT_INSTANCE);
                        assert_int_equal(vgpu_client_fd(c), fd);
                }
                vgpu_client_stats(c, &stats);
                assert_int_equal(stats.reconnects, 5);
                vgpu_client_close(c);
                process_kill(pid);
        }
        assert_int_equal(count_fds(), before);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

static void a_client_may_come_before_the_daemon(void **state)
{
        char dir[] = "/tmp/vgpud-early-XXXXXX", path[64], lock[80];
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_WAIT_DAEMON };
        struct vgpu_client_frame frame;
        struct vgpu_client_state now;
        struct vgpu_client *c;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        assert_int_equal(vgpu_client_connect(path, &options, &c, NULL), 0);
        assert_int_equal(vgpu_client_wait(c, 5), 0);
        assert_int_equal(copy(c, &frame), -ENODATA);
        vgpu_client_state(c, &now);
        assert_int_equal(now.stream.state, VGPU_RING_ABSENT);
        assert_false(now.connected);
        pid = relay_fork(path, 1000, RELAY_BYTES);
        wait_for(c, VGPU_CLIENT_RECONNECTED | VGPU_CLIENT_FRAME);
        assert_int_equal(copy(c, &frame), 1);
        vgpu_client_close(c);
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

/* ---- refusals and impostors ------------------------------------------------------------------------ */

static void without_a_daemon_connect_says_so(void **state)
{
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        char longest[200], *json;
        int before = count_fds();

        (void)state;
        assert_int_equal(vgpu_client_connect("/nonexistent.sock", NULL, &c, &why), -ENOENT);
        assert_int_equal(why.error, -ENOENT);
        assert_non_null(strstr(why.text, "/nonexistent.sock"));
        assert_int_equal(vgpu_client_connect("/nonexistent.sock", NULL, &c, NULL), -ENOENT);
        assert_int_equal(vgpu_client_query("/nonexistent.sock", 1, 0, &json, &why), -ENOENT);
        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(vgpu_client_connect(longest, NULL, &c, &why), -ENAMETOOLONG);
        assert_int_equal(count_fds(), before);
}

/* Something that listens where vgpud should, and answers HELLO with one packet. */
struct impostor {
        char path[64];
        int listen_fd;
        struct vgpu_client *c;
};

static void impostor_start(struct impostor *im)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };

        snprintf(im->path, sizeof(im->path), "/tmp/vgpud-impostor-%d.sock", getpid());
        strcpy(addr.sun_path, im->path);
        im->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(im->listen_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(listen(im->listen_fd, 4), 0);
}

static void impostor_stop(struct impostor *im)
{
        close(im->listen_fd);
        unlink(im->path);
}

/* In a child: take one client, answer, stay until it goes. */
static pid_t impostor_answer(struct impostor *im, const void *packet, size_t len, int pass_fd)
{
        pid_t pid = fork();

        if (pid == 0) {
                char buf[256];
                int fd = accept(im->listen_fd, NULL, NULL);

                if (fd < 0 || recv(fd, buf, sizeof(buf), 0) <= 0)
                        _exit(1);
                if (message_send(fd, packet, len, NULL, 0, &pass_fd, pass_fd >= 0) < 0)
                        _exit(2);
                while (recv(fd, buf, sizeof(buf), 0) > 0)
                        ;
                _exit(0);
        }
        return pid;
}

static void a_daemon_of_another_major_is_refused_with_its_own_words(void **state)
{
        struct vgpu_msg_goodbye bye = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(bye)),
                .reason = VGPU_GOODBYE_VERSION,
                .text = "The client speaks protocol 1.0, this vgpud speaks 9.0.",
        };
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        struct impostor im;
        char *json;
        pid_t pid;

        (void)state;
        bye.header.version = 0x00090000;
        impostor_start(&im);
        pid = impostor_answer(&im, &bye, sizeof(bye), -1);
        assert_int_equal(vgpu_client_connect(im.path, NULL, &c, &why), -EPROTONOSUPPORT);
        assert_int_equal(why.goodbye, VGPU_GOODBYE_VERSION);
        assert_string_equal(why.text, bye.text);
        process_wait(pid);

        pid = impostor_answer(&im, &bye, sizeof(bye), -1);
        assert_int_equal(vgpu_client_query(im.path, 1, 0, &json, &why), -EPROTONOSUPPORT);
        assert_string_equal(why.text, bye.text);
        process_wait(pid);
        impostor_stop(&im);
}

/* Whoever comes while a daemon goes, behind a socket that stays, is told so by the old one and heard by the new one. */
static void a_daemon_that_is_stopping_is_no_answer_and_the_next_one_is(void **state)
{
        struct vgpu_msg_goodbye going = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(going)),
                .reason = VGPU_GOODBYE_STOPPING,
                .retry_ms = 1,
                .text = "The daemon is stopping.",
        };
        struct vgpu_msg_goodbye denied = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(denied)),
                .reason = VGPU_GOODBYE_DENIED,
                .text = "Not you.",
        };
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_RECONNECT,
                .timeout_ms = 60000 };
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        struct impostor im;
        pid_t pid;

        (void)state;
        impostor_start(&im);
        pid = fork();
        if (pid == 0) {
                char buf[256];
                int fd = accept(im.listen_fd, NULL, NULL);

                /* one that dies without a word, one that is asked to go, and one that stays */
                close(fd);
                fd = accept(im.listen_fd, NULL, NULL);
                if (recv(fd, buf, sizeof(buf), 0) <= 0 ||
                        message_send(fd, &going, sizeof(going), NULL, 0, NULL, 0) < 0)
                        _exit(1);
                close(fd);
                fd = accept(im.listen_fd, NULL, NULL);
                if (recv(fd, buf, sizeof(buf), 0) <= 0 ||
                        message_send(fd, &denied, sizeof(denied), NULL, 0, NULL, 0) < 0)
                        _exit(1);
                _exit(0);
        }
        assert_int_equal(vgpu_client_connect(im.path, &options, &c, &why), -EACCES);
        assert_string_equal(why.text, denied.text);
        process_wait(pid);
        impostor_stop(&im);
}

/* Returns when @pid runs no more; SIGCONT sets it going. */
static void stop_process(pid_t pid)
{
        char path[64], line[256];
        FILE *f;

        kill(pid, SIGSTOP);
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        do {
                f = fopen(path, "re");
                assert_non_null(f);
                assert_non_null(fgets(line, sizeof(line), f));
                fclose(f);
                sched_yield();
        } while (!strstr(line, ") T "));
}

static int accept_hello(const struct impostor *im)
{
        char buf[256];
        int fd = accept(im->listen_fd, NULL, NULL);

        assert_true(recv(fd, buf, sizeof(buf), 0) > 0);
        return fd;
}

/* It finds both at once when it looks: the client was not connected yet as far as anybody was told. */
static void a_welcome_with_a_goodbye_behind_it_is_no_answer_either(void **state)
{
        const struct ring_config config = {
                .slots = 3, .slot_bytes = RELAY_BYTES, .generation = 1, .tick_period_ms = 20
        };
        struct vgpu_msg_welcome welcome = {
                .header = message_header(VGPU_MSG_WELCOME, sizeof(welcome)),
                .granted = VGPU_WANT_RING,
                .generation = 1,
        };
        struct vgpu_msg_goodbye going = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(going)),
                .reason = VGPU_GOODBYE_STOPPING,
                .retry_ms = 1,
        };
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_RECONNECT |
                                                        VGPU_CLIENT_NO_WAKE_FD };
        struct vgpu_client *c;
        struct impostor im;
        struct ring *ring;
        int fd, ring_of;
        pid_t client;

        (void)state;
        impostor_start(&im);
        assert_int_equal(ring_new(&config, &ring), 0);
        ring_of = ring_fd(ring);
        client = fork();
        if (client == 0)
                _exit(vgpu_client_connect(im.path, &options, &c, NULL) != 0);
        fd = accept_hello(&im);
        stop_process(client);
        assert_true(message_send(fd, &welcome, sizeof(welcome), NULL, 0, &ring_of, 1) >= 0);
        assert_true(message_send(fd, &going, sizeof(going), NULL, 0, NULL, 0) >= 0);
        kill(client, SIGCONT);
        close(fd);
        fd = accept_hello(&im);
        assert_true(message_send(fd, &welcome, sizeof(welcome), NULL, 0, &ring_of, 1) >= 0);
        assert_int_equal(process_wait(client), 0);
        close(fd);
        ring_free(ring);
        impostor_stop(&im);
}

static void silence_times_out(void **state)
{
        struct vgpu_client_options options = { .timeout_ms = 20 };
        struct vgpu_client_failure why;
        struct vgpu_client *c;
        struct impostor im;
        char *json;

        (void)state;
        impostor_start(&im);
        assert_int_equal(vgpu_client_connect(im.path, &options, &c, &why), -ETIMEDOUT);
        assert_int_equal(vgpu_client_query(im.path, 1, 20, &json, &why), -ETIMEDOUT);
        impostor_stop(&im);
}

/* A ring that is none: each case spoils one thing of a good one. */
static void unsealed(struct vgpu_ring_identity *id, int *seals)
{
        (void)id;
        *seals = 0;
}

static void another_magic(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->magic++;
}

static void another_major(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->version = 0x00020000;
}

static void larger_than_its_file(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->total_bytes += 4096;
}

static void slots_past_the_end(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->slot_bytes *= 2;
}

static void slot_bytes_that_overflow(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->slot_bytes = UINT64_MAX / 4 + 1;
}

static void too_many_slots(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->slot_count = 255;
        id->slot_bytes = 1;
}

static void descriptors_over_the_header(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->desc_offset = 64;
}

static void descriptors_into_the_slots(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->desc_bytes = UINT32_MAX - 7;
}

static void slots_before_the_start(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->slot_offset = UINT64_MAX - 4095;
}

static void no_tick(struct vgpu_ring_identity *id, int *seals)
{
        (void)seals;
        id->tick_period_ms = 0;
}

static const struct {
        const char *name;
        void (*spoil)(struct vgpu_ring_identity *id, int *seals);
        int expect;
} rings[] = {
        { "unsealed", unsealed, -EPROTO },
        { "another_magic", another_magic, -EPROTO },
        { "another_major", another_major, -EPROTONOSUPPORT },
        { "larger_than_its_file", larger_than_its_file, -EPROTO },
        { "slots_past_the_end", slots_past_the_end, -EPROTO },
        { "slot_bytes_that_overflow", slot_bytes_that_overflow, -EPROTO },
        { "too_many_slots", too_many_slots, -EPROTO },
        { "descriptors_over_the_header", descriptors_over_the_header, -EPROTO },
        { "descriptors_into_the_slots", descriptors_into_the_slots, -EPROTO },
        { "slots_before_the_start", slots_before_the_start, -EPROTO },
        { "no_tick", no_tick, -EPROTO },
};

static int spoiled_ring(size_t which)
{
        const struct ring_config config = {
                .slots = 3, .slot_bytes = RELAY_BYTES, .generation = 1, .tick_period_ms = 20
        };
        struct vgpu_ring_identity id;
        int fd = memfd_create("impostor", MFD_CLOEXEC | MFD_ALLOW_SEALING), seals = F_SEAL_SHRINK;
        struct ring *good;

        assert_int_equal(ring_new(&config, &good), 0);
        id = *ring_identity(good);
        ring_free(good);
        assert_int_equal(ftruncate(fd, (off_t)id.total_bytes), 0);
        rings[which].spoil(&id, &seals);
        assert_int_equal(pwrite(fd, &id, sizeof(id), 0), sizeof(id));
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static void a_ring_that_could_fault_is_not_taken(void **state)
{
        struct vgpu_msg_welcome welcome = {
                .header = message_header(VGPU_MSG_WELCOME, sizeof(welcome)),
                .granted = VGPU_WANT_RING,
                .generation = 1,
        };
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_WAKE_FD };
        struct impostor im;
        int before = count_fds();

        (void)state;
        impostor_start(&im);
        for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
                int fd = spoiled_ring(i);
                pid_t pid = impostor_answer(&im, &welcome, sizeof(welcome), fd);
                struct vgpu_client_failure why;
                struct vgpu_client *c;

                print_message("  %s\n", rings[i].name);
                assert_int_equal(vgpu_client_connect(im.path, &options, &c, &why), rings[i].expect);
                close(fd);
                assert_int_equal(process_wait(pid), 0);
        }
        impostor_stop(&im);
        assert_int_equal(count_fds(), before);
}

static void a_descriptor_that_lies_is_not_believed(void **state)
{
        const struct ring_config config = {
                .slots = 3, .slot_bytes = RELAY_BYTES, .generation = 1, .tick_period_ms = 20
        };
        static const struct {
                uint64_t word;
                uint32_t height, stride;
        } lies[] = {
                { VGPU_RING_WORD(1, 200), 1, 256 },
                { VGPU_RING_WORD(1, 0), UINT32_MAX, UINT32_MAX },
                { VGPU_RING_WORD(1, 0), RELAY_HEIGHT * 2, RELAY_STRIDE * 2 },
                { VGPU_RING_WORD(1, 0), 0, RELAY_STRIDE },
                { VGPU_RING_WORD(1, 0), 1, 0 },
        };
        struct vgpu_client_frame frame;
        struct vgpu_client *c;
        struct relay r;

        (void)state;
        relay_start(&r);
        for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
                struct vgpu_ring_desc desc = {
                        .serial = 1, .width = 64, .height = lies[i].height, .stride = lies[i].stride
                };
                struct vgpu_ring_header header = { .publish = lies[i].word };
                int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                struct vgpu_msg_welcome welcome = {
                        .header = message_header(VGPU_MSG_WELCOME, sizeof(welcome)),
                        .granted = VGPU_WANT_RING,
                        .generation = 1,
                };
                struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_WAKE_FD };
                struct impostor im;
                struct ring *good;
                pid_t pid;

                assert_int_equal(ring_new(&config, &good), 0);
                header.identity = *ring_identity(good);
                ring_free(good);
                assert_int_equal(ftruncate(fd, (off_t)header.identity.total_bytes), 0);
                assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
                assert_int_equal(
                        pwrite(fd, &desc, sizeof(desc), VGPU_RING_DESC_OFFSET), sizeof(desc));
                assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
                impostor_start(&im);
                pid = impostor_answer(&im, &welcome, sizeof(welcome), fd);
                assert_int_equal(vgpu_client_connect(im.path, &options, &c, NULL), 0);
                assert_int_equal(copy(c, &frame), -EPROTO);
                vgpu_client_close(c);
                process_wait(pid);
                impostor_stop(&im);
                close(fd);
        }
        relay_remove(&r);
}

static void too_many_clients_is_an_error_of_its_own(void **state)
{
        char dir[] = "/tmp/vgpud-full-XXXXXX", path[64], lock[80], *json;
        struct vgpu_client *c[9] = { NULL };
        struct vgpu_client_failure why;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        pid = relay_fork(path, 1000, RELAY_BYTES);
        for (int i = 0; i < 8; i++)
                assert_int_equal(vgpu_client_connect(path, NULL, &c[i], NULL), 0);
        assert_int_equal(vgpu_client_connect(path, NULL, &c[8], &why), -EUSERS);
        assert_int_equal(why.goodbye, VGPU_GOODBYE_FULL);
        assert_int_equal(vgpu_client_query(path, 1, 0, &json, &why), -EUSERS);
        for (int i = 0; i < 8; i++)
                vgpu_client_close(c[i]);
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

static void a_query_brings_its_report(void **state)
{
        char dir[] = "/tmp/vgpud-query-XXXXXX", path[64], lock[80], *json = NULL;
        struct vgpu_client_failure why;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        pid = relay_fork(path, 1000, RELAY_BYTES);
        assert_int_equal(vgpu_client_query(path, VGPU_QUERY_STATUS, 0, &json, &why), 0);
        assert_string_equal(json, "{\"state\":\"streaming\"}");
        free(json);
        assert_int_equal(vgpu_client_query(path, VGPU_QUERY_CLIENTS, 0, &json, &why), 0);
        assert_int_equal(strlen(json), VGPU_REPLY_MAX);
        free(json);
        assert_int_equal(vgpu_client_query(path, 77, 0, &json, &why), -EOPNOTSUPP);
        assert_true(why.text[0] != '\0');
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

static void an_administrator_has_a_process_dropped(void **state)
{
        char dir[] = "/tmp/vgpud-drop-XXXXXX", path[64], lock[80];
        struct vgpu_client_options options = { .flags = VGPU_CLIENT_NO_RECONNECT };
        struct vgpu_client *c[3] = { NULL };
        struct vgpu_client_failure why;
        uint32_t count = 0, reason;
        pid_t pid;

        (void)state;
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/ring.sock", dir);
        snprintf(lock, sizeof(lock), "%s.lock", path);
        pid = relay_fork(path, 1000, RELAY_BYTES);
        assert_int_equal(vgpu_client_drop(path, (uint32_t)getpid(), 0, &count, &why), -ESRCH);
        assert_non_null(strstr(why.text, "No such client"));
        for (int i = 0; i < 3; i++)
                assert_int_equal(vgpu_client_connect(path, &options, &c[i], NULL), 0);
        assert_int_equal(vgpu_client_drop(path, (uint32_t)getpid(), 0, &count, &why), 0);
        assert_int_equal(count, 3);
        for (int i = 0; i < 3; i++) {
                wait_for(c[i], VGPU_CLIENT_DISCONNECTED);
                vgpu_client_goodbye(c[i], &reason);
                assert_int_equal(reason, VGPU_GOODBYE_DROPPED);
                vgpu_client_close(c[i]);
        }
        assert_int_equal(vgpu_client_drop(path, (uint32_t)getpid(), 0, NULL, NULL), -ESRCH);
        assert_int_equal(vgpu_client_drop("/nonexistent.sock", 1, 0, NULL, NULL), -ENOENT);
        process_kill(pid);
        unlink(path);
        unlink(lock);
        assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_published_frame_arrives_whole),
                cmocka_unit_test(a_frame_that_was_there_first_makes_the_descriptor_readable),
                cmocka_unit_test(a_buffer_too_small_is_told_what_is_needed),
                cmocka_unit_test(rows_alone_are_copied_and_rows_that_are_not_there_refused),
                cmocka_unit_test(missed_frames_are_counted),
                cmocka_unit_test(a_slot_being_written_is_not_delivered),
                cmocka_unit_test(records_are_snapshots_with_events_of_their_own),
                cmocka_unit_test(the_state_is_told_and_makes_frames_stale),
                cmocka_unit_test(a_daemon_that_hangs_is_overdue_and_recovers),
                cmocka_unit_test(a_new_generation_reaches_every_client),
                cmocka_unit_test(after_a_loss_the_last_frame_stays_and_is_stale),
                cmocka_unit_test(a_killed_daemon_is_found_again),
                cmocka_unit_test(a_client_may_come_before_the_daemon),
                cmocka_unit_test(without_a_daemon_connect_says_so),
                cmocka_unit_test(a_daemon_of_another_major_is_refused_with_its_own_words),
                cmocka_unit_test(a_daemon_that_is_stopping_is_no_answer_and_the_next_one_is),
                cmocka_unit_test(a_welcome_with_a_goodbye_behind_it_is_no_answer_either),
                cmocka_unit_test(silence_times_out),
                cmocka_unit_test(a_ring_that_could_fault_is_not_taken),
                cmocka_unit_test(a_descriptor_that_lies_is_not_believed),
                cmocka_unit_test(too_many_clients_is_an_error_of_its_own),
                cmocka_unit_test(a_query_brings_its_report),
                cmocka_unit_test(an_administrator_has_a_process_dropped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
