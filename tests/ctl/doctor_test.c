/*
 * doctor_test.c - what is wrong is named, and so is what to do about it
 *
 * A host of its own below a folder: configuration, users, RAM, /proc. What daemon and service manager say is canned.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "doctor.h"
#include "schema.h"
#include "tool.h"
#include "vgpu_protocol.h"

#define RAM_BYTES 65536

struct host {
        char dir[32];
        char socket[64];
        const char *status, *metrics; /* NULL: the daemon does not answer */
        struct doctor_unit unit;
        struct doctor doctor;
        struct doctor_finding finding[32]; /* by check */
        bool sound;
};

static struct host host;

/* ---- a host ---------------------------------------------------------------------------------------------------------- */

/* @path below the host's root; its folders are made. */
static void put(const char *path, mode_t mode, const char *format, ...)
{
        char real[256], command[320];
        va_list ap;
        FILE *f;

        snprintf(command, sizeof command, "mkdir -p '%s%.*s'", host.dir,
                (int)(strrchr(path, '/') - path), path);
        assert_int_equal(system(command), 0);
        snprintf(real, sizeof real, "%s%s", host.dir, path);
        f = fopen(real, "w");
        assert_non_null(f);
        va_start(ap, format);
        vfprintf(f, format, ap);
        va_end(ap);
        fclose(f);
        assert_int_equal(chmod(real, mode), 0);
}

static void put_ram(mode_t mode)
{
        char real[256];

        put("/shm/vm.ram", mode, "%s", "");
        snprintf(real, sizeof real, "%s/shm/vm.ram", host.dir);
        assert_int_equal(truncate(real, RAM_BYTES), 0);
}

static void make_fifo(const char *path)
{
        char real[256];

        snprintf(real, sizeof real, "%s%s", host.dir, path);
        assert_int_equal(unlink(real), 0);
        assert_int_equal(mkfifo(real, 0644), 0);
}

/* Process 123 has the RAM file mapped with these rights. */
static void put_process(const char *rights)
{
        char real[256];
        struct stat st;

        snprintf(real, sizeof real, "%s/shm/vm.ram", host.dir);
        assert_int_equal(stat(real, &st), 0);
        put("/proc/123/comm", 0644, "qemu-system-x86\n");
        put("/proc/123/maps", 0644,
                "00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/qemu\n"
                "7f00-7f01 r--s 00000000 %02x:%02x %lu %s\n"
                "7f10-7f11 %s 00000000 %02x:%02x %lu %s\n",
                major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino, real, rights,
                major(st.st_dev), minor(st.st_dev), (unsigned long)st.st_ino, real);
}

static int ask(struct doctor *d, uint32_t what, json_object **ret, char *why, size_t cap)
{
        const char *text = what == VGPU_QUERY_STATUS ? host.status : host.metrics;

        (void)d;
        if (!text) {
                snprintf(why, cap, "nobody is there");
                return -ECONNREFUSED;
        }
        *ret = json_tokener_parse(text);
        assert_non_null(*ret);
        return 0;
}

static int ask_unit(
        struct doctor *d, const char *unit, struct doctor_unit *ret, char *why, size_t cap)
{
        (void)d;
        (void)why;
        (void)cap;
        assert_string_equal(unit, "vgpud@win11.service");
        *ret = host.unit;
        return 0;
}

