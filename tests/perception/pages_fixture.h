/*
 * pages_fixture.h - a bound region whose pages can be put into the states that Windows keeps pages in
 */
#ifndef PAGES_FIXTURE_H
#define PAGES_FIXTURE_H

#include "region_fixture.h"

#define PROTECTION  (UINT64_C(4) << 5) /* read-write */
#define DECOMMITTED (UINT64_C(0x10) << 5)
#define SWIZZLE     (UINT64_C(1) << 4)
#define PROTOTYPE   (UINT64_C(1) << 10)
#define TRANSITION  (UINT64_C(1) << 11)
#define VAD         (UINT64_C(0xffffffff0000) << 16 | PROTOTYPE)

#define PROTO_VA      UINT64_C(0xffffa80012345000)
#define REFERS_TO(va) ((va) << 16 | PROTOTYPE | 1 << 8)
#define SLOT0         (REGION_GVA + VGPU_RING_OFFSET)
#define SECOND        UINT64_C(10000000)
#define FRAME_BYTES   (64 * 256u) /* all pages of the slot */

struct pages {
        struct fixture f;
        uint64_t proto_gpa; /* page of prototype entries, mapped at PROTO_VA */
        uint64_t clock;
};

static inline void pages_open_as(struct pages *p, const struct windows_config *config)
{
        memset(p, 0, sizeof(*p));
        fixture_open_as(&p->f, config);
        p->proto_gpa = image_page(&p->f.w.image);
        image_map(&p->f.w.image, p->f.w.kcr3, PROTO_VA, p->proto_gpa, 1, PTE_W);
        p->f.r.block->latest = VGPU_SLOT_NONE;
        region_publish(&p->f.r, 64, 64, 256); /* frame 2 in slot 0 */
        p->clock = 100 * SECOND;
        windows_clock(&p->f.w, p->clock);
}

static inline void pages_open(struct pages *p)
{
        struct windows_config config = windows_known(19045);

        pages_open_as(p, &config);
}

static inline void pages_close(struct pages *p)
{
        fixture_close(&p->f);
}

static inline void run_clock(struct pages *p, uint64_t by)
{
        p->clock += by;
        windows_clock(&p->f.w, p->clock);
}

static inline uint64_t leaf_of(struct pages *p, uint64_t gva)
{
        return image_entry(&p->f.w.image, p->f.r.proc.cr3, gva, 1);
}

static inline uint64_t page_of(struct pages *p, uint64_t gva)
{
        return image_translate(&p->f.w.image, p->f.r.proc.cr3, gva) & PTE_PFN;
}

static inline void put_leaf(struct pages *p, uint64_t gva, uint64_t entry)
{
        image_put64(&p->f.w.image, leaf_of(p, gva), entry);
}

static inline void put_proto(struct pages *p, unsigned index, uint64_t entry)
{
        image_put64(&p->f.w.image, p->proto_gpa + index * 8, entry);
}

static inline uint64_t in_transition(uint64_t gpa)
{
        return gpa | TRANSITION | PROTECTION | SWIZZLE;
}

static inline void is_transition(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, in_transition(page_of(p, gva)));
}

static inline void is_demand_zero(struct pages *p, uint64_t gva)
{
        put_leaf(p, gva, PROTECTION);
}

static inline void stands_behind(struct pages *p, uint64_t gva, uint64_t proto)
{
        unsigned index = (gva >> 12) & 15;

        put_proto(p, index, proto);
        put_leaf(p, gva, REFERS_TO(PROTO_VA + index * 8));
}

static inline void is_proto_valid(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, page_of(p, gva) | PTE_P | PTE_W);
}

static inline void is_proto_transition(struct pages *p, uint64_t gva)
{
        stands_behind(p, gva, in_transition(page_of(p, gva)));
}

/* Page 1 of the frame as @zeros says, all else its own bytes. */
static inline void expect_frame(struct pages *p, const char *name, bool zeros)
{
        assert_int_equal(p->f.info.bytes, FRAME_BYTES);
        for (size_t i = 0; i < FRAME_BYTES; i++) {
                uint8_t want = zeros && i / 4096 == 1 ? 0 : frame_byte(2, i);

                if (p->f.buf[i] != want)
                        fail_msg("%s: byte %zu is %#x", name, i, p->f.buf[i]);
        }
}

#endif /* PAGES_FIXTURE_H */
