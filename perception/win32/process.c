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

/* What tells one life of a process object from the next. */
struct object_life {
        uint64_t create_time;
        uint64_t cr3;
        uint32_t exit_status;
        uint64_t exit_time; /* 0 where its offset is not known */
};

static int read_life(
        const struct win32_anchors *a, vmie_mem *m, uint64_t eprocess, struct object_life *ret_life)
{
        struct object_life life = { 0 };
        int r;

        r = read_kernel(a, m, eprocess + a->offsets.create_time, &life.create_time,
                sizeof(life.create_time));
        if (r == 0)
                r = read_kernel(a, m, eprocess + EPROCESS_DIRECTORY_TABLE_BASE, &life.cr3,
                        sizeof(life.cr3));
        if (r == 0)
                r = read_kernel(a, m, eprocess + a->offsets.exit_status, &life.exit_status,
                        sizeof(life.exit_status));
        if (r == 0 && a->offsets.exit_time)
                r = read_kernel(a, m, eprocess + a->offsets.exit_time, &life.exit_time,
                        sizeof(life.exit_time));
        life.cr3 &= PTE_PFN;
        if (r == 0)
                *ret_life = life;
        return r;
}

static bool is_alive(const struct object_life *life)
{
        return life->exit_status == STATUS_PENDING && life->exit_time == 0;
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

int win32_process_check(const struct win32_anchors *a, vmie_mem *m, const process *p)
{
        struct object_head head;
        struct object_life life;
        int r = 0;

        r = read_life(a, m, p->eprocess, &life);
        if (r < 0)
                return r;
        if (!is_alive(&life) || life.create_time != p->create_time || life.cr3 != p->cr3)
                return -ESTALE;
        for (int i = 0; i < NEIGHBOUR_TRIES; i++) {
                r = read_head(a, m, p->eprocess, &head);
                if (r < 0)
                        return r;
                if (head.pid != p->pid)
                        return -ESTALE;
                r = is_linked(a, m, p->eprocess + a->offsets.links, &head.links);
                if (r == 1)
                        return 0;
                if (r < 0 && r != -EFAULT && r != -EINVAL)
                        return r;
        }
        return r < 0 ? r : -ESTALE;
}

/* Return: 0, -EAGAIN (it changed meanwhile), or a read error. */
static int read_process(const struct win32_anchors *a, vmie_mem *m, uint64_t eprocess,
        const struct object_head *head, process *ret_process)
{
        process p = { .eprocess = eprocess, .pid = head->pid };
        struct object_head again;
        struct object_life life;
        uint64_t ppid;
        int r;

        r = read_life(a, m, eprocess, &life);
        if (r == 0)
                r = read_kernel(a, m, eprocess + a->offsets.ppid, &ppid, sizeof(ppid));
        if (r == 0)
                r = read_kernel(a, m, eprocess + a->offsets.name, p.name, IMAGE_NAME_BYTES);
        read_fence();
        if (r == 0)
                r = read_head(a, m, eprocess, &again);
        if (r < 0)
                return r;
        if (memcmp(head, &again, sizeof(again)) != 0 || head->pid > PID_MAX)
                return -EAGAIN;
        p.cr3 = life.cr3;
        p.create_time = life.create_time;
        p.ppid = ppid;
        p.flags = is_alive(&life) ? 0 : PROCESS_EXITED;
        if (p.pid == SYSTEM_PID)
                p.flags |= PROCESS_SYSTEM;
        *ret_process = p;
        return 0;
}

struct list_walk {
        const struct win32_anchors *a;
        vmie_mem *m;
        uint64_t kernel_first, kernel_last;
        process *out;
        size_t cap;
        size_t n;
};

/* The list's head lies in the image; every other node in a process object. */
static bool is_head(const struct list_walk *w, uint64_t node)
{
        return node >= w->kernel_first && node <= w->kernel_last;
}

static int take_node(struct list_walk *w, uint64_t node, uint64_t from, uint64_t *ret_next)
{
        uint64_t eprocess = node - w->a->offsets.links;
        struct object_head head;
        process p;
        int r;

        if (is_head(w, node))
                r = read_kernel(w->a, w->m, node, &head.links, sizeof(head.links));
        else
                r = read_head(w->a, w->m, eprocess, &head);
        if (r < 0)
                return r;
        if (from && head.links.blink != from)
                return -EAGAIN;
        *ret_next = head.links.flink;
        if (is_head(w, node))
                return 0;
        r = read_process(w->a, w->m, eprocess, &head, &p);
        if (r < 0)
                return r;
        if (w->n < w->cap)
                w->out[w->n] = p;
        w->n++;
        return 0;
}

static int walk_list(struct list_walk *w)
{
        uint64_t first = w->a->system_eprocess + w->a->offsets.links;
        uint64_t node = first, from = 0, next;

        w->n = 0;
        do {
                int r;

                if (w->n > PROCESS_LIST_MAX || node < KERNEL_VA_FIRST)
                        return node < KERNEL_VA_FIRST ? -EAGAIN : -ELOOP;
                r = take_node(w, node, from, &next);
                if (r < 0)
                        return r;
                from = node;
                node = next;
        } while (node != first);
        return 0;
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
