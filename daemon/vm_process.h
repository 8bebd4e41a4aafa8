/*
 * vm_process.h - QEMU as a process of this host: does it live?
 *
 * A file that holds RAM outlives QEMU, and a memfd that somebody holds does too: nothing in guest memory tells a machine
 * that is off from one that is paused. The process does. It is named by the file that QEMU's -pidfile writes and held
 * by a pidfd, which no recycled pid can fool.
 */
#ifndef VGPUD_VM_PROCESS_H
#define VGPUD_VM_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

struct vm_process;
typedef void (*vm_process_ended_fn)(struct vm_process *p);

struct vm_process {
        uv_loop_t *loop;
        const char *pidfile;
        vm_process_ended_fn ended;
        void *ctx; /* the owner's */
        int pid;   /* 0: none is watched */
        int fd;    /* pidfd, or -1 */
        uv_poll_t *poll;
};

/* @pidfile is borrowed. */
void vm_process_init(struct vm_process *p, uv_loop_t *loop, const char *pidfile,
        vm_process_ended_fn ended, void *ctx);

/**
 * vm_process_watch() - find the process and watch it; fine when it is watched already
 *
 * Return: 0; -ENOENT (no such file), -ESRCH (its process does not live), -EINVAL (no pid in it), or what opening it said.
 */
int vm_process_watch(struct vm_process *p);

/* Stop watching; the loop must run once more. */
void vm_process_stop(struct vm_process *p);

#endif /* VGPUD_VM_PROCESS_H */
