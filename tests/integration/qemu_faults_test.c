/*
 * qemu_faults_test.c - what can befall QEMU, its RAM and its monitor, while frames flow: the right state, then recovery
 *
 * The machine always has a RAM file, a monitor of the daemon's own and a pid file; a test configures what it is about.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

static char folder[] = "/dev/shm/vgpud-faults-XXXXXX";
static struct rig world;
static char file[64], monitor[64], pidfile[64], image[64];

static struct vm_proc_options machine(void)
{
        return (struct vm_proc_options){ .ram = "512M",
                .place = "low",
                .file = file,
                .mode = "320x200@20",
                .monitor = monitor,
                .pidfile = pidfile };
}

static void boot(struct rig *rig)
{
        const struct vm_proc_options options = machine();

        rig_boot_vm(rig, &options);
}

/* What the daemon is told of. */
enum { ASK_QEMU = 1, WATCH_PROCESS = 2 };

static void start(struct rig *rig, unsigned told)
{
        char more[256] = "[guest]\n";

        boot(rig);
        if (told & ASK_QEMU)
                snprintf(more + strlen(more), sizeof(more) - strlen(more), "qmp = %s\n", monitor);
        if (told & WATCH_PROCESS)
                snprintf(more + strlen(more), sizeof(more) - strlen(more), "pidfile = %s\n",
                        pidfile);
        assert_int_equal(daemon_proc_start(&rig->daemon, file, "q35", 0, more), 0);
        rig_client(rig);
        rig_until_frame(rig);
}

static void end(struct rig *rig)
{
        rig_stop(rig);
        unlink(file);
        unlink(monitor);
}

static void kill_qemu(struct rig *rig)
{
        vm_proc_kill(&rig->vm);
        vm_proc_stop(&rig->vm);
        guest_proc_stop(&rig->guest);
        rig->guest = (struct guest_proc)GUEST_PROC_NULL;
        unlink(monitor);
}

/* Another QEMU at the same places: the same client sees frames again. */
static void comes_back(struct rig *rig)
{
        unsigned reconnects = rig->reconnects;

        boot(rig);
        rig_until_frame(rig);
        assert_int_equal(rig->reconnects, reconnects);
}

static void killed_qemu_is_off_when_its_process_is_watched(void **state)
{

        (void)state;
        start(&world, WATCH_PROCESS);
        kill_qemu(&world);
        rig_until(&world, rig_state_is, VGPU_RING_ABSENT, "absent");
        rig_until_status(&world, "\"absent\"", "The virtual machine is off");
        comes_back(&world);
}

static void killed_qemu_is_off_when_nobody_listens_any_more(void **state)
{

        (void)state;
        start(&world, ASK_QEMU);
        kill_qemu(&world);
        rig_until(&world, rig_state_is, VGPU_RING_ABSENT, "absent");
        rig_until_status(&world, "\"absent\"", monitor);
        comes_back(&world);
}

static void killed_qemu_is_paused_or_off_when_nobody_can_be_asked(void **state)
{

        (void)state;
        start(&world, 0);
        kill_qemu(&world);
        rig_until_status(&world, "\"stalled\"", "paused or off");
        comes_back(&world);
}

static void machines_later_the_daemon_holds_what_it_held(void **state)
{
        struct daemon_proc_holds before, after;

        (void)state;
        start(&world, ASK_QEMU | WATCH_PROCESS);
        before = daemon_proc_holds(&world.daemon);
        for (int i = 0; i < 3; i++) {
                kill_qemu(&world);
                rig_until(&world, rig_state_is, VGPU_RING_ABSENT, "absent");
                comes_back(&world);
        }
        after = daemon_proc_holds(&world.daemon);
        assert_int_equal(after.n_fds, before.n_fds);
        assert_int_equal(after.n_maps, before.n_maps);
}

static void a_machine_that_is_shut_down_is_off(void **state)
{

        (void)state;
        start(&world, ASK_QEMU);
        assert_int_equal(vm_proc_qmp(&world.vm, "quit"), 0);
        rig_until_status(&world, "\"absent\"", monitor);
        kill_qemu(&world);
        comes_back(&world);
}

