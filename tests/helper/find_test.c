/*
 * find_test.c - what a configuration names is opened if it cannot be anything else, and refused with a sentence otherwise
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "helper/find.h"
#include "helper/trust.h"

#define RAM_BYTES (2u << 20)
#define NOBODY    65534
#define FRIENDS   65532
#define STRANGERS 65531

static char dir[] = "/tmp/vgpud-find-XXXXXX";
static const gid_t also_in[] = { NOBODY, FRIENDS };
static const struct ram_peer peer = { { .uid = NOBODY, .gid = NOBODY }, also_in, 2 };

static const char *in_dir(const char *name)
{
        static char path[4][96];
        static unsigned i;

        i = (i + 1) % 4;
        snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
        return path[i];
}

static void must(bool ok, const char *what)
{
        if (!ok)
                fail_msg("%s: %s", what, strerror(errno));
}

static void make_file(const char *name, off_t size, mode_t mode)
{
        int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        must(fd >= 0 && ftruncate(fd, size) == 0 && fchmod(fd, mode) == 0, name);
        close(fd);
}

static void make_pidfile(const char *name, pid_t pid)
{
        FILE *f = fopen(in_dir(name), "we");

        must(f != NULL, name);
        fprintf(f, "%d\n", (int)pid);
        fclose(f);
        must(chmod(in_dir(name), 0644) == 0, name);
}

static struct vgpu_config config_of(const char *ram, const char *pidfile)
{
        struct vgpu_config cfg = { 0 };

        snprintf(cfg.guest.ram, sizeof(cfg.guest.ram), "%s", ram);
        snprintf(cfg.guest.pidfile, sizeof(cfg.guest.pidfile), "%s", pidfile ? pidfile : "");
        return cfg;
}

static void must_refuse(const struct vgpu_config *cfg, int error, const char *words)
{
        struct ram_hand hand;
        int r = ram_find(cfg, &peer, &hand);

        if (r != error || !strstr(hand.offer.reason, words))
                fail_msg("%s: %d and '%s', not %d and '%s'", cfg->guest.ram, r, hand.offer.reason,
                        error, words);
        assert_int_equal(hand.n_fds, 0);
        assert_int_equal(hand.offer.n_files, 0);
}

static void must_refuse_path(const char *name, int error, const char *words)
{
        struct vgpu_config cfg = config_of(in_dir(name), NULL);

        must_refuse(&cfg, error, words);
}

/* ---- named files --------------------------------------------------------------------------------------------------- */

