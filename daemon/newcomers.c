/* newcomers.c - see newcomers.h */
#include "newcomers.h"

#include <stdbool.h>
#include <string.h>

static bool is_young(const process *p, uint64_t now)
{
        return p->create_time > now || now - p->create_time < NEWCOMERS_YOUNG;
}

/* A guest shows the first 15 bytes of a name. */
static bool is_called(const process *p, const char *name)
{
        return name[0] && strncmp(p->name, name, sizeof(p->name) - 1) == 0;
}

size_t newcomers_pick(const process *list, size_t n, const char *name, uint64_t now, process *out)
{
        size_t n_picked = 0;

        for (size_t i = 0; i < n && i < NEWCOMERS_MAX; i++)
                if (!(list[i].flags & PROCESS_EXITED) &&
                        (is_young(&list[i], now) || is_called(&list[i], name)))
                        out[n_picked++] = list[i];
        return n_picked;
}
