/*
 * discover.c - finding regions by their structure
 *
 * Structure first: a present, user, writable page at Windows' allocation granularity, then the magic, then the whole
 * identity line, then the process it claims to be in. Decoys cost what they are: one 64-byte read per 64 KiB of mapped
 * memory, within a budget per process and one for the whole scan. Those first reads are made in the order of memory
 * (spots.h) and only say where to look; what is there is read again, in the order of processes, and judged by that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "glances.h"
#include "process.h"
#include "region.h"
#include "spots.h"
#include "../memmodel/scan.h"

/* 128 GiB of 4 KiB pages in one process; four times that in all. */
#define TABLES_PER_PROCESS (1u << 16)
#define TABLES_PER_SCAN    (1u << 18)
#define PROBES_PER_PROCESS (1u << 20)
#define PROBES_PER_SCAN    (1u << 22)

/* Identities that are looked into further. One page mapped a million times over is a million of them. */
#define HITS_PER_PROCESS 16u

/* What a region's page carries in its leaf entry. A page written once and cleaned since has only Windows' own bit. */
#define PTE_SOFTWARE_WRITE (UINT64_C(1) << 11)

struct search {
        vmie_win32 *v;
        vmie_mem *m;
        const process *proc; /* whose address space is being looked through */
        uint64_t user_last;
        struct vgpup_candidate *out;
        size_t cap;
        size_t n;
        struct vgpup_discovery how;
        struct vgpup_progress unwatched;
        size_t stop_at;    /* candidates that are enough; 0: all */
        bool for_suspects; /* what is refused counts, and what is taken does not */
        struct vgpup_suspect *suspects;
        struct spots *spots;
        const process *list;
        size_t n_walked;    /* of the list: their spots are gathered, or looked at already */
        uint32_t walking;   /* whose tables are being walked */
        uint32_t hit_owner; /* whose hits are counted */
        size_t n_tables_left, n_probes_left;
        size_t n_process_probes_left, n_process_hits_left;
};

/* Highest user address: Windows gives out no more than the lower half, and no address reaches across the hole. */
static uint64_t user_last(const vmie_mem *m)
{
        return (UINT64_C(1) << (mem_levels(m) == 5 ? 56 : 47)) - 1;
}

/* Return: 0 (not a region of this process, or not any more), 1 with *ret filled, or < 0. */
static int confirm_hit(const struct search *s, uint64_t gva, const struct vgpu_identity *id,
        struct vgpup_candidate *ret)
{
        struct window w;
        uint64_t heartbeat;
        int r;

        if (id->region_bytes - 1 > s->user_last - gva)
                return 0;
        window_init(&w, win32_anchors_of(s->v), s->proc, gva, id);
        r = window_open(&w, s->m);
        if (r <= 0)
                return r;
        r = window_read(
                &w, s->m, offsetof(vgpu_producer_t, heartbeat), &heartbeat, sizeof(heartbeat));
        if (r == 0)
                r = window_close(&w, s->m, NULL);
        if (r == 1)
                *ret = (struct vgpup_candidate){
                        .proc = *s->proc,
                        .region_gva = gva,
                        .region_bytes = id->region_bytes,
                        .slot_stride = id->slot_stride,
                        .slot_count = id->slot_count,
                        .heartbeat_period_ms = id->heartbeat_period_ms,
                        .heartbeat = heartbeat,
                };
        return r;
}

static enum vgpup_flaw flaw_of(const struct search *s, const struct vgpu_identity *id)
{
        enum vgpup_flaw flaw = vgpu_identity_flaw(id);

        return flaw == VGPUP_FLAW_NONE && id->producer_pid != s->proc->pid ? VGPUP_FLAW_PID : flaw;
}

/* Return: 0, or 1 when this process has had its share. */
static int note_suspect(
        struct search *s, uint64_t gva, const struct vgpu_identity *id, enum vgpup_flaw flaw)
{
        if (flaw == VGPUP_FLAW_NONE || !identity_is_suspect(id, flaw))
                return 0;
        if (s->n_process_hits_left == 0)
                return 1;
        s->n_process_hits_left--;
        if (s->n < s->cap)
                s->suspects[s->n] = (struct vgpup_suspect){
                        .proc = *s->proc,
                        .gva = gva,
                        .flaw = flaw,
                        .abi_version = id->abi_version,
                        .producer_pid = id->producer_pid,
                };
        s->n++;
        return 0;
}

