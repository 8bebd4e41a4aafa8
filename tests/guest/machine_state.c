/*
 * machine_state.c - what the memory manager makes of a region's page that nobody has used for a while
 *
 * A page leaves the working set long before it leaves RAM: its entry turns into one that only software understands, and
 * the next touch of it turns it back. The bits are those of Windows' own structures: protection in 5..9, prototype in 10,
 * transition in 11, and since 1809 a bit 4 that is clear where a physical address bit beyond RAM was flipped.
 */
#include "machine_private.h"

#define SOFT_PROTOTYPE  UINT64_C(0x400)
#define SOFT_TRANSITION UINT64_C(0x800)
#define SOFT_READWRITE  UINT64_C(0x080) /* protection 4 */
#define SOFT_UNSWIZZLED UINT64_C(0x010)
#define SWIZZLES_SINCE  17763u

/* The prototype address that says: look in the VAD tree. */
#define VAD_PROTOTYPE (UINT64_C(0xFFFFFFFF0000) << 16)

const char *const machine_state_names[MACHINE_N_STATES] = {
        [MACHINE_VALID] = "valid",
        [MACHINE_TRANSITION] = "transition",
        [MACHINE_PROTOTYPE] = "prototype",
        [MACHINE_PROTOTYPE_TRANSITION] = "prototype-transition",
        [MACHINE_PROTOTYPE_ZERO] = "prototype-zero",
        [MACHINE_PROTOTYPE_PAGEFILE] = "prototype-pagefile",
        [MACHINE_PROTOTYPE_VAD] = "prototype-vad",
        [MACHINE_DEMAND_ZERO] = "demand-zero",
        [MACHINE_PAGEFILE] = "pagefile",
        [MACHINE_NO_ENTRY] = "no-entry",
};

static bool swizzles(const struct machine *m)
{
        return m->cfg.build >= SWIZZLES_SINCE;
}

static uint64_t unswizzled(const struct machine *m)
{
        return swizzles(m) ? SOFT_UNSWIZZLED : 0;
}

/* Beyond any RAM the builder is given, and within the 36 bits an older build has for a page number. */
static uint64_t swizzle_bit(const struct machine *m)
{
        return UINT64_C(1) << (41 + m->cfg.seed % 7);
}

static uint64_t transition(const struct machine *m, uint64_t gpa, uint64_t page)
{
        uint64_t entry = SOFT_TRANSITION | SOFT_READWRITE;

        if (swizzles(m) && page % 2 == 1)
                return entry | (gpa ^ swizzle_bit(m));
        return entry | gpa | unswizzled(m);
}

/* The file's number moved when bit 4 got its new meaning. */
static uint64_t pagefile(const struct machine *m, uint64_t page)
{
        uint64_t number = 2;

        return SOFT_READWRITE | (0x4321 + page) << 32 | unswizzled(m) |
               (swizzles(m) ? number << 12 : number << 1);
}

static uint64_t prototype_entry(
        const struct machine *m, enum machine_state state, uint64_t gpa, uint64_t page)
{
        switch (state) {
        case MACHINE_PROTOTYPE_TRANSITION:
                return transition(m, gpa, page);
        case MACHINE_PROTOTYPE_ZERO:
                return SOFT_READWRITE | unswizzled(m);
        case MACHINE_PROTOTYPE_PAGEFILE:
                return pagefile(m, page);
        default:
                return gpa | REGION_PROTOTYPE;
        }
}

static uint64_t leaf_entry(
        const struct machine *m, enum machine_state state, uint64_t gpa, uint64_t page)
{
        switch (state) {
        case MACHINE_VALID:
                return gpa | LEAF_USER_DATA;
        case MACHINE_TRANSITION:
                return transition(m, gpa, page);
        case MACHINE_PROTOTYPE_VAD:
                return VAD_PROTOTYPE | SOFT_PROTOTYPE | SOFT_READWRITE;
        case MACHINE_DEMAND_ZERO:
                return SOFT_READWRITE | unswizzled(m);
        case MACHINE_PAGEFILE:
                return pagefile(m, page);
        case MACHINE_NO_ENTRY:
                return 0;
        default:
                return (m->region.segment + page * 8) << 16 | SOFT_PROTOTYPE | unswizzled(m);
        }
}

bool machine_set_state(struct machine *m, uint64_t offset, enum machine_state state)
{
        const struct machine_region *r = &m->region;
        uint64_t page = offset / PAGE_BYTES, bytes, gpa, *leaf;

        if (!m->producer || offset >= r->bytes || r->leaf_bytes != PAGE_BYTES)
                return false;
        leaf = paging_entry(m, m->producer->cr3, r->gva + page * PAGE_BYTES, &bytes);
        if (!leaf)
                return false;
        gpa = get64(kernel_at(m, r->home + page * 8));
        put64(kernel_at(m, r->segment + page * 8), prototype_entry(m, state, gpa, page));
        publish_barrier(); /* an entry that names a prototype finds it as it must be */
        put64(leaf, leaf_entry(m, state, gpa, page));
        publish_barrier();
        return true;
}

bool machine_trim(struct machine *m, uint64_t offset, uint64_t len, enum machine_state state)
{
        static const enum machine_state readable[] = { MACHINE_TRANSITION, MACHINE_PROTOTYPE,
                MACHINE_PROTOTYPE_TRANSITION, MACHINE_VALID, MACHINE_TRANSITION };
        const size_t n = sizeof(readable) / sizeof(readable[0]);

        for (uint64_t at = 0, i = 0; at < len; at += PAGE_BYTES, i++)
                if (!machine_set_state(
                            m, offset + at, state == MACHINE_N_STATES ? readable[i % n] : state))
                        return false;
        return true;
}

static uint8_t *home_page(const struct machine *m, uint64_t offset)
{
        return page_at(m, get64(kernel_at(m, m->region.home + offset / PAGE_BYTES * 8)));
}

bool machine_begin_page_in(struct machine *m, uint64_t offset, uint64_t *ret_aside)
{
        uint64_t aside = pages_alloc(&m->pages, m->cfg.place);
        uint8_t *page;

        if (aside == 0)
                return machine_fail(m, "page aside");
        if (!machine_set_state(m, offset, MACHINE_NO_ENTRY)) {
                pages_free(&m->pages, aside);
                return false;
        }
        page = home_page(m, offset);
        __builtin_memcpy(page_at(m, aside), page, PAGE_BYTES);
        for (uint64_t at = 0; at < PAGE_BYTES; at += 8)
                put64(page + at, pages_random(&m->pages));
        machine_set_state(m, offset, MACHINE_TRANSITION);
        *ret_aside = aside;
        return true;
}

void machine_end_page_in(struct machine *m, uint64_t offset, uint64_t aside)
{
        __builtin_memcpy(home_page(m, offset), page_at(m, aside), PAGE_BYTES);
        publish_barrier();
        machine_set_state(m, offset, MACHINE_VALID);
        pages_free(&m->pages, aside);
}
