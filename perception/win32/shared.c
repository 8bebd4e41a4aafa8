/*
 * shared.c - KUSER_SHARED_DATA: the page the kernel shows every process (see shared.h)
 *
 * Fixed at one address in every x64 kernel. Times are three words: the clock interrupt stores High2, Low, High1 in this
 * order, so a reader that takes High1, Low, High2 and finds the two high words equal has not been interrupted.
 */
#include "shared.h"
#include "../memmodel/walk.h"

#define SHARED_VA             UINT64_C(0xfffff78000000000)
#define SHARED_INTERRUPT_TIME 0x008u
#define SHARED_SYSTEM_TIME    0x014u
#define SHARED_BUILD          0x260u
#define SHARED_MAJOR          0x26cu
#define SHARED_BOOT_ID        0x2c4u

#define SHARED_RETRIES 4

#define WINDOWS_10 10u

static int read_word(vmie_mem *m, uint64_t page, uint32_t offset, uint32_t *ret_word)
{
        return gpa_read(m, page + offset, ret_word, sizeof(*ret_word));
}

/* Return: 1, 0 (torn), or a read error. */
static int read_time(vmie_mem *m, uint64_t page, uint32_t offset, uint64_t *ret_time)
{
        for (int i = 0; i < SHARED_RETRIES; i++) {
                uint32_t low, high1, high2;
                int r;

                r = read_word(m, page, offset + 4, &high1);
                read_fence();
                if (r == 0)
                        r = read_word(m, page, offset, &low);
                read_fence();
                if (r == 0)
                        r = read_word(m, page, offset + 8, &high2);
                if (r < 0)
                        return r;
                if (high1 == high2) {
                        *ret_time = (uint64_t)high1 << 32 | low;
                        return 1;
                }
        }
        return 0;
}

static int find_page(vmie_mem *m, uint64_t kcr3, uint64_t *ret_gpa)
{
        struct gva_mapping mapping;
        int r;

        r = gva_translate(m, kcr3, SHARED_VA, &mapping);
        if (r < 0)
                return r;
        *ret_gpa = mapping.gpa;
        return 0;
}

int shared_read_facts(vmie_mem *m, uint64_t kcr3, struct shared_facts *ret_facts)
{
        struct shared_facts facts = { 0 };
        uint32_t version[2];
        uint64_t page;
        int r;

        r = find_page(m, kcr3, &page);
        if (r < 0)
                return r;
        r = gpa_read(m, page + SHARED_MAJOR, version, sizeof(version));
        facts.major = version[0];
        facts.minor = version[1];
        /* Both fields are younger than the structure: older kernels have something else there. */
        if (r == 0 && facts.major >= WINDOWS_10)
                r = read_word(m, page, SHARED_BUILD, &facts.build);
        if (r == 0 && facts.major >= WINDOWS_10)
                r = read_word(m, page, SHARED_BOOT_ID, &facts.boot_id);
        if (r < 0)
                return r;
        *ret_facts = facts;
        return 0;
}

int shared_read_boot_id(vmie_mem *m, uint64_t kcr3, uint32_t *ret_boot_id)
{
        uint64_t page;
        int r;

        r = find_page(m, kcr3, &page);
        if (r < 0)
                return r;
        return read_word(m, page, SHARED_BOOT_ID, ret_boot_id);
}

static int read_time_of(vmie_mem *m, uint64_t kcr3, uint64_t offset, uint64_t *ret_time)
{
        uint64_t page;
        int r;

        r = find_page(m, kcr3, &page);
        return r < 0 ? r : read_time(m, page, offset, ret_time);
}

int shared_read_interrupt_time(vmie_mem *m, uint64_t kcr3, uint64_t *ret_time)
{
        return read_time_of(m, kcr3, SHARED_INTERRUPT_TIME, ret_time);
}

int shared_read_system_time(vmie_mem *m, uint64_t kcr3, uint64_t *ret_time)
{
        return read_time_of(m, kcr3, SHARED_SYSTEM_TIME, ret_time);
}

int win32_read_clock(vmie_mem *m, struct win32_clock *ret_clock)
{
        struct win32_clock clock = { 0 };
        struct shared_facts facts;
        uint64_t page;
        int r;

        r = shared_read_facts(m, m->kcr3, &facts);
        if (r < 0)
                return r;
        r = find_page(m, m->kcr3, &page);
        if (r < 0)
                return r;
        clock.boot_id = facts.boot_id;
        r = read_time(m, page, SHARED_INTERRUPT_TIME, &clock.interrupt_time);
        if (r == 1)
                r = read_time(m, page, SHARED_SYSTEM_TIME, &clock.system_time);
        if (r == 1)
                *ret_clock = clock;
        return r;
}
