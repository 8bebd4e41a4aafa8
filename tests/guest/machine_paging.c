/*
 * machine_paging.c - page tables, address spaces and the kernel's pools
 *
 * Every address space shares the tables below the kernel half of the System PML4, so a kernel mapping made later is there
 * for all; that is why every kernel slot gets its first table at boot. Each root points at itself in the same slot. With
 * five levels the System PML4 hangs in the last slot of every PML5, and the self-reference is the PML5's.
 */
#include "machine_private.h"

#define TABLE_KERNEL (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)
#define TABLE_USER   (TABLE_KERNEL | PTE_USER | PTE_SOFT)

void *page_at(const struct machine *m, uint64_t gpa)
{
        return phys_at(m->phys, gpa);
}

static uint32_t index_at(uint64_t va, int level)
{
        return va >> (12 + 9 * (level - 1)) & 511;
}

/* A zeroed page that will hold a table. */
static uint64_t new_table(struct machine *m, enum pages_where where)
{
        uint64_t gpa = pages_alloc(&m->pages, where);

        if (gpa)
                __builtin_memset(page_at(m, gpa), 0, PAGE_BYTES);
        return gpa;
}

static int level_of(uint64_t leaf_bytes)
{
        return leaf_bytes == HUGE_PAGE_BYTES ? 3 : leaf_bytes == LARGE_PAGE_BYTES ? 2 : 1;
}

bool paging_map(struct machine *m, uint64_t root, uint64_t va, uint64_t gpa, uint64_t leaf,
        uint64_t leaf_bytes, enum pages_where tables)
{
        int leaf_level = level_of(leaf_bytes);
        uint64_t table = root;

        for (int level = (int)m->levels; level > leaf_level; level--) {
                uint64_t *entry = (uint64_t *)page_at(m, table) + index_at(va, level);
                uint64_t value = get64(entry);

                if (!(value & PTE_PRESENT)) {
                        uint64_t below = new_table(m, tables);

                        if (below == 0)
                                return machine_fail(m, "page table");
                        value = below | (va >> 63 ? TABLE_KERNEL : TABLE_USER);
                        put64(entry, value);
                }
                table = value & PTE_ADDRESS;
        }
        if (leaf_level > 1)
                leaf |= PTE_LARGE;
        put64((uint64_t *)page_at(m, table) + index_at(va, leaf_level), gpa | leaf);
        return true;
}

uint64_t *paging_entry(const struct machine *m, uint64_t root, uint64_t va, uint64_t *ret_bytes)
{
        uint64_t table = root & PTE_ADDRESS;

        for (int level = (int)m->levels; level >= 1; level--) {
                uint64_t *entry = (uint64_t *)page_at(m, table) + index_at(va, level);
                uint64_t value = get64(entry);

                if (level == 1 || (level <= 3 && (value & PTE_PRESENT) && (value & PTE_LARGE))) {
                        *ret_bytes = PAGE_BYTES << 9 * (level - 1);
                        return entry;
                }
                if (!(value & PTE_PRESENT))
                        return NULL;
                table = value & PTE_ADDRESS;
        }
        return NULL;
}

uint64_t *paging_leaf(const struct machine *m, uint64_t root, uint64_t va, uint64_t *ret_bytes)
{
        uint64_t *entry = paging_entry(m, root, va, ret_bytes);

        return entry && (get64(entry) & PTE_PRESENT) ? entry : NULL;
}

uint64_t machine_translate(
        const struct machine *m, uint64_t cr3, uint64_t gva, uint64_t *ret_leaf_bytes)
{
        uint64_t bytes;
        const uint64_t *leaf = paging_leaf(m, cr3, gva, &bytes);

        if (!leaf)
                return 0;
        if (ret_leaf_bytes)
                *ret_leaf_bytes = bytes;
        return (get64(leaf) & PTE_ADDRESS & ~(bytes - 1)) | (gva & (bytes - 1));
}

void *kernel_at(const struct machine *m, uint64_t va)
{
        uint64_t gpa = machine_translate(m, m->kcr3, va, NULL);

        return gpa ? page_at(m, gpa) : NULL;
}

static uint64_t new_root(struct machine *m, uint64_t model, enum pages_where where)
{
        uint64_t root = new_table(m, where);
        uint64_t *to, *from = page_at(m, model);

        if (root == 0)
                return 0;
        to = page_at(m, root);
        for (uint32_t i = PTE_PER_TABLE / 2; i < PTE_PER_TABLE; i++)
                put64(to + i, get64(from + i));
        return root;
}

