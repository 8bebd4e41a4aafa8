/*
 * source_process.c - RAM that is in no file: out of QEMU's address space
 *
 * For a machine that was started without a shareable backend. Slower than a map, for each stretch is looked up in the
 * other process' page tables by the kernel, and in need of the right to trace QEMU; but nothing about QEMU has to change.
 */
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "source.h"

#define BATCH 256 /* stretches a call; the kernel takes up to 1024 */

/* A pidfd is readable when its process has ended. After a read that says whether it was still that process we read. */
static int check_alive(const vgpu_source *s)
{
        struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

        return poll(&p, 1, 0) == 0 ? 0 : -ESTALE;
}

static int read_vectors(const vgpu_source *s, const struct iovec *to, const struct iovec *from,
        size_t n, size_t len)
{
        ssize_t done = process_vm_readv(s->pid, to, n, from, n, 0);

        if (done < 0 && errno == ESRCH)
                return -ESTALE;
        if (check_alive(s) < 0)
                return -ESTALE;
        return done == (ssize_t)len ? 0 : -EIO;
}

static int read_by_process(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        const vgpu_source *s = ctx;
        uint64_t left = 0;
        const struct vgpu_layout_piece *p = source_piece_at(s, gpa, &left);
        struct iovec to = { dst, len }, from = { NULL, len };

        if (p == NULL || len > left)
                return -EFAULT;
        from.iov_base = (void *)(uintptr_t)(p->offset + (gpa - p->gpa));
        return read_vectors(s, &to, &from, 1, len);
}

static int gather_by_process(vgpu_source *s, const struct gva_extent *extents, size_t n_extents,
        uint64_t base_offset, uint8_t *dst)
{
        struct source_walk walk = { s, extents, n_extents, base_offset, dst, 0, 0, NULL };
        struct iovec to[BATCH], from[BATCH];
        struct source_stretch t;
        size_t n = 0, len = 0;
        int r = 0;

        while (r == 0 && source_next_stretch(&walk, &t)) {
                to[n] = (struct iovec){ t.dst, t.len };
                from[n++] = (struct iovec){ (void *)(uintptr_t)t.offset, t.len };
                len += t.len;
                if (n == BATCH) {
                        r = read_vectors(s, to, from, n, len);
                        n = len = 0;
                }
        }
        return r == 0 && n > 0 ? read_vectors(s, to, from, n, len) : r;
}

static const struct vmie_mem_ops process_ops = { .read = read_by_process };

static const struct source_way by_process = {
        .scan = &process_ops,
        .frame = &process_ops,
        .gather = gather_by_process,
};

/* The whole address space is one file that nobody opened. */
static void pretend_file(vgpu_source *s)
{
        s->file[0] = (struct source_file){ .fd = -1, .size = UINT64_MAX };
        s->n_files = 1;
}

vgpu_source *vgpu_source_open_process(
        int pid, const struct vgpu_layout *layout, struct vgpu_source_failure *reterr_why)
{
        struct vgpu_source_failure why = { .reason = VGPU_SOURCE_OPEN_FAILED, .error = ENOMEM };
        vgpu_source *s = source_new();
        vmie_mem m;
        char byte;

        if (s != NULL) {
                pretend_file(s);
                why = source_set_pieces(s, layout->piece, layout->n_pieces);
                s->way = &by_process;
                s->pid = pid;
        }
        if (why.reason == VGPU_SOURCE_OK) {
                s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (s->pidfd < 0)
                        why = (struct vgpu_source_failure){ .reason = VGPU_SOURCE_MISSING,
                                .error = errno };
        }
        if (why.reason == VGPU_SOURCE_OK) {
                vgpu_source_mem_map(s, &m);
                if (gpa_read(&m, layout->piece[0].gpa, &byte, 1) == 0)
                        return s;
                why = (struct vgpu_source_failure){ .reason = VGPU_SOURCE_FORBIDDEN };
        }
        if (reterr_why != NULL)
                *reterr_why = why;
        return vgpu_source_close(s);
}
