/* vm_process.c - see vm_process.h */
#include "vm_process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "helper/vm_files.h"

static void free_handle(uv_handle_t *handle)
{
        free(handle);
}

void vm_process_stop(struct vm_process *p)
{
        if (p->poll) {
                uv_poll_stop(p->poll);
                uv_close((uv_handle_t *)p->poll, free_handle);
                p->poll = NULL;
        }
        if (p->fd >= 0)
                close(p->fd);
        p->fd = -1;
        p->pid = 0;
}

/* A pidfd is readable when its process has ended. */
static void on_ended(uv_poll_t *poll, int status, int events)
{
        struct vm_process *p = poll->data;

        (void)status;
        (void)events;
        vm_process_stop(p);
        p->ended(p);
}

static int poll_pidfd(struct vm_process *p)
{
        int r;

        p->poll = malloc(sizeof(*p->poll));
        if (!p->poll)
                return -ENOMEM;
        r = uv_poll_init(p->loop, p->poll, p->fd);
        if (r < 0) {
                free(p->poll);
                p->poll = NULL;
                return r;
        }
        p->poll->data = p;
        return uv_poll_start(p->poll, UV_READABLE, on_ended);
}

int vm_process_watch(struct vm_process *p)
{
        int pid = 0, r;

        if (p->pid)
                return 0;
        r = vm_files_pid(p->pidfile, &pid);
        if (r < 0)
                return r;
        p->fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (p->fd < 0)
                return -errno;
        r = poll_pidfd(p);
        if (r < 0) {
                vm_process_stop(p);
                return r;
        }
        p->pid = pid;
        return 0;
}

void vm_process_init(struct vm_process *p, uv_loop_t *loop, const char *pidfile,
        vm_process_ended_fn ended, void *ctx)
{
        *p = (struct vm_process){
                .loop = loop, .pidfile = pidfile, .ended = ended, .ctx = ctx, .fd = -1
        };
}