static void a_pause_is_qemus_own_word(void **state)
{
        uint64_t epoch;

        (void)state;
        start(&world, ASK_QEMU | WATCH_PROCESS);
        epoch = world.verify.frame.epoch;
        rig_pause(&world);
        rig_until_status(&world, "\"stalled\"", "QEMU says 'paused'");
        rig_resume(&world);
        rig_until(&world, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(&world);
        assert_int_equal(world.verify.frame.epoch, epoch);
}

static void a_reset_ends_the_epoch_by_qemus_word(void **state)
{
        uint64_t epoch;

        (void)state;
        start(&world, ASK_QEMU);
        epoch = world.verify.frame.epoch;
        rig_reboot(&world);
        rig_until(&world, rig_epoch_is, epoch + 1, "a frame of the next epoch");
}

static void a_machine_that_does_not_run_yet_is_waited_for(void **state)
{
        char more[128];

        (void)state;
        boot(&world);
        rig_pause(&world);
        snprintf(more, sizeof(more), "[guest]\nqmp = %s\n", monitor);
        assert_int_equal(daemon_proc_start(&world.daemon, file, "q35", 0, more), 0);
        rig_client(&world);
        rig_until_status(&world, "\"absent\"", "QEMU says 'paused'");
        rig_resume(&world);
        rig_until_frame(&world);
}

static void migrate(struct rig *rig, const char *to)
{
        char request[256];

        snprintf(request, sizeof(request),
                "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"exec:%s\"}}", to);
        assert_int_equal(vm_proc_qmp_text(&rig->vm, request), 0);
        rig_until_status(rig, "\"stalled\"", "QEMU says 'postmigrate'");
}

static void a_migration_that_is_taken_back_goes_on(void **state)
{
        uint64_t epoch;

        (void)state;
        start(&world, ASK_QEMU);
        epoch = world.verify.frame.epoch;
        migrate(&world, "cat > /dev/null");
        rig_resume(&world);
        rig_until(&world, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(&world);
        assert_int_equal(world.verify.frame.epoch, epoch);
}

static bool exists(const struct rig *rig, uint64_t path)
{
        (void)rig;
        return access((const char *)(uintptr_t)path, F_OK) == 0;
}

/*
 * While its RAM comes in from outside nobody may look; then it is the same machine in another stretch of time. It is
 * stopped first: QEMU without KVM loses pages that a running guest writes while they are sent, one migration in ten of this
 * machine, and what comes out on the other side then is no working guest.
 */
static void a_machine_that_migrates_is_followed(void **state)
{
        struct vm_proc_options options = machine();
        char request[256];

        (void)state;
        start(&world, ASK_QEMU);
        rig_pause(&world);
        /* Its name comes when all of it is there; QEMU does not wait for that. */
        snprintf(request, sizeof(request), "cat > %s.part && mv %s.part %s", image, image, image);
        migrate(&world, request);
        rig_until(&world, exists, (uintptr_t)image, image);
        kill_qemu(&world);
        rig_until_status(&world, "\"absent\"", monitor);

        options.incoming = "defer";
        assert_int_equal(vm_proc_start(&world.vm, &options), 0);
        guest_proc_attach(&world.guest, world.vm.serial_fd, world.vm.serial_fd);
        rig_until_status(&world, "\"absent\"", "QEMU says 'inmigrate'");
        snprintf(request, sizeof(request),
                "{\"execute\": \"migrate-incoming\", \"arguments\": {\"uri\": \"exec:cat %s\"}}",
                image);
        assert_int_equal(vm_proc_qmp_text(&world.vm, request), 0);
        rig_until_status(&world, "\"absent\"", "QEMU says 'paused'");
        rig_resume(&world);
        rig_until(&world, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(&world);
        unlink(image);
}

static void a_stopped_qemu_is_paused_and_goes_on(void **state)
{

        (void)state;
        start(&world, ASK_QEMU | WATCH_PROCESS);
        assert_int_equal(kill(world.vm.qemu_pid, SIGSTOP), 0);
        rig_until_status(&world, "\"stalled\"", "the machine is paused");
        assert_int_equal(kill(world.vm.qemu_pid, SIGCONT), 0);
        rig_until(&world, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(&world);
}

/* The guest writes into RAM that is gone then, so QEMU does not outlive it. */
static void truncated_ram_is_gone(void **state)
{

        (void)state;
        start(&world, ASK_QEMU);
        assert_int_equal(kill(world.vm.qemu_pid, SIGSTOP), 0);
        assert_int_equal(truncate(file, 4096), 0);
        rig_until_status(&world, "\"absent\"", file);
        kill_qemu(&world);
        unlink(file);
        comes_back(&world);
}

static void replaced_ram_is_gone_and_its_successor_taken(void **state)
{
        int fd;

        (void)state;
        start(&world, WATCH_PROCESS);
        unlink(file);
        fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 512 << 20), 0);
        close(fd);
        rig_until_status(&world, "\"attaching\"", "No Windows kernel");
        kill_qemu(&world);
        rig_until_status(&world, "\"absent\"", "The virtual machine is off");
        comes_back(&world);
}

/* ---- a monitor that is lost ---------------------------------------------------------------------------------------- */

/* Copies what one end says to the other. Return: false when that end is done. */
static bool pass_on(int from, int to)
{
        char bytes[4096];
        ssize_t n = read(from, bytes, sizeof(bytes));

        return n > 0 && write(to, bytes, (size_t)n) == n;
}

static int unix_socket(const char *path, struct sockaddr_un *ret_address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
        snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s", path);
        return fd;
}

static void relay_one(int client)
{
        struct sockaddr_un address;
        int qemu = unix_socket(monitor, &address);
        struct pollfd ends[] = { { .fd = client, .events = POLLIN },
                { .fd = qemu, .events = POLLIN } };

        if (connect(qemu, (struct sockaddr *)&address, sizeof(address)) < 0)
                return;
        while (poll(ends, 2, -1) > 0) {
                if (ends[0].revents && !pass_on(client, qemu))
                        break;
                if (ends[1].revents && !pass_on(qemu, client))
                        break;
        }
        close(qemu);
}

/* A process between the daemon and QEMU's monitor, which can be killed without QEMU noticing more than a hang-up. */
static pid_t relay(const char *path)
{
        struct sockaddr_un address;
        int listener = unix_socket(path, &address);
        pid_t parent = getpid(), pid;

        assert_true(listener >= 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 1), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                        _exit(127);
                for (;;) {
                        int client = accept(listener, NULL, NULL);

                        relay_one(client);
                        close(client);
                }
        }
        close(listener);
        return pid;
}

static void end_relay(pid_t pid, const char *path)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        unlink(path);
}

