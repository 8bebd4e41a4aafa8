/*
 * stream_rig.h - a guest whose RAM is a file, a ring on a loop, and the stream between them
 */
#ifndef STREAM_RIG_H
#define STREAM_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_windows.h"
#include "stream.h"

struct rig {
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        vgpu_source *source;
        int ram_fd;
        struct vgpu_config config;
        uv_loop_t loop;
        struct outlet outlet;
        struct stream stream;
        struct stream_view view;
        unsigned n_vetoes; /* frames that are not to be published yet */
};

static inline bool may_publish(void *ctx)
{
        struct rig *rig = ctx;

        if (rig->n_vetoes == 0)
                return true;
        rig->n_vetoes--;
        return false;
}

/* The guest's array becomes a file, which is how frames are copied; all else is still read through the image. */
static inline void share_ram(struct rig *rig)
{
        struct guest_image *g = &rig->w.image;
        char path[32];
        void *map;

        rig->ram_fd = memfd_create("guest", MFD_CLOEXEC);
        assert_true(rig->ram_fd >= 0);
        assert_int_equal(ftruncate(rig->ram_fd, (off_t)g->ram_bytes), 0);
        map = mmap(NULL, g->ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rig->ram_fd, 0);
        assert_true(map != MAP_FAILED);
        memcpy(map, g->ram, g->ram_bytes);
        free(g->ram);
        g->ram = map;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", rig->ram_fd);
        rig->source = vgpu_source_open(path, VGPU_MACHINE_FLAT, 0, NULL);
        assert_non_null(rig->source);
}

static inline void bind_region(struct rig *rig)
{
        vgpup_close(rig->view.region);
        rig->view.region = vgpup_open(rig->v);
        assert_non_null(rig->view.region);
}

static inline void rig_open_as(
        struct rig *rig, bool staging, const char *producer, uint64_t slot_stride)
{
        struct windows_config config = windows_known(19045);
        size_t slots_bytes = 2 * slot_stride, rest_bytes = (size_t)8 << 20;
        struct server_failure why;
        struct guest_process p;

        memset(rig, 0, sizeof(*rig));
        /* between two pages of a slot lies one that is none */
        config.ram_bytes = slots_bytes > rest_bytes ? 2 * slots_bytes + rest_bytes : 0;
        windows_init(&rig->w, &config);
        share_ram(rig);
        p = windows_process(&rig->w, 4242, producer);
        region_init(&rig->r, &rig->w, &p, REGION_GVA, slot_stride, 2);
        region_publish(&rig->r, 32, 16, 128);

        rig->config.ring.max_bytes = UINT64_C(2) << 30;
        rig->config.ring.slots = 4;
        rig->config.ring.mode = 0600;
        rig->config.ring.max_clients = 1;
        snprintf(rig->config.ring.socket, sizeof(rig->config.ring.socket),
                "/tmp/vgpud-stream-test-%d", (int)getpid());
        uv_loop_init(&rig->loop);
        assert_int_equal(outlet_init(&rig->outlet, &rig->loop, &rig->config, -1,
                                 &(struct outlet_hooks){ 0 }, &why),
                0);
        stream_init(&rig->stream, &rig->outlet, staging);
        rig->stream.late_ns = UINT64_MAX; /* a busy machine throws no frame away */

        rig->v = vmie_win32_open(&rig->w.image.mem, 0, NULL);
        assert_non_null(rig->v);
        rig->view.mem = &rig->w.image.mem;
        rig->view.source = rig->source;
        rig->view.epoch = 1;
        rig->view.producer_pid = p.pid;
        rig->view.may_publish = may_publish;
        rig->view.ctx = rig;
        bind_region(rig);
        image_calm(&rig->w.image);
}

static inline void rig_open_named(struct rig *rig, bool staging, const char *producer)
{
        rig_open_as(rig, staging, producer, TEST_STRIDE_BYTES);
}

/* Slots for frames of @slot_stride bytes. */
static inline void rig_open_large(struct rig *rig, bool staging, uint64_t slot_stride)
{
        rig_open_as(rig, staging, "producer.exe", slot_stride);
}

static inline void rig_open(struct rig *rig, bool staging)
{
        rig_open_named(rig, staging, "producer.exe");
}

static inline void rig_close(struct rig *rig)
{
        vgpup_close(rig->view.region);
        vmie_win32_close(rig->v);
        stream_deinit(&rig->stream);
        outlet_close(&rig->outlet);
        uv_run(&rig->loop, UV_RUN_DEFAULT);
        outlet_deinit(&rig->outlet);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
        vgpu_source_close(rig->source);
        munmap(rig->w.image.ram, rig->w.image.ram_bytes);
        rig->w.image.ram = NULL;
        close(rig->ram_fd);
        windows_deinit(&rig->w);
}

static inline void look(struct rig *rig)
{
        enum pacer_saw saw;

        assert_int_equal(stream_look(&rig->stream, &rig->view, &saw), 0);
}

/* Looks until then, for the guest may be in the way of the first. */
static inline void look_until_published(struct rig *rig, uint64_t frames)
{
        for (int i = 0; i < 100 && rig->stream.counters.frames < frames; i++)
                look(rig);
        assert_int_equal(rig->stream.counters.frames, frames);
}

/* The newest slot, as a reader finds it. */
static inline const struct vgpu_ring_desc *newest(struct rig *rig, const uint8_t **ret_pixels)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        uint8_t *map = mmap(NULL, id->total_bytes, PROT_READ, MAP_SHARED,
                ring_fd(rig->outlet.rings.current), 0);
        const struct vgpu_ring_header *h = (const void *)map;
        uint32_t slot = VGPU_RING_WORD_SLOT(h->publish);

        assert_true(map != MAP_FAILED && h->publish != 0);
        *ret_pixels = map + id->slot_offset + slot * id->slot_bytes;
        return (const void *)(map + id->desc_offset + slot * id->desc_bytes);
}

static inline void unmap(struct rig *rig, const struct vgpu_ring_desc *desc)
{
        const struct vgpu_ring_identity *id = ring_identity(rig->outlet.rings.current);
        uintptr_t at = (uintptr_t)desc - id->desc_offset;

        munmap((void *)(at & ~(uintptr_t)(VGPU_RING_PAGE - 1)), id->total_bytes);
}

#endif /* STREAM_RIG_H */
