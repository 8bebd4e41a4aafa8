/*
 * vm_proc.h - a real virtual machine for a test: script/vm, its serial line and QMP
 *
 * The serial line speaks the protocol of the vgpu-guest program; guest_proc.h talks over serial_fd. Everything that
 * waits does so for an event, for at most VM_PROC_TIMEOUT_MS, and fails with -ETIMEDOUT then.
 */
#ifndef VGPU_TEST_VM_PROC_H
#define VGPU_TEST_VM_PROC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VM_PROC_TIMEOUT_MS                                                                         \
        120000 /* emulation on a busy machine is slow; a test that hits this has hung */

/* What script/vm is asked for; NULL or false leaves its default. */
struct vm_proc_options {
        const char *file; /* RAM in this file; NULL: in a memfd */
        const char *ram;  /* size, as "4G" */
        const char *machine;
        const char *numa;    /* RAM of the first of two nodes */
        const char *monitor; /* path of a second QMP socket, for the daemon */
        const char *pidfile;
        const char *incoming; /* a migration's URI to take over from */
        const char *mode;
        const char *format;
        const char *pages;
        const char *place;
        const char *build;
        const char *seed;
        bool no_producer;
        bool private_ram; /* in no file */
};

struct vm_proc {
        pid_t pid;               /* of script/vm, our child; 0: none */
        pid_t qemu_pid;          /* its child */
        char ram_path[PATH_MAX]; /* of several backends all, with commas between them */
        char machine[16];
        uint64_t ram_size;
        int serial_fd; /* the guest's COM1, connected; the caller's: for guest_proc_attach() */
        int qmp_fd;    /* negotiated; owned */
        char qmp_buffer[4096]; /* of bytes read ahead of the line being waited for */
        size_t qmp_len;
};

#define VM_PROC_NONE ((struct vm_proc){ .serial_fd = -1, .qmp_fd = -1 })

/** vm_proc_missing() - why no virtual machine can be had here, or NULL: for a test that then exits with 77 */
const char *vm_proc_missing(void);

/**
 * vm_proc_start() - boot a virtual machine
 * @ret_vm: written on success; end it with vm_proc_stop()
 *
 * Returns when QEMU has its RAM and answers QMP; the guest's `ready` line is still to come on serial_fd.
 *
 * Return: 0 or -errno; -ENODEV when QEMU ended at once (it said why on stderr).
 */
int vm_proc_start(struct vm_proc *ret_vm, const struct vm_proc_options *options);

/**
 * vm_proc_qmp() - run a QMP command without arguments and wait for its answer
 * @command: "stop", "cont", "system_reset", "query-status"...
 *
 * Events that come before the answer are dropped.
 *
 * Return: 0, -EREMOTEIO when QEMU refused it, or another -errno.
 */
int vm_proc_qmp(struct vm_proc *vm, const char *command);

/* The same with a whole request, for those with arguments. */
int vm_proc_qmp_text(struct vm_proc *vm, const char *request);

/** vm_proc_kill() - end QEMU with SIGKILL, as a crash would, and reap the script; descriptors stay open */
void vm_proc_kill(struct vm_proc *vm);

/** vm_proc_stop() - end QEMU and the script, wait for them and close; fine on VM_PROC_NONE, which it leaves */
void vm_proc_stop(struct vm_proc *vm);

#endif /* VGPU_TEST_VM_PROC_H */
