/*
 * anchors.c - is this still the kernel that was opened? (see anchors.h)
 */
#include <errno.h>
#include <string.h>

#include "anchors.h"
#include "shared.h"

int win32_anchors_check(const struct win32_anchors *a, vmie_mem *m)
{
        uint8_t nt_header[WIN32_NT_HEADER_BYTES];
        uint64_t eprocess, pid, root;
        uint32_t boot_id = a->boot_id;
        int r;

        r = gva_read(m, a->kcr3, a->kernel_base + a->nt_offset, nt_header, sizeof(nt_header));
        if (r == 0)
                r = gva_read(m, a->kcr3, a->system_pointer, &eprocess, sizeof(eprocess));
        if (r < 0)
                return r;
        if (memcmp(nt_header, a->nt_header, sizeof(nt_header)) != 0 ||
                eprocess != a->system_eprocess)
                return -ESTALE;
        r = gva_read(m, a->kcr3, eprocess + a->offsets.pid, &pid, sizeof(pid));
        if (r == 0)
                r = gva_read(
                        m, a->kcr3, eprocess + EPROCESS_DIRECTORY_TABLE_BASE, &root, sizeof(root));
        if (r == 0 && a->has_boot_id)
                r = shared_read_boot_id(m, a->kcr3, &boot_id);
        if (r < 0)
                return r;
        if (pid != SYSTEM_PID || (root & PTE_PFN) != a->kcr3 || boot_id != a->boot_id)
                return -ESTALE;
        return 0;
}
