/*
 * probe.h - each stage of finding a region, as it completes, as lines or as one JSON object
 *
 * The stages are the order of perception: source, kcr3, kernel, offsets, processes, candidates, alive, frame. The
 * first one that fails ends the probe and says why and what to try.
 */
#ifndef CTL_PROBE_H
#define CTL_PROBE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "progress.h"
#include "vgpu_image.h"
#include "vgpu_perception.h"
#include "vgpu_source.h"

struct probe_request {
        const char *ram[VGPU_SOURCE_FILES_MAX]; /* in the order of the guest's NUMA nodes */
        size_t n_ram;
        enum vgpu_machine machine;
        uint64_t ram_size; /* 0: the files' sizes */
        uint64_t kcr3;     /* 0: find it */
        bool list;         /* report every process */
};

struct probe_report {
        FILE *lines; /* NULL: no lines */
        struct progress progress;
        json_object *result; /* docs/probe.schema.json, growing */
};

/**
 * probe_report_init() - an empty report
 * @lines:    where each stage goes as it completes; NULL: nowhere
 * @terminal: where a stage that takes long is seen to go on; NULL: nowhere
 *
 * Return: 0, -ENOMEM.
 */
int probe_report_init(struct probe_report *report, FILE *lines, FILE *terminal);
void probe_report_deinit(struct probe_report *report);

/**
 * probe_ok() - a stage held
 * @detail: what it found
 */
void probe_ok(struct probe_report *report, const char *stage, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/**
 * probe_failed() - a stage did not hold; nothing follows it
 * @hint: what to try next, or NULL
 * @format: the reason
 */
void probe_failed(struct probe_report *report, const char *stage, const char *hint,
        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Why the probe ended without a live region; NULL when it did not. Lives as long as @report. */
const char *probe_reason(const struct probe_report *report);

void probe_source(struct probe_report *report, const struct probe_request *request,
        const vgpu_source *source, const struct vgpu_image_info *image);

enum probe_root {
        PROBE_ROOT_FOUND, /* as the daemon finds it */
        PROBE_ROOT_GIVEN,
        PROBE_ROOT_IN_HEADER, /* of a crash dump */
};

/**
 * probe_kernel() - root, kernel and offsets held
 * @from:   where the root was from
 * @levels: of page tables, 4 or 5
 */
void probe_kernel(struct probe_report *report, const struct win32_info *info, enum probe_root from,
        unsigned levels);

/**
 * probe_processes() - the process list held
 * @list:  the first @n of @total, as the guest orders them
 * @show:  each of them, not only how many there are
 */
void probe_processes(
        struct probe_report *report, const process *list, size_t n, size_t total, bool show);

/* What is known of a candidate's life; < 0: nothing. */
enum probe_life {
        PROBE_SILENT = 0,
        PROBE_ALIVE = 1,
        PROBE_GONE = -1,   /* could not be read again */
        PROBE_UNTOLD = -2, /* an image is one moment */
};

/* One candidate; @line: as a line too. */
void probe_candidate(struct probe_report *report, const struct vgpup_candidate *c,
        enum probe_life life, bool line);

/* A line for people below the last one. */
void probe_note(struct probe_report *report, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* A page that all but begins a region, when there is no candidate. */
void probe_suspect(struct probe_report *report, const struct vgpup_suspect *s);

/* What the newest frame is; @n_pieces: of RAM it lies in. */
void probe_frame_found(struct probe_report *report, const vgpup_frame_desc *desc,
        const char *format, size_t n_pieces);

/* The stage `alive`. Return: the first of @list, which has @n > 0, that lives; NULL when none does. */
const struct vgpup_candidate *probe_alive(
        struct probe_report *report, vmie_mem *m, const struct vgpup_candidate *list, size_t n);

/* The same for an image: nothing is waited for, and the first of @list is as good as any. */
const struct vgpup_candidate *probe_untold(
        struct probe_report *report, const struct vgpup_candidate *list, size_t n);

/* The stage `frame`, for the region to be read. Return: whether it held. */
bool probe_frame(struct probe_report *report, vmie_win32 *v, const struct vgpup_candidate *c);

/* Sleeps for @n heartbeat periods. */
void probe_wait_periods(unsigned n);

/* What to try next. Static storage, never NULL. */
const char *probe_source_hint(enum vgpu_source_reason reason);
const char *probe_win32_hint(enum win32_reason reason);
const char *probe_flaw_hint(enum vgpup_flaw flaw);

/**
 * probe() - look for a live region
 *
 * Waits up to VGPU_HEARTBEAT_PERIOD_MS * 5 for a heartbeat and up to three times that for a frame.
 *
 * Return: whether a live region was found; @report says what else was.
 */
bool probe(struct probe_report *report, const struct probe_request *request);

#endif /* CTL_PROBE_H */
