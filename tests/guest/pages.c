/*
 * pages.c - a bitmap over RAM, and a memory of what came back last
 *
 * Pages are numbered across the extents in rising address order, so "low" and "high" are two ranges of numbers.
 */
#include "pages.h"

#define PAGE_NONE UINT64_MAX
#define TRIES     64

/* Random pages come from this many places at most, spread over the whole RAM, and runs begin at few: the host keeps every page
 * that was ever written, and a test's guest may restart its producer a hundred times. */
#define RANDOM_PLACES UINT64_C(0x40000)
#define RUN_STARTS    4

/* What random pages leave alone, or no large page could be had after the first scattered region. */
#define KEPT_WHOLE (UINT64_C(0x8000000) / PAGE_BYTES)

uint64_t pages_random(struct pages *pg)
{
        uint64_t z = (pg->random += UINT64_C(0x9E3779B97F4A7C15));

        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        return z ^ z >> 31;
}

static uint64_t count_pages(const struct phys *phys)
{
        uint64_t n = 0;

        for (size_t i = 0; i < phys->n_extents; i++)
                n += phys->extents[i].len / PAGE_BYTES;
        return n;
}

size_t pages_storage_bytes(const struct phys *phys)
{
        return (count_pages(phys) + 63) / 64 * sizeof(uint64_t);
}

static bool is_used(const struct pages *pg, uint64_t n)
{
        return pg->used[n / 64] >> n % 64 & 1;
}

static void set_used(struct pages *pg, uint64_t n)
{
        pg->used[n / 64] |= UINT64_C(1) << n % 64;
        pg->n_used++;
}

static uint64_t gpa_of(const struct pages *pg, uint64_t n)
{
        size_t i = 0;

        while (i + 1 < pg->phys->n_extents && n >= pg->first[i + 1])
                i++;
        return pg->phys->extents[i].gpa + (n - pg->first[i]) * PAGE_BYTES;
}

static uint64_t number_of(const struct pages *pg, uint64_t gpa)
{
        for (size_t i = 0; i < pg->phys->n_extents; i++) {
                const struct phys_extent *e = &pg->phys->extents[i];

                if (gpa >= e->gpa && gpa - e->gpa < e->len)
                        return pg->first[i] + (gpa - e->gpa) / PAGE_BYTES;
        }
        return PAGE_NONE;
}

void pages_start(struct pages *pg, const struct phys *phys, void *storage, uint64_t seed)
{
        uint64_t n = 0;

        __builtin_memset(pg, 0, sizeof(*pg));
        pg->phys = phys;
        pg->used = storage;
        pg->random = seed;
        pg->n_pages = count_pages(phys);
        __builtin_memset(storage, 0, pages_storage_bytes(phys));
        for (size_t i = 0; i < phys->n_extents; i++) {
                const struct phys_extent *e = &phys->extents[i];

                pg->first[i] = n;
                n += e->len / PAGE_BYTES;
                if (e->gpa + e->len <= PHYS_HIGH)
                        pg->n_low = n;
                else if (e->gpa < PHYS_HIGH)
                        pg->n_low = pg->first[i] + (PHYS_HIGH - e->gpa) / PAGE_BYTES;
        }
        for (uint64_t page = 0; page < pg->n_low && gpa_of(pg, page) < 0x100000; page++)
                set_used(pg, page);
        pg->cursor[1] = pg->n_low;
}

struct range {
        uint64_t from, to; /* page numbers */
        int side;
};

static struct range range_of(struct pages *pg, enum pages_where where)
{
        bool has_high = pg->n_low < pg->n_pages;
        bool high = where == PAGES_HIGH || (where == PAGES_BOTH && (pages_random(pg) & 1));

        if (high && has_high)
                return (struct range){ pg->n_low, pg->n_pages, 1 };
        return (struct range){ 0, pg->n_low, 0 };
}

static bool is_where(const struct pages *pg, uint64_t n, enum pages_where where)
{
        return where == PAGES_BOTH || pg->n_low == pg->n_pages ||
               (where == PAGES_LOW) == (n < pg->n_low);
}

static uint64_t take_number(struct pages *pg, uint64_t n)
{
        set_used(pg, n);
        return gpa_of(pg, n);
}