/* All is well. */
static int begin(void **state)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void)state;
        memset(&host, 0, sizeof host);
        strcpy(host.dir, "/tmp/doctor.XXXXXX");
        assert_non_null(mkdtemp(host.dir));
        assert_int_equal(chmod(host.dir, 0755), 0);
        put("/etc/passwd", 0644, "root:x:0:0::/:/bin/sh\nvgpud:x:65533:65533::/:/bin/false\n");
        put("/etc/group", 0644, "vgpu:x:65532:vgpud\n");
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /shm/vm.ram\npidfile = /run/qemu.pid\n");
        put("/run/qemu.pid", 0644, "123\n");
        put("/proc/77/limits", 0644,
                "Max open files            16384                524288               files\n"
                "Max locked memory         67108864             67108864             bytes\n");
        put("/proc/sys/kernel/io_uring_disabled", 0644, "0\n");
        put("/var/log/journal/here", 0644, "%s", "");
        put_ram(0644);
        put_process("rw-s");
        snprintf(host.socket, sizeof host.socket, "%s/win11.sock", host.dir);
        strcpy(addr.sun_path, host.socket);
        assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        close(fd);
        host.status = "{\"schema\":1,\"version\":\"0.1.0\",\"pid\":77,\"state\":\"streaming\","
                      "\"since_ms\":4200,\"fps\":59.9,"
                      "\"reason\":null,\"epoch\":1,\"clients\":2}";
        host.metrics = "{\"counters\":{\"clients_refused\":{\"denied\":0},\"clients_dropped\":{"
                       "\"version\":0}}}";
        host.unit = (struct doctor_unit){ .load = "loaded",
                .active = "active",
                .sub = "running",
                .result = "success",
                .pid = 77 };
        return 0;
}

static int end(void **state)
{
        char command[64];

        (void)state;
        doctor_deinit(&host.doctor);
        snprintf(command, sizeof command, "rm -rf '%s'", host.dir);
        assert_int_equal(system(command), 0);
        return 0;
}

static void keep(void *ctx, const struct doctor_check *check, const struct doctor_finding *f)
{
        (void)ctx;
        host.finding[check - doctor_checks] = *f;
}

static void examine(void)
{
        doctor_deinit(&host.doctor);
        host.doctor = (struct doctor){ .root = host.dir,
                .name = "win11",
                .socket = host.socket,
                .ask = ask,
                .ask_unit = ask_unit };
        host.sound = doctor_examine(&host.doctor, keep, NULL);
}

static const struct doctor_finding *found(const char *check)
{
        for (size_t i = 0; i < doctor_n_checks; i++)
                if (strcmp(doctor_checks[i].name, check) == 0)
                        return &host.finding[i];
        fail_msg("there is no check '%s'", check);
        return NULL;
}

/* Root's view of other processes, and of files as another user, is not anybody's. */
static void expect(const char *check, enum doctor_result result, const char *text, const char *next)
{
        const struct doctor_finding *f = found(check);

        if (f->result != result || !strstr(f->text, text) || !strstr(f->next, next))
                fail_msg("%s is %d: %s -> %s; expected %d: %s -> %s", check, f->result, f->text,
                        f->next, result, text, next);
        assert_true(result != DOCTOR_FAIL || !host.sound);
        /* Whatever is not well has a next step. */
        assert_true(result == DOCTOR_OK || result == DOCTOR_SKIPPED || f->next[0]);
}

/* ---- stories --------------------------------------------------------------------------------------------------------- */

static void where_all_is_well_nothing_fails(void **state)
{
        (void)state;
        examine();
        for (size_t i = 0; i < doctor_n_checks; i++)
                if (host.finding[i].result == DOCTOR_FAIL || host.finding[i].result == DOCTOR_WARN)
                        fail_msg("%s: %s", doctor_checks[i].name, host.finding[i].text);
        assert_true(host.sound);
        expect("stream", DOCTOR_OK, "streaming since 4.2 s, 59.9 fps", "");
        expect("limits", DOCTOR_OK, "64 clients", "");
}

static void a_typing_error_is_named_with_its_line_and_the_rest_is_looked_at_nevertheless(
        void **state)
{
        (void)state;
        put("/etc/vgpud/win11.conf", 0644,
                "[guest]\nram = /shm/vm.ram\nmaschine = q35\nkcr3 = zz\n");
        examine();
        expect("configuration", DOCTOR_FAIL, "win11.conf:3: ", "--check-config");
        expect("configuration", DOCTOR_FAIL, "and 1 more", "");
        expect("ram", DOCTOR_SKIPPED, "configuration", "");
        expect("daemon", DOCTOR_OK, "0.1.0", "");
}

