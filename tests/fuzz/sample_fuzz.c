/*
 * sample_fuzz.c - everything that reads through a bound handle, while the input changes the guest
 */
#include <string.h>

#include "fuzz_guest.h"

#define SAMPLE_READS (1u << 16)
#define MARKER_BYTES 64u

static uint8_t buf[TEST_STRIDE_BYTES + MARKER_BYTES];

static void check_sample(const struct vgpup_sample *s, size_t cap)
{
        uint64_t covered = 0;

        fuzz_require(s->bytes > 0 && s->bytes <= cap, "a sample over its buffer");
        fuzz_require(
                s->bytes == (uint64_t)s->desc.height * s->desc.stride, "a sample of another size");
        fuzz_require(s->n_damage <= VGPU_MAX_DAMAGE, "more damage than there may be");
        for (uint32_t i = 0; i < s->n_damage; i++)
                fuzz_require((uint64_t)s->damage[i].x + s->damage[i].w <= s->desc.width &&
                                     (uint64_t)s->damage[i].y + s->damage[i].h <= s->desc.height,
                        "damage outside the frame");
        for (size_t i = 0; i < s->n_extents; i++) {
                fuzz_require(s->extents[i].offset == covered, "extents with a gap");
                covered += s->extents[i].len;
        }
        fuzz_require(covered == s->bytes, "extents of another length");
}

static void take_apart(struct fuzz_guest *g, vmie_mem *m)
{
        struct vgpup_sample s;

        if (vgpup_sample_begin(g->bound, m, TEST_STRIDE_BYTES, &s) != 1)
                return;
        check_sample(&s, TEST_STRIDE_BYTES);
        vgpup_sample_recheck(g->bound, m, &s, g->head.gva, g->head.len);
        vgpup_sample_commit(g->bound, m, &s);
}

static void sample(struct fuzz_guest *g, vmie_mem *m)
{
        size_t cap = g->head.len < TEST_STRIDE_BYTES ? g->head.len : TEST_STRIDE_BYTES;
        vgpup_frame_info info;

        memset(buf, MARKER, sizeof(buf));
        if (vgpup_sample_frame(g->bound, m, buf, cap, &info) == 1)
                fuzz_require(info.bytes <= cap &&
                                     info.bytes == (uint64_t)info.desc.height * info.desc.stride,
                        "a frame over its buffer");
        for (size_t i = cap; i < sizeof(buf); i++)
                fuzz_require(buf[i] == MARKER, "a byte past the buffer");
}

static void read_changes(struct fuzz_guest *g, vmie_mem *m)
{
        struct vgpup_change changes[VGPU_MAX_SLOTS];
        uint32_t n;

        if (vgpup_read_changes(g->bound, m, changes, &n) != 1)
                return;
        fuzz_require(n <= VGPU_MAX_SLOTS, "more changes than slots");
        for (uint32_t i = 0; i < n; i++) {
                const struct vgpup_change *c = &changes[i];

                fuzz_require(c->n_damage <= VGPU_MAX_DAMAGE, "more damage than there is room for");
                fuzz_require(c->n_damage == 0 || c->damage_base < c->desc.frame_id,
                        "damage since a later frame");
                for (uint32_t k = 0; k < c->n_damage; k++)
                        fuzz_require(
                                (uint64_t)c->damage[k].x + c->damage[k].w <= c->desc.width &&
                                        (uint64_t)c->damage[k].y + c->damage[k].h <= c->desc.height,
                                "damage outside its frame");
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_guest *g = fuzz_guest();
        vmie_mem *m = &g->w.image.mem;
        vgpup_geometry geometry;
        vgpup_status status;
        vgpup_cursor cursor;
        uint64_t frame_id;

        if (!fuzz_guest_load(g, data, size))
                return 0;
        fuzz_guest_call(g);
        if (g->head.choice & 1)
                vgpup_peek(g->bound, m, &frame_id);
        if (g->head.choice & 2)
                vgpup_read_status(g->bound, m, &status);
        if (g->head.choice & 4)
                vgpup_read_cursor(g->bound, m, &cursor);
        if (g->head.choice & 8)
                vgpup_read_geometry(g->bound, m, &geometry);
        if (g->head.choice & 16)
                take_apart(g, m);
        if (g->head.choice & 32)
                read_changes(g, m);
        sample(g, m);
        fuzz_guest_called(g, SAMPLE_READS);
        fuzz_guest_reset(g);
        return 0;
}
