/*
 * win32.c - opening a Windows kernel in guest memory, stage by stage, and telling why not
 *
 * Root, image, offsets, processes: each stage either yields something checked or a reason with its address. Where a root
 * is looked for that nobody gave is attach.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "kernel.h"
#include "offsets.h"
#include "process.h"
#include "roots.h"
#include "shared.h"
#include "software_pte.h"
#include "../memmodel/walk.h"

#define KERNEL_HALF_FIRST_ENTRY  256u
#define BUILD_NUMBER_MASK        0xffffu /* the top bits of NtBuildNumber say free or checked */
#define FIRST_BUILD_WITH_BOOT_ID 10240u

int win32_failed(struct vmie_win32 *v, struct win32_failure *why, enum win32_reason reason,
        uint64_t address, int r)
{
        if (r == -ECANCELED)
                reason = WIN32_CANCELED;
        why->reason = reason;
        if (!why->address)
                why->address = address;
        why->fault = v->m->fault;
        return r;
}

/* Not a read that failed, but what was read. */
static int refused(struct win32_failure *why, enum win32_reason reason, uint64_t address)
{
        why->reason = reason;
        why->address = address;
        return -EBADMSG;
}

static int check_root(struct vmie_win32 *v, uint64_t kcr3, struct win32_failure *why)
{
        uint64_t table[PTE_PER_TABLE];
        int r;

        why->stage = WIN32_STAGE_KCR3;
        r = gpa_read(v->m, kcr3, table, sizeof(table));
        if (r < 0)
                return win32_failed(v, why, WIN32_KCR3_UNREADABLE, kcr3, r);
        for (unsigned i = KERNEL_HALF_FIRST_ENTRY; i < PTE_PER_TABLE; i++) {
                if (table[i] & PTE_P)
                        return 0;
        }
        return refused(why, WIN32_KCR3_NOT_A_ROOT, kcr3);
}

static int find_image(
        struct vmie_win32 *v, uint64_t entry, struct pe_image *image, struct win32_failure *why)
{
        int r;

        why->stage = WIN32_STAGE_KERNEL;
        r = kernel_find(v->m, v->info.kcr3, entry, image);
        if (r == -ENOENT || r == -EBADMSG) {
                detail_str(why, image->flaw);
                return refused(why, r == -ENOENT ? WIN32_NO_KERNEL_IMAGE : WIN32_KERNEL_DAMAGED,
                        image->base ? image->base : entry);
        }
        if (r < 0)
                return win32_failed(v, why, WIN32_NO_KERNEL_IMAGE, entry, r);
        v->info.kernel_base = v->anchors.kernel_base = image->base;
        v->info.kernel_bytes = image->size;
        v->anchors.nt_offset = image->nt_offset;
        memcpy(v->anchors.nt_header, image->nt_header, sizeof(image->nt_header));
        return 0;
}

/* NtBuildNumber is exported by every kernel; KUSER_SHARED_DATA has it since Windows 10. */
static int read_version(
        struct vmie_win32 *v, const struct pe_image *image, struct win32_failure *why)
{
        struct shared_facts facts;
        uint32_t build;
        uint64_t va;
        int r;

        r = shared_read_facts(v->m, v->info.kcr3, &facts);
        if (r < 0)
                return win32_failed(v, why, WIN32_NO_SHARED_DATA, 0, r);
        r = pe_export(image, v->m, v->info.kcr3, "NtBuildNumber", &va);
        if (r == 0)
                r = gva_read(v->m, v->info.kcr3, va, &build, sizeof(build));
        if (r == -ENOENT)
                build = facts.build;
        else if (r < 0)
                return win32_failed(v, why, WIN32_KERNEL_DAMAGED, image->base, r);
        v->info.build = build & BUILD_NUMBER_MASK;
        v->info.major = facts.major;
        v->info.minor = facts.minor;
        v->info.boot_id = v->anchors.boot_id = facts.boot_id;
        v->anchors.has_boot_id = facts.build >= FIRST_BUILD_WITH_BOOT_ID;
        return 0;
}

static int find_system(
        struct vmie_win32 *v, const struct pe_image *image, struct win32_failure *why)
{
        uint64_t va, eprocess;
        int r;

        r = pe_export(image, v->m, v->info.kcr3, "PsInitialSystemProcess", &va);
        if (r == -ENOENT) {
                detail_str(why, "the kernel image has no such export");
                return refused(why, WIN32_NO_SYSTEM_PROCESS, image->base);
        }
        if (r == 0)
                r = gva_read(v->m, v->info.kcr3, va, &eprocess, sizeof(eprocess));
        if (r < 0)
                return win32_failed(v, why, WIN32_NO_SYSTEM_PROCESS, image->base, r);
        if (eprocess < KERNEL_VA_FIRST || eprocess % sizeof(uint64_t) != 0) {
                detail_str(why, eprocess ? "it points at no kernel object" : "it is null");
                return refused(why, WIN32_NO_SYSTEM_PROCESS, eprocess);
        }
        v->anchors.system_pointer = va;
        v->anchors.system_eprocess = v->info.system_eprocess = eprocess;
        return 0;
}

