/*
 * ram_helper_test.c - a daemon without rights gets the RAM of a guest that is another user's
 *
 * The guest's RAM is a memfd of root's, which the daemon's user can neither open nor find. All of this takes root, to be two users.
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper/offer.h"
#include "manager.h"
#include "rig.h"

#define NOBODY   65534
#define STRANGER 65533

static const char *const small_guest[] = { "--mode", "320x240@60", NULL };

struct stage {
        struct manager manager;
        struct rig rig;
        dev_t dev; /* of the guest's RAM */
        ino_t ino;
};

static void write_pid(struct stage *s)
{
        char path[96];
        FILE *f;

        snprintf(path, sizeof(path), "%s/qemu.pid", s->manager.dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fprintf(f, "%d\n", (int)s->rig.guest.pid);
        fclose(f);
        assert_int_equal(chmod(path, 0644), 0);
}

static void start_guest(struct stage *s)
{
        struct stat st;

        rig_guest_simulated(&s->rig, small_guest);
        assert_int_equal(stat(s->rig.guest.facts.ram, &st), 0);
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        write_pid(s);
}

/* @ram: NULL: where the guest has it */
static void configure(struct stage *s, const char *ram, bool by_pidfile)
{
        const struct guest_facts *facts = &s->rig.guest.facts;
        char guest[512], pidfile[160] = "";

        if (by_pidfile)
                snprintf(pidfile, sizeof(pidfile), "pidfile = %s/qemu.pid\n", s->manager.dir);
        snprintf(guest, sizeof(guest), "ram = %.200s\nmachine = %s\n%s", ram ? ram : facts->ram,
                facts->machine, pidfile);
        manager_configure(&s->manager, guest);
}

static void begin(struct stage *s)
{
        *s = (struct stage){ .rig = RIG_NONE };
        manager_start(&s->manager, NOBODY);
        start_guest(s);
}

static void run_daemon(struct stage *s)
{
        manager_run(&s->manager, &s->rig.daemon);
        if (!s->rig.verify.client)
                rig_client(&s->rig);
}

static void end(struct stage *s)
{
        assert_int_equal(manager_end(&s->manager, &s->rig.daemon), 0);
        rig_stop(&s->rig);
        manager_stop(&s->manager);
}

static int needs_root(void **state)
{
        (void)state;
        if (getuid() == 0)
                return 0;
        print_message("skipped: two users take root\n");
        exit(77);
}

/* ---- the helper ---------------------------------------------------------------------------------------------------- */

static void frames_come_as_soon_as_a_helper_hands_the_ram_over(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, NULL, false);
        run_daemon(&s);
        rig_until_status(&s.rig, "absent", "The RAM helper has none: No such file or directory");
        manager_offer_helper(&s.manager, "65534");
        rig_until_frame(&s.rig);
        end(&s);
}

static void a_pidfile_that_only_root_may_read_is_read_by_the_helper(void **state)
{
        struct stage s;
        char path[96];

        (void)state;
        begin(&s);
        snprintf(path, sizeof(path), "%s/qemu.pid", s.manager.dir);
        assert_int_equal(chmod(path, 0600), 0);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_frame(&s.rig);
        /* And the end of the machine is seen all the same. */
        manager_until_stored(&s.manager, 2);
        guest_proc_stop(&s.rig.guest);
        manager_until_stored(&s.manager, 0);
        end(&s);
}

static void without_a_helper_the_reason_says_how_to_get_one(void **state)
{
        struct stage s;
        char guest[256];
        FILE *f;

        (void)state;
        begin(&s);
        /* As above, but nobody says where a helper is. */
        f = fopen(s.manager.config, "we");
        assert_non_null(f);
        snprintf(guest, sizeof(guest),
                "[guest]\nram = auto\npidfile = %s/qemu.pid\n[ring]\nsocket = %s/run/sock\nmode = "
                "0666\n",
                s.manager.dir, s.manager.dir);
        fputs(guest, f);
        fclose(f);
        run_daemon(&s);
        rig_until_status(&s.rig, "absent", "start vgpud-ram@demo.socket");
        end(&s);
}

static void what_the_configuration_must_not_name_is_refused_in_words(void **state)
{
        struct stage s;
        char path[96];
        int fd;

        (void)state;
        begin(&s);
        snprintf(path, sizeof(path), "%s/secret", s.manager.dir);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 4096), 0);
        close(fd);
        configure(&s, path, false);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_status(&s.rig, "absent", "is no guest's RAM: 4096 bytes");
        assert_int_equal(manager_end(&s.manager, &s.rig.daemon), 0);

        /* And a configuration that the daemon's user could change is not gone by. */
        configure(&s, NULL, false);
        assert_int_equal(chown(s.manager.config, NOBODY, NOBODY), 0);
        manager_run(&s.manager, &s.rig.daemon);
        rig_until_status(&s.rig, "absent", "the configuration is not root's alone");
        end(&s);
}

/* Return: 0 and the answer, or -errno. */
static int ask_as(const struct manager *m, uid_t uid, struct ram_hand *ret)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), r;
        char byte;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", m->helper);
        assert_int_equal(seteuid(uid), 0);
        r = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        assert_int_equal(seteuid(0), 0);
        if (r == 0) {
                /* It reads nothing: what is said to it is never heard. */
                (void)!send(fd, "/etc/shadow", 11, MSG_DONTWAIT | MSG_NOSIGNAL);
                (void)!recv(fd, &byte, 0, MSG_PEEK);
                r = ram_hand_receive(fd, ret);
        }
        close(fd);
        return r;
}