static int probe(struct search *s, uint64_t gva, uint64_t gpa)
{
        struct vgpup_candidate hit;
        struct vgpu_identity id;
        enum vgpup_flaw flaw;
        int r;

        r = gpa_read(s->m, gpa, &id, sizeof(id));
        if (r < 0)
                return glance_ends_scan(r) ? r : 0;
        flaw = flaw_of(s, &id);
        if (s->for_suspects && flaw != VGPUP_FLAW_NONE)
                return note_suspect(s, gva, &id, flaw);
        if (flaw != VGPUP_FLAW_NONE)
                return 0;
        if (s->n_process_hits_left == 0)
                return 1;
        s->n_process_hits_left--;
        r = confirm_hit(s, gva, &id, &hit);
        if (r <= 0 && !glance_ends_scan(r) && s->for_suspects)
                return note_suspect(s, gva, &id, VGPUP_FLAW_GONE);
        if (r <= 0)
                return glance_ends_scan(r) ? r : 0;
        if (s->for_suspects)
                return 0;
        if (s->n < s->cap)
                s->out[s->n] = hit;
        s->n++;
        return s->n == s->stop_at;
}

static void begin_progress(struct search *s)
{
        struct vgpup_progress *p = s->how.progress ? s->how.progress : &s->unwatched;

        s->how.progress = p;
        atomic_store_explicit(&p->n_processes, 0, memory_order_relaxed);
        atomic_store_explicit(&p->n_processes_done, 0, memory_order_relaxed);
        atomic_store_explicit(&p->n_pages, 0, memory_order_relaxed);
}

/* In the order in which they were gathered. Return: 0, or what ends the scan. */
static int take_hits(struct search *s)
{
        for (size_t i = 0; i < s->spots->n; i++) {
                const struct spot *spot = &s->spots->spot[i];
                int r;

                if (!spot->hit)
                        continue;
                if (spot->owner != s->hit_owner)
                        s->n_process_hits_left = HITS_PER_PROCESS;
                s->hit_owner = spot->owner;
                s->proc = &s->list[spot->owner];
                r = probe(s, spot->gva, spot->gpa);
                if (r < 0)
                        return r;
                if (s->stop_at && s->n >= s->stop_at)
                        break;
        }
        return 0;
}

/* Look at all that was gathered. Return: 0, or what ends the scan. */
static int look_at_spots(struct search *s)
{
        const struct glances glances = {
                .spots = s->spots,
                .for_suspects = s->for_suspects,
                .helper = s->how.helper,
                .n_pages = &s->how.progress->n_pages,
        };
        int r;

        spots_sort(s->spots);
        r = glance_at_all(&glances, s->m);
        if (r > 0)
                r = take_hits(s);
        s->spots->n = 0;
        atomic_store_explicit(
                &s->how.progress->n_processes_done, s->n_walked, memory_order_relaxed);
        return r < 0 ? r : 0;
}

static int note_page(void *ctx, const struct scan_page *page)
{
        struct search *s = ctx;
        uint64_t offset = -page->gva & (VGPU_REGION_ALIGN - 1);

        for (; offset < page->len; offset += VGPU_REGION_ALIGN) {
                int r;

                if (s->n_process_probes_left == 0)
                        return 1;
                s->n_process_probes_left--;
                if (s->spots->n == SPOTS_MAX) {
                        r = look_at_spots(s);
                        if (r < 0)
                                return r;
                }
                spots_add(s->spots, page->gva + offset, page->gpa + offset, s->walking);
        }
        return 0;
}

/* What of a process can begin a region joins the spots. Return: 0, or what ends the scan. */
static int walk_process(struct search *s, uint64_t cr3)
{
        struct gva_scan scan = {
                .first = VGPU_REGION_ALIGN,
                .last = s->user_last,
                .required = PTE_P | PTE_U,
                .any = PTE_W | PTE_SOFTWARE_WRITE,
                .align = VGPU_REGION_ALIGN,
                .visit = note_page,
                .ctx = s,
        };
        size_t tables, probes;
        int r;

        scan.n_tables_left = tables =
                s->n_tables_left < TABLES_PER_PROCESS ? s->n_tables_left : TABLES_PER_PROCESS;
        s->n_process_probes_left = probes =
                s->n_probes_left < PROBES_PER_PROCESS ? s->n_probes_left : PROBES_PER_PROCESS;
        r = gva_scan(s->m, cr3, &scan);
        s->n_tables_left -= tables - scan.n_tables_left;
        s->n_probes_left -= probes - s->n_process_probes_left;
        return r < 0 ? r : 0;
}

