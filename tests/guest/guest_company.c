/*
 * guest_company.c - processes beside the producer: a second one that publishes, decoys, and those that come and go
 */
#include <string.h>

#include "guest.h"

#define CHURN_NS       UINT64_C(1000000)
#define CHURN_AT_ONCE  3
#define DECOY_SLOTS    2u
#define DECOY_BYTES    (VGPU_RING_OFFSET + DECOY_SLOTS * PAGE_BYTES)
#define DECOY_RESIDENT UINT64_C(0x3000) /* of one whose pages are mostly missing */

enum decoy { DECOY_BAD_CRC, DECOY_OTHER_PID, DECOY_TRUNCATED, DECOY_DEAD, N_DECOYS };

static const struct guest_mode rival_mode = { 160, 120, 20, VGPU_FMT_BGRX8888 };

bool guest_start_rival(struct guest *g)
{
        struct guest_company *c = &g->company;
        struct guest_mapping mapping;
        struct guest_publication pub;

        if (c->rival_process)
                return guest_fail(g, "there is a second producer already", 0);
        if (g->machine.n_wounds > 0)
                return guest_fail(g, "the machine is broken: mend it first", 0);
        if (!guest_producer_plan(g, &rival_mode, &pub))
                return false;
        c->rival_process = machine_start_process(&g->machine, "streamer.exe", 4, true);
        if (!c->rival_process)
                return guest_machine_failed(g);
        mapping = (struct guest_mapping){
                .cr3 = c->rival_process->cr3,
                .gva = machine_map_private(&g->machine, c->rival_process, pub.region_bytes),
                .bytes = pub.region_bytes,
                .pid = c->rival_process->pid,
        };
        if (mapping.gva == 0)
                return guest_machine_failed(g);
        c->rival = (struct guest_producer){ 0 };
        return guest_producer_publish(g, &c->rival, &mapping, &rival_mode, &pub);
}

bool guest_kill_rival(struct guest *g)
{
        struct guest_company *c = &g->company;

        if (!c->rival_process)
                return guest_fail(g, "there is no second producer", 0);
        if (g->machine.n_wounds > 0)
                return guest_fail(g, "the machine is broken: mend it first", 0);
        ram_view_close(&c->rival.view);
        machine_exit_process(&g->machine, c->rival_process);
        c->rival_process = NULL;
        return true;
}

/* Living processes with a user half, round and round. Return: NULL when there is none. */
static struct machine_process *next_host(struct guest *g, uint32_t *cursor)
{
        struct machine *m = &g->machine;

        for (uint32_t i = 0; i < m->n_processes; i++) {
                struct machine_process *p = &m->processes[(*cursor)++ % m->n_processes];

                if (p->alive && p->peb && p != m->producer && p != g->company.rival_process)
                        return p;
        }
        return NULL;
}

/* A region as a real writer makes it, but for what is wrong with it. */
static bool draw_decoy(uint8_t image[DECOY_BYTES], enum decoy kind, uint32_t pid)
{
        const struct vgpu_producer_setup setup = {
                .pid = kind == DECOY_OTHER_PID ? pid + 4 : pid,
                .slot_count = DECOY_SLOTS,
                .slot_stride = PAGE_BYTES,
                .heartbeat_period_ms = VGPU_HEARTBEAT_PERIOD_MS,
                .backend = VGPU_BK_SYNTHETIC,
                .supported_formats = 1u << VGPU_FMT_BGRA8888,
                .run_epoch = 1,
        };
        struct vgpu_producer writer;

        memset(image, 0, DECOY_BYTES);
        if (!vgpu_producer_init(&writer, image, DECOY_BYTES, &setup))
                return false;
        if (kind == DECOY_BAD_CRC)
                image[offsetof(vgpu_producer_t, identity_crc)] ^= 1;
        return true;
}

static bool add_decoy(struct guest *g, struct machine_process *p, enum decoy kind)
{
        static uint8_t image[DECOY_BYTES] __attribute__((aligned(64)));
        uint64_t bytes = kind == DECOY_TRUNCATED ? DECOY_RESIDENT : DECOY_BYTES;
        uint64_t gva = machine_map_private(&g->machine, p, bytes);

        if (gva == 0)
                return guest_machine_failed(g);
        if (!draw_decoy(image, kind, p->pid))
                return guest_fail(g, "a decoy's geometry is impossible", 0);
        /* The identity's page last, as a region comes to be. */
        for (uint64_t at = bytes; at > 0; at -= PAGE_BYTES) {
                uint64_t gpa = machine_translate(&g->machine, p->cr3, gva + at - PAGE_BYTES, NULL);

                memcpy(phys_at(&g->ram.phys, gpa), image + at - PAGE_BYTES, PAGE_BYTES);
        }
        return true;
}

bool guest_add_decoys(struct guest *g, uint32_t n)
{
        uint32_t cursor = 0;

        for (uint32_t i = 0; i < n; i++) {
                struct machine_process *p = next_host(g, &cursor);

                if (!p)
                        return guest_fail(g, "there is no process for a decoy", 0);
                if (!add_decoy(g, p, (enum decoy)(i % N_DECOYS)))
                        return false;
        }
        return true;
}

/* Hosts of handles: processes that end and stay on the list. */
static bool leave_exited(struct guest *g)
{
        for (uint32_t i = 0; i < g->options.exited; i++) {
                struct machine_process *p =
                        machine_start_process(&g->machine, "setup.exe", 4, true);

                if (!p)
                        return guest_machine_failed(g);
                machine_linger_process(&g->machine, p);
        }
        return true;
}

bool guest_company_boot(struct guest *g)
{
        g->company = (struct guest_company){ 0 };
        return leave_exited(g) && guest_add_decoys(g, g->options.decoys);
}

void guest_set_churn(struct guest *g, bool on)
{
        g->company.churns = on;
        g->company.next_churn_ns = guest_clock_now(&g->clock);
}

/* One of the places: a process starts there, or the one there ends, perhaps with a handle to it left open. */
static void churn_once(struct guest *g)
{
        struct machine *m = &g->machine;
        struct machine_process **place =
                &g->company.churned[pages_random(&m->pages) % GUEST_CHURNED];

        if (!*place) {
                *place = machine_start_process(m, "conhost.exe", 4, true);
                if (!*place)
                        g->company.churns = false; /* RAM is exhausted */
        } else if ((*place)->alive && pages_random(&m->pages) % 4 == 0) {
                machine_linger_process(m, *place);
        } else {
                machine_exit_process(m, *place);
                *place = NULL;
        }
}

uint64_t guest_company_run(struct guest *g, uint64_t now)
{
        struct guest_company *c = &g->company;
        uint64_t next = GUEST_NEVER;

        if (c->churns && c->next_churn_ns <= now) {
                for (int i = 0; i < CHURN_AT_ONCE && c->churns && g->machine.n_wounds == 0; i++)
                        churn_once(g);
                c->next_churn_ns = guest_next_after(c->next_churn_ns, now, CHURN_NS);
        }
        if (c->churns)
                next = c->next_churn_ns;
        if (c->rival_process) {
                uint64_t due = guest_producer_run(g, &c->rival, now);

                next = due < next ? due : next;
        }
        return next;
}
