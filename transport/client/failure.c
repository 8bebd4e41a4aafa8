/*
 * failure.c - an errno as a sentence, with what to do about it
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
        int error;
        const char *before, *after; /* around the socket's path */
} table[] = {
        { -ENOENT, "There is no socket", "vgpud is not running, or listens elsewhere." },
        { -ECONNREFUSED, "Nobody listens at", "vgpud has died or is restarting." },
        { -ECONNRESET, "The connection was closed by", "vgpud has died or is restarting." },
        { -EACCES, "You may not use", "ask for membership in the socket's group." },
        { -ESRCH, "No such client at", "vgpuctl clients lists them." },
        { -EPROTOTYPE, "Another program listens at", "that is no socket of vgpud." },
        { -EPROTO, "What was not understood came from", "that is no vgpud, or a broken one." },
        { -EPROTONOSUPPORT, "Versions differ at",
                "vgpud and this library have no protocol in common." },
        { -EOPNOTSUPP, "Not supported by", "this vgpud has no such report." },
        { -ETIMEDOUT, "No answer in time from", "vgpud hangs or is overloaded." },
        { -ENAMETOOLONG, "Too long for a socket's path:", "107 bytes are the limit." },
};

int failure_set(struct vgpu_client_failure *why, int error, const char *path)
{
        if (!why)
                return error;
        *why = (struct vgpu_client_failure){ .error = error };
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                if (table[i].error != error)
                        continue;
                snprintf(why->text, sizeof(why->text), "%s '%.108s': %s", table[i].before, path,
                        table[i].after);
                return error;
        }
        snprintf(why->text, sizeof(why->text), "Connecting to '%.108s' failed: %s.", path,
                strerror(-error));
        return error;
}
