/*
 * machine_region.c - the shared section a producer publishes in
 *
 * A pagefile-backed section as Windows maps it: valid entries in the process, and behind them a segment of prototype PTEs
 * in the paged pool, one per 4 KiB. Where its pages lie in RAM is what --scatter, --large-pages and --place decide.
 */
#include "machine_private.h"

static bool has_high(const struct machine *m)
{
        return m->pages.n_low < m->pages.n_pages;
}

static uint64_t leaf_bytes_of(const struct machine *m)
{
        switch (m->cfg.paging) {
        case MACHINE_LARGE:
                return LARGE_PAGE_BYTES;
        case MACHINE_HUGE:
                return HUGE_PAGE_BYTES;
        default:
                return PAGE_BYTES;
        }
}

/* Physical pages in the order of their addresses in the section. */
struct supply {
        struct machine *m;
        uint64_t bytes; /* asked for */
        uint64_t leaf_bytes, n_leaves;
        uint64_t run[2], run_leaves; /* the two halves of a contiguous section */
};

static bool supply_init(struct supply *s, struct machine *m, uint64_t bytes)
{
        bool split = m->cfg.place == PAGES_BOTH && has_high(m);

        *s = (struct supply){ .m = m, .bytes = bytes, .leaf_bytes = leaf_bytes_of(m) };
        s->n_leaves = (bytes + s->leaf_bytes - 1) / s->leaf_bytes;
        if (m->cfg.paging != MACHINE_CONTIGUOUS)
                return true;

        s->run_leaves = split ? (s->n_leaves + 1) / 2 : s->n_leaves;
        s->run[0] = pages_alloc_run(
                &m->pages, s->run_leaves, PAGE_BYTES, split ? PAGES_LOW : m->cfg.place);
        if (s->run[0] && s->n_leaves > s->run_leaves)
                s->run[1] = pages_alloc_run(
                        &m->pages, s->n_leaves - s->run_leaves, PAGE_BYTES, PAGES_HIGH);
        return s->run[0] && (s->run[1] || s->n_leaves == s->run_leaves);
}

/* Each page is zeroed before anybody can see it: it may come from another process. What a 1 GiB page has beyond the
 * section is left alone, or the host would have to keep all of it. */
static uint64_t supply_next(struct supply *s, uint64_t i)
{
        struct pages *pg = &s->m->pages;
        uint64_t gpa;

        if (s->m->cfg.paging == MACHINE_SCATTER)
                gpa = pages_alloc_random(pg, s->m->cfg.place);
        else if (s->leaf_bytes > PAGE_BYTES)
                gpa = pages_alloc_run(
                        pg, s->leaf_bytes / PAGE_BYTES, s->leaf_bytes, s->m->cfg.place);
        else
                gpa = s->run[i / s->run_leaves] + i % s->run_leaves * PAGE_BYTES;

        for (uint64_t at = 0; gpa && at < s->leaf_bytes && i * s->leaf_bytes + at < s->bytes;
                at += PAGE_BYTES)
                __builtin_memset(page_at(s->m, gpa + at), 0, PAGE_BYTES);
        return gpa;
}

static void put_prototypes(struct machine *m, uint64_t first, uint64_t gpa, uint64_t n)
{
        for (uint64_t i = 0; i < n; i++) {
                put64(kernel_at(m, m->region.home + (first + i) * 8), gpa + i * PAGE_BYTES);
                put64(kernel_at(m, m->region.segment + (first + i) * 8),
                        (gpa + i * PAGE_BYTES) | REGION_PROTOTYPE);
        }
}

static bool map_region(struct machine *m, uint64_t bytes)
{
        struct machine_process *p = m->producer;
        struct machine_region *r = &m->region;
        uint64_t align = leaf_bytes_of(m) > PAGE_BYTES ? leaf_bytes_of(m) : 0x10000, per_leaf;
        struct supply s;

        if (!supply_init(&s, m, bytes))
                return machine_fail(m, "contiguous region");
        per_leaf = s.leaf_bytes / PAGE_BYTES;
        r->bytes = s.n_leaves * s.leaf_bytes;
        r->leaf_bytes = s.leaf_bytes;
        r->segment_pages = (r->bytes / PAGE_BYTES * 8 + PAGE_BYTES - 1) / PAGE_BYTES;
        r->segment = pool_alloc_run(m, MACHINE_PAGED, r->segment_pages);
        r->home = pool_alloc_run(m, MACHINE_NONPAGED, r->segment_pages);
        if (r->segment == 0 || r->home == 0)
                return false;
        r->gva = (p->next_va + align - 1) & ~(align - 1);
        p->next_va = r->gva + r->bytes + random_below(m, 0x100) * 0x10000;

        for (uint64_t i = 0; i < s.n_leaves; i++) {
                uint64_t gpa = supply_next(&s, i);

                if (gpa == 0)
                        return machine_fail(m, "region page");
                put_prototypes(m, i * per_leaf, gpa, per_leaf);
                if (!paging_map(m, p->cr3, r->gva + i * s.leaf_bytes, gpa, LEAF_USER_DATA,
                            s.leaf_bytes, m->cfg.place))
                        return false;
        }
        paging_mirror(m, p);
        publish_barrier();
        return true;
}

/* With @clear_entries the process lives on and its pages come back here; without, its whole address space is about to, and
 * only what no valid entry leads to comes back here. */
void region_release(struct machine *m, bool clear_entries)
{
        struct machine_region *r = &m->region;

        for (uint64_t at = 0; at < r->bytes; at += r->leaf_bytes) {
                uint64_t bytes, gpa = get64(kernel_at(m, r->home + at / PAGE_BYTES * 8));
                uint64_t *leaf = paging_entry(m, m->producer->cr3, r->gva + at, &bytes);

                if (!leaf || gpa == 0)
                        break;
                if (clear_entries) {
                        put64(leaf, 0);
                        publish_barrier();
                } else if (get64(leaf) & PTE_PRESENT) {
                        continue;
                }
                for (uint64_t i = 0; i < r->leaf_bytes; i += PAGE_BYTES)
                        pages_free(&m->pages, gpa + i);
        }
        pool_free_run(m, r->segment, r->segment_pages);
        pool_free_run(m, r->home, r->segment_pages);
        *r = (struct machine_region){ 0 };
}

static uint32_t pid_of_explorer(const struct machine *m)
{
        for (uint32_t i = 0; i < m->n_processes; i++)
                if (m->processes[i].alive &&
                        __builtin_memcmp(m->processes[i].name, "explorer", 8) == 0)
                        return m->processes[i].pid;
        return 0;
}

bool machine_start_producer(struct machine *m, uint64_t bytes)
{
        m->producer = machine_start_process(m, "producer.exe", pid_of_explorer(m), true);
        return m->producer && map_region(m, bytes);
}

bool machine_remap_region(struct machine *m, uint64_t bytes)
{
        region_release(m, true);
        return map_region(m, bytes);
}
