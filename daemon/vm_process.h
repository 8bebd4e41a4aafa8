/*
 * vm_process.h - QEMU as a process of this host: does it live, and which of its files are RAM
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

/**
 * vm_process_ram_fd() - the open file behind an address of a process, as /proc/PID/fd/N
 * @hva: in it
 *
 * By /proc/PID/maps: every memfd backend has the same name, but not the same inode.
 *
 * Return: 0 and @ret_path, -ENOENT (no shared file is mapped there, or none is open that is it), or what reading /proc
 * said.
 */
int vm_process_ram_fd(int pid, uint64_t hva, char *ret_path, size_t cap);

/**
 * vm_process_only_ram_fd() - its RAM when it has one memfd backend and nobody says more
 *
 * Return: 0 and @ret_path, -ENOENT (none), -EEXIST (several), or what reading /proc said.
 */
int vm_process_only_ram_fd(int pid, char *ret_path, size_t cap);

/**
 * vm_process_maps() - has a process this very file mapped, shared with whoever else has it?
 * @hva: where; 0: anywhere
 *
 * Only a file that was opened for reading can be mapped: what passes, the process could have read without us.
 *
 * Return: 0, -ENOENT (no), -ESRCH (no such process), or what reading /proc said.
 */
int vm_process_maps(int pid, uint64_t hva, dev_t dev, ino_t ino);

#endif /* VGPUD_VM_PROCESS_H */
