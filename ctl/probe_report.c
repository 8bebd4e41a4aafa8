/*
 * probe_report.c - what a probe found, for a person and for a program. Guest-chosen strings are escaped in
 * both.
 */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define TICKS_PER_S          UINT64_C(10000000)
#define SECONDS_1601_TO_1970 INT64_C(11644473600)

#define SCHEMA 1 /* raised by a change that would break a reader; new keys do not */

/* 64-bit values go out as strings: a JSON number of that size loses bits in most readers. */
static json_object *hex(uint64_t value)
{
        char text[24];

        snprintf(text, sizeof text, "0x%" PRIx64, value);
        return json_object_new_string(text);
}

static json_object *string_or_null(const char *text)
{
        return text ? json_object_new_string(text) : NULL;
}

int probe_report_init(struct probe_report *report, FILE *lines, FILE *terminal)
{
        json_object *result = json_object_new_object();

        *report = (struct probe_report){ .lines = lines, .result = result };
        if (!result)
                return -ENOMEM;
        progress_start(&report->progress, terminal);
        json_object_object_add(result, "schema", json_object_new_int(SCHEMA));
        json_object_object_add(result, "stages", json_object_new_array());
        json_object_object_add(result, "source", NULL);
        json_object_object_add(result, "kernel", NULL);
        json_object_object_add(result, "processes", json_object_new_int(0));
        json_object_object_add(result, "process_list", NULL);
        json_object_object_add(result, "candidates", json_object_new_array());
        json_object_object_add(result, "suspects", json_object_new_array());
        json_object_object_add(result, "frame", NULL);
        json_object_object_add(result, "ok", json_object_new_boolean(false));
        return 0;
}

void probe_report_deinit(struct probe_report *report)
{
        progress_stop(&report->progress);
        json_object_put(report->result);
        *report = (struct probe_report){ 0 };
}

static void add_stage(struct probe_report *report, const char *stage, bool ok, const char *reason,
        const char *detail, const char *hint)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "stage", json_object_new_string(stage));
        json_object_object_add(o, "ok", json_object_new_boolean(ok));
        json_object_object_add(o, "reason", string_or_null(reason));
        json_object_object_add(o, "detail", string_or_null(detail));
        json_object_object_add(o, "hint", string_or_null(hint));
        json_object_array_add(json_object_object_get(report->result, "stages"), o);
}

void probe_ok(struct probe_report *report, const char *stage, const char *format, ...)
{
        char detail[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(detail, sizeof detail, format, ap);
        va_end(ap);
        progress_clear(&report->progress);
        add_stage(report, stage, true, NULL, detail, NULL);
        if (!report->lines)
                return;
        fprintf(report->lines, "%-11s ok      %s\n", stage, detail);
        fflush(report->lines);
}

void probe_failed(
        struct probe_report *report, const char *stage, const char *hint, const char *format, ...)
{
        char reason[512];
        va_list ap;

        va_start(ap, format);
        vsnprintf(reason, sizeof reason, format, ap);
        va_end(ap);
        progress_clear(&report->progress);
        add_stage(report, stage, false, reason, NULL, hint);
        if (!report->lines)
                return;
        fprintf(report->lines, "%-11s FAILED  %s\n", stage, reason);
        if (hint)
                fprintf(report->lines, "%-11s         try: %s\n", "", hint);
        fflush(report->lines);
}

const char *probe_reason(const struct probe_report *report)
{
        json_object *stages = json_object_object_get(report->result, "stages");
        size_t n = json_object_array_length(stages);
        json_object *last = n ? json_object_array_get_idx(stages, n - 1) : NULL;

        return json_object_get_string(json_object_object_get(last, "reason"));
}

void probe_source(struct probe_report *report, const struct probe_request *request,
        const vgpu_source *source, const struct vgpu_image_info *image)
{
        bool raw = image->kind == VGPU_IMAGE_RAW;
        json_object *o = json_object_new_object();
        char ram[512], bytes[32];
        size_t n_pieces;

        vgpu_source_pieces(source, &n_pieces);
        json_object_object_add(
                o, "kind", json_object_new_string(vgpu_image_kind_text(image->kind)));
        json_object_object_add(o, "bytes", hex(vgpu_source_ram_size(source)));
        json_object_object_add(o, "pieces", json_object_new_uint64(n_pieces));
        json_object_object_add(report->result, "source", o);
        probe_ok(report, "source", "%s%s, %s%s%s in %zu piece%s",
                text_escape(ram, sizeof ram, request->ram[0], strlen(request->ram[0])),
                request->n_ram > 1 ? " and others" : "",
                text_bytes(bytes, sizeof bytes, vgpu_source_ram_size(source)), raw ? " as " : ", ",
                raw ? vgpu_machine_name(request->machine) : vgpu_image_kind_text(image->kind),
                n_pieces, n_pieces == 1 ? "" : "s");
}

static const char *root_from(const struct win32_info *info, enum probe_root from)
{
        switch (from) {
        case PROBE_ROOT_GIVEN:
                return "command line";
        case PROBE_ROOT_IN_HEADER:
                return "dump header";
        case PROBE_ROOT_FOUND:
                break;
        }
        return info->kcr3_from_stub ? "low stub" : "self reference";
}

static json_object *kernel_object(
        const struct win32_info *info, enum probe_root from, unsigned levels)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "kcr3", hex(info->kcr3));
        json_object_object_add(o, "kcr3_from", json_object_new_string(root_from(info, from)));
        json_object_object_add(o, "levels", json_object_new_int((int)levels));
        json_object_object_add(o, "base", hex(info->kernel_base));
        json_object_object_add(o, "bytes", json_object_new_uint64(info->kernel_bytes));
        json_object_object_add(o, "build", json_object_new_int64(info->build));
        json_object_object_add(o, "build_known", json_object_new_boolean(info->build_in_table));
        json_object_object_add(o, "system_eprocess", hex(info->system_eprocess));
        json_object_object_add(o, "boot_id", json_object_new_int64(info->boot_id));
        return o;
}