static void drop_ins_count(void **state)
{
        (void)state;
        put("/etc/vgpud/win11.conf.d/10-ram.conf", 0644, "[guest]\nram_size = 1G\n");
        examine();
        expect("configuration", DOCTOR_OK, "1 drop-in", "");
        expect("ram", DOCTOR_FAIL, "64 KiB there, [guest] ram_size is 1 GiB", "ram_size");
}

static void a_machine_without_a_configuration_is_told_so(void **state)
{
        char path[64];

        (void)state;
        snprintf(path, sizeof path, "%s/etc/vgpud/win11.conf", host.dir);
        assert_int_equal(unlink(path), 0);
        examine();
        expect("configuration", DOCTOR_FAIL, "No such file", "write ");
}

static void a_wrong_path_is_told_from_a_machine_that_is_off(void **state)
{
        (void)state;
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /shm/wrong.ram\n");
        examine();
        expect("ram", DOCTOR_FAIL, "'/shm/wrong.ram': No such file or directory", "mem-path");
        expect("permission", DOCTOR_SKIPPED, "not there", "");
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /shm\n");
        examine();
        expect("ram", DOCTOR_FAIL, "'/shm' is no file", "memory-backend-file");
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /etc/vgpud/empty\n");
        put("/etc/vgpud/empty", 0644, "%s", "");
        examine();
        expect("ram", DOCTOR_FAIL, "empty", "start the virtual machine");
}

static void wrong_permissions_name_the_file_or_the_folder_and_who_may(void **state)
{
        char path[64];

        (void)state;
        put_ram(0600);
        examine();
        expect("permission", DOCTOR_FAIL,
                "the user 'vgpud' cannot read '/shm/vm.ram': the file '/shm/vm.ram' is -rw-------",
                "setfacl -m u:vgpud:r '/shm/vm.ram'");
        put_ram(0644);
        snprintf(path, sizeof path, "%s/shm", host.dir);
        assert_int_equal(chmod(path, 0700), 0);
        examine();
        expect("permission", DOCTOR_FAIL, "the folder '/shm' is drwx------",
                "setfacl -m u:vgpud:x '/shm'");
        assert_int_equal(chmod(path, 0755), 0);
}

static void the_groups_of_the_daemons_user_count(void **state)
{
        char path[64];

        (void)state;
        if (geteuid() != 0)
                skip();
        put_ram(0640);
        snprintf(path, sizeof path, "%s/shm/vm.ram", host.dir);
        assert_int_equal(chown(path, 0, 65532), 0);
        examine();
        expect("permission", DOCTOR_OK, "can read it", "");
        assert_int_equal(chown(path, 0, 65531), 0);
        examine();
        expect("permission", DOCTOR_FAIL, "cannot read", "setfacl");
        put("/run/vgpud-ram/win11.sock", 0660, "%s", "");
        examine();
        expect("permission", DOCTOR_OK, "vgpud-ram@win11 opens it", "");
        /* A drop-in may have another user run it. */
        strcpy(host.unit.user, "root");
        examine();
        expect("permission", DOCTOR_OK, "the user 'root' can read it", "");
}

static void a_place_that_the_service_does_not_see_is_noticed(void **state)
{
        char command[192];

        (void)state;
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /home/me/vm.ram\n");
        snprintf(command, sizeof command, "mkdir -p %s/home/me && cp %s/shm/vm.ram %s/home/me/",
                host.dir, host.dir, host.dir);
        assert_int_equal(system(command), 0);
        examine();
        expect("permission", DOCTOR_FAIL, "hidden from the service", "/dev/shm");
}

static void ram_that_the_machine_keeps_to_itself_or_that_nobody_has_is_noticed(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip();
        examine();
        expect("shared", DOCTOR_OK, "process 123 ('qemu-system-x86') has it mapped shared", "");
        put_process("rw-p");
        examine();
        expect("shared", DOCTOR_FAIL, "mapped for itself", "share=on");
        host.status = "{\"state\":\"absent\"}";
        put_process("r--s");
        examine();
        expect("shared", DOCTOR_FAIL, "no process has '/shm/vm.ram' mapped for writing",
                "start the virtual machine");
}

