/*
 * frame_copy.h - the bytes of a frame out of the guest, chunk by chunk
 *
 * What is copied may lie where clients can see it before it counts. So the entries it was read through are looked at again
 * after every 2 MiB, and with a helper when each chunk is done, of which as much is out at a time: what a stale translation could
 * show to one who peeks is bounded to that.
 */
#ifndef VGPUD_FRAME_COPY_H
#define VGPUD_FRAME_COPY_H

#include "copy_helper.h"
#include "patch.h"
#include "vgpu_source.h"

/* What is smaller is copied by one thread: it is done before a helper is awake. */
#define FRAME_COPY_LARGE (UINT64_C(4) << 20)

struct frame_copy {
        vgpup_region *region;
        vmie_mem *mem;
        vgpu_source *source;
        /* Takes chunks of large ones, too, and is dismissed by the caller. NULL: none. Only where the source is shareable */
        struct copy_helper *helper;
        struct vgpup_sample sample; /* opened */
        uint8_t *dst;               /* room for sample.bytes */
        size_t copied;              /* bytes that were asked for; to begin with 0 */
        /* Bytes of @dst that may have been written, up to but not @touched; likewise. */
        size_t touched_from, touched;
};

/**
 * frame_copy_run() - translate and copy what a patch asks for
 * @c:     its sample gets extents
 * @patch: of this frame
 *
 * The caller commits the sample after 1, and throws away what was touched otherwise. While nothing is touched what was in @dst
 * is there still.
 *
 * Return: 1, 0 (torn, or translations moved), < 0.
 */
int frame_copy_run(struct frame_copy *c, const struct patch *patch);

#endif /* VGPUD_FRAME_COPY_H */