/* Shell sort: the list is short, and it may be the guest's worst case. */
static void sort_newest_first(process *p, size_t n)
{
        for (size_t gap = n / 2; gap > 0; gap /= 2) {
                for (size_t i = gap; i < n; i++) {
                        process moving = p[i];
                        size_t j = i;

                        for (; j >= gap && p[j - gap].create_time < moving.create_time; j -= gap)
                                p[j] = p[j - gap];
                        p[j] = moving;
                }
        }
}

static bool is_known(const struct vgpup_discovery *how, const process *p)
{
        for (size_t i = 0; i < how->n_known; i++) {
                if (how->known[i].eprocess == p->eprocess &&
                        how->known[i].create_time == p->create_time)
                        return true;
        }
        return false;
}

/* Otherwise as they were. @spare: room for as many. Return: how many are not known. */
static size_t known_last(const struct vgpup_discovery *how, process *list, size_t n, process *spare)
{
        size_t n_unknown = 0, n_known = 0;

        for (size_t i = 0; i < n; i++) {
                if (is_known(how, &list[i]))
                        spare[n_known++] = list[i];
                else
                        list[n_unknown++] = list[i];
        }
        memcpy(list + n_unknown, spare, n_known * sizeof(*spare));
        return n_unknown;
}

/* Those that have an address space to search. Return: how many. */
static size_t drop_unsearchable(process *list, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < n; i++) {
                if (!(list[i].flags & (PROCESS_EXITED | PROCESS_SYSTEM)) && list[i].cr3 != 0)
                        list[kept++] = list[i];
        }
        return kept;
}

/* Return: how many are to be searched, all in @list and those that were known last; or < 0. */
static int list_processes(struct search *s, process *list, size_t *ret_n, size_t *ret_n_unknown)
{
        size_t n;
        int r;

        r = proc_list(s->v, list, PROCESS_LIST_MAX, &n);
        if (r < 0)
                return r;
        n = drop_unsearchable(list, n > PROCESS_LIST_MAX ? PROCESS_LIST_MAX : n);
        sort_newest_first(list, n);
        *ret_n_unknown = known_last(&s->how, list, n, list + PROCESS_LIST_MAX);
        *ret_n = n;
        return 0;
}

/* Those that were asked for and are still there. Return: 0, or what ends the scan. */
static int check_processes(struct search *s, process *list, size_t *ret_n)
{
        size_t n = 0;

        for (size_t i = 0; i < s->how.n_only && i < PROCESS_LIST_MAX; i++) {
                int r = win32_process_check(win32_anchors_of(s->v), s->m, &s->how.only[i]);

                if (r < 0 && glance_ends_scan(r))
                        return r;
                if (r == 0)
                        list[n++] = s->how.only[i];
        }
        *ret_n = drop_unsearchable(list, n);
        return 0;
}

static int search_all(struct search *s, process *list)
{
        size_t n = 0, n_unknown = 0;
        int r;

        r = s->how.only ? check_processes(s, list, &n) : list_processes(s, list, &n, &n_unknown);
        if (r < 0)
                return r;
        atomic_store_explicit(&s->how.progress->n_processes, n, memory_order_relaxed);
        s->list = list;
        s->hit_owner = UINT32_MAX;
        for (size_t i = 0; i < n; i++) {
                bool border = i + 1 == n || (s->how.new_suffices && i + 1 == n_unknown);

                s->walking = (uint32_t)i;
                r = walk_process(s, list[i].cr3);
                s->n_walked = i + 1;
                /* Whoever is content with little does not wait for the rest. */
                if (r == 0 && (border || s->stop_at))
                        r = look_at_spots(s);
                if (r < 0)
                        return r;
                if ((s->stop_at && s->n >= s->stop_at) ||
                        (border && s->how.new_suffices && s->n > 0))
                        return 0;
        }
        return 0;
}

