/*
 * guest_image.c - a guest's memory in an array (see guest_image.h)
 */
#include <stdlib.h>
#include <string.h>

#include "guest_image.h"

#define FIRST_FREE_PAGE UINT64_C(0x100000)

static void *find(struct guest_image *g, uint64_t gpa, uint64_t len)
{
        uint64_t offset = 0;

        for (size_t i = 0; i < g->n_extents; i++) {
                const struct gpa_extent *e = &g->extents[i];

                if (gpa >= e->gpa && gpa - e->gpa < e->len && len <= e->len - (gpa - e->gpa))
                        return g->ram + offset + (gpa - e->gpa);
                offset += e->len;
        }
        return NULL;
}

static int read_ram(void *ctx, uint64_t gpa, void *dst, size_t len)
{
        struct guest_image *g = ctx;
        const void *at = find(g, gpa, len);

        /* The core promises its sources reads inside one extent. */
        assert_non_null(at);
        g->n_reads++;
        g->last_gpa = gpa;
        if (g->change && g->n_reads == g->change_at)
                g->change(g->change_ctx);
        if (g->on_watch && gpa < g->watch_gpa + g->watch_bytes && gpa + len > g->watch_gpa)
                g->on_watch(g->watch_ctx, ++g->n_watched);
        if (g->fail_at && g->n_reads >= g->fail_at)
                return g->fail_with;
        memcpy(dst, at, len);
        return 0;
}

static const struct vmie_mem_ops array_ops = { .read = read_ram };

void image_init_extents(struct guest_image *g, const struct gpa_extent *extents, size_t n)
{
        memset(g, 0, sizeof(*g));
        for (size_t i = 0; i < n; i++) {
                g->extents[i] = extents[i];
                g->ram_bytes += extents[i].len;
        }
        g->n_extents = n;
        g->ram = calloc(1, g->ram_bytes);
        assert_non_null(g->ram);
        g->next_page = FIRST_FREE_PAGE;
        g->mem = (vmie_mem){
                .ops = &array_ops,
                .ctx = g,
                .extents = g->extents,
                .n_extents = n,
                .levels = 4,
        };
}

void image_init(struct guest_image *g, size_t ram_bytes)
{
        image_init_extents(g, &(struct gpa_extent){ 0, ram_bytes }, 1);
}

void image_deinit(struct guest_image *g)
{
        free(g->ram);
        g->ram = NULL;
}

void image_calm(struct guest_image *g)
{
        g->n_reads = g->fail_at = g->change_at = g->n_watched = 0;
        g->change = NULL;
        g->on_watch = NULL;
}

void *image_at(struct guest_image *g, uint64_t gpa)
{
        void *at = find(g, gpa, 1);

        assert_non_null(at);
        return at;
}

uint64_t image_get64(struct guest_image *g, uint64_t gpa)
{
        uint64_t value;

        memcpy(&value, image_at(g, gpa), sizeof(value));
        return value;
}

void image_put64(struct guest_image *g, uint64_t gpa, uint64_t value)
{
        memcpy(image_at(g, gpa), &value, sizeof(value));
}

uint64_t image_page(struct guest_image *g)
{
        uint64_t gpa = g->next_page;

        g->next_page += GVA_PAGE_BYTES;
        memset(image_at(g, gpa), 0, GVA_PAGE_BYTES);
        return gpa;
}

static uint64_t entry_in(uint64_t table, uint64_t gva, unsigned level)
{
        return table + ((gva >> (12 + 9 * (level - 1))) & 511) * 8;
}

uint64_t image_entry(struct guest_image *g, uint64_t cr3, uint64_t gva, unsigned level)
{
        uint64_t table = cr3 & PTE_PFN;

        for (unsigned l = g->mem.levels; l > level; l--)
                table = image_get64(g, entry_in(table, gva, l)) & PTE_PFN;
        return entry_in(table, gva, level);
}

void image_map(struct guest_image *g, uint64_t cr3, uint64_t gva, uint64_t gpa, unsigned level,
        uint64_t flags)
{
        uint64_t table = cr3 & PTE_PFN;

        for (unsigned l = g->mem.levels; l > level; l--) {
                uint64_t at = entry_in(table, gva, l);

                if (!(image_get64(g, at) & PTE_P))
                        image_put64(g, at, image_page(g) | PTE_P | PTE_W | (gva >> 63 ? 0 : PTE_U));
                table = image_get64(g, at) & PTE_PFN;
        }
        image_put64(g, entry_in(table, gva, level), gpa | PTE_P | flags | (level > 1 ? PTE_PS : 0));
}

uint64_t image_translate(struct guest_image *g, uint64_t cr3, uint64_t gva)
{
        uint64_t table = cr3 & PTE_PFN;

        for (unsigned l = g->mem.levels; l > 0; l--) {
                uint64_t entry = image_get64(g, entry_in(table, gva, l));
                uint64_t mask = (UINT64_C(1) << (12 + 9 * (l - 1))) - 1;

                if (!(entry & PTE_P))
                        return 0;
                if (l == 1 || entry & PTE_PS)
                        return (entry & PTE_PFN & ~mask) | (gva & mask);
                table = entry & PTE_PFN;
        }
        return 0;
}

void image_write(struct guest_image *g, uint64_t cr3, uint64_t gva, const void *src, size_t len)
{
        const uint8_t *from = src;

        for (size_t i = 0; i < len; i++) {
                uint64_t gpa = image_translate(g, cr3, gva + i);

                assert_true(gpa != 0);
                *(uint8_t *)image_at(g, gpa) = from[i];
        }
}

void image_read(struct guest_image *g, uint64_t cr3, uint64_t gva, void *dst, size_t len)
{
        uint8_t *to = dst;

        for (size_t i = 0; i < len; i++) {
                uint64_t gpa = image_translate(g, cr3, gva + i);

                assert_true(gpa != 0);
                to[i] = *(uint8_t *)image_at(g, gpa);
        }
}
