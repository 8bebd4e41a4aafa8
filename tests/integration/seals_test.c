/*
 * seals_test.c - whoever holds a ring can read it, and nothing else
 *
 * A real daemon under a user of its own, and its ring in the hands of that user, of another, and of root. Each tries
 * every way there is to write or resize it. The daemon is stopped meanwhile, so that the ring has to be, byte for
 * byte, what it was. The same for the page that a client may write: it does so through the map that it had when the
 * daemon sealed it, and in no other way can it be touched, or the daemon that reads it could be made to fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "rig.h"

/* An account need not exist to be one. */
#define DAEMON_USER 61234u
#define OTHER_USER  65534u
#define PAGE        4096

/* ---- ways to do harm: each returns whether it worked --------------------------------------------------------------- */

static bool can_write(int fd, size_t len)
{
        (void)len;
        return lseek(fd, 0, SEEK_SET) == 0 && write(fd, "x", 1) == 1;
}

static bool can_pwrite(int fd, size_t len)
{
        return pwrite(fd, "x", 1, 0) == 1 || pwrite(fd, "x", 1, (off_t)len - 1) == 1;
}

static bool can_map_writable(int fd, size_t len)
{
        uint8_t *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (map == MAP_FAILED)
                return false;
        map[0]++;
        munmap(map, len);
        return true;
}

static bool can_make_a_map_writable(int fd, size_t len)
{
        uint8_t *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
        bool can;

        if (map == MAP_FAILED)
                return false;
        can = mprotect(map, len, PROT_READ | PROT_WRITE) == 0;
        if (can)
                map[0]++;
        munmap(map, len);
        return can;
}

static bool can_truncate(int fd, size_t len)
{
        return ftruncate(fd, 0) == 0 || ftruncate(fd, (off_t)len - PAGE) == 0 ||
               ftruncate(fd, (off_t)len + PAGE) == 0;
}

static bool can_allocate(int fd, size_t len)
{
        return fallocate(fd, 0, 0, PAGE) == 0 || fallocate(fd, 0, (off_t)len, PAGE) == 0;
}

static bool can_punch_a_hole(int fd, size_t len)
{
        const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

        return fallocate(fd, punch, 0, PAGE) == 0 ||
               fallocate(fd, punch, (off_t)len - PAGE, PAGE) == 0;
}

static bool can_remove_pages(int fd, size_t len)
{
        void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
        bool can;

        if (map == MAP_FAILED)
                return false;
        can = madvise(map, len, MADV_REMOVE) == 0;
        munmap(map, len);
        return can;
}

static bool can_seal(int fd, size_t len)
{
        (void)len;
        return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 ||
               fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0;
}

static bool can_grow(int fd, size_t len)
{
        return pwrite(fd, "x", 1, (off_t)len) == 1 || fallocate(fd, 0, (off_t)len, PAGE) == 0;
}

typedef bool (*attack_fn)(int fd, size_t len);

static bool can_after_reopening(int fd, size_t len, const attack_fn *then, size_t n)
{
        const int flags[] = { O_RDWR, O_WRONLY, O_RDWR | O_TRUNC };
        bool can = false;
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        fchmod(fd, 0666); /* the owner may, and root */
        can |= truncate(path, 0) == 0;
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
                int again = open(path, flags[i] | O_CLOEXEC);

                for (size_t k = 0; again >= 0 && k < n; k++)
                        can |= then[k](again, len);
                if (again >= 0)
                        close(again);
        }
        return can;
}

/* Of fallocate() only what makes it longer: its own user can have it take the memory that it may take anyway. */
static bool can_reopen_and_modify(int fd, size_t len)
{
        const attack_fn then[] = { can_write, can_pwrite, can_map_writable, can_make_a_map_writable,
                can_truncate, can_grow, can_punch_a_hole, can_remove_pages, can_seal };

        return can_after_reopening(fd, len, then, sizeof(then) / sizeof(then[0]));
}

struct attack {
        const char *name;
        attack_fn can;
};

static const struct attack on_ring[] = {
        { "write", can_write },
        { "pwrite", can_pwrite },
        { "mmap read-write", can_map_writable },
        { "mprotect to read-write", can_make_a_map_writable },
        { "ftruncate", can_truncate },
        { "fallocate", can_allocate },
        { "hole punching", can_punch_a_hole },
        { "MADV_REMOVE", can_remove_pages },
        { "adding seals", can_seal },
        { "reopening, then modifying", can_reopen_and_modify },
        { NULL, NULL },
};

static const struct attack on_page[] = {
        { "write", can_write },
        { "pwrite", can_pwrite },
        { "another map, read-write", can_map_writable },
        { "mprotect to read-write", can_make_a_map_writable },
        { "ftruncate", can_truncate },
        { "writing past its end", can_grow },
        { "hole punching", can_punch_a_hole },
        { "MADV_REMOVE", can_remove_pages },
        { "adding seals", can_seal },
        { "reopening, then modifying", can_reopen_and_modify },
        { NULL, NULL },
};

