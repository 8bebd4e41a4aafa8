/*
 * machine.c - boot, clock and what belongs to the machine as a whole
 */
#include "machine_private.h"

#define LOW_RAM      UINT64_C(0x1000000) /* what firmware and loader write over in a reboot */
#define FIRST_BOOT   UINT64_C(133500000000000000) /* a day in January 2024, 100 ns since 1601 */
#define BETWEEN_BOOT UINT64_C(36000000000)        /* one hour */

const struct machine_layout *machine_layout_of(uint32_t build)
{
        for (size_t i = 0; i < machine_n_layouts; i++) {
                const char *at = machine_layouts[i].builds;

                while (*at) {
                        uint32_t number = 0;

                        for (; *at >= '0' && *at <= '9'; at++)
                                number = number * 10 + (uint32_t)(*at - '0');
                        if (number == build)
                                return &machine_layouts[i];
                        while (*at == ' ')
                                at++;
                }
        }
        return NULL;
}

void machine_init(struct machine *m, const struct phys *phys, void *storage)
{
        __builtin_memset(m, 0, sizeof(*m));
        m->phys = phys;
        m->storage = storage;
}

static bool is_ram(const struct machine *m, uint64_t gpa)
{
        for (size_t i = 0; i < m->phys->n_extents; i++)
                if (gpa >= m->phys->extents[i].gpa &&
                        gpa - m->phys->extents[i].gpa < m->phys->extents[i].len)
                        return true;
        return false;
}

static void clear_low_ram(struct machine *m)
{
        for (uint64_t gpa = PAGE_BYTES; gpa < LOW_RAM; gpa += PAGE_BYTES)
                if (is_ram(m, gpa))
                        __builtin_memset(page_at(m, gpa), 0, PAGE_BYTES);
}

static uint64_t seed_of(const struct machine_config *cfg)
{
        return cfg->seed * UINT64_C(0x9E3779B97F4A7C15) + cfg->boot_id;
}

/* What every user process sees, and the clock in it. */
static bool build_shared_data(struct machine *m)
{
        uint32_t build = m->cfg.build;
        uint8_t *page;

        m->shared_gpa = pages_alloc(&m->pages, PAGES_LOW);
        m->ntdll_gpa = pages_alloc(&m->pages, m->cfg.place);
        if (m->shared_gpa == 0 || m->ntdll_gpa == 0)
                return machine_fail(m, "shared page");
        __builtin_memset(page_at(m, m->ntdll_gpa), 0xC3, PAGE_BYTES);
        put16(page_at(m, m->ntdll_gpa), 0x5A4D);

        page = page_at(m, m->shared_gpa);
        __builtin_memset(page, 0, PAGE_BYTES);
        put32(page + 0x004, 0x0FA00000); /* tick multiplier */
        for (int i = 0; "C:\\Windows"[i]; i++)
                put16(page + 0x030 + 2 * i, (uint16_t) "C:\\Windows"[i]);
        put32(page + 0x264, 1); /* a workstation */
        put32(page + 0x268, 1);
        put32(page + 0x26C, build >= 10240 ? 10 : 6);
        put32(page + 0x270, build >= 10240 ? 0 : build >= 9600 ? 3 : build >= 9200 ? 2 : 1);
        if (build >= 10240) {
                put32(page + 0x260, build);
                put32(page + 0x2C4, m->cfg.boot_id);
        }
        return paging_map(
                m, m->kcr3, VA_SHARED_DATA, m->shared_gpa, LEAF_KERNEL_DATA, PAGE_BYTES, PAGES_LOW);
}

/* The block that other processors start from: it names the kernel's entry and its page-table root. */
static bool build_stub(struct machine *m)
{
        uint64_t old = m->stub_gpa, gpa = (0x13 + random_below(m, 0x20)) * PAGE_BYTES;
        uint8_t *page;

        m->stub_gpa = 0;
        if (m->cfg.no_stub)
                return true;
        for (uint32_t i = 0; i < 0x9E && (!is_ram(m, gpa) || gpa == old); i++)
                gpa = gpa < 0x9E000 ? gpa + PAGE_BYTES : PAGE_BYTES;
        if (!is_ram(m, gpa))
                return machine_fail(m, "page below 640 KiB");
        page = page_at(m, gpa);
        __builtin_memset(page, 0, PAGE_BYTES);
        put64(page + 0x70, m->kernel_base + 0x2000);
        put64(page + 0xA0, m->kcr3);
        publish_barrier();
        put64(page, UINT64_C(0x0000000100064DE9));
        m->stub_gpa = gpa;
        return true;
}

bool machine_boot(struct machine *m, const struct machine_config *cfg)
{
        bool reboot = m->layout != NULL;

        m->cfg = *cfg;
        m->error = NULL;
        m->layout = machine_layout_of(cfg->build);
        if (!m->layout)
                return machine_fail(m, "layout for this build");
        if (cfg->n_foreign > MACHINE_MAX_FOREIGN || cfg->n_processes >= MACHINE_MAX_PROCESSES - 1)
                return machine_fail(m, "so many processes or slots");
        if (cfg->la57 && cfg->n_foreign > 0)
                return machine_fail(m, "foreign slots with five levels");
        if (cfg->kpti && m->layout->user_dtb == 0)
                return machine_fail(m, "user roots in this build's process objects");

        if (reboot && cfg->keep_ram) {
                m->pages.random =
                        seed_of(cfg); /* the old life's pages stay taken, and as they are */
        } else {
                if (reboot)
                        clear_low_ram(m);
                pages_start(&m->pages, m->phys, m->storage, seed_of(cfg));
        }
        m->producer = NULL;
        m->region = (struct machine_region){ 0 };
        m->n_wounds = 0;
        m->given_pid = 0;
        m->boot_time = FIRST_BOOT + cfg->boot_id * BETWEEN_BOOT;
        m->now = 0;
        return paging_build_kernel(m) && build_shared_data(m) && kernel_image_build(m) &&
               paging_build_shadow(m) && process_build_initial(m) && build_stub(m);
}

/* A KSYSTEM_TIME as Windows writes it: a reader that sees both high words alike has the low word between them. */
static void put_time(uint8_t *at, uint64_t value)
{
        uint32_t *word = (uint32_t *)at;

        __atomic_store_n(word + 2, (uint32_t)(value >> 32), __ATOMIC_RELEASE);
        __atomic_store_n(word + 0, (uint32_t)value, __ATOMIC_RELEASE);
        __atomic_store_n(word + 1, (uint32_t)(value >> 32), __ATOMIC_RELEASE);
}

void machine_tick(struct machine *m, uint64_t ns)
{
        uint8_t *page = page_at(m, m->shared_gpa);

        m->now = ns / 100;
        put_time(page + 0x008, m->now);
        put_time(page + 0x014, m->boot_time + m->now);
        put_time(page + 0x320, ns / 15625000);
}
