/*
 * vm_proc.c - a real virtual machine for a test
 *
 * script/vm is the one place that knows QEMU's command line. It gets the serial line and QMP as connected sockets,
 * so not a byte of the first boot is lost and no path has to be made up, and dies with the test.
 */
#include "vm_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGUMENTS 32

/* The child's ends sit at fixed numbers, as the command line names them. */
#define CHILD_SERIAL 3
#define CHILD_QMP    4

const char *vm_proc_missing(void)
{
        const char *path = getenv("PATH");
        char copy[4096], file[PATH_MAX];

        if (access(VGPU_VM_KERNEL, R_OK) < 0)
                return "the guest kernel " VGPU_VM_KERNEL " is not built";
        snprintf(copy, sizeof(copy), "%s", path ? path : "/usr/bin");
        for (char *rest = copy, *dir; (dir = strtok_r(rest, ":", &rest));) {
                snprintf(file, sizeof(file), "%s/qemu-system-x86_64", dir);
                if (access(file, X_OK) == 0)
                        return NULL;
        }
        return "qemu-system-x86_64 is not installed (Debian package qemu-system-x86)";
}

static int64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* Add what has come to @buffer. Return: 0, -ENODEV at the end of the stream, -ETIMEDOUT, another -errno. */
static int read_more(int fd, char *buffer, size_t *len, size_t cap, int64_t deadline_ms)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int64_t left_ms = deadline_ms - now_ms();
        ssize_t n;

        if (*len == cap)
                return -EMSGSIZE;
        switch (poll(&pfd, 1, left_ms > 0 ? (int)left_ms : 0)) {
        case 0:
                return -ETIMEDOUT;
        case -1:
                return errno == EINTR ? 0 : -errno;
        }
        n = read(fd, buffer + *len, cap - *len);
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ENODEV;
        *len += (size_t)n;
        return 0;
}

/* Cut the first line off @buffer, waiting for it. Return: 0 with @line terminated, or -errno. */
static int read_line(int fd, char *buffer, size_t *len, size_t cap, char *line, int64_t deadline_ms)
{
        char *end;
        int r;

        while (!(end = memchr(buffer, '\n', *len))) {
                r = read_more(fd, buffer, len, cap, deadline_ms);
                if (r < 0)
                        return r;
        }
        memcpy(line, buffer, (size_t)(end - buffer));
        line[end - buffer] = '\0';
        *len -= (size_t)(end + 1 - buffer);
        memmove(buffer, end + 1, *len);
        return 0;
}

/* Return: 1 for an answer, 0 for the greeting or an event, -EREMOTEIO for a refusal, -EPROTO for no JSON. */
static int classify(const char *line)
{
        struct json_object *object = json_tokener_parse(line);
        int r = 0;

        if (!object)
                return -EPROTO;
        if (json_object_object_get_ex(object, "return", NULL))
                r = 1;
        else if (json_object_object_get_ex(object, "error", NULL))
                r = -EREMOTEIO;
        json_object_put(object);
        return r;
}

int vm_proc_qmp(struct vm_proc *vm, const char *command)
{
        char request[128];

        snprintf(request, sizeof(request), "{\"execute\": \"%s\"}", command);
        return vm_proc_qmp_text(vm, request);
}

int vm_proc_qmp_text(struct vm_proc *vm, const char *request)
{
        int64_t deadline_ms = now_ms() + VM_PROC_TIMEOUT_MS;
        char line[sizeof(vm->qmp_buffer)];
        int len, r;

        len = snprintf(line, sizeof(line), "%s\n", request);
        if (send(vm->qmp_fd, line, (size_t)len, MSG_NOSIGNAL) != len)
                return -errno;
        do {
                r = read_line(vm->qmp_fd, vm->qmp_buffer, &vm->qmp_len, sizeof(vm->qmp_buffer),
                        line, deadline_ms);
                if (r == 0)
                        r = classify(line);
        } while (r == 0);
        return r < 0 ? r : 0;
}

