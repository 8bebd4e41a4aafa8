/*
 * machine_kernel.c - the kernel image: headers, sections, exports, accessor code
 *
 * A PE32+ image mapped by 2 MiB pages at an address that moves with every boot. Its exports carry the offsets of the
 * build's EPROCESS in real instructions, which is how a reader without symbols learns them.
 */
#include "machine_private.h"

#define LARGE_PAGES   6u
#define RVA_CODE      0x1000u   /* each exported function has 64 bytes */
#define RVA_DATA      0x700000u /* exported variables, then what is not exported */
#define RVA_LIST_HEAD (RVA_DATA + 0x800)
#define RVA_EXPORTS   0x620000u
#define EXPORT_NAMES                                                                               \
        0x800u /* offset of the first name within the export section; all of it is one page */
#define NT_HEADERS     0x100u
#define OPTIONAL_BYTES 0xF0u

enum export_kind {
        EXPORT_PLAIN, /* some function */
        EXPORT_LOAD64,
        EXPORT_LOAD32,
        EXPORT_ADDRESS,
        EXPORT_VARIABLE,
};

/* Names in rising order, as the loader needs them. */
enum export_name {
        X_EX_ALLOCATE_POOL,
        X_IO_CREATE_DEVICE,
        X_KE_BUG_CHECK_EX,
        X_KE_QUERY_PERFORMANCE_COUNTER,
        X_MM_GET_PHYSICAL_ADDRESS,
        X_MM_GET_SYSTEM_ROUTINE_ADDRESS,
        X_NT_BUILD_NUMBER,
        X_OB_REFERENCE_OBJECT,
        X_PS_CREATE_TIME,
        X_PS_EXIT_STATUS,
        X_PS_ID,
        X_PS_IMAGE_NAME,
        X_PS_PARENT,
        X_PS_PEB,
        X_PS_SECTION_BASE,
        X_PS_INITIAL,
        X_PS_LOOKUP,
        X_RTL_GET_VERSION,
        X_ZW_CLOSE,
        N_EXPORTS,
};

struct export
{
        const char *name;
        enum export_kind kind;
        uint32_t value; /* displacement or offset within the variables */
};

static void list_exports(const struct machine_layout *l, struct export x[N_EXPORTS])
{
        const struct export all[N_EXPORTS] = {
                [X_EX_ALLOCATE_POOL] = { "ExAllocatePoolWithTag", EXPORT_PLAIN, 0 },
                [X_IO_CREATE_DEVICE] = { "IoCreateDevice", EXPORT_PLAIN, 0 },
                [X_KE_BUG_CHECK_EX] = { "KeBugCheckEx", EXPORT_PLAIN, 0 },
                [X_KE_QUERY_PERFORMANCE_COUNTER] = { "KeQueryPerformanceCounter", EXPORT_PLAIN, 0 },
                [X_MM_GET_PHYSICAL_ADDRESS] = { "MmGetPhysicalAddress", EXPORT_PLAIN, 0 },
                [X_MM_GET_SYSTEM_ROUTINE_ADDRESS] = { "MmGetSystemRoutineAddress", EXPORT_PLAIN,
                        0 },
                [X_NT_BUILD_NUMBER] = { "NtBuildNumber", EXPORT_VARIABLE, 0x40 },
                [X_OB_REFERENCE_OBJECT] = { "ObfReferenceObject", EXPORT_PLAIN, 0 },
                [X_PS_CREATE_TIME] = { "PsGetProcessCreateTimeQuadPart", EXPORT_LOAD64,
                        l->create_time },
                [X_PS_EXIT_STATUS] = { "PsGetProcessExitStatus", EXPORT_LOAD32, l->exit_status },
                [X_PS_ID] = { "PsGetProcessId", EXPORT_LOAD64, l->pid },
                [X_PS_IMAGE_NAME] = { "PsGetProcessImageFileName", EXPORT_ADDRESS, l->image_name },
                [X_PS_PARENT] = { "PsGetProcessInheritedFromUniqueProcessId", EXPORT_LOAD64,
                        l->ppid },
                [X_PS_PEB] = { "PsGetProcessPeb", EXPORT_LOAD64, l->peb },
                [X_PS_SECTION_BASE] = { "PsGetProcessSectionBaseAddress", EXPORT_LOAD64,
                        l->section_base },
                [X_PS_INITIAL] = { "PsInitialSystemProcess", EXPORT_VARIABLE, 0x80 },
                [X_PS_LOOKUP] = { "PsLookupProcessByProcessId", EXPORT_PLAIN, 0 },
                [X_RTL_GET_VERSION] = { "RtlGetVersion", EXPORT_PLAIN, 0 },
                [X_ZW_CLOSE] = { "ZwClose", EXPORT_PLAIN, 0 },
        };

        __builtin_memcpy(x, all, sizeof(all));
}

