/*
 * process.c - process objects and the list they hang in (see process.h)
 *
 * ActiveProcessLinks is a circular list through every EPROCESS and one head inside the kernel image. The guest edits it
 * while we walk: a step counts only when the node points back to where we came from, both before and after its fields
 * were read. A process that ended can stay listed while somebody holds a handle to it.
 */
#include <errno.h>
#include <string.h>

#include "process.h"
#include "../memmodel/walk.h"

#define PID_MAX          UINT32_MAX
#define LIST_RETRIES     4
#define NEIGHBOUR_TRIES  4
#define IMAGE_NAME_BYTES 15u

struct list_entry {
        uint64_t flink, blink;
};

/* UniqueProcessId and ActiveProcessLinks are neighbours in every x64 build. */
struct object_head {
        uint64_t pid;
        struct list_entry links;
};

/* What is read of a process object. */
struct object {
        struct object_head head;
        uint64_t ppid;
        uint64_t create_time;
        uint64_t cr3;
        uint64_t exit_time; /* 0 where its offset is not known */
        uint32_t exit_status;
        char name[IMAGE_NAME_BYTES];
};

static int read_kernel(
        const struct win32_anchors *a, vmie_mem *m, uint64_t va, void *dst, size_t len)
{
        return gva_read(m, a->kcr3, va, dst, len);
}

static int read_head(
        const struct win32_anchors *a, vmie_mem *m, uint64_t eprocess, struct object_head *ret_head)
{
        return read_kernel(a, m, eprocess + a->offsets.pid, ret_head, sizeof(*ret_head));
}

uint32_t process_object_end(const struct win32_offsets *o)
{
        const uint32_t ends[] = {
                o->links + sizeof(struct list_entry),
                o->ppid + sizeof(uint64_t),
                o->create_time + sizeof(uint64_t),
                o->exit_time + sizeof(uint64_t),
                o->exit_status + sizeof(uint32_t),
                o->name + IMAGE_NAME_BYTES,
        };
        uint32_t end = EPROCESS_DIRECTORY_TABLE_BASE + sizeof(uint64_t);

        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
                if (ends[i] > end)
                        end = ends[i];
        }
        return end;
}

/* One read for all fields: walking the tables for each costs far more than the bytes between them. */
static int read_object(
        const struct win32_anchors *a, vmie_mem *m, uint64_t eprocess, struct object *ret_object)
{
        const struct win32_offsets *at = &a->offsets;
        const uint32_t first = EPROCESS_DIRECTORY_TABLE_BASE;
        uint8_t bytes[EPROCESS_MAX_BYTES];
        struct object o = { 0 };
        int r;

        r = read_kernel(a, m, eprocess + first, bytes + first, a->object_end - first);
        if (r < 0)
                return r;
        memcpy(&o.head, bytes + at->pid, sizeof(o.head));
        memcpy(&o.ppid, bytes + at->ppid, sizeof(o.ppid));
        memcpy(&o.create_time, bytes + at->create_time, sizeof(o.create_time));
        memcpy(&o.cr3, bytes + first, sizeof(o.cr3));
        memcpy(&o.exit_status, bytes + at->exit_status, sizeof(o.exit_status));
        memcpy(o.name, bytes + at->name, sizeof(o.name));
        if (at->exit_time)
                memcpy(&o.exit_time, bytes + at->exit_time, sizeof(o.exit_time));
        o.cr3 &= PTE_PFN;
        *ret_object = o;
        return 0;
}

static bool is_alive(const struct object *o)
{
        return o->exit_status == STATUS_PENDING && o->exit_time == 0;
}

/* Return: 1 (both neighbours point at it), 0, or a read error. */
static int is_linked(
        const struct win32_anchors *a, vmie_mem *m, uint64_t self, const struct list_entry *links)
{
        uint64_t back, forth;
        int r;

        r = read_kernel(
                a, m, links->flink + offsetof(struct list_entry, blink), &back, sizeof(back));
        if (r == 0)
                r = read_kernel(a, m, links->blink, &forth, sizeof(forth));
        if (r < 0)
                return r;
        return back == self && forth == self;
}