uint64_t paging_new_space(struct machine *m, enum pages_where where)
{
        uint64_t root = new_root(m, m->kcr3, where);

        if (root)
                put64((uint64_t *)page_at(m, root) + m->self_slot, root | TABLE_KERNEL | PTE_NX);
        return root;
}

/* It has no self-reference: nothing walks it but the processor, in user mode. */
uint64_t paging_new_user_root(struct machine *m, enum pages_where where)
{
        return new_root(m, m->shadow_root, where);
}

void paging_mirror(struct machine *m, const struct machine_process *p)
{
        const uint64_t *from = page_at(m, p->cr3);

        for (uint32_t i = 0; p->user_cr3 && i < PTE_PER_TABLE / 2; i++)
                put64((uint64_t *)page_at(m, p->user_cr3) + i, get64(from + i));
}

static bool is_shared_page(const struct machine *m, uint64_t gpa)
{
        return gpa == m->shared_gpa || gpa == m->ntdll_gpa;
}

/* What hangs below a user entry comes back first, then the table itself. */
static void free_tables(struct machine *m, uint64_t table, int level, uint32_t n_entries)
{
        const uint64_t *entries = page_at(m, table);

        for (uint32_t i = 0; i < n_entries; i++) {
                uint64_t value = get64(entries + i), gpa = value & PTE_ADDRESS;

                if (!(value & PTE_PRESENT))
                        continue;
                if (level > 1 && !(value & PTE_LARGE)) {
                        free_tables(m, gpa, level - 1, PTE_PER_TABLE);
                        pages_free(&m->pages, gpa);
                } else if (level > 1) {
                        for (uint64_t at = 0; at < PAGE_BYTES << 9 * (level - 1); at += PAGE_BYTES)
                                pages_free(&m->pages, gpa + at);
                } else if (!is_shared_page(m, gpa)) {
                        pages_free(&m->pages, gpa);
                }
        }
}

/* The root goes back before the rest, so that the next process's root is another page: one of these tables. No entry is
 * cleared, for that is how a reader with an old root gets to see other programs' bytes. */
void paging_free_space(struct machine *m, uint64_t root)
{
        pages_free(&m->pages, root);
        free_tables(m, root, (int)m->levels, PTE_PER_TABLE / 2);
}

static bool slot_is_free(const struct machine *m, uint32_t slot)
{
        return !(m->slots_taken[slot / 32] >> slot % 32 & 1);
}

static void take_slot(struct machine *m, uint32_t slot)
{
        m->slots_taken[slot / 32] |= 1u << slot % 32;
}

/* A kernel slot: @preferred where the build has a fixed one and it is free, else at random. */
static uint32_t pick_slot(struct machine *m, uint32_t preferred)
{
        uint32_t slot = preferred;

        if (m->cfg.build >= 14393 || !slot_is_free(m, slot)) {
                do
                        slot = 256 + (uint32_t)random_below(m, 254);
                while (!slot_is_free(m, slot));
        }
        take_slot(m, slot);
        return slot;
}

static uint64_t slot_va(uint32_t slot)
{
        return UINT64_C(0xFFFF) << 48 | (uint64_t)slot << 39;
}

/* Give a slot its first table, and one page of something. */
static bool open_slot(struct machine *m, uint32_t slot)
{
        uint64_t gpa = pages_alloc(&m->pages, PAGES_LOW);

        if (gpa == 0)
                return machine_fail(m, "kernel page");
        __builtin_memset(page_at(m, gpa), 0, PAGE_BYTES);
        return paging_map(m, m->kcr3, slot_va(slot), gpa, LEAF_KERNEL_DATA, PAGE_BYTES, PAGES_LOW);
}

/* Windows' own place for the PML4 when it is free; otherwise, and when the old life is to stay, another low page. */
static uint64_t new_kernel_root(struct machine *m)
{
        static const uint64_t usual = 0x1AD000;
        uint64_t gpa = usual;

        if (m->cfg.keep_ram || !pages_claim(&m->pages, usual)) {
                do
                        gpa = pages_alloc(&m->pages, PAGES_LOW);
                while (gpa == usual);
        }
        return gpa;
}

