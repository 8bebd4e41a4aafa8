/*
 * offsets.h - learning where the fields of an EPROCESS are, without symbols
 */
#ifndef WIN32_OFFSETS_H
#define WIN32_OFFSETS_H

#include "detail.h"
#include "pe.h"

struct offsets_query {
        vmie_mem *m;
        uint64_t kcr3;
        const struct pe_image *image;
        uint64_t system_eprocess;
        const struct win32_offsets
                *table; /* of this build, or NULL: a build that is not in the table */
};

/**
 * offsets_learn() - offsets that two sources agree on
 *
 * The sources are the code of the kernel's accessor exports, the shape of the System process, and the table. ExitTime has
 * neither accessor nor shape, and stays 0 where the table does not know the build.
 *
 * Return: 0, or -EBADMSG with *reterr_why's reason, address and detail filled in, or a read error with its fault.
 */
int offsets_learn(const struct offsets_query *q, struct win32_offsets *ret_offsets,
        struct win32_failure *reterr_why);

#endif /* WIN32_OFFSETS_H */
