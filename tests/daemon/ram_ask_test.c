/*
 * ram_ask_test.c - when a helper is asked again that answers, but with nothing of use
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "ram_helper.h"

static char dir[] = "/tmp/vgpud-ask-XXXXXX";
static int listener = -1;

static void listen_in_dir(struct vgpu_config *config)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/helper", dir);
        snprintf(
                config->guest.ram_helper, sizeof(config->guest.ram_helper), "%s", address.sun_path);
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 1), 0);
}

static void answer_with_a_file(void)
{
        struct ram_hand hand = RAM_HAND_EMPTY;
        char path[32];
        struct stat st;
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), fd = memfd_create("ram", 0);

        assert_int_equal(ftruncate(fd, 1 << 20), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        hand.fd[0] = open(path, O_RDONLY | O_CLOEXEC);
        hand.n_fds = 1;
        assert_int_equal(fstat(hand.fd[0], &st), 0);
        hand.offer.file[0] = (struct ram_offer_file){
                .dev = st.st_dev, .ino = st.st_ino, .size = (uint64_t)st.st_size
        };
        hand.offer.n_files = 1;
        assert_int_equal(ram_hand_send(client, &hand), 0);
        ram_hand_close(&hand);
        close(fd);
        close(client);
}

static void on_answer(struct ram_helper *h, struct ram_hand *hand)
{
        unsigned *n_answers = h->ctx;

        ++*n_answers;
        assert_int_equal(hand->offer.n_files, 1);
        assert_string_equal(h->why, "");
        ram_hand_close(hand);
        ram_helper_reject(h, "that is another machine's");
}

static void ask(struct ram_helper *h, unsigned *n_answers)
{
        unsigned before = *n_answers;

        h->again_ns = 0; /* it is time */
        assert_int_equal(ram_helper_ask(h), 0);
        answer_with_a_file();
        while (*n_answers == before)
                uv_run(h->loop, UV_RUN_ONCE);
}

static void answers_of_no_use_are_waited_for_ever_longer(void **state)
{
        struct vgpu_config config = { 0 };
        unsigned n_answers = 0;
        struct ram_helper h;
        uv_loop_t loop;

        (void)state;
        listen_in_dir(&config);
        assert_int_equal(uv_loop_init(&loop), 0);
        ram_helper_init(&h, &loop, &config, on_answer, &n_answers);
        for (unsigned i = 1; i <= 3; i++) {
                ask(&h, &n_answers);
                assert_int_equal(h.n_refusals, i);
                assert_string_equal(h.why, "that is another machine's");
        }
        ram_helper_forget(&h);
        assert_int_equal(h.n_refusals, 0);
        ram_helper_stop(&h);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
        close(listener);
}

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
        char command[64];

        (void)state;
        snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_of_no_use_are_waited_for_ever_longer),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