/*
 * Is what was alive when @o was read still the process that was listed? The fields of an object come in no order: its
 * CreateTime may be from before it was given to another process, and the exit status from after. An object that shows
 * the CreateTime later was not another's before.
 */
static int is_same(
        const struct win32_anchors *a, vmie_mem *m, const process *p, const struct object *o)
{
        uint64_t create_time;
        int r;

        if (!is_alive(o) || o->head.pid != p->pid || o->cr3 != p->cr3)
                return -ESTALE;
        read_fence();
        r = read_kernel(
                a, m, p->eprocess + a->offsets.create_time, &create_time, sizeof(create_time));
        if (r < 0)
                return r;
        return create_time == p->create_time ? 0 : -ESTALE;
}

int win32_process_check(const struct win32_anchors *a, vmie_mem *m, const process *p)
{
        int r = 0;

        for (int i = 0; i < NEIGHBOUR_TRIES; i++) {
                struct object o;

                r = read_object(a, m, p->eprocess, &o);
                if (r == 0)
                        r = is_same(a, m, p, &o);
                if (r < 0)
                        return r;
                r = is_linked(a, m, p->eprocess + a->offsets.links, &o.head.links);
                if (r == 1)
                        return 0;
                if (r < 0 && r != -EFAULT && r != -EINVAL)
                        return r;
        }
        return r < 0 ? r : -ESTALE;
}

static process describe(uint64_t eprocess, const struct object *o)
{
        process p = {
                .cr3 = o->cr3,
                .eprocess = eprocess,
                .create_time = o->create_time,
                .pid = o->head.pid,
                .ppid = o->ppid,
                .flags = is_alive(o) ? 0 : PROCESS_EXITED,
        };

        if (p.pid == SYSTEM_PID)
                p.flags |= PROCESS_SYSTEM;
        memcpy(p.name, o->name, sizeof(o->name));
        return p;
}

struct list_walk {
        const struct win32_anchors *a;
        vmie_mem *m;
        uint64_t kernel_first, kernel_last;
        process *out;
        size_t cap;
        size_t n;
        bool backwards; /* from the newest on, by Blink */
};

/* The list's head lies in the image; every other node in a process object. */
static bool is_head(const struct list_walk *w, uint64_t node)
{
        return node >= w->kernel_first && node <= w->kernel_last;
}

/* Return: 0, -EAGAIN (it is not where it was), or a read error. */
static int take_process(struct list_walk *w, uint64_t node, uint64_t from, uint64_t *ret_next)
{
        uint64_t eprocess = node - w->a->offsets.links;
        struct object_head again;
        struct object o;
        uint64_t behind;
        int r;

        r = read_object(w->a, w->m, eprocess, &o);
        read_fence();
        if (r == 0)
                r = read_head(w->a, w->m, eprocess, &again);
        if (r < 0)
                return r;
        behind = w->backwards ? o.head.links.flink : o.head.links.blink;
        if (memcmp(&o.head, &again, sizeof(again)) != 0 || o.head.pid > PID_MAX ||
                (from && behind != from))
                return -EAGAIN;
        if (w->n < w->cap)
                w->out[w->n] = describe(eprocess, &o);
        w->n++;
        *ret_next = w->backwards ? o.head.links.blink : o.head.links.flink;
        return 0;
}

static int pass_head(struct list_walk *w, uint64_t node, uint64_t from, uint64_t *ret_next)
{
        struct list_entry links;
        int r;

        r = read_kernel(w->a, w->m, node, &links, sizeof(links));
        if (r < 0)
                return r;
        if (links.blink != from)
                return -EAGAIN;
        *ret_next = links.flink;
        return 0;
}

