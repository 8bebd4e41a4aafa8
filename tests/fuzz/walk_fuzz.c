/*
 * walk_fuzz.c - page walk, read, scan and gather over tables of the input's making
 *
 * With an oracle: where every entry on the way is present, a plain walk must come to the same address.
 */
#include <string.h>

#include "../memmodel/gather.h"
#include "../memmodel/scan.h"
#include "fuzz_guest.h"

#define WALK_READS   200u
#define RANGE_READS  (1u << 20)
#define SCAN_TABLES  64u
#define GATHER_BYTES (UINT64_C(64) * GVA_PAGE_BYTES)

static bool plain_entry(struct fuzz_guest *g, uint64_t gpa, uint64_t *ret)
{
        const struct gpa_extent *e = g->w.image.extents;
        uint64_t offset = 0;

        for (size_t i = 0; i < g->w.image.n_extents; offset += e[i].len, i++) {
                if (gpa >= e[i].gpa && gpa - e[i].gpa <= e[i].len - 8 && e[i].len >= 8) {
                        memcpy(ret, g->w.image.ram + offset + (gpa - e[i].gpa), 8);
                        return true;
                }
        }
        return false;
}

/* Return: 1 and the address, 0 (an entry is not present or not RAM: for the core's rules to say). */
static int plain_walk(struct fuzz_guest *g, uint64_t cr3, uint64_t gva, uint64_t *ret)
{
        uint64_t at = cr3 & PTE_PFN, entry;

        for (unsigned level = g->w.image.mem.levels; level > 0; level--) {
                unsigned shift = 12 + 9 * (level - 1);
                uint64_t mask = (UINT64_C(1) << shift) - 1;

                if (!plain_entry(g, at + ((gva >> shift) & 511) * 8, &entry) || !(entry & PTE_P))
                        return 0;
                if (level == 1 || (entry & PTE_PS)) {
                        *ret = (entry & PTE_PFN & ~mask) | (gva & mask);
                        return 1;
                }
                at = entry & PTE_PFN;
        }
        return 0;
}

static void check_translation(struct fuzz_guest *g, vmie_mem *m)
{
        bool moves =
                g->at < g->n_pieces_bytes; /* changes to come: the plain walk sees another guest */
        struct gva_mapping mapping;
        uint64_t gpa;
        int r;

        fuzz_guest_call(g);
        r = gva_translate(m, g->head.root, g->head.gva, &mapping);
        fuzz_guest_called(g, WALK_READS);
        if (r == 0 && !moves && (mapping.entry & PTE_P))
                fuzz_require(
                        plain_walk(g, g->head.root, g->head.gva, &gpa) == 1 && gpa == mapping.gpa,
                        "another address than a plain walk's");
        if (r < 0)
                fuzz_require(gva_fault(m)->kind != GVA_FAULT_NONE && gva_fault(m)->error == r,
                        "a failed walk without its reason");
}

static int count_page(void *ctx, const struct scan_page *page)
{
        uint64_t *sum = ctx;

        *sum += page->gpa + page->len;
        return 0;
}

static void check_ranges(struct fuzz_guest *g, vmie_mem *m)
{
        static uint8_t buf[UINT16_MAX];
        uint64_t sum = 0;
        struct gva_gather gather;
        struct gva_scan scan = {
                .first = g->head.gva,
                .last = g->head.gva | 0xffffffffff,
                .required = PTE_P,
                .n_tables_left = SCAN_TABLES,
                .visit = count_page,
                .ctx = &sum,
        };

        fuzz_guest_call(g);
        gva_read(m, g->head.root, g->head.gva, buf, g->head.len);
        fuzz_guest_called(g, RANGE_READS);
        gva_scan(m, g->head.root, &scan);
        fuzz_require(gather_init(&gather, GATHER_BYTES) == 0, "out of memory");
        if (gather_walk(&gather, m, g->head.root, g->head.gva, GATHER_BYTES) == 0) {
                uint64_t covered = 0;

                for (size_t i = 0; i < gather.n_extents; i++) {
                        fuzz_require(gather.extents[i].offset == covered, "a gather with a gap");
                        covered += gather.extents[i].len;
                }
                fuzz_require(covered == GATHER_BYTES, "a gather too short");
                gather_recheck(&gather, m, 0, UINT64_MAX);
        }
        gather_deinit(&gather);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fuzz_guest *g = fuzz_guest();

        if (!fuzz_guest_load(g, data, size))
                return 0;
        if (g->head.choice & 1)
                g->head.root = g->r.proc.cr3;
        check_translation(g, &g->w.image.mem);
        check_ranges(g, &g->w.image.mem);
        fuzz_guest_reset(g);
        return 0;
}