static void a_machine_that_is_off_is_named_by_its_process(void **state)
{
        (void)state;
        put("/run/qemu.pid", 0644, "4000\n");
        host.status = "{\"state\":\"absent\",\"since_ms\":1000,\"reason\":\"The virtual machine is "
                      "off: QEMU's process ended\"}";
        examine();
        expect("process", DOCTOR_FAIL, "process 4000 has ended: the virtual machine is off",
                "start the virtual machine");
        expect("stream", DOCTOR_FAIL, "absent since 1.0 s: The virtual machine is off",
                "start the virtual machine");
        put("/run/qemu.pid", 0644, "nonsense\n");
        examine();
        expect("process", DOCTOR_FAIL, "holds no process id", "pidfile");
        /* It is in a folder of QEMU's user, and nothing there may hold up root. */
        make_fifo("/run/qemu.pid");
        examine();
        expect("process", DOCTOR_FAIL, "holds no process id", "pidfile");
}

static void clients_that_were_refused_are_counted_with_the_reason(void **state)
{
        (void)state;
        host.metrics = "{\"counters\":{\"clients_refused\":{\"denied\":3},\"clients_dropped\":{"
                       "\"flood\":1}}}";
        examine();
        expect("clients", DOCTOR_WARN,
                "3 sent away since the daemon started: not allowed to connect", "[access] users");
        host.metrics = NULL;
        examine();
        expect("clients", DOCTOR_SKIPPED, "nobody is there", "");
}

static void a_guest_that_restarted_is_said_to_have(void **state)
{
        (void)state;
        host.status = "{\"state\":\"searching\",\"since_ms\":1000,\"epoch\":2,\"reason\":\"No "
                      "process in the guest has a region: is "
                      "the producer running there?\"}";
        examine();
        expect("stream", DOCTOR_FAIL, "the guest has restarted 1 time since",
                "start the capture program in the guest");
}

/* A folder with little room takes a mount, which takes root, and a namespace of its own to go with this test. */
static void a_disk_that_is_full_for_logs_is_noticed(void **state)
{
        char path[64];

        (void)state;
        snprintf(path, sizeof path, "%s/var/log/journal", host.dir);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                mount("tmpfs", path, "tmpfs", 0, "size=1M") < 0) {
                print_message("skipped: nothing can be mounted here (%s)\n", strerror(errno));
                skip();
        }
        examine();
        assert_int_equal(umount(path), 0);
        expect("logs", DOCTOR_FAIL,
                "the disk is full: 1 MiB free at /var/log/journal, so nothing is logged",
                "journalctl --vacuum");
}

/* ---- the daemon's sentences ------------------------------------------------------------------------------------------ */

/* All of daemon/'s sources in one text; the caller frees it. */
static char *daemon_sources(void)
{
        char *text = NULL, path[512], buf[4096];
        size_t len, n;
        FILE *all = open_memstream(&text, &len);
        DIR *dir = opendir(DAEMON_SOURCES);

        assert_non_null(all);
        assert_non_null(dir);
        for (const struct dirent *e; (e = readdir(dir));) {
                FILE *f;

                if (!strstr(e->d_name, ".c"))
                        continue;
                snprintf(path, sizeof path, "%s/%s", DAEMON_SOURCES, e->d_name);
                f = fopen(path, "r");
                assert_non_null(f);
                while ((n = fread(buf, 1, sizeof buf, f)) > 0)
                        fwrite(buf, 1, n, all);
                fclose(f);
        }
        closedir(dir);
        fclose(all);
        return text;
}