static int walk_list(struct list_walk *w)
{
        uint64_t first = w->a->system_eprocess + w->a->offsets.links;
        uint64_t node = first, from = 0, next = 0;

        w->n = 0;
        for (size_t step = 0; step <= PROCESS_LIST_MAX; step++) {
                int r;

                if (node < KERNEL_VA_FIRST)
                        return -EAGAIN;
                if (is_head(w, node))
                        r = pass_head(w, node, from, &next);
                else
                        r = take_process(w, node, from, &next);
                if (r < 0)
                        return r;
                from = node;
                node = next;
                if (node == first)
                        return 0;
        }
        return -ELOOP;
}

/* Is the list a trap rather than in motion? Brent: compare with a node left behind at every power of two. */
static int list_cycles(const struct list_walk *w)
{
        uint64_t first = w->a->system_eprocess + w->a->offsets.links;
        uint64_t node = first, mark = 0;

        for (size_t step = 1; step <= 4 * PROCESS_LIST_MAX; step++) {
                int r = read_kernel(w->a, w->m, node, &node, sizeof(node));

                if (r < 0 || node == first)
                        return r == -ECANCELED ? r : -EAGAIN;
                if (node == mark)
                        return -ELOOP;
                if ((step & (step - 1)) == 0)
                        mark = node;
        }
        return -ELOOP;
}

int process_list(const struct win32_anchors *a, uint64_t kernel_bytes, vmie_mem *m, process *out,
        size_t cap, size_t *ret_total)
{
        struct list_walk w = {
                .a = a,
                .m = m,
                .kernel_first = a->kernel_base,
                .kernel_last = a->kernel_base + (kernel_bytes - 1),
                .out = out,
                .cap = cap,
        };
        int r = -EAGAIN;

        for (int i = 0; i < LIST_RETRIES; i++) {
                r = walk_list(&w);
                if (r == 0) {
                        *ret_total = w.n;
                        return 0;
                }
                if (r != -EAGAIN && r != -EFAULT && r != -EINVAL)
                        return r;
        }
        return r == -EAGAIN ? list_cycles(&w) : r;
}

/* System is the first on the list, so what its Blink names is the head, and the head's Blink is the last. */
static int walk_newest(struct list_walk *w)
{
        uint64_t first = w->a->system_eprocess + w->a->offsets.links;
        struct list_entry system, head;
        uint64_t node, from;
        int r;

        w->n = 0;
        r = read_kernel(w->a, w->m, first, &system, sizeof(system));
        if (r == 0 && !is_head(w, system.blink))
                return -EAGAIN;
        if (r == 0)
                r = read_kernel(w->a, w->m, system.blink, &head, sizeof(head));
        if (r < 0)
                return r;
        if (head.flink != first)
                return -EAGAIN;
        for (node = head.blink, from = system.blink; node != first && w->n < w->cap;) {
                uint64_t here = node;

                if (node < KERNEL_VA_FIRST || is_head(w, node))
                        return -EAGAIN;
                r = take_process(w, here, from, &node);
                if (r < 0)
                        return r;
                from = here;
        }
        return 0;
}

int process_newest(const struct win32_anchors *a, uint64_t kernel_bytes, vmie_mem *m, process *out,
        size_t cap, size_t *ret_n)
{
        struct list_walk w = {
                .a = a,
                .m = m,
                .kernel_first = a->kernel_base,
                .kernel_last = a->kernel_base + (kernel_bytes - 1),
                .out = out,
                .cap = cap,
                .backwards = true,
        };
        int r = -EAGAIN;

        for (int i = 0; i < LIST_RETRIES && r < 0; i++) {
                r = walk_newest(&w);
                if (r < 0 && r != -EAGAIN && r != -EFAULT && r != -EINVAL)
                        return r;
        }
        if (r == 0)
                *ret_n = w.n;
        return r;
}