static uint64_t next_free(struct pages *pg, struct range r)
{
        uint64_t n = pg->cursor[r.side];

        for (uint64_t left = r.to - r.from; left > 0; left--, n++) {
                if (n >= r.to)
                        n = r.from;
                if (is_used(pg, n))
                        continue;
                pg->cursor[r.side] = n + 1;
                return take_number(pg, n);
        }
        return 0;
}

/* The page that came back last and fits, if it is still free. */
static uint64_t pop_recycled(struct pages *pg, enum pages_where where)
{
        while (pg->n_recycled > 0) {
                uint64_t n = pg->recycled[(pg->recycled_top - 1) % PAGES_RECYCLED];

                if (!is_used(pg, n) && !is_where(pg, n, where))
                        return 0;
                pg->recycled_top--;
                pg->n_recycled--;
                if (!is_used(pg, n))
                        return take_number(pg, n);
        }
        return 0;
}

uint64_t pages_alloc(struct pages *pg, enum pages_where where)
{
        uint64_t gpa = pop_recycled(pg, where);

        if (gpa == 0)
                gpa = next_free(pg, range_of(pg, where));
        return gpa ? gpa : next_free(pg, range_of(pg, PAGES_LOW));
}

uint64_t pages_alloc_random(struct pages *pg, enum pages_where where)
{
        struct range r = range_of(pg, where);
        uint64_t step = pg->n_pages / RANDOM_PLACES + 1, n_places;

        if (pages_random(pg) % 4 != 0) {
                uint64_t gpa = pop_recycled(pg, where);

                if (gpa)
                        return gpa;
        }
        if (r.to - r.from > 4 * KEPT_WHOLE)
                r.to -= KEPT_WHOLE;
        n_places = (r.to - r.from) / step;
        for (int i = 0; i < TRIES && n_places > 0; i++) {
                uint64_t n = r.from + pages_random(pg) % n_places * step;

                if (!is_used(pg, n))
                        return take_number(pg, n);
        }
        return pages_alloc(pg, where);
}

/* Are the @n pages from number @at free and one physical run? */
static bool is_free_run(const struct pages *pg, uint64_t at, uint64_t n, uint64_t *ret_used)
{
        if (gpa_of(pg, at + n - 1) - gpa_of(pg, at) != (n - 1) * PAGE_BYTES) {
                *ret_used = at;
                return false;
        }
        for (uint64_t i = n; i-- > 0;) {
                if (is_used(pg, at + i)) {
                        *ret_used = at + i;
                        return false;
                }
        }
        return true;
}

static uint64_t find_run(struct pages *pg, uint64_t from, uint64_t to, uint64_t n, uint64_t align)
{
        uint64_t step = align / PAGE_BYTES, used;

        while (from < to && n <= to - from) {
                uint64_t off = gpa_of(pg, from) / PAGE_BYTES % step;

                if (off != 0)
                        from += step - off;
                else if (is_free_run(pg, from, n, &used))
                        return from;
                else
                        from = used + 1;
        }
        return PAGE_NONE;
}

uint64_t pages_alloc_run(struct pages *pg, uint64_t n, uint64_t align, enum pages_where where)
{
        struct range r = range_of(pg, where);
        uint64_t start = r.from + pages_random(pg) % RUN_STARTS * ((r.to - r.from) / RUN_STARTS);
        uint64_t at = find_run(pg, start, r.to, n, align);

        if (at == PAGE_NONE)
                at = find_run(pg, r.from, r.to, n, align);
        if (at == PAGE_NONE)
                at = find_run(pg, 0, pg->n_low, n, align);
        if (at == PAGE_NONE)
                at = find_run(pg, pg->n_low, pg->n_pages, n, align);
        if (at == PAGE_NONE)
                return 0;
        for (uint64_t i = 0; i < n; i++)
                set_used(pg, at + i);
        return gpa_of(pg, at);
}

bool pages_claim(struct pages *pg, uint64_t gpa)
{
        uint64_t n = number_of(pg, gpa);

        if (n == PAGE_NONE || is_used(pg, n))
                return false;
        set_used(pg, n);
        return true;
}

void pages_free(struct pages *pg, uint64_t gpa)
{
        uint64_t n = number_of(pg, gpa);

        if (n == PAGE_NONE || !is_used(pg, n))
                return;
        pg->used[n / 64] &= ~(UINT64_C(1) << n % 64);
        pg->n_used--;
        pg->recycled[pg->recycled_top++ % PAGES_RECYCLED] = n;
        if (pg->n_recycled < PAGES_RECYCLED)
                pg->n_recycled++;
}