void probe_kernel(struct probe_report *report, const struct win32_info *info, enum probe_root from,
        unsigned levels)
{
        const char *five = levels == 5 ? ", five levels of page tables" : "";
        char bytes[32];

        json_object_object_add(report->result, "kernel", kernel_object(info, from, levels));
        if (from == PROBE_ROOT_GIVEN)
                probe_ok(report, "kcr3", "0x%" PRIx64 ", as given%s", info->kcr3, five);
        else if (from == PROBE_ROOT_IN_HEADER)
                probe_ok(report, "kcr3", "0x%" PRIx64 ", as the dump's header says%s", info->kcr3,
                        five);
        else if (info->kcr3_from_stub)
                probe_ok(report, "kcr3", "0x%" PRIx64 ", by the start block at 0x%" PRIx64 "%s",
                        info->kcr3, info->stub_gpa, five);
        else
                probe_ok(report, "kcr3", "0x%" PRIx64 ", by its reference to itself%s", info->kcr3,
                        five);
        probe_ok(report, "kernel", "0x%" PRIx64 ", build %" PRIu32 ", %s", info->kernel_base,
                info->build, text_bytes(bytes, sizeof bytes, info->kernel_bytes));
        probe_ok(report, "offsets", "%s",
                info->build_in_table ? "the kernel's own agree with the table of known builds"
                                     : "learnt from the kernel; its build is in no table");
}

/* "2026-01-31T23:59:59Z", or NULL for a process that has no such time. */
static const char *create_time(uint64_t create_time, char *buf, size_t cap)
{
        time_t seconds = (time_t)(create_time / TICKS_PER_S) - SECONDS_1601_TO_1970;
        struct tm tm;

        if (create_time == 0 || !gmtime_r(&seconds, &tm))
                return NULL;
        return strftime(buf, cap, "%Y-%m-%dT%H:%M:%SZ", &tm) ? buf : NULL;
}

static json_object *process_object(const process *p, const char *name, const char *created)
{
        json_object *o = json_object_new_object(), *flags = json_object_new_array();

        if (p->flags & PROCESS_SYSTEM)
                json_object_array_add(flags, json_object_new_string("system"));
        if (p->flags & PROCESS_EXITED)
                json_object_array_add(flags, json_object_new_string("ended"));
        json_object_object_add(o, "pid", json_object_new_int64(p->pid));
        json_object_object_add(o, "ppid", json_object_new_int64(p->ppid));
        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "cr3", hex(p->cr3));
        json_object_object_add(o, "eprocess", hex(p->eprocess));
        json_object_object_add(o, "created", string_or_null(created));
        json_object_object_add(o, "flags", flags);
        return o;
}

static void show_process(struct probe_report *report, json_object *array, const process *p)
{
        char name[4 * sizeof p->name + 1], time[40];
        const char *created = create_time(p->create_time, time, sizeof time);

        text_escape(name, sizeof name, p->name, sizeof p->name);
        json_object_array_add(array, process_object(p, name, created));
        if (report->lines)
                fprintf(report->lines,
                        "%10" PRIu32 " %10" PRIu32 "  %-15s %#14" PRIx64 "  %-20s%s%s\n", p->pid,
                        p->ppid, name, p->cr3, created ? created : "-",
                        p->flags & PROCESS_SYSTEM ? "  system" : "",
                        p->flags & PROCESS_EXITED ? "  ended" : "");
}

