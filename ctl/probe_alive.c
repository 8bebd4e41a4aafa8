/*
 * probe_alive.c - which of the candidates lives?
 *
 * A region whose producer is gone stays in memory until somebody else needs the page, so a region proves nothing: a heartbeat
 * that moves does.
 */
#include "probe.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define FIRST_PERIODS 2  /* a producer that keeps time has ticked by then */
#define LAST_PERIODS  5  /* one that has not by then is silent */
#define SILENT_SHOWN  16 /* lines; a guest can make thousands of them */

void probe_wait_periods(unsigned n)
{
        uint64_t ms = (uint64_t)n * VGPU_HEARTBEAT_PERIOD_MS;
        struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

        while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
                ;
}

/* Asks every candidate that has not answered yet. Return: how many have. */
static size_t confirm(vmie_mem *m, const struct vgpup_candidate *list, size_t n, int *alive)
{
        size_t n_alive = 0;

        for (size_t i = 0; i < n; i++) {
                if (alive[i] <= 0)
                        alive[i] = vgpup_confirm_alive(
                                m, list[i].proc.cr3, list[i].region_gva, list[i].heartbeat);
                n_alive += alive[i] > 0;
        }
        return n_alive;
}

/* Silence has two causes, and only the guest's own clock tells them apart. */
static void say_silent(struct probe_report *report, vmie_mem *m, const struct win32_clock *before)
{
        struct win32_clock after;

        if (win32_read_clock(m, &after) == 1 && before->interrupt_time == after.interrupt_time)
                probe_failed(report, "alive", "resume or start the VM, then probe again",
                        "no heartbeat, and the guest's clock stands still: the VM is paused or "
                        "off");
        else
                probe_failed(report, "alive", "start the producer in the guest again",
                        "no heartbeat in %u ms while the guest's clock runs: the producer has "
                        "ended or hangs",
                        LAST_PERIODS * VGPU_HEARTBEAT_PERIOD_MS);
}

static void show(
        struct probe_report *report, const struct vgpup_candidate *list, size_t n, const int *alive)
{
        size_t n_silent = 0;

        for (size_t i = 0; i < n; i++)
                probe_candidate(
                        report, &list[i], alive[i], alive[i] > 0 || n_silent++ < SILENT_SHOWN);
        if (n_silent > SILENT_SHOWN)
                probe_note(report, "and %zu more that are silent", n_silent - SILENT_SHOWN);
}

static size_t listen(struct probe_report *report, vmie_mem *m, const struct vgpup_candidate *list,
        size_t n, int *alive)
{
        size_t n_alive;

        probe_wait_periods(FIRST_PERIODS);
        n_alive = confirm(m, list, n, alive);
        for (unsigned p = FIRST_PERIODS; p < LAST_PERIODS && n_alive < n; p++) {
                progress_count(&report->progress, p, LAST_PERIODS);
                probe_wait_periods(1);
                n_alive = confirm(m, list, n, alive);
        }
        return n_alive;
}

const struct vgpup_candidate *probe_alive(
        struct probe_report *report, vmie_mem *m, const struct vgpup_candidate *list, size_t n)
{
        const struct vgpup_candidate *newest = NULL;
        struct win32_clock before = { 0 };
        int *alive = calloc(n, sizeof *alive);
        size_t n_alive;

        if (!alive) {
                probe_failed(report, "alive", "probe again", "out of memory");
                return NULL;
        }
        progress_stage(&report->progress, "alive");
        win32_read_clock(m, &before);
        n_alive = listen(report, m, list, n, alive);
        progress_clear(&report->progress);
        show(report, list, n, alive);
        if (n_alive)
                probe_ok(report, "alive", "%zu of %zu", n_alive, n);
        else
                say_silent(report, m, &before);
        for (size_t i = 0; i < n && !newest; i++)
                if (alive[i] > 0)
                        newest = &list[i];
        free(alive);
        return newest;
}

const struct vgpup_candidate *probe_untold(
        struct probe_report *report, const struct vgpup_candidate *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                probe_candidate(report, &list[i], PROBE_UNTOLD, i < SILENT_SHOWN);
        if (n > SILENT_SHOWN)
                probe_note(report, "and %zu more", n - SILENT_SHOWN);
        probe_ok(report, "alive", "an image is one moment: nobody can tell");
        return &list[0];
}