static void *image_at(const struct machine *m, uint32_t rva)
{
        return page_at(m, m->kernel_gpa + rva);
}

static uint32_t export_rva(const struct export *x, uint32_t i)
{
        return x->kind == EXPORT_VARIABLE ? RVA_DATA + x->value : RVA_CODE + 0x40 + i * 0x40;
}

/* The functions as the compiler of that kernel leaves them. */
static void write_code(uint8_t *at, const struct export *x)
{
        static const uint8_t plain[] = { 0x48, 0x83, 0xEC, 0x28, 0x33, 0xC0, 0x48, 0x83, 0xC4, 0x28,
                0xC3 };
        static const uint8_t load64[] = { 0x48, 0x8B, 0x81 }, load32[] = { 0x8B, 0x81 },
                             address[] = { 0x48, 0x8D, 0x81 };
        const uint8_t *op = x->kind == EXPORT_LOAD64   ? load64
                            : x->kind == EXPORT_LOAD32 ? load32
                                                       : address;
        uint32_t n = x->kind == EXPORT_LOAD32 ? 2 : 3;

        __builtin_memset(at, 0xCC, 0x40);
        if (x->kind == EXPORT_PLAIN) {
                __builtin_memcpy(at, plain, sizeof(plain));
                return;
        }
        __builtin_memcpy(at, op, n);
        put32(at + n, x->value);
        at[n + 4] = 0xC3;
}

static uint32_t copy_name(uint8_t *to, const char *name)
{
        uint32_t n = 0;

        do
                to[n] = (uint8_t)name[n];
        while (name[n++]);
        return n;
}

/* Export directory, then the three tables, then the names, in one page. Ordinals are in an order of their own, so a
 * reader that takes a name's index for the function's is found out. */
static void write_exports(struct machine *m)
{
        struct export x[N_EXPORTS];
        uint8_t *dir = image_at(m, RVA_EXPORTS);
        uint32_t functions = 0x100, names = 0x300, ordinals = 0x500, text = EXPORT_NAMES;

        list_exports(m->layout, x);
        put32(dir + 0x0C, RVA_EXPORTS + text);
        put32(dir + 0x10, 1);
        put32(dir + 0x14, N_EXPORTS);
        put32(dir + 0x18, N_EXPORTS);
        put32(dir + 0x1C, RVA_EXPORTS + functions);
        put32(dir + 0x20, RVA_EXPORTS + names);
        put32(dir + 0x24, RVA_EXPORTS + ordinals);
        text += copy_name(dir + text, "ntoskrnl.exe");

        for (uint32_t i = 0; i < N_EXPORTS; i++) {
                uint32_t ordinal = (i * 7 + 3) % N_EXPORTS, rva = export_rva(&x[i], i);

                put32(dir + names + i * 4, RVA_EXPORTS + text);
                put16(dir + ordinals + i * 2, (uint16_t)ordinal);
                put32(dir + functions + ordinal * 4, rva);
                text += copy_name(dir + text, x[i].name);
                if (x[i].kind != EXPORT_VARIABLE)
                        write_code(image_at(m, rva), &x[i]);
        }
        put32(image_at(m, export_rva(&x[X_NT_BUILD_NUMBER], X_NT_BUILD_NUMBER)),
                0xF0000000 | m->cfg.build);
}

struct section {
        char name[9];
        uint32_t rva, bytes, flags;
};