static void a_closed_monitor_ends_nothing(void **state)
{
        char path[80], more[128];
        uint64_t epoch;
        pid_t pid;

        (void)state;
        boot(&world);
        snprintf(path, sizeof(path), "%s.relay", monitor);
        snprintf(more, sizeof(more), "[guest]\nqmp = %s\n", path);
        pid = relay(path);
        assert_int_equal(daemon_proc_start(&world.daemon, file, "q35", 0, more), 0);
        rig_client(&world);
        rig_until_frame(&world);
        epoch = world.verify.frame.epoch;

        end_relay(pid, path);
        rig_until_said(&world, "closed the connection; connecting again");
        rig_until_frame(&world);
        assert_int_equal(world.verify.frame.epoch, epoch);
        assert_int_equal(world.now.stream.state, VGPU_RING_STREAMING);

        /* And it is listened to again when it is back. */
        pid = relay(path);
        rig_until_said(&world, "QEMU's monitor is back");
        rig_pause(&world);
        rig_until_status(&world, "\"stalled\"", "QEMU says 'paused'");
        rig_resume(&world);
        rig_until(&world, rig_state_is, VGPU_RING_STREAMING, "streaming again");
        rig_until_frame(&world);
        end_relay(pid, path);
}

static int begin(void **state)
{
        (void)state;
        world = RIG_NONE;
        return 0;
}

/* What a failed test leaves: the next one's machine has the same RAM file. */
static int leave_nothing(void **state)
{
        (void)state;
        end(&world);
        return 0;
}

static int make_folder(void **state)
{
        (void)state;
        if (!mkdtemp(folder))
                return -1;
        snprintf(file, sizeof(file), "%s/ram", folder);
        snprintf(monitor, sizeof(monitor), "%s/qmp", folder);
        snprintf(pidfile, sizeof(pidfile), "%s/pid", folder);
        snprintf(image, sizeof(image), "%s/image", folder);
        return 0;
}

static int remove_folder(void **state)
{
        (void)state;
        unlink(file);
        unlink(monitor);
        unlink(image);
        rmdir(folder);
        return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, leave_nothing)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(killed_qemu_is_off_when_its_process_is_watched),
                TEST(killed_qemu_is_off_when_nobody_listens_any_more),
                TEST(killed_qemu_is_paused_or_off_when_nobody_can_be_asked),
                TEST(machines_later_the_daemon_holds_what_it_held),
                TEST(a_machine_that_is_shut_down_is_off),
                TEST(a_pause_is_qemus_own_word),
                TEST(a_reset_ends_the_epoch_by_qemus_word),
                TEST(a_machine_that_does_not_run_yet_is_waited_for),
                TEST(a_migration_that_is_taken_back_goes_on),
                TEST(a_machine_that_migrates_is_followed),
                TEST(a_stopped_qemu_is_paused_and_goes_on),
                TEST(truncated_ram_is_gone),
                TEST(replaced_ram_is_gone_and_its_successor_taken),
                TEST(a_closed_monitor_ends_nothing),
        };

        if (vm_proc_missing()) {
                fprintf(stderr, "skipped: %s\n", vm_proc_missing());
                return 77;
        }
        return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
