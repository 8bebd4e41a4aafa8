/* choose.c - see choose.h */
#include "choose.h"

#include <string.h>

size_t choose_next(const struct vgpup_candidate *c, const bool *left, size_t n, const char *name)
{
        size_t first = n;

        for (size_t i = 0; i < n; i++) {
                if (!left[i])
                        continue;
                if (name[0] && strncmp(c[i].proc.name, name, sizeof(c[i].proc.name) - 1) == 0)
                        return i;
                if (first == n)
                        first = i;
        }
        return first;
}