/* The root that mapped all this must be the System process' own, or it is some other process' and will die with it. */
static int check_system_root(struct vmie_win32 *v, struct win32_failure *why)
{
        uint64_t root = 0;
        int r;

        r = gva_read(v->m, v->info.kcr3, v->info.system_eprocess + EPROCESS_DIRECTORY_TABLE_BASE,
                &root, sizeof(root));
        if (r < 0)
                return win32_failed(v, why, WIN32_NO_SYSTEM_PROCESS, v->info.system_eprocess, r);
        root &= PTE_PFN;
        if (root == v->info.kcr3)
                return 0;
        v->other_root = root;
        detail_str(why, "DirectoryTableBase: ");
        detail_hex(why, root);
        detail_str(why, " in System, ");
        detail_hex(why, v->info.kcr3);
        detail_str(why, " is the root used");
        return refused(why, WIN32_SYSTEM_MISSHAPEN, v->info.system_eprocess);
}

static const struct win32_offsets *known_offsets(uint32_t build)
{
        for (size_t i = 0; i < win32_n_layouts; i++) {
                if (win32_layouts[i].build == build)
                        return &win32_layouts[i].offsets;
        }
        return NULL;
}

static int learn_offsets(
        struct vmie_win32 *v, const struct pe_image *image, struct win32_failure *why)
{
        struct offsets_query q = {
                .m = v->m,
                .kcr3 = v->info.kcr3,
                .image = image,
                .system_eprocess = v->info.system_eprocess,
                .table = known_offsets(v->info.build),
        };
        int r;

        why->stage = WIN32_STAGE_OFFSETS;
        r = check_system_root(v, why);
        if (r < 0)
                return r;
        v->info.build_in_table = q.table != NULL;
        r = offsets_learn(&q, &v->anchors.offsets, why);
        if (r < 0 && r != -EBADMSG)
                return win32_failed(v, why, WIN32_OFFSETS_UNKNOWN, v->info.system_eprocess, r);
        v->anchors.object_end = process_object_end(&v->anchors.offsets);
        return r;
}

static int check_list(struct vmie_win32 *v, process *list, struct win32_failure *why)
{
        size_t total;
        int r;

        r = proc_list(v, list, PROCESS_LIST_MAX, &total);
        if (r == -ELOOP)
                detail_str(why, "it never comes back to System");
        else if (r == -EAGAIN)
                detail_str(why, "its links do not point back and forth");
        if (r < 0)
                return win32_failed(v, why, WIN32_PROCESS_LIST_BROKEN, v->info.system_eprocess, r);
        if (total > PROCESS_LIST_MAX)
                total = PROCESS_LIST_MAX;
        r = roots_check(v->m, v->info.kcr3, list, total, why);
        if (r == -EBADMSG)
                return refused(why, WIN32_LAYOUT_WRONG, why->address);
        return r < 0 ? win32_failed(v, why, WIN32_PROCESS_LIST_BROKEN, v->info.kcr3, r) : 0;
}

static int check_processes(struct vmie_win32 *v, struct win32_failure *why)
{
        process *list = calloc(PROCESS_LIST_MAX, sizeof(*list));
        int r;

        why->stage = WIN32_STAGE_PROCESSES;
        if (!list) {
                why->reason = WIN32_OUT_OF_MEMORY;
                return -ENOMEM;
        }
        r = check_list(v, list, why);
        free(list);
        return r;
}

int win32_try_root(struct vmie_win32 *v, uint64_t kcr3, uint64_t entry, struct win32_failure *why)
{
        struct pe_image image;
        int r;

        *why = (struct win32_failure){ 0 };
        v->other_root = 0;
        v->info = (struct win32_info){ .kcr3 = kcr3 };
        v->anchors = (struct win32_anchors){ .kcr3 = kcr3 };
        r = check_root(v, kcr3, why);
        if (r == 0)
                r = find_image(v, entry, &image, why);
        if (r == 0)
                r = read_version(v, &image, why);
        if (r == 0)
                r = find_system(v, &image, why);
        if (r == 0)
                r = learn_offsets(v, &image, why);
        if (r == 0)
                r = check_processes(v, why);
        return r;
}

vmie_win32 *vmie_win32_open(vmie_mem *m, uint64_t kcr3, struct win32_failure *reterr_why)
{
        struct win32_failure why = { .reason = WIN32_OUT_OF_MEMORY };
        struct vmie_win32 *v;
        int r = -ENOMEM;

        v = calloc(1, sizeof(*v));
        if (v) {
                v->m = m;
                m->software = NULL; /* what an earlier kernel wrote into its entries */
                r = kcr3 ? win32_open_root(v, kcr3 & PTE_PFN, 0, &why) : win32_attach(v, &why);
        }
        if (r < 0) {
                if (reterr_why)
                        *reterr_why = why;
                free(v);
                return NULL;
        }
        m->kcr3 = v->info.kcr3;
        m->software = v->info.build >= WIN32_FIRST_SWIZZLING_BUILD ? win32_pte_swizzled : win32_pte;
        return v;
}

void vmie_win32_close(vmie_win32 *v)
{
        free(v);
}

vmie_mem *vmie_win32_mem(vmie_win32 *v)
{
        return v->m;
}

const struct win32_info *vmie_win32_info(const vmie_win32 *v)
{
        return &v->info;
}

const struct win32_anchors *win32_anchors_of(const vmie_win32 *v)
{
        return &v->anchors;
}

int vmie_win32_check(const vmie_win32 *v, vmie_mem *m)
{
        return win32_anchors_check(&v->anchors, m);
}

int proc_list(vmie_win32 *v, process *out, size_t cap, size_t *ret_total)
{
        return process_list(&v->anchors, v->info.kernel_bytes, v->m, out, cap, ret_total);
}

int proc_newest(const vmie_win32 *v, vmie_mem *m, process *out, size_t cap, size_t *ret_n)
{
        return process_newest(&v->anchors, v->info.kernel_bytes, m, out, cap, ret_n);
}
