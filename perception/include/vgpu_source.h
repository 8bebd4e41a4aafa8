/*
 * vgpu_source.h - where guest RAM is on this host
 *
 * A memory source is the RAM of a running guest, in one file or several (memory-backend-file's path, or /proc/PID/fd/N of
 * a memfd), or an image of one that was taken (vgpu_image.h). Files are opened O_RDONLY: the daemon cannot write guest
 * memory, whatever goes wrong. A source offers two readings of the same bytes as a vmie_mem: by pread, which never
 * allocates a page in a sparse file (attach, discovery), and through a PROT_READ map (frames). A file truncated under the
 * map is -ESTALE, not a SIGBUS death: reads through the map run under a guard.
 *
 * Guest-physical addresses differ from file offsets above the PCI hole; the layout says how. docs/sources.md has what an
 * admin needs to know about all this.
 */
#ifndef VGPU_SOURCE_H
#define VGPU_SOURCE_H

#include <sys/types.h>

#include "memmodel.h"

enum vgpu_machine {
        VGPU_MACHINE_Q35,
        VGPU_MACHINE_PC,
        VGPU_MACHINE_MICROVM,
        VGPU_MACHINE_FLAT, /* file offset == guest-physical address */
        VGPU_N_MACHINES,
};

const char *vgpu_machine_name(enum vgpu_machine machine);

/* Return: 0 and *ret, or -EINVAL. */
int vgpu_machine_from_name(const char *name, enum vgpu_machine *ret);

struct vgpu_layout_piece {
        uint64_t gpa;
        uint64_t offset; /* in its file */
        uint64_t len;
        uint32_t file; /* which of the source's files */
};

#define VGPU_LAYOUT_MAX       64
#define VGPU_SOURCE_FILES_MAX 16

struct vgpu_layout {
        struct vgpu_layout_piece piece[VGPU_LAYOUT_MAX]; /* ascending by gpa, not overlapping */
        size_t n_pieces;
};

/**
 * vgpu_layout_for() - the layout QEMU gives a machine without max-ram-below-4g, hot-plug or NUMA backends
 * @machine:  type
 * @ram_size: bytes; a multiple of 4096, > 0
 *
 * Return: 0 and *ret_layout, or -EINVAL.
 */
int vgpu_layout_for(enum vgpu_machine machine, uint64_t ram_size, struct vgpu_layout *ret_layout);

/**
 * vgpu_layout_split() - the same over several backends: QEMU lays them out as if they were one, in the nodes' order
 * @sizes:   bytes of each file; multiples of 4096, > 0
 * @n_files: 1 to VGPU_SOURCE_FILES_MAX
 *
 * Return: 0 and *ret_layout, or -EINVAL.
 */
int vgpu_layout_split(enum vgpu_machine machine, const uint64_t *sizes, size_t n_files,
        struct vgpu_layout *ret_layout);

/* Do both put the same bytes at the same addresses? Where one is cut into more pieces does not matter. */
bool vgpu_layout_equal(const struct vgpu_layout *a, const struct vgpu_layout *b);

typedef struct vgpu_source vgpu_source;

enum vgpu_source_reason {
        VGPU_SOURCE_OK,
        VGPU_SOURCE_MISSING,    /* no such file */
        VGPU_SOURCE_FORBIDDEN,  /* permission */
        VGPU_SOURCE_NOT_A_FILE, /* a directory, pipe, device... */
        VGPU_SOURCE_EMPTY,
        VGPU_SOURCE_TOO_SHORT, /* shorter than the configured RAM size, or than its layout */
        VGPU_SOURCE_BAD_SIZE,  /* not whole pages */
        VGPU_SOURCE_MAP_FAILED,
        VGPU_SOURCE_OPEN_FAILED, /* anything else open() said: @error */
        VGPU_SOURCE_BAD_LAYOUT,  /* pieces that overlap, or lie in no file */
        VGPU_SOURCE_IMAGE_BROKEN, /* an image's own headers contradict themselves or the file's size */
        VGPU_SOURCE_IMAGE_KIND, /* an image of a kind that does not hold all of memory, or not one of x86-64 */
        VGPU_SOURCE_WRITABLE, /* a descriptor that was passed in could write to the guest */
};

struct vgpu_source_failure {
        enum vgpu_source_reason reason;
        int error;           /* errno behind it, 0: none */
        uint64_t want, have; /* bytes, for TOO_SHORT and BAD_SIZE */
        unsigned file;       /* which one, from 0 */
};

const char *vgpu_source_reason_text(enum vgpu_source_reason reason);

/**
 * vgpu_source_open() - open and map a RAM file read-only
 * @path:       file
 * @machine:    type, for the layout
 * @ram_size:   bytes, 0: the file's size
 * @reterr_why: written on failure only; may be NULL
 *
 * Takes SIGBUS for the process, for the guard that reads through maps run under; one that is not ours goes on to whoever
 * had the signal before.
 *
 * Return: heap-owned source, or NULL.
 */
vgpu_source *vgpu_source_open(const char *path, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_source_failure *reterr_why);

/**
 * vgpu_source_open_files() - the same for RAM in several backends (NUMA nodes)
 * @paths:    files in the nodes' order
 * @n_paths:  1 to VGPU_SOURCE_FILES_MAX
 * @ram_size: bytes of all of them, 0: their sizes
 *
 * With a size given the last file may be longer than what is left for it; all others count whole.
 */
vgpu_source *vgpu_source_open_files(const char *const *paths, size_t n_paths,
        enum vgpu_machine machine, uint64_t ram_size, struct vgpu_source_failure *reterr_why);