/* ---- by whom ------------------------------------------------------------------------------------------------------- */

static const struct {
        const char *name;
        uid_t uid;
} users[] = {
        { "another user", OTHER_USER },
        { "the daemon's user", DAEMON_USER },
        { "root", 0 },
};

/* In a child, for good. */
static void become(uid_t uid)
{
        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                _exit(2);
        /* changing users made /proc/self root's */
        prctl(PR_SET_DUMPABLE, 1);
}

/* Returns how many attacks worked; says which. */
static int attack_as(size_t user, const struct attack *attacks, int fd, size_t len)
{
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int worked = 0;

                become(users[user].uid);
                signal(SIGBUS, SIG_DFL);
                for (const struct attack *a = attacks; a->name; a++) {
                        if (!a->can(fd, len))
                                continue;
                        fprintf(stderr, "%s works for %s\n", a->name, users[user].name);
                        worked++;
                }
                _exit(worked);
        }
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- what there is to attack --------------------------------------------------------------------------------------- */

/*
 * What is started while this holds belongs to the daemon's user altogether: exec() forgets the saved user, by which
 * we become root again.
 */
static void as_daemon_user(void (*start)(struct rig *), struct rig *rig)
{
        assert_int_equal(setgroups(0, NULL), 0);
        assert_int_equal(setresgid(DAEMON_USER, DAEMON_USER, 0), 0);
        assert_int_equal(setresuid(DAEMON_USER, DAEMON_USER, 0), 0);
        start(rig);
        assert_int_equal(setresuid(0, 0, 0), 0);
        assert_int_equal(setresgid(0, 0, 0), 0);
}

static void start(struct rig *rig)
{
        rig_guest_simulated(rig, NULL);
        rig_daemon(rig, NULL);
}

struct loot {
        int sock;
        int ring_fd, page_fd;
        size_t ring_len, page_len;
        uint8_t *ring_before;
};

static size_t size_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return (size_t)st.st_size;
}

/* Messages are taken in their order: with the answer to a question, what was said before it is done. */
static void until_settled(int sock, int page_fd)
{
        const struct vgpu_msg_header mapped = message_header(VGPU_MSG_PAGE, sizeof(mapped));
        struct vgpu_msg_query query = {
                .header = message_header(VGPU_MSG_QUERY, sizeof(query)),
                .what = VGPU_QUERY_STATUS,
        };
        _Alignas(uint64_t) uint8_t buf[VGPU_MSG_MAX];
        struct pollfd pfd = { .fd = sock, .events = POLLIN };

        assert_int_equal(fcntl(page_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL), 0);
        assert_int_equal(message_send(sock, &mapped, sizeof(mapped), NULL, 0, NULL, 0), 0);
        assert_int_equal(message_send(sock, &query, sizeof(query), NULL, 0, NULL, 0), 0);
        do {
                int fds[MESSAGE_MAX_FDS];
                size_t n_fds;

                assert_int_equal(poll(&pfd, 1, RIG_PATIENCE_MS), 1);
                assert_true(message_recv(sock, buf, sizeof(buf), fds, &n_fds) > 0);
                while (n_fds > 0)
                        close(fds[--n_fds]);
        } while (((struct vgpu_msg_header *)buf)->type != VGPU_MSG_REPLY);
}