static void for_each_thing_that_the_daemon_waits_for_there_is_a_next_step(void **state)
{
        static const struct {
                const char *state, *sentence, *next;
                enum doctor_result result;
        } cases[] = {
                { "stalled", "The guest's clock stands still: the machine is paused",
                        "resume the virtual machine", DOCTOR_FAIL },
                { "stalled", "The producer's heartbeat stands still while the guest runs: it hangs",
                        "restart the capture program", DOCTOR_FAIL },
                { "stalled", "The producer or its region is gone; looking for another",
                        "restart the capture program", DOCTOR_FAIL },
                { "searching", "its producer hangs or is ", "restart the capture program",
                        DOCTOR_FAIL },
                { "searching", "No process in the guest has a region",
                        "start the capture program in the guest", DOCTOR_FAIL },
                { "attaching", "The guest was reset and has not booted yet",
                        "wait until the guest has booted", DOCTOR_WARN },
                { "attaching", "Looking for a Windows kernel in the guest's memory",
                        "wait until the guest has booted", DOCTOR_WARN },
                { "attaching", "No Windows kernel found: ", "vgpuctl probe", DOCTOR_WARN },
                { "attaching", "; check [guest] machine and ram_size", "QEMU's command line",
                        DOCTOR_FAIL },
                { "absent", "The virtual machine is off: QEMU's process ended",
                        "start the virtual machine", DOCTOR_FAIL },
                { "absent", "The virtual machine was shut down", "start the virtual machine",
                        DOCTOR_FAIL },
                { "absent", " was removed, replaced or truncated", "start the virtual machine",
                        DOCTOR_FAIL },
                { "absent", "QEMU's monitor at ", "monitor of its own", DOCTOR_FAIL },
                { "absent", ": the machine does not run", "start the virtual machine",
                        DOCTOR_FAIL },
        };
        char *sources = daemon_sources(), status[512];

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if (!strstr(sources, cases[i].sentence))
                        fail_msg("the daemon does not say '%s' any more", cases[i].sentence);
                snprintf(status, sizeof status,
                        "{\"state\":\"%s\",\"since_ms\":1,\"reason\":\"%s\"}", cases[i].state,
                        cases[i].sentence);
                host.status = status;
                examine();
                expect("stream", cases[i].result, cases[i].sentence, cases[i].next);
        }
        host.status = NULL;
        free(sources);
}

static void what_qemu_calls_the_state_decides_between_resuming_and_starting(void **state)
{
        (void)state;
        host.status = "{\"state\":\"stalled\",\"reason\":\"QEMU says 'paused': the machine does "
                      "not run\"}";
        examine();
        expect("stream", DOCTOR_FAIL, "'paused'", "resume");
        host.status = "{\"state\":\"absent\",\"reason\":\"QEMU says 'shutdown': the machine does "
                      "not run\"}";
        examine();
        expect("stream", DOCTOR_FAIL, "'shutdown'", "start the virtual machine");
        host.status = "{\"state\":\"stalled\",\"reason\":\"The guest's clock stands still: the "
                      "machine is paused or off\"}";
        examine();
        expect("stream", DOCTOR_FAIL, "paused or off", "start the virtual machine, or resume it");
        host.status = "{\"state\":\"dreaming\",\"reason\":\"something \\u001b[2Jnew\"}";
        examine();
        expect("stream", DOCTOR_WARN, "dreaming since 0.0 s: something \\x1b[2Jnew",
                "vgpuctl status");
}

/* ---- the unit -------------------------------------------------------------------------------------------------------- */