static void only_the_daemons_user_and_root_are_answered(void **state)
{
        struct ram_hand hand = RAM_HAND_EMPTY;
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        assert_int_equal(ask_as(&s.manager, STRANGER, &hand), -ECONNRESET);
        assert_int_equal(ask_as(&s.manager, NOBODY, &hand), 0);
        assert_int_equal(hand.offer.n_files, 1);
        assert_int_equal(hand.offer.pid, s.rig.guest.pid);
        assert_int_equal(hand.offer.file[0].ino, s.ino);
        ram_hand_close(&hand);
        assert_int_equal(ask_as(&s.manager, 0, &hand), 0);
        ram_hand_close(&hand);
        rig_stop(&s.rig);
        manager_stop(&s.manager);
}

/* ---- the store ----------------------------------------------------------------------------------------------------- */

static void a_restart_takes_the_ram_back_and_asks_nobody(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2); /* the memfd, and the process whose it is */
        assert_true(manager_keeps(&s.manager, s.dev, s.ino));
        manager_withdraw_helper(&s.manager);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(manager_end(&s.manager, &s.rig.daemon), 0);
                manager_run(&s.manager, &s.rig.daemon);
                rig_until_said(&s.rig, "of the daemon before this one taken back");
                rig_until_frame(&s.rig);
        }
        assert_int_equal(s.manager.n_stored, 2);
        assert_int_equal(s.manager.n_adds, 2);
        end(&s);
}

static void ram_of_a_machine_that_is_off_is_not_kept(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2);
        guest_proc_stop(&s.rig.guest);
        manager_until_stored(&s.manager, 0);
        start_guest(&s);
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2);
        assert_true(manager_keeps(&s.manager, s.dev, s.ino));
        end(&s);
}

static void a_machine_that_was_replaced_while_nobody_looked_is_found_anew(void **state)
{
        struct stage s;
        dev_t dev;
        ino_t ino;

        (void)state;
        begin(&s);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2);
        assert_int_equal(manager_end(&s.manager, &s.rig.daemon), 0);
        dev = s.dev;
        ino = s.ino;
        guest_proc_stop(&s.rig.guest);
        start_guest(&s);
        assert_true(manager_keeps(&s.manager, dev, ino)); /* what is at stake */

        manager_run(&s.manager, &s.rig.daemon);
        rig_until_said(&s.rig, "let go of: its process has ended");
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2);
        assert_false(manager_keeps(&s.manager, dev, ino));
        assert_true(manager_keeps(&s.manager, s.dev, s.ino));
        end(&s);
}

static void what_was_stored_for_another_configuration_is_not_used(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, "auto", true);
        manager_offer_helper(&s.manager, "65534");
        run_daemon(&s);
        rig_until_frame(&s.rig);
        manager_until_stored(&s.manager, 2);
        assert_int_equal(manager_end(&s.manager, &s.rig.daemon), 0);
        configure(&s, "/proc/1/fd/1000", false);
        manager_run(&s.manager, &s.rig.daemon);
        manager_until_stored(&s.manager, 0);
        rig_until_status(&s.rig, "absent", "The RAM helper has none: /proc/1/fd/1000");
        end(&s);
}

/* ---- passed by an administrator ------------------------------------------------------------------------------------ */

static void a_descriptor_that_openfile_passed_is_enough(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, NULL, false);
        manager_open_file(&s.manager, "ram", open(s.rig.guest.facts.ram, O_RDONLY | O_CLOEXEC));
        run_daemon(&s);
        rig_until_frame(&s.rig);
        assert_int_equal(s.manager.n_adds, 1);
        end(&s);
}

static void a_passed_descriptor_that_could_write_is_refused(void **state)
{
        struct stage s;

        (void)state;
        begin(&s);
        configure(&s, NULL, false);
        manager_open_file(&s.manager, "ram", open(s.rig.guest.facts.ram, O_RDWR | O_CLOEXEC));
        run_daemon(&s);
        rig_until_said(&s.rig, "'ram' is not used: it could write to the guest");
        rig_until_status(&s.rig, "absent", "The RAM helper has none");
        end(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frames_come_as_soon_as_a_helper_hands_the_ram_over),
                cmocka_unit_test(a_pidfile_that_only_root_may_read_is_read_by_the_helper),
                cmocka_unit_test(without_a_helper_the_reason_says_how_to_get_one),
                cmocka_unit_test(what_the_configuration_must_not_name_is_refused_in_words),
                cmocka_unit_test(only_the_daemons_user_and_root_are_answered),
                cmocka_unit_test(a_restart_takes_the_ram_back_and_asks_nobody),
                cmocka_unit_test(ram_of_a_machine_that_is_off_is_not_kept),
                cmocka_unit_test(a_machine_that_was_replaced_while_nobody_looked_is_found_anew),
                cmocka_unit_test(what_was_stored_for_another_configuration_is_not_used),
                cmocka_unit_test(a_descriptor_that_openfile_passed_is_enough),
                cmocka_unit_test(a_passed_descriptor_that_could_write_is_refused),
        };

        return cmocka_run_group_tests(tests, needs_root, NULL);
}