static int discover(struct search *s, vmie_win32 *v, size_t *ret_total)
{
        process *list = malloc(2 * PROCESS_LIST_MAX * sizeof(*list));
        int r = -ENOMEM;

        s->v = v;
        s->m = s->how.mem ? s->how.mem : vmie_win32_mem(v);
        s->user_last = user_last(s->m);
        s->n_tables_left = TABLES_PER_SCAN;
        s->n_probes_left = PROBES_PER_SCAN;
        s->spots = malloc(sizeof(*s->spots));
        if (list && s->spots) {
                spots_init(s->spots, s->m);
                begin_progress(s);
                r = search_all(s, list);
        }
        free(s->spots);
        free(list);
        if (r == 0)
                *ret_total = s->n;
        return r;
}

int vgpup_discover(vmie_win32 *v, const struct vgpup_discovery *how, struct vgpup_candidate *out,
        size_t cap, size_t *ret_total)
{
        struct search s = { .how = *how, .out = out, .cap = cap };

        return discover(&s, v, ret_total);
}

int vgpup_discover_all(vmie_win32 *v, struct vgpup_candidate *out, size_t cap, size_t *ret_total)
{
        static const struct vgpup_discovery plain;

        return vgpup_discover(v, &plain, out, cap, ret_total);
}

int vgpup_discover_suspects(vmie_win32 *v, struct vgpup_suspect *out, size_t cap, size_t *ret_total)
{
        struct search s = { .for_suspects = true, .suspects = out, .cap = cap };

        return discover(&s, v, ret_total);
}

static int discover_first(vmie_win32 *v, struct vgpup_candidate *ret)
{
        struct search s = { .out = ret, .cap = 1, .stop_at = 1 };
        size_t n;
        int r;

        r = discover(&s, v, &n);
        if (r < 0)
                return r;
        return n > 0 ? 0 : -ENOENT;
}

int vgpup_discover_candidate(
        vmie_win32 *v, uint64_t *out_proc_cr3, uint64_t *out_region_gva, uint64_t *out_hb0)
{
        struct vgpup_candidate c;
        int r;

        r = discover_first(v, &c);
        if (r < 0)
                return r;
        *out_proc_cr3 = c.proc.cr3;
        *out_region_gva = c.region_gva;
        *out_hb0 = c.heartbeat;
        return 0;
}

vgpup_region *vgpup_open(vmie_win32 *v)
{
        struct vgpup_candidate c;
        vgpup_region *region;

        if (discover_first(v, &c) < 0 || vgpup_bind(v, vmie_win32_mem(v), &c, &region) < 0)
                return NULL;
        return region;
}

/* Return: 1, 0 (an entry changed), -ESTALE (no region there), or a read error. */
static int read_heartbeat(vmie_mem *m, struct gather_page *block, uint64_t *ret_heartbeat)
{
        uint64_t gpa = block->extents[0].gpa;
        struct vgpu_identity first, again;
        int r;

        r = gpa_read(m, gpa, &first, sizeof(first));
        if (r < 0)
                return r;
        if (!vgpu_identity_valid(&first))
                return -ESTALE;
        read_fence();
        r = gpa_read(m, gpa + offsetof(vgpu_producer_t, heartbeat), ret_heartbeat,
                sizeof(*ret_heartbeat));
        read_fence();
        if (r == 0)
                r = gpa_read(m, gpa, &again, sizeof(again));
        if (r < 0)
                return r;
        if (memcmp(&first, &again, sizeof(again)) != 0)
                return -ESTALE;
        read_fence();
        return gather_recheck(&block->g, m, 0, UINT64_MAX);
}

/* The signature names no process, so entries and identity are all that can be rechecked here. */
int vgpup_confirm_alive(vmie_mem *m, uint64_t proc_cr3, uint64_t region_gva, uint64_t hb0)
{
        struct gather_page block;
        uint64_t heartbeat;
        int r = 0;

        if (region_gva % VGPU_REGION_ALIGN != 0)
                return -EINVAL;
        for (int i = 0; i < REGION_RETRIES && r == 0; i++) {
                gather_page_init(&block);
                r = gather_walk(&block.g, m, proc_cr3, region_gva, VGPU_PRODUCER_BYTES);
                if (r < 0)
                        return r;
                if (block.g.n_transitions > 0)
                        return -EAGAIN;
                read_fence();
                r = read_heartbeat(m, &block, &heartbeat);
        }
        if (r <= 0)
                return r < 0 ? r : -EAGAIN;
        return (int64_t)(heartbeat - hb0) > 0;
}