static void a_unit_that_failed_says_why_and_what_to_do(void **state)
{
        static const struct {
                struct doctor_unit unit;
                enum doctor_result result;
                const char *text, *next;
        } cases[] = {
                { { .load = "not-found", .active = "inactive" }, DOCTOR_FAIL, "no unit",
                        "install the package" },
                { { .load = "loaded", .active = "inactive", .sub = "dead", .result = "success" },
                        DOCTOR_FAIL, "is inactive", "systemctl start vgpud@win11" },
                { { .load = "loaded",
                          .active = "failed",
                          .sub = "failed",
                          .result = "exit-code",
                          .status = 78 },
                        DOCTOR_FAIL, "the configuration is refused",
                        "systemctl restart vgpud@win11" },
                { { .load = "loaded",
                          .active = "failed",
                          .sub = "failed",
                          .result = "start-limit-hit" },
                        DOCTOR_FAIL, "started too often",
                        "systemctl reset-failed 'vgpud@win11.*' && systemctl start vgpud@win11" },
                { { .load = "loaded",
                          .active = "activating",
                          .sub = "auto-restart",
                          .result = "watchdog" },
                        DOCTOR_FAIL, "it hung", "journalctl -b -u vgpud@win11" },
                { { .load = "loaded", .active = "failed", .sub = "failed", .result = "brand-new" },
                        DOCTOR_FAIL, "it failed", "journalctl -b -u vgpud@win11" },
                { { .load = "loaded",
                          .active = "active",
                          .sub = "running",
                          .result = "success",
                          .restarts = 2 },
                        DOCTOR_WARN, "started again 2 times", "journalctl" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                host.unit = cases[i].unit;
                examine();
                expect("service", cases[i].result, cases[i].text, cases[i].next);
        }
}

static void a_daemon_that_does_not_answer_and_a_socket_that_is_gone_are_two_things(void **state)
{
        (void)state;
        host.status = NULL;
        examine();
        expect("socket", DOCTOR_OK, "win11.sock", "");
        expect("daemon", DOCTOR_FAIL, "nobody is there", "systemctl status vgpud@win11");
        expect("stream", DOCTOR_SKIPPED, "does not answer", "");
        assert_int_equal(unlink(host.socket), 0);
        examine();
        expect("socket", DOCTOR_FAIL, "No such file", "systemctl start vgpud@win11.socket");
        put("/win11.sock", 0644, "%s", "");
        examine();
        expect("socket", DOCTOR_FAIL, "is no socket", "move it away");
}

static void a_missing_user_and_tight_limits_are_noticed(void **state)
{
        (void)state;
        put("/etc/passwd", 0644, "root:x:0:0::/:/bin/sh\n");
        put("/proc/77/limits", 0644,
                "Max open files            256                  256                  files\n"
                "Max locked memory         unlimited            unlimited            bytes\n");
        put("/proc/sys/kernel/io_uring_disabled", 0644, "2\n");
        examine();
        expect("user", DOCTOR_FAIL, "no user 'vgpud'", "systemd-sysusers");
        expect("permission", DOCTOR_SKIPPED, "not known", "");
        expect("limits", DOCTOR_WARN, "256 open files are fewer than 64 clients take",
                "LimitNOFILE=320");
        expect("kernel", DOCTOR_WARN, "io_uring is disabled", "sysctl");
}

/* ---- QEMU's monitor -------------------------------------------------------------------------------------------------- */

static void a_monitor_that_the_daemon_does_not_hold_is_asked_and_one_that_nobody_serves_is_named(
        void **state)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)state;
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /shm/vm.ram\nqmp = /run/win11.qmp\n");
        examine();
        expect("monitor", DOCTOR_OK, "the daemon has it", "");
        host.status = NULL;
        examine();
        expect("monitor", DOCTOR_FAIL, "No such file", "-qmp unix:/run/win11.qmp");
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s/run/win11.qmp", host.dir);
        assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        if (geteuid() == 0) {
                examine();
                expect("monitor", DOCTOR_FAIL, "the user 'vgpud' may not connect",
                        "setfacl -m u:vgpud:rw");
        }
        assert_int_equal(chmod(addr.sun_path, 0666), 0);
        examine();
        expect("monitor", DOCTOR_FAIL, "nobody listens there", "start the virtual machine");
        /* Somebody else is served: the connection waits, and no greeting comes. */
        assert_int_equal(listen(fd, 1), 0);
        examine();
        expect("monitor", DOCTOR_FAIL, "somebody else is connected", "a second -qmp");
        close(fd);
}

static const char greeting[] = "{\"QMP\": {}}\n", chatter[] = "{\"event\": \"RTC_CHANGE\"}\n";

/* Until nobody listens. */
static pid_t talk_without_end(int listener)
{
        pid_t pid = fork();

        if (pid == 0) {
                int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                bool heard = write(fd, greeting, strlen(greeting)) > 0;

                while (heard)
                        heard = send(fd, chatter, strlen(chatter), MSG_NOSIGNAL) > 0;
                _exit(0);
        }
        return pid;
}