static void a_named_file_is_opened_for_reading_only(void **state)
{
        struct vgpu_config cfg;
        struct ram_hand hand;
        struct stat st;

        (void)state;
        make_file("one.ram", RAM_BYTES, 0600);
        make_file("two.ram", 2 * RAM_BYTES, 0640);
        cfg = config_of("", NULL);
        snprintf(cfg.guest.ram, sizeof(cfg.guest.ram), "%s, %s", in_dir("one.ram"),
                in_dir("two.ram"));
        assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
        assert_string_equal(hand.offer.reason, "");
        assert_int_equal(hand.offer.n_files, 2);
        assert_int_equal(hand.offer.pid, 0);
        assert_int_equal(hand.n_fds, 2);
        assert_int_equal(hand.offer.file[1].size, 2 * RAM_BYTES);
        assert_int_equal(stat(in_dir("one.ram"), &st), 0);
        assert_int_equal(hand.offer.file[0].ino, st.st_ino);
        assert_int_equal(fcntl(hand.fd[0], F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_true(fcntl(hand.fd[0], F_GETFD) & FD_CLOEXEC);
        ram_hand_close(&hand);
}

static void a_name_that_leads_elsewhere_is_refused(void **state)
{
        (void)state;
        make_file("real.ram", RAM_BYTES, 0600);
        must(symlink(in_dir("real.ram"), in_dir("link.ram")) == 0, "symlink");
        must_refuse_path("link.ram", -ELOOP, "symbolic link");
        must(mkdir(in_dir("folder"), 0755) == 0 && symlink("folder", in_dir("way")) == 0, "way");
        make_file("folder/far.ram", RAM_BYTES, 0600);
        must_refuse_path("way/far.ram", -ELOOP, "symbolic link");
        /* A link of /proc is one that leads anywhere. */
        must_refuse(
                &(struct vgpu_config){ .guest.ram = "/proc/self/exe" }, -ELOOP, "symbolic link");
        must(link(in_dir("real.ram"), in_dir("second.ram")) == 0, "link");
        must_refuse_path("second.ram", -EPERM, "has 2 names");
}

static void what_is_no_ram_is_refused(void **state)
{
        (void)state;
        make_file("short", 4096, 0600);
        make_file("odd", RAM_BYTES + 1, 0600);
        make_file("open.ram", RAM_BYTES, 0666);
        must(mkfifo(in_dir("fifo"), 0600) == 0, "fifo");
        must_refuse_path("short", -EINVAL, "no guest's RAM: 4096 bytes");
        must_refuse_path("odd", -EINVAL, "no guest's RAM");
        must_refuse_path("open.ram", -EPERM, "can be written to by who it would be handed to");
        must_refuse_path("fifo", -EINVAL, "not a regular file");
        must_refuse_path("none", -ENOENT, "No such file");
        must_refuse(&(struct vgpu_config){ .guest.ram = "/etc/passwd" }, -EINVAL, "no guest's RAM");
        must_refuse(&(struct vgpu_config){ .guest.ram = "/dev/mem" },
                access("/dev/mem", F_OK) == 0 ? -EINVAL : -ENOENT, "/dev/mem");
}

/* Who has a descriptor of it opens it for writing as far as the file's own permissions let them, in whichever way. */
static void what_the_other_end_could_write_to_is_refused(void **state)
{
        /* user::rw-, user:65534:rw-, group::r--, mask::rw-, other::--- as the kernel keeps it */
        unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 254, 255, 0,
                0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0,
                255, 255, 255, 255 };
        struct vgpu_config cfg = config_of(in_dir("group.ram"), NULL);
        struct ram_hand hand;

        (void)state;
        make_file("group.ram", RAM_BYTES, 0660);
        if (getuid() == 0) {
                must(chown(in_dir("group.ram"), 0, NOBODY) == 0, "first group");
                must_refuse(&cfg, -EPERM, "can be written to by who it would be handed to");
                must(chown(in_dir("group.ram"), 0, FRIENDS) == 0, "second group");
                must_refuse(&cfg, -EPERM, "can be written to by who it would be handed to");
                must(chown(in_dir("group.ram"), NOBODY, STRANGERS) == 0, "owner");
                must_refuse(&cfg, -EPERM, "belongs to who it would be handed to");
                must(chown(in_dir("group.ram"), 0, STRANGERS) == 0, "another's group");
                assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
                ram_hand_close(&hand);
        }
        if (setxattr(in_dir("group.ram"), "system.posix_acl_access", acl, sizeof(acl), 0) < 0) {
                must(errno == EOPNOTSUPP, "setxattr");
                return;
        }
        must_refuse(&cfg, -EPERM, "access control list");
        acl[14] = 4; /* the mask says that somebody may write, and whom it means is not gone into */
        must(setxattr(in_dir("group.ram"), "system.posix_acl_access", acl, sizeof(acl), 0) == 0,
                "setxattr");
        must_refuse(&cfg, -EPERM, "access control list");
        acl[30] = 4;
        must(setxattr(in_dir("group.ram"), "system.posix_acl_access", acl, sizeof(acl), 0) == 0,
                "setxattr");
        assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
        ram_hand_close(&hand);
}

/* ---- a process' ---------------------------------------------------------------------------------------------------- */

struct backend {
        int fd;
        void *map;
        char path[64];
};

static struct backend backend_new(const char *name, bool mapped)
{
        struct backend b = { .fd = memfd_create(name, MFD_CLOEXEC) };

        must(b.fd >= 0 && ftruncate(b.fd, RAM_BYTES) == 0, "memfd");
        if (mapped)
                b.map = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
        must(b.map != MAP_FAILED, "mmap");
        snprintf(b.path, sizeof(b.path), "/proc/%d/fd/%d", (int)getpid(), b.fd);
        return b;
}

static void backend_free(struct backend *b)
{
        if (b->map)
                munmap(b->map, RAM_BYTES);
        close(b->fd);
}

static void a_memfd_is_handed_over_with_its_process_and_without_a_way_to_write(void **state)
{
        struct backend b = backend_new("any-name", true);
        struct vgpu_config cfg = config_of(b.path, NULL);
        struct ram_hand hand;
        struct stat st;

        (void)state;
        assert_int_equal(fstat(b.fd, &st), 0);
        assert_true(st.st_mode & S_IWOTH); /* what this is about */
        assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
        assert_int_equal(hand.offer.n_files, 1);
        assert_int_equal(hand.offer.pid, getpid());
        assert_int_equal(hand.n_fds, 2);
        assert_int_equal(hand.offer.file[0].begin, (uintptr_t)b.map);
        assert_int_equal(hand.offer.file[0].end, (uintptr_t)b.map + RAM_BYTES);
        assert_int_equal(fstat(b.fd, &st), 0);
        assert_int_equal(st.st_mode & (S_IWGRP | S_IWOTH), 0);
        if (getuid() == 0) {
                pid_t child = fork();
                int status;

                if (child == 0) {
                        char again[32];

                        snprintf(again, sizeof(again), "/proc/self/fd/%d", hand.fd[0]);
                        if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                                setresuid(NOBODY, NOBODY, NOBODY) < 0)
                                _exit(2);
                        _exit(open(again, O_RDWR) >= 0 || errno != EACCES);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_int_equal(status, 0);
        }
        ram_hand_close(&hand);
        backend_free(&b);
}

static void a_number_that_leads_to_another_file_is_refused(void **state)
{
        struct backend unmapped = backend_new("memory-backend-memfd", false);
        struct vgpu_config cfg = config_of(unmapped.path, NULL);
        char path[64];
        void *map;
        int fd;

        (void)state;
        must_refuse(&cfg, -ENOENT, "no memfd that its process has mapped");
        /* One that it has mapped, but which is somebody's file. */
        make_file("mapped", RAM_BYTES, 0600);
        fd = open(in_dir("mapped"), O_RDWR | O_CLOEXEC);
        map = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(map != MAP_FAILED);
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
        cfg = config_of(path, NULL);
        must_refuse(&cfg, -ENOENT, "no memfd that its process has mapped");
        munmap(map, RAM_BYTES);
        close(fd);
        /* A descriptor of ours that is there: whether another process has one of that number is its own affair. */
        snprintf(path, sizeof(path), "/proc/%d/fd/../fd/%d", (int)getpid(), unmapped.fd);
        cfg = config_of(path, NULL);
        must_refuse(&cfg, -ELOOP, "symbolic link");
        backend_free(&unmapped);
}

static void a_process_is_believed_to_be_qemu_as_far_as_its_pidfile_is(void **state)
{
        struct backend first = backend_new("memory-backend-memfd", true);
        struct backend other = backend_new("something-else", true);
        struct vgpu_config cfg;
        struct ram_hand hand;

        (void)state;
        make_pidfile("good.pid", getpid());
        cfg = config_of("auto", in_dir("good.pid"));
        assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
        assert_int_equal(hand.offer.n_files, 1);
        assert_int_equal(hand.offer.pid, getpid());
        ram_hand_close(&hand);
        /* With a monitor it is QEMU who says which is which. */
        snprintf(cfg.guest.qmp, sizeof(cfg.guest.qmp), "/run/qmp");
        assert_int_equal(ram_find(&cfg, &peer, &hand), 0);
        assert_int_equal(hand.offer.n_files, 2);
        ram_hand_close(&hand);
        cfg = config_of("auto", NULL);
        snprintf(cfg.guest.qmp, sizeof(cfg.guest.qmp), "/run/qmp");
        must_refuse(&cfg, -EINVAL, "takes [guest] pidfile");

        must(chmod(in_dir("good.pid"), 0666) == 0, "chmod");
        cfg = config_of("auto", in_dir("good.pid"));
        must_refuse(&cfg, -EPERM, "can be changed by others");
        must(chmod(in_dir("good.pid"), 0644) == 0, "chmod");
        must(mkdir(in_dir("wild"), 0700) == 0 && chmod(in_dir("wild"), 0777) == 0, "wild");
        make_pidfile("wild/pid", getpid());
        cfg = config_of("auto", in_dir("wild/pid"));
        must_refuse(&cfg, -EPERM, "can be changed by others");
        must(symlink(in_dir("good.pid"), in_dir("wild/link")) == 0, "link");
        cfg = config_of("auto", in_dir("wild/link"));
        must_refuse(&cfg, -EPERM, "can be changed by others");
        /* The user of a pidfile names processes of their own. */
        if (getuid() == 0) {
                must(chown(in_dir("good.pid"), NOBODY, NOBODY) == 0, "chown");
                cfg = config_of("auto", in_dir("good.pid"));
                must_refuse(&cfg, -EPERM, "belongs to user 65534");
        }
        backend_free(&first);
        backend_free(&other);
}

/* A machine of NOBODY's, with RAM in a memfd; it has begun when this returns. */
static pid_t start_machine_of_nobody(void)
{
        int ends[2];
        char ready;
        pid_t child;

        must(pipe2(ends, O_CLOEXEC) == 0, "pipe");
        child = fork();
        if (child == 0) {
                struct backend b;

                if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                        _exit(1);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                b = backend_new("memory-backend-memfd", true);
                if (write(ends[1], "r", 1) == 1 && b.map)
                        pause();
                _exit(1);
        }
        must(child > 0 && close(ends[1]) == 0 && read(ends[0], &ready, 1) == 1, "machine");
        close(ends[0]);
        return child;
}

static void a_user_names_a_machine_of_their_own_and_no_other(void **state)
{
        const struct ram_peer daemon = { { .uid = STRANGERS, .gid = STRANGERS }, NULL, 0 };
        struct ram_hand hand;
        struct vgpu_config cfg;
        pid_t child;

        (void)state;
        if (getuid() != 0) {
                print_message("skipped: two users take root\n");
                skip();
        }
        child = start_machine_of_nobody();
        make_pidfile("their.pid", child);
        must(chown(in_dir("their.pid"), NOBODY, NOBODY) == 0, "chown");
        cfg = config_of("auto", in_dir("their.pid"));
        assert_int_equal(ram_find(&cfg, &daemon, &hand), 0);
        assert_int_equal(hand.offer.n_files, 1);
        assert_int_equal(hand.offer.pid, child);
        ram_hand_close(&hand);
        make_pidfile("their.pid", getpid());
        must_refuse(&cfg, -EPERM, "belongs to user 65534");
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_process_that_is_gone_or_has_no_ram_is_refused(void **state)
{
        struct vgpu_config cfg;
        pid_t child = fork();

        (void)state;
        if (child == 0) {
                pause();
                _exit(0);
        }
        make_pidfile("child.pid", child);
        cfg = config_of("auto", in_dir("child.pid"));
        must_refuse(&cfg, -ENOENT, "has no RAM in a shared file");
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        must_refuse(&cfg, -ESRCH, "No such process");
        make_pidfile("child.pid", 0);
        must_refuse(&cfg, -EINVAL, "no process number");
}

/* ---- configurations ------------------------------------------------------------------------------------------------ */

static void a_configuration_that_others_can_change_is_not_gone_by(void **state)
{
        char why[192];

        (void)state;
        make_file("vm.conf", 0, 0644);
        assert_int_equal(trust_config(in_dir("vm.conf"), why, sizeof(why)), 0);
        must(chmod(in_dir("vm.conf"), 0664) == 0, "chmod");
        assert_int_equal(trust_config(in_dir("vm.conf"), why, sizeof(why)), -EPERM);
        must(chmod(in_dir("vm.conf"), 0600) == 0, "chmod");
        must(mkdir(in_dir("vm.conf.d"), 0755) == 0, "mkdir");
        make_file("vm.conf.d/10-mine.conf", 0, 0600);
        must(symlink("/dev/null", in_dir("vm.conf.d/20-off.conf")) == 0, "link");
        assert_int_equal(trust_config(in_dir("vm.conf"), why, sizeof(why)), 0);
        must(chmod(in_dir("vm.conf.d/10-mine.conf"), 0602) == 0, "chmod");
        assert_int_equal(trust_config(in_dir("vm.conf"), why, sizeof(why)), -EPERM);
        must(chmod(in_dir("vm.conf.d/10-mine.conf"), 0600) == 0, "chmod");
        must(chmod(in_dir("vm.conf.d"), 0775) == 0, "chmod");
        assert_int_equal(trust_config(in_dir("vm.conf"), why, sizeof(why)), -EPERM);
        assert_non_null(strstr(why, "vm.conf.d can be changed by others"));
}

/* From a root's link to another's: whoever may lay that one decides where both lead. */
static void a_link_that_another_link_leads_over_is_looked_at_too(void **state)
{
        char why[192];

        (void)state;
        make_pidfile("own.pid", getpid());
        must(symlink("own.pid", in_dir("near")) == 0 && symlink("near", in_dir("far")) == 0, "own");
        assert_int_equal(trust_path(in_dir("far"), 0, why, sizeof(why)), 0);
        must(mkdir(in_dir("common"), 0700) == 0 && chmod(in_dir("common"), 0777) == 0, "common");
        must(symlink("../own.pid", in_dir("common/theirs")) == 0, "theirs");
        must(symlink("common/theirs", in_dir("ours")) == 0, "ours");
        assert_int_equal(trust_path(in_dir("ours"), 0, why, sizeof(why)), -EPERM);
        assert_non_null(strstr(why, "common can be changed by others"));
        must(symlink("round", in_dir("round")) == 0, "round");
        assert_int_equal(trust_path(in_dir("round"), 0, why, sizeof(why)), -ELOOP);
        must(symlink("nowhere", in_dir("lost")) == 0, "lost");
        assert_int_equal(trust_path(in_dir("lost"), 0, why, sizeof(why)), -ENOENT);
        assert_int_equal(trust_path("own.pid", 0, why, sizeof(why)), -EINVAL);
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
                cmocka_unit_test(a_named_file_is_opened_for_reading_only),
                cmocka_unit_test(a_name_that_leads_elsewhere_is_refused),
                cmocka_unit_test(what_is_no_ram_is_refused),
                cmocka_unit_test(what_the_other_end_could_write_to_is_refused),
                cmocka_unit_test(
                        a_memfd_is_handed_over_with_its_process_and_without_a_way_to_write),
                cmocka_unit_test(a_number_that_leads_to_another_file_is_refused),
                cmocka_unit_test(a_process_is_believed_to_be_qemu_as_far_as_its_pidfile_is),
                cmocka_unit_test(a_user_names_a_machine_of_their_own_and_no_other),
                cmocka_unit_test(a_process_that_is_gone_or_has_no_ram_is_refused),
                cmocka_unit_test(a_configuration_that_others_can_change_is_not_gone_by),
                cmocka_unit_test(a_link_that_another_link_leads_over_is_looked_at_too),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