static const struct section sections[] = {
        { ".text", RVA_CODE, 0x1FF000, 0x68000020 },
        { "PAGE", 0x200000, 0x400000, 0x60000020 },
        { "POOLCODE", 0x600000, 0x1000, 0x68000020 },
        { ".rdata", 0x601000, 0x1F000, 0x48000040 },
        { ".edata", RVA_EXPORTS, 0x1000, 0x40000040 },
        { ".data", RVA_DATA, 0x100000, 0xC8000040 },
        { "INIT", 0x800000, 0x80000, 0x62000020 },
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

static void write_sections(uint8_t *at)
{
        for (size_t i = 0; i < N_SECTIONS; i++, at += 40) {
                __builtin_memcpy(at, sections[i].name, 8);
                put32(at + 8, sections[i].bytes);
                put32(at + 12, sections[i].rva);
                put32(at + 16, sections[i].bytes);
                put32(at + 20, sections[i].rva);
                put32(at + 36, sections[i].flags);
        }
}

static void write_headers(struct machine *m)
{
        uint8_t *dos = image_at(m, 0), *nt = dos + NT_HEADERS, *opt = nt + 24;

        put32(nt, 0x00004550); /* PE */
        put16(nt + 4, 0x8664); /* x86-64 */
        put16(nt + 6, N_SECTIONS);
        put32(nt + 8, 0x5F000000 + m->cfg.build); /* time stamp */
        put16(nt + 20, OPTIONAL_BYTES);
        put16(nt + 22, 0x22); /* executable, large addresses */

        put16(opt, 0x20B); /* PE32+ */
        put32(opt + 16, RVA_CODE);
        put32(opt + 20, RVA_CODE);
        put64(opt + 24, m->kernel_base);
        put32(opt + 32, 0x1000); /* section alignment */
        put32(opt + 36, 0x200);
        put16(opt + 40, 10);
        put32(opt + 56, (uint32_t)m->kernel_bytes);
        put32(opt + 60, 0x1000); /* headers */
        put16(opt + 68, 1);      /* native */
        put32(opt + 108, 16);
        put32(opt + 112, RVA_EXPORTS);
        put32(opt + 116, 0x1000);
        write_sections(opt + OPTIONAL_BYTES);

        put32(dos + 0x3C, NT_HEADERS);
        publish_barrier();
        put16(dos, 0x5A4D); /* MZ */
}

/* Before Windows 8 the image began anywhere in its first large page. */
static uint64_t choose_base(struct machine *m, uint64_t *ret_within)
{
        uint64_t first = UINT64_C(0xFFFFF80000000000);

        if (m->cfg.build < 9200) {
                *ret_within = (1 + random_below(m, 0x100)) * PAGE_BYTES;
                return first + (0x13 + random_below(m, 8)) * LARGE_PAGE_BYTES;
        }
        *ret_within = 0;
        return first + (1 + random_below(m, 0x4000)) * LARGE_PAGE_BYTES;
}

bool kernel_image_build(struct machine *m)
{
        uint64_t within, base = choose_base(m, &within), head;
        uint64_t gpa = pages_alloc_run(&m->pages, LARGE_PAGES * LARGE_PAGE_BYTES / PAGE_BYTES,
                LARGE_PAGE_BYTES, PAGES_LOW);
        uint8_t *list;

        if (gpa == 0)
                return machine_fail(m, "kernel image");
        m->kernel_gpa = gpa + within;
        m->kernel_base = base + within;
        m->kernel_bytes = 0x880000;
        for (uint32_t i = 0; i < N_SECTIONS; i++)
                __builtin_memset(image_at(m, sections[i].rva), 0, PAGE_BYTES);
        __builtin_memset(image_at(m, 0), 0, PAGE_BYTES);
        write_exports(m);

        m->list_head = m->kernel_base + RVA_LIST_HEAD;
        head = m->list_head;
        list = image_at(m, RVA_LIST_HEAD);
        put64(list, head);
        put64(list + 8, head);
        write_headers(m);

        for (uint64_t i = 0; i < LARGE_PAGES * LARGE_PAGE_BYTES; i += LARGE_PAGE_BYTES)
                if (!paging_map(m, m->kcr3, base + i, gpa + i, LEAF_KERNEL_CODE, LARGE_PAGE_BYTES,
                            PAGES_LOW))
                        return false;
        return true;
}

void kernel_set_initial_process(struct machine *m, uint64_t eprocess)
{
        struct export x[N_EXPORTS];

        list_exports(m->layout, x);
        put64(image_at(m, export_rva(&x[X_PS_INITIAL], X_PS_INITIAL)), eprocess);
}