static void show_processes(struct probe_report *report, const process *list, size_t n)
{
        json_object *array = json_object_new_array();

        json_object_object_add(report->result, "process_list", array);
        if (report->lines)
                fprintf(report->lines, "%10s %10s  %-15s %14s  %-20s  %s\n", "PID", "PPID", "NAME",
                        "CR3", "CREATED", "FLAGS");
        for (size_t i = 0; i < n; i++)
                show_process(report, array, &list[i]);
}

void probe_processes(
        struct probe_report *report, const process *list, size_t n, size_t total, bool show)
{
        size_t n_exited = 0;

        for (size_t i = 0; i < n; i++)
                n_exited += (list[i].flags & PROCESS_EXITED) != 0;
        json_object_object_add(report->result, "processes", json_object_new_uint64(total));
        probe_ok(report, "processes", "%zu, %zu of them ended but still listed%s", total, n_exited,
                total > n ? "; too many to look at all" : "");
        if (show)
                show_processes(report, list, n);
}

static json_object *alive_value(enum probe_life life)
{
        return life < 0 ? NULL : json_object_new_boolean(life);
}

static const char *life_text(enum probe_life life)
{
        switch (life) {
        case PROBE_SILENT:
                return "silent";
        case PROBE_ALIVE:
                return "alive";
        case PROBE_GONE:
                return "cannot be read any more";
        case PROBE_UNTOLD:
                return "when the image was taken";
        }
        return "unknown";
}

void probe_note(struct probe_report *report, const char *format, ...)
{
        va_list ap;

        if (!report->lines)
                return;
        progress_clear(&report->progress);
        fprintf(report->lines, "%-11s         ", "");
        va_start(ap, format);
        vfprintf(report->lines, format, ap);
        va_end(ap);
        fputc('\n', report->lines);
}

void probe_candidate(struct probe_report *report, const struct vgpup_candidate *c,
        enum probe_life life, bool line)
{
        json_object *o = json_object_new_object();
        char name[4 * sizeof c->proc.name + 1];

        text_escape(name, sizeof name, c->proc.name, sizeof c->proc.name);
        json_object_object_add(o, "pid", json_object_new_int64(c->proc.pid));
        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "cr3", hex(c->proc.cr3));
        json_object_object_add(o, "region", hex(c->region_gva));
        json_object_object_add(o, "region_bytes", hex(c->region_bytes));
        json_object_object_add(o, "heartbeat", hex(c->heartbeat));
        json_object_object_add(o, "alive", alive_value(life));
        json_object_array_add(json_object_object_get(report->result, "candidates"), o);
        if (line)
                probe_note(report,
                        "'%s' pid %" PRIu32 " cr3 0x%" PRIx64 " region 0x%" PRIx64
                        " heartbeat %" PRIu64 ": %s",
                        name, c->proc.pid, c->proc.cr3, c->region_gva, c->heartbeat,
                        life_text(life));
}

void probe_suspect(struct probe_report *report, const struct vgpup_suspect *s)
{
        json_object *o = json_object_new_object();
        char name[4 * sizeof s->proc.name + 1];

        text_escape(name, sizeof name, s->proc.name, sizeof s->proc.name);
        json_object_object_add(o, "pid", json_object_new_int64(s->proc.pid));
        json_object_object_add(o, "name", json_object_new_string(name));
        json_object_object_add(o, "cr3", hex(s->proc.cr3));
        json_object_object_add(o, "region", hex(s->gva));
        json_object_object_add(o, "flaw", json_object_new_string(vgpup_flaw_text(s->flaw)));
        json_object_object_add(o, "abi_version", hex(s->abi_version));
        json_object_object_add(o, "producer_pid", json_object_new_int64(s->producer_pid));
        json_object_array_add(json_object_object_get(report->result, "suspects"), o);
        probe_note(report, "'%s' pid %" PRIu32 " at 0x%" PRIx64 ": %s", name, s->proc.pid, s->gva,
                vgpup_flaw_text(s->flaw));
}

void probe_frame_found(struct probe_report *report, const vgpup_frame_desc *desc,
        const char *format, size_t n_pieces)
{
        json_object *o = json_object_new_object();

        json_object_object_add(o, "width", json_object_new_int64(desc->width));
        json_object_object_add(o, "height", json_object_new_int64(desc->height));
        json_object_object_add(o, "stride", json_object_new_int64(desc->stride));
        json_object_object_add(o, "format", json_object_new_string(format));
        json_object_object_add(o, "frame_id", hex(desc->frame_id));
        json_object_object_add(report->result, "frame", o);
        probe_ok(report, "frame",
                "%" PRIu32 "x%" PRIu32 " %s, number %" PRIu64 ", in %zu piece%s of RAM",
                desc->width, desc->height, format, desc->frame_id, n_pieces,
                n_pieces == 1 ? "" : "s");
}