/**
 * vgpu_source_open_layout() - the same with a layout that somebody knows, as QEMU does
 * @layout: copied; its pieces name files by their place in @paths
 */
vgpu_source *vgpu_source_open_layout(const char *const *paths, size_t n_paths,
        const struct vgpu_layout *layout, struct vgpu_source_failure *reterr_why);

/**
 * vgpu_source_open_handed() - the same from descriptors, for who may not open the files
 * @fds:      in the nodes' order; borrowed, the source keeps duplicates
 * @n_fds:    1 to VGPU_SOURCE_FILES_MAX
 * @pidfd:    of the process whose RAM it is, borrowed; -1: not known
 * @layout:   as for vgpu_source_open_layout(); NULL: by machine type and sizes, as vgpu_source_open_files()
 * @machine, @ram_size: without effect where there is a layout
 *
 * A descriptor that is open for writing too is refused: nothing here shall be able to write to a guest. What became of the
 * files no path tells: vgpu_source_check() goes by their size, their links, and the end of the process.
 */
vgpu_source *vgpu_source_open_handed(const int *fds, size_t n_fds, int pidfd,
        const struct vgpu_layout *layout, enum vgpu_machine machine, uint64_t ram_size,
        struct vgpu_source_failure *reterr_why);

/**
 * vgpu_source_open_process() - memory of a QEMU that keeps it to itself, out of its address space
 * @pid:    of QEMU; the caller may trace it
 * @layout: each piece's offset is its address there, from QEMU's monitor; files are not looked at
 *
 * Read by process_vm_readv(), a hundred and more stretches a call. The process is held by a pidfd: what is read after its
 * end, perhaps from another with its number, is -ESTALE.
 */
vgpu_source *vgpu_source_open_process(
        int pid, const struct vgpu_layout *layout, struct vgpu_source_failure *reterr_why);

/**
 * vgpu_source_use_uring() - read files by io_uring from now on, and give the map up
 *
 * Done by itself for files that cannot be mapped. One submission for up to a megabyte of a frame's stretches, joined where
 * they lie side by side, into registered buffers. A vmie_mem that vgpu_source_mem_map() filled before must be filled anew:
 * it reads through a map that is gone.
 *
 * Return: 0, or negative errno (-ENOSYS, -EPERM: the host has no io_uring for us); the source is what it was then.
 */
int vgpu_source_use_uring(vgpu_source *s);

/* Unmaps and closes. NULL is fine. No vmie_mem made from it may be used afterwards. Returns NULL. */
vgpu_source *vgpu_source_close(vgpu_source *s);

uint64_t vgpu_source_ram_size(const vgpu_source *s);

/* Where RAM lies; ascending. Borrowed, lives as long as @s. */
const struct vgpu_layout_piece *vgpu_source_pieces(const vgpu_source *s, size_t *ret_n);

/* Which file it has open as its @i-th, whatever its path leads to by now. @i: less than the files it was opened with. */
void vgpu_source_file(const vgpu_source *s, size_t i, dev_t *ret_dev, ino_t *ret_ino);

/*
 * Fill @ret_mem to read by pread / through the map (or the way that frames are read instead). @ret_mem borrows @s; any
 * number may exist, one per thread.
 */
void vgpu_source_mem_pread(vgpu_source *s, vmie_mem *ret_mem);
void vgpu_source_mem_map(vgpu_source *s, vmie_mem *ret_mem);

/* How vgpu_source_gather() stores what it reads through a map. */
enum vgpu_copy {
        VGPU_COPY_AUTO,  /* what is fastest here, the time of one reader included */
        VGPU_COPY_PLAIN, /* as memcpy() does it: the frame stays in the caches where it fits */
        VGPU_COPY_STREAM, /* past the caches, by the widest registers there are; plain where that cannot be */
        VGPU_COPY_MOVSB, /* by one instruction that the processor makes the best of; plain likewise */
        VGPU_N_COPIES,
};

const char *vgpu_copy_name(enum vgpu_copy way);

/* Return: 0 and *ret, or -EINVAL. */
int vgpu_copy_from_name(const char *name, enum vgpu_copy *ret);

/* Before the first gather, or between two. Return: what was chosen, a word for a log; static storage. */
const char *vgpu_source_set_copy(vgpu_source *s, enum vgpu_copy way);

/**
 * vgpu_source_gather() - copy extents through the map into one buffer
 * @extents:     guest-physical pieces; each within RAM, or zeros
 * @base_offset: of the range that @dst is for; none of the extents begins before it
 * @dst:         each piece lands at dst + (extent offset - base_offset); the caller knows that they fit
 *
 * The frame path: one guarded run over all pieces, no system call. Several threads may gather from a source at a time if
 * vgpu_source_is_shareable() says so. Stores past the caches are over when it returns: ordered like any other before
 * what the same thread stores next.
 *
 * Return: 0, -EFAULT (outside RAM), -ESTALE (the file shrank under the map), -EIO (the host could not give the page:
 * out of memory, or it is bad). After a failure @dst is unspecified.
 */
int vgpu_source_gather(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst);

/* May several threads gather at a time, each into memory of its own? True of what is read through a map. */
bool vgpu_source_is_shareable(const vgpu_source *s);

/**
 * vgpu_source_check() - are the files still what was opened?
 *
 * Two system calls for each, no read. A file that grew is still what it was.
 *
 * Return: 0, -ESTALE (truncated, or another file is at the path), -ENOENT (nothing is at the path any more; the process
 * has ended), or what else looking at the path said (-EACCES...).
 */
int vgpu_source_check(const vgpu_source *s);

#endif /* VGPU_SOURCE_H */