/* A client's descriptors, as the daemon sends them: ring, wake, page. */
static void take_descriptors(struct loot *loot, const char *path)
{
        struct vgpu_msg_hello hello = { .wants =
                                                VGPU_WANT_RING | VGPU_WANT_WAKE | VGPU_WANT_LEASE };
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        _Alignas(uint64_t) uint8_t buf[VGPU_MSG_MAX];
        struct pollfd pfd = { .events = POLLIN };
        int fds[MESSAGE_MAX_FDS];
        size_t n_fds;

        hello.header = message_header(VGPU_MSG_HELLO, sizeof(hello));
        snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
        pfd.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(pfd.fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
        assert_int_equal(message_send(pfd.fd, &hello, sizeof(hello), NULL, 0, NULL, 0), 0);
        assert_int_equal(poll(&pfd, 1, RIG_PATIENCE_MS), 1);
        assert_true(message_recv(pfd.fd, buf, sizeof(buf), fds, &n_fds) > 0);
        assert_int_equal(((struct vgpu_msg_header *)buf)->type, VGPU_MSG_WELCOME);
        assert_int_equal(n_fds, 3);
        *loot = (struct loot){ .sock = pfd.fd, .ring_fd = fds[0], .page_fd = fds[2] };
        close(fds[1]);
        loot->ring_len = size_of(loot->ring_fd);
        loot->page_len = size_of(loot->page_fd);
        until_settled(loot->sock, loot->page_fd);
}

static void read_ring(const struct loot *loot, uint8_t *buf)
{
        assert_int_equal(pread(loot->ring_fd, buf, loot->ring_len, 0), loot->ring_len);
}

static void loot_start(struct loot *loot, struct rig *rig)
{
        as_daemon_user(start, rig);
        rig_client(rig);
        rig_until_frame(rig);
        take_descriptors(loot, rig->daemon.socket);
        loot->ring_before = malloc(loot->ring_len);
        assert_non_null(loot->ring_before);
}

/* The daemon goes on as if nothing had been. */
static void loot_stop(struct loot *loot, struct rig *rig)
{
        rig_until_frame(rig);
        close(loot->ring_fd);
        close(loot->page_fd);
        close(loot->sock);
        free(loot->ring_before);
        rig_stop(rig);
}

/* While stopped the daemon changes nothing: what is different then is somebody else's doing. */
static void daemon_stop(const struct rig *rig)
{
        siginfo_t info;

        assert_int_equal(kill(rig->daemon.pid, SIGSTOP), 0);
        assert_int_equal(waitid(P_PID, (id_t)rig->daemon.pid, &info, WSTOPPED | WNOWAIT), 0);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

static void a_ring_can_be_read_by_whoever_has_it_and_nothing_else(void **state)
{
        struct rig rig = RIG_NONE;
        struct loot loot;
        struct stat st;
        uint8_t *after;

        (void)state;
        loot_start(&loot, &rig);
        assert_int_equal(fcntl(loot.ring_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_int_equal(fstat(loot.ring_fd, &st), 0);
        assert_int_equal(st.st_uid, DAEMON_USER);
        assert_int_equal(st.st_mode & 07777, 0400);

        after = malloc(loot.ring_len);
        assert_non_null(after);
        daemon_stop(&rig);
        read_ring(&loot, loot.ring_before);
        for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
                assert_int_equal(attack_as(i, on_ring, loot.ring_fd, loot.ring_len), 0);
                assert_int_equal(size_of(loot.ring_fd), loot.ring_len);
                read_ring(&loot, after);
                assert_true(memcmp(after, loot.ring_before, loot.ring_len) == 0);
        }
        kill(rig.daemon.pid, SIGCONT);
        free(after);
        loot_stop(&loot, &rig);
}

static void a_clients_page_keeps_its_size_and_its_seals(void **state)
{
        struct rig rig = RIG_NONE;
        struct loot loot;

        (void)state;
        loot_start(&loot, &rig);
        for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
                assert_int_equal(attack_as(i, on_page, loot.page_fd, loot.page_len), 0);
                assert_int_equal(size_of(loot.page_fd), loot.page_len);
                assert_int_equal(fcntl(loot.page_fd, F_GET_SEALS),
                        F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
        }
        loot_stop(&loot, &rig);
}

/* The attacks have to be able to succeed, or they would show nothing. */
static void every_attack_works_on_what_is_not_sealed(void **state)
{
        (void)state;
        for (const struct attack *a = on_ring; a->name; a++) {
                int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);

                assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
                if (!a->can(fd, 4 * PAGE))
                        fail_msg("%s never works", a->name);
                close(fd);
        }
        for (const struct attack *a = on_page; a->name; a++) {
                int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);

                assert_int_equal(ftruncate(fd, PAGE), 0);
                if (!a->can(fd, PAGE))
                        fail_msg("%s never works", a->name);
                close(fd);
        }
}

/* ---- programs that the daemon's user can run: the build folder may be where only root comes ------------------------ */

static char bin[] = "/tmp/vgpud-seals-XXXXXX";
static char daemon_path[sizeof(bin) + 16], guest_path[sizeof(bin) + 16];

static void copy_program(const char *from, const char *to)
{
        int in = open(from, O_RDONLY | O_CLOEXEC),
            out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        ssize_t n;

        assert_true(in >= 0 && out >= 0);
        do {
                n = sendfile(out, in, NULL, 1 << 30);
                assert_true(n >= 0);
        } while (n > 0);
        assert_int_equal(fchmod(out, 0755), 0);
        close(out);
        close(in);
}

static int copy_programs(void **state)
{
        (void)state;
        assert_non_null(mkdtemp(bin));
        assert_int_equal(chmod(bin, 0755), 0);
        snprintf(daemon_path, sizeof(daemon_path), "%s/vgpud", bin);
        snprintf(guest_path, sizeof(guest_path), "%s/vgpu-guest", bin);
        copy_program(VGPU_BIN_DIR "/vgpud", daemon_path);
        copy_program(VGPU_BIN_DIR "/vgpu-guest", guest_path);
        assert_int_equal(setenv("VGPU_DAEMON", daemon_path, 1), 0);
        return setenv("VGPU_GUEST", guest_path, 1);
}

static int remove_programs(void **state)
{
        (void)state;
        unlink(daemon_path);
        unlink(guest_path);
        return rmdir(bin);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_attack_works_on_what_is_not_sealed),
                cmocka_unit_test(a_ring_can_be_read_by_whoever_has_it_and_nothing_else),
                cmocka_unit_test(a_clients_page_keeps_its_size_and_its_seals),
        };

        if (geteuid() != 0) {
                printf("skipped: becoming other users takes root\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, copy_programs, remove_programs);
}
