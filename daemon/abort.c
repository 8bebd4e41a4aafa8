/*
 * abort.c - what becomes of the daemon when a library gives up
 *
 * libuv calls abort() where it cannot go on and has nobody to tell: no memory for its table of descriptors, no thread for its
 * pool, no epoll watch for a descriptor. All of these are the host's shortages, and a core file says nothing of them. A library
 * finds this function in place of libc's, which keeps its own for assertions and a corrupt heap: these still die by SIGABRT.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "systemd/journal.h"

__attribute__((visibility("default"))) void abort(void)
{
        journal_log(LOG_ERR,
                "The event loop cannot go on (%s): the host is short of memory, threads "
                "(TasksMax=), "
                "descriptors (LimitNOFILE=) or epoll watches (fs.epoll.max_user_watches); ending",
                errno ? strerror(errno) : "no reason given");
        _exit(1);
}
