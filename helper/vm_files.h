/*
 * vm_files.h - which of a process' files are guest RAM
 *
 * QEMU keeps the files of its memory backends open and mapped. All of this is read from /proc, and takes the right to
 * trace the process: that of its own user, or CAP_SYS_PTRACE. Process numbers are recycled; who must be sure that it was one
 * process all the time holds a pidfd and looks at that in the end.
 */
#ifndef VGPU_VM_FILES_H
#define VGPU_VM_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VM_FILE_SMALLEST                                                                           \
        (1 << 20) /* bytes; no guest has less RAM, and most other files are shorter */

struct vm_file {
        char path[64]; /* /proc/PID/fd/N */
        dev_t dev;
        ino_t ino;
        uint64_t begin, end; /* where the process has it mapped, shared and writable */
        bool is_memfd;
        bool is_backend; /* a memfd that is called as QEMU calls those of its memory backends */
};

/**
 * vm_files_pid() - the number in a file as QEMU's -pidfile writes it
 *
 * Return: 0 and *ret_pid, -EINVAL (no pid in it), or what opening it said.
 */
int vm_files_pid(const char *path, int *ret_pid);

/**
 * vm_files_at() - the open file behind an address of a process, as /proc/PID/fd/N
 * @hva: in it
 *
 * By /proc/PID/maps: every memfd backend has the same name, but not the same inode.
 *
 * Return: 0 and @ret_path, -ENOENT (no shared file is mapped there, or none is open that is it), or what reading /proc
 * said.
 */
int vm_files_at(int pid, uint64_t hva, char *ret_path, size_t cap);

/**
 * vm_files_only_backend() - its RAM when it has one memfd backend and nobody says more
 *
 * Return: 0 and @ret_path, -ENOENT (none), -EEXIST (several), or what reading /proc said.
 */
int vm_files_only_backend(int pid, char *ret_path, size_t cap);

/**
 * vm_files_maps() - has a process this very file mapped, shared with whoever else has it?
 * @hva: where; 0: anywhere
 *
 * Only a file that was opened for reading can be mapped: what passes, the process could have read without us.
 *
 * Return: 0, -ENOENT (no), -ESRCH (no such process), or what reading /proc said.
 */
int vm_files_maps(int pid, uint64_t hva, dev_t dev, ino_t ino);

/**
 * vm_files_list() - each file of VM_FILE_SMALLEST and more that it has open, and mapped shared and writable
 * @cap: of @ret_list
 *
 * Goes over all of its mappings for each such file.
 *
 * Return: 0 and *ret_n; -E2BIG (there are more than @cap), -ESRCH (no such process), or what reading /proc said.
 */
int vm_files_list(int pid, struct vm_file *ret_list, size_t cap, size_t *ret_n);

#endif /* VGPU_VM_FILES_H */