static size_t build_arguments(const char **argv, const struct vm_proc_options *o)
{
        const struct {
                const char *name, *value;
        } options[] = {
                { "--file", o->file },
                { "--ram", o->ram },
                { "--machine", o->machine },
                { "--numa", o->numa },
                { "--pidfile", o->pidfile },
                { "--incoming", o->incoming },
                { "--mode", o->mode },
                { "--format", o->format },
                { "--pages", o->pages },
                { "--place", o->place },
                { "--build", o->build },
                { "--seed", o->seed },
                { "--kernel", VGPU_VM_KERNEL },
                { "--serial", "fd:3" },
                { "--qmp", "fd:4" },
                { "--qmp", o->monitor },
        };
        size_t n = 0;

        argv[n++] = VGPU_VM_SCRIPT;
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
                if (options[i].value) {
                        argv[n++] = options[i].name;
                        argv[n++] = options[i].value;
                }
        }
        if (o->no_producer)
                argv[n++] = "--no-producer";
        if (o->private_ram)
                argv[n++] = "--private";
        argv[n] = NULL;
        return n;
}

/* In the child. The descriptors were made above the fixed numbers' reach, so no dup2() overwrites another. */
static void exec_script(const char **argv, pid_t parent, int out, int serial, int qmp)
{
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                _exit(127);
        if (dup2(out, STDOUT_FILENO) < 0 || dup2(serial, CHILD_SERIAL) < 0 ||
                dup2(qmp, CHILD_QMP) < 0)
                _exit(127);
        execv(argv[0], (char **)(uintptr_t)argv);
        perror(argv[0]);
        _exit(127);
}

/* A connected pair, both ends closed on exec and far above CHILD_QMP. */
static int socket_pair(int ret_ends[2])
{
        int ends[2], r = 0;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        for (int i = 0; i < 2; i++) {
                ret_ends[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, CHILD_QMP + 1);
                if (ret_ends[i] < 0)
                        r = -errno;
                close(ends[i]);
        }
        return r;
}

/* The line in which script/vm says where things are. */
static int read_announcement(struct vm_proc *vm, int fd)
{
        char buffer[PATH_MAX + 256], line[sizeof(buffer)];
        size_t len = 0;
        int r = read_line(fd, buffer, &len, sizeof(buffer), line, now_ms() + VM_PROC_TIMEOUT_MS);

        if (r < 0)
                return r;
        if (sscanf(line, "vm pid=%d ram=%4095s machine=%15s ram_size=0x%" SCNx64, &vm->qemu_pid,
                    vm->ram_path, vm->machine, &vm->ram_size) != 4)
                return -EPROTO;
        return 0;
}

int vm_proc_start(struct vm_proc *ret_vm, const struct vm_proc_options *options)
{
        const char *argv[MAX_ARGUMENTS];
        struct vm_proc vm = VM_PROC_NONE;
        int out[2] = { -1, -1 }, serial[2] = { -1, -1 }, qmp[2] = { -1, -1 };
        pid_t parent = getpid();
        int r;

        build_arguments(argv, options);
        r = socket_pair(out);
        if (r == 0)
                r = socket_pair(serial);
        if (r == 0)
                r = socket_pair(qmp);
        if (r == 0) {
                vm.pid = fork();
                if (vm.pid == 0)
                        exec_script(argv, parent, out[1], serial[1], qmp[1]);
                if (vm.pid < 0)
                        r = -errno;
        }
        close(out[1]);
        close(serial[1]);
        close(qmp[1]);
        vm.serial_fd = serial[0];
        vm.qmp_fd = qmp[0];
        if (r == 0)
                r = read_announcement(&vm, out[0]);
        if (r == 0)
                r = vm_proc_qmp(&vm, "qmp_capabilities");
        close(out[0]);
        if (r < 0) {
                close(vm.serial_fd);
                vm_proc_stop(&vm);
        } else {
                *ret_vm = vm;
        }
        return r;
}

static void reap(struct vm_proc *vm)
{
        while (waitpid(vm->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        vm->pid = 0;
        vm->qemu_pid = 0;
}

void vm_proc_kill(struct vm_proc *vm)
{
        if (vm->pid <= 0)
                return;
        kill(vm->qemu_pid, SIGKILL);
        reap(vm);
}

void vm_proc_stop(struct vm_proc *vm)
{
        if (vm->pid > 0) {
                kill(vm->pid, SIGTERM);
                reap(vm);
        }
        if (vm->qmp_fd >= 0)
                close(vm->qmp_fd);
        *vm = VM_PROC_NONE;
}