/* The System root, with the self-reference and what is not the builder's own. */
static bool build_kernel_root(struct machine *m)
{
        uint64_t *root;

        m->levels = m->cfg.la57 ? 5 : 4;
        m->kcr3 = new_kernel_root(m);
        if (m->kcr3 == 0)
                return machine_fail(m, "kernel root");
        root = page_at(m, m->kcr3);
        __builtin_memset(root, 0, PAGE_BYTES);

        __builtin_memset(m->slots_taken, 0, sizeof(m->slots_taken));
        take_slot(m, SLOT_SHARED_DATA);
        take_slot(m, SLOT_KERNEL);
        for (size_t i = 0; i < m->cfg.n_foreign; i++) {
                take_slot(m, m->cfg.foreign[i].index);
                put64(root + m->cfg.foreign[i].index, m->cfg.foreign[i].entry);
        }
        m->self_slot = m->cfg.la57 ? 256 + (uint32_t)random_below(m, 255) : pick_slot(m, 0x1ED);
        put64(root + m->self_slot, m->kcr3 | TABLE_KERNEL | PTE_NX);
        return true;
}

bool paging_build_kernel(struct machine *m)
{
        static const uint32_t fixed[] = { 501, 497, 498, 502 }; /* pools, session, page database */
        uint32_t slots[4];

        if (!build_kernel_root(m))
                return false;
        for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
                slots[i] = pick_slot(m, fixed[i]);
                if (!open_slot(m, slots[i]))
                        return false;
        }
        for (int i = 0; i < MACHINE_N_POOLS; i++) {
                m->pool_next[i] = slot_va(slots[i]) + (1 + random_below(m, 1u << 20)) * PAGE_BYTES;
                m->n_pool_free[i] = 0;
        }
        return slot_is_free(m, 511) ? open_slot(m, 511) : true; /* the HAL's */
}

bool paging_build_shadow(struct machine *m)
{
        uint64_t first = m->kernel_base & ~(LARGE_PAGE_BYTES - 1);

        m->shadow_root = 0;
        if (!m->cfg.kpti)
                return true;
        m->shadow_root = new_table(m, PAGES_LOW);
        if (m->shadow_root == 0)
                return machine_fail(m, "shadow root");
        return paging_map(m, m->shadow_root, first, m->kernel_gpa & ~(LARGE_PAGE_BYTES - 1),
                LEAF_KERNEL_CODE & ~PTE_GLOBAL, LARGE_PAGE_BYTES, PAGES_LOW);
}

uint64_t pool_alloc_run(struct machine *m, enum machine_pool pool, uint64_t n)
{
        uint64_t va = m->pool_next[pool];

        for (uint64_t i = 0; i < n; i++) {
                uint64_t gpa = pages_alloc(&m->pages, m->cfg.place);

                if (gpa)
                        __builtin_memset(page_at(m, gpa), 0, PAGE_BYTES);
                if (gpa == 0 || !paging_map(m, m->kcr3, va + i * PAGE_BYTES, gpa, LEAF_KERNEL_DATA,
                                        PAGE_BYTES, PAGES_LOW)) {
                        machine_fail(m, "pool page");
                        return 0;
                }
        }
        m->pool_next[pool] += n * PAGE_BYTES;
        return va;
}

void pool_free_run(struct machine *m, uint64_t va, uint64_t n)
{
        for (uint64_t i = 0; i < n; i++) {
                uint64_t bytes, gpa;
                uint64_t *leaf = paging_leaf(m, m->kcr3, va + i * PAGE_BYTES, &bytes);

                if (!leaf)
                        continue;
                gpa = get64(leaf) & PTE_ADDRESS;
                put64(leaf, 0);
                pages_free(&m->pages, gpa);
        }
}

/* A pool page that came back keeps its address and its page, and the next object lands on it. */
uint64_t pool_alloc(struct machine *m, enum machine_pool pool)
{
        if (m->n_pool_free[pool] > 0) {
                uint64_t va = m->pool_free[pool][--m->n_pool_free[pool]];

                __builtin_memset(kernel_at(m, va), 0, PAGE_BYTES);
                return va;
        }
        return pool_alloc_run(m, pool, 1);
}

void pool_free(struct machine *m, enum machine_pool pool, uint64_t va)
{
        if (m->n_pool_free[pool] < MACHINE_POOL_FREE)
                m->pool_free[pool][m->n_pool_free[pool]++] = va;
        else
                pool_free_run(m, va, 1);
}
