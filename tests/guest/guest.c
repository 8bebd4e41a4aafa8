/*
 * guest.c - lives of the machine and of its producer, and what falls due in them
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S     UINT64_C(1000000000)
#define TICK_NS      UINT64_C(15625000) /* Windows' clock interrupt */
#define BOOT_NS      NS_PER_S           /* guest time when the producer may start */
#define REUSED_PAGES 96u /* of a dead producer's, that other processes take and write */

bool guest_fail(struct guest *g, const char *what, int error)
{
        if (error)
                snprintf(g->why, sizeof(g->why), "%s: %s", what, strerror(error));
        else
                snprintf(g->why, sizeof(g->why), "%s", what);
        return false;
}

bool guest_machine_failed(struct guest *g)
{
        snprintf(g->why, sizeof(g->why), "no RAM left for: %s",
                g->machine.error ? g->machine.error : "the machine");
        return false;
}

/* A process list that is broken on purpose cannot be changed as well. */
static bool is_whole(struct guest *g)
{
        return g->machine.n_wounds == 0 || guest_fail(g, "the machine is broken: mend it first", 0);
}

static bool publish(
        struct guest *g, const struct guest_mode *mode, const struct guest_publication *pub)
{
        const struct guest_mapping mapping = {
                .cr3 = g->machine.producer->cr3,
                .gva = g->machine.region.gva,
                .bytes = g->machine.region.bytes,
                .pid = g->machine.producer->pid,
        };

        if (!guest_producer_publish(g, &g->producer, &mapping, mode, pub))
                return false;
        guest_trim_neighbours(g);
        return true;
}

static bool start_producer(struct guest *g)
{
        const struct guest_mode *mode = &g->options.mode;
        struct guest_publication pub;

        if (!guest_producer_plan(g, mode, &pub))
                return false;
        g->producer = (struct guest_producer){ .trims = g->options.trims };
        if (!machine_start_producer(&g->machine, pub.region_bytes))
                return guest_machine_failed(g);
        return publish(g, mode, &pub);
}

/* It dies as processes do, without a word: the magic stays in its pages until somebody else writes them. */
static bool end_producer(struct guest *g)
{
        if (!g->machine.producer)
                return true;
        ram_view_close(&g->producer.view);
        machine_exit_process(&g->machine, g->machine.producer);
        return machine_reuse_pages(&g->machine, REUSED_PAGES) || guest_machine_failed(g);
}

static bool boot(struct guest *g)
{
        g->next_tick_ns = 0;
        if (!machine_boot(&g->machine, &g->options.machine))
                return guest_machine_failed(g);
        guest_clock_start(&g->clock, BOOT_NS);
        machine_tick(&g->machine, BOOT_NS);
        return guest_company_boot(g);
}

bool guest_open(struct guest *g, const struct guest_options *options)
{
        int r;

        g->options = *options;
        g->ram = (struct ram)RAM_NULL;
        g->producer = g->company.rival = (struct guest_producer){ 0 };
        r = ram_open(&g->ram, options->ram_path, options->machine_type, options->ram_size);
        if (r < 0)
                return guest_fail(g, options->ram_path ? options->ram_path : "memfd", -r);
        g->storage = malloc(pages_storage_bytes(&g->ram.phys));
        if (!g->storage)
                return guest_fail(g, "page bitmap", ENOMEM);
        machine_init(&g->machine, &g->ram.phys, g->storage);
        return boot(g) && (options->no_producer || start_producer(g));
}

void guest_close(struct guest *g)
{
        ram_view_close(&g->producer.view);
        ram_view_close(&g->company.rival.view);
        ram_close(&g->ram);
        free(g->storage);
        g->storage = NULL;
}

bool guest_restart_producer(struct guest *g)
{
        return is_whole(g) && end_producer(g) && start_producer(g);
}

bool guest_kill_producer(struct guest *g)
{
        if (!g->machine.producer)
                return guest_fail(g, "there is no producer", 0);
        return is_whole(g) && end_producer(g);
}

bool guest_reboot(struct guest *g, bool elsewhere)
{
        bool producer = g->machine.producer != NULL;

        ram_view_close(&g->producer.view);
        ram_view_close(&g->company.rival.view);
        g->options.machine.boot_id++;
        g->options.machine.keep_ram = elsewhere;
        return boot(g) && (!producer || start_producer(g));
}

bool guest_break_run(struct guest *g)
{
        if (!g->machine.producer)
                return guest_fail(g, "there is no producer", 0);
        vgpu_producer_break_run(&g->producer.writer);
        return true;
}

/* A mode that needs bigger slots needs a new mapping; any other goes on in this one. Either is a session break. */
bool guest_set_mode(struct guest *g, const struct guest_mode *mode)
{
        struct guest_producer *p = &g->producer;
        struct guest_publication pub;

        if (!guest_producer_plan(g, mode, &pub))
                return false;
        g->options.mode = *mode;
        if (!g->machine.producer)
                return true;

        if (pub.slot_stride <= p->writer.slot_stride) {
                guest_producer_change_mode(g, p, mode);
                return true;
        }
        pub.run_epoch = p->writer.run_epoch + 1;
        pub.last_frame_id = p->writer.frame_id;
        vgpu_producer_retire(&p->writer);
        ram_view_close(&p->view);
        if (!machine_remap_region(&g->machine, pub.region_bytes))
                return guest_machine_failed(g);
        return publish(g, mode, &pub);
}

bool guest_set_hung(struct guest *g, bool hung)
{
        if (!g->machine.producer)
                return guest_fail(g, "there is no producer", 0);
        g->producer.hung = hung;
        g->producer.next_frame_ns = g->producer.next_heartbeat_ns = guest_clock_now(&g->clock);
        return true;
}

void guest_pause(struct guest *g)
{
        guest_clock_pause(&g->clock);
}

void guest_resume(struct guest *g)
{
        guest_clock_resume(&g->clock);
        if (g->machine.producer && g->producer.hung)
                guest_set_hung(g, false);
}

uint64_t guest_run_due(struct guest *g)
{
        uint64_t now, next, due;

        if (g->clock.paused)
                return GUEST_NEVER;
        now = guest_clock_now(&g->clock);
        if (g->next_tick_ns <= now) {
                machine_tick(&g->machine, now);
                g->next_tick_ns = guest_next_after(g->next_tick_ns, now, TICK_NS);
        }
        next = g->next_tick_ns;
        if (g->machine.producer && !g->producer.hung) {
                due = guest_producer_run(g, &g->producer, now);
                next = due < next ? due : next;
        }
        due = guest_company_run(g, now);
        next = due < next ? due : next;
        return g->clock.base_ns + next;
}