static void a_monitor_that_talks_of_other_things_for_ever_is_left(void **state)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
        pid_t pid;

        (void)state;
        put("/etc/vgpud/win11.conf", 0644, "[guest]\nram = /shm/vm.ram\nqmp = /run/win11.qmp\n");
        host.status = NULL;
        snprintf(addr.sun_path, sizeof addr.sun_path, "%s/run/win11.qmp", host.dir);
        assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
        assert_int_equal(chmod(addr.sun_path, 0666), 0);
        assert_int_equal(listen(fd, 1), 0);
        pid = talk_without_end(fd);
        close(fd);
        examine();
        expect("monitor", DOCTOR_WARN, "does not say whether the machine runs", "resume");
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */

static void the_command_reports_what_its_schema_says(void **state)
{
        static const char *const argv[] = { VGPUCTL, "doctor", "no-such-machine", "-j", NULL };
        json_object *schema = json_object_from_file(DOCTOR_SCHEMA), *report;
        struct tool_result r;
        char why[256];

        (void)state;
        tool_run(argv, NULL, &r);
        assert_int_equal(r.exit_code, 1);
        report = json_tokener_parse(r.out);
        assert_non_null(schema);
        if (!schema_matches(schema, report, why, sizeof why))
                fail_msg("%s: %s", why, r.out);
        assert_int_equal(json_object_array_length(json_object_object_get(report, "checks")),
                doctor_n_checks);
        json_object_put(report);
        json_object_put(schema);
        tool_result_deinit(&r);
}

static void people_see_the_next_step_below_each_cause(void **state)
{
        static const char *const argv[] = { VGPUCTL, "--vm", "no-such-machine", "doctor", NULL };
        struct tool_result r;

        (void)state;
        tool_run(argv, NULL, &r);
        assert_int_equal(r.exit_code, 1);
        assert_non_null(strstr(r.out, "fail     configuration  /etc/vgpud/no-such-machine.conf: "));
        assert_non_null(
                strstr(r.out, "                        -> write /etc/vgpud/no-such-machine.conf;"));
        assert_null(strchr(r.out, '\033'));
        tool_result_deinit(&r);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(where_all_is_well_nothing_fails),
                CASE(a_typing_error_is_named_with_its_line_and_the_rest_is_looked_at_nevertheless),
                CASE(drop_ins_count),
                CASE(a_machine_without_a_configuration_is_told_so),
                CASE(a_wrong_path_is_told_from_a_machine_that_is_off),
                CASE(wrong_permissions_name_the_file_or_the_folder_and_who_may),
                CASE(the_groups_of_the_daemons_user_count),
                CASE(a_place_that_the_service_does_not_see_is_noticed),
                CASE(ram_that_the_machine_keeps_to_itself_or_that_nobody_has_is_noticed),
                CASE(a_machine_that_is_off_is_named_by_its_process),
                CASE(clients_that_were_refused_are_counted_with_the_reason),
                CASE(a_guest_that_restarted_is_said_to_have),
                CASE(for_each_thing_that_the_daemon_waits_for_there_is_a_next_step),
                CASE(what_qemu_calls_the_state_decides_between_resuming_and_starting),
                CASE(a_unit_that_failed_says_why_and_what_to_do),
                CASE(a_daemon_that_does_not_answer_and_a_socket_that_is_gone_are_two_things),
                CASE(a_missing_user_and_tight_limits_are_noticed),
                CASE(a_monitor_that_the_daemon_does_not_hold_is_asked_and_one_that_nobody_serves_is_named),
                CASE(a_monitor_that_talks_of_other_things_for_ever_is_left),
                cmocka_unit_test(the_command_reports_what_its_schema_says),
                cmocka_unit_test(people_see_the_next_step_below_each_cause),
                /* The last: it leaves the host's mounts. */
                CASE(a_disk_that_is_full_for_logs_is_noticed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
