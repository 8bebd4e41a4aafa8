/* source_pread.c - reading without a map: a hole of a sparse file stays one, and is passed over unread */
#include <errno.h>
#include <unistd.h>

#include "source.h"

int source_pread(int fd, void *dst, size_t len, uint64_t offset)
{
        uint8_t *to = dst;

        while (len > 0) {
                ssize_t n = pread(fd, to, len, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -EIO;
                if (n == 0)
                        return -ESTALE; /* it was longer when it was opened */
                to += n;
                len -= (size_t)n;
                offset += (uint64_t)n;
        }
        return 0;
}

static int read_by_pread(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        const vgpu_source *s = ctx;
        uint64_t left = 0;
        const struct vgpu_layout_piece *p = source_piece_at(s, gpa, &left);

        if (p == NULL || len > left)
                return -EFAULT;
        return source_pread(s->file[p->file].fd, dst, len, p->offset + (gpa - p->gpa));
}

/* SEEK_DATA. A filesystem without holes (hugetlbfs) says that everything is data, one without SEEK_DATA says -EINVAL. */
static int next_data(void *ctx, uint64_t gpa, uint64_t end, uint64_t *ret_gpa)
{
        const vgpu_source *s = ctx;
        uint64_t left = 0;
        const struct vgpu_layout_piece *p = source_piece_at(s, gpa, &left);
        uint64_t offset;
        off_t data;

        if (p == NULL || end < gpa || end - gpa > left)
                return -EFAULT;
        offset = p->offset + (gpa - p->gpa);
        data = lseek(s->file[p->file].fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == EINVAL)
                data = (off_t)offset;
        if (data < 0)
                return errno == ENXIO ? -ENXIO : -EIO;
        if ((uint64_t)data - offset >= end - gpa)
                return -ENXIO;
        *ret_gpa = gpa + ((uint64_t)data - offset);
        return 0;
}

const struct vmie_mem_ops source_pread_ops = { .read = read_by_pread, .next_data = next_data };
