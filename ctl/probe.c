/*
 * probe.c - what of a guest can be seen, without a daemon
 *
 * The question behind a probe is "why does the daemon not find my guest?", so every failure is turned into a
 * sentence and a next step.
 */
#include "probe.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "text.h"

/* A guest can make as many candidates as it likes, and bury the live one under them. */
#define MAX_CANDIDATES 4096
#define MAX_SUSPECTS   16
#define MAX_PROCESSES  8192

static const char *const win32_stage_names[] = {
        [WIN32_STAGE_KCR3] = "kcr3",
        [WIN32_STAGE_KERNEL] = "kernel",
        [WIN32_STAGE_OFFSETS] = "offsets",
        [WIN32_STAGE_PROCESSES] = "processes",
        [WIN32_STAGE_DONE] = "processes",
};

static void say_unopened(struct probe_report *report, const struct probe_request *request,
        const struct vgpu_source_failure *why)
{
        const char *path = request->ram[why->file < request->n_ram ? why->file : 0];
        const char *hint = probe_source_hint(why->reason);
        char ram[512], want[32], have[32];

        text_escape(ram, sizeof ram, path, strlen(path));
        if (why->reason == VGPU_SOURCE_TOO_SHORT)
                probe_failed(report, "source", hint, "'%s': %s: %s wanted, %s there", ram,
                        vgpu_source_reason_text(why->reason),
                        text_bytes(want, sizeof want, why->want),
                        text_bytes(have, sizeof have, why->have));
        else
                probe_failed(report, "source", hint, "'%s': %s%s%s", ram,
                        vgpu_source_reason_text(why->reason), why->error ? ": " : "",
                        why->error ? strerror(why->error) : "");
}

/* Files of several backends are RAM that is in use; a single one may be an image that was taken of it. */
static vgpu_source *open_files(const struct probe_request *request,
        struct vgpu_image_info *ret_info, struct vgpu_source_failure *why)
{
        if (request->n_ram == 1)
                return vgpu_image_open(
                        request->ram[0], request->machine, request->ram_size, ret_info, why);
        return vgpu_source_open_files(
                request->ram, request->n_ram, request->machine, request->ram_size, why);
}

static vgpu_source *open_source(struct probe_report *report, const struct probe_request *request,
        struct vgpu_image_info *ret_info)
{
        struct vgpu_source_failure why = { 0 };
        vgpu_source *source = open_files(request, ret_info, &why);

        if (source)
                probe_source(report, request, source, ret_info);
        else
                say_unopened(report, request, &why);
        return source;
}

/* " (0x...: what is wrong there; reading 0x...: why not)": whatever the failure knows. */
static const char *failure_detail(const struct win32_failure *why, char *buf, size_t cap)
{
        char address[24] = "", detail[4 * sizeof why->detail] = "", fault[128] = "";

        if (why->address)
                snprintf(address, sizeof address, "0x%" PRIx64, why->address);
        text_escape(detail, sizeof detail, why->detail, sizeof why->detail);
        if (why->fault.kind != GVA_FAULT_NONE)
                snprintf(fault, sizeof fault, "reading 0x%" PRIx64 ": %s", why->fault.gva,
                        gva_fault_text(why->fault.kind));
        buf[0] = '\0';
        if (address[0] || detail[0] || fault[0])
                snprintf(buf, cap, " (%s%s%s%s%s)", address, address[0] && detail[0] ? ": " : "",
                        detail, (address[0] || detail[0]) && fault[0] ? "; " : "", fault);
        return buf;
}

/* RAM that nobody has written to is no running machine's. */
static bool never_written(const struct probe_request *request)
{
        struct stat st;

        for (size_t i = 0; i < request->n_ram; i++)
                if (stat(request->ram[i], &st) < 0 || st.st_blocks > 0)
                        return false;
        return true;
}

/* The root in a crash dump's header may be any process': a last resort. */
static vmie_win32 *open_win32(vmie_mem *m, uint64_t given, uint64_t in_header,
        enum probe_root *ret_from, struct win32_failure *why)
{
        vmie_win32 *v = vmie_win32_open(m, given, why);

        *ret_from = given ? PROBE_ROOT_GIVEN : PROBE_ROOT_FOUND;
        if (v || given || !in_header)
                return v;
        *ret_from = PROBE_ROOT_IN_HEADER;
        return vmie_win32_open(m, in_header, why);
}

static vmie_win32 *open_kernel(struct probe_report *report, vmie_mem *m,
        const struct probe_request *request, const struct vgpu_image_info *image)
{
        struct win32_failure why = { 0 };
        enum probe_root from;
        char detail[640];
        vmie_win32 *v;

        progress_stage(&report->progress, "kernel");
        v = open_win32(m, request->kcr3, image->kcr3, &from, &why);
        if (v) {
                probe_kernel(report, vmie_win32_info(v), from, m->levels);
                return v;
        }
        /* What came before the failing stage held, though its findings are gone with the context. */
        for (unsigned s = WIN32_STAGE_KCR3; s < why.stage && s < WIN32_STAGE_PROCESSES; s++)
                probe_ok(report, win32_stage_names[s], "found");
        if (why.stage == WIN32_STAGE_KCR3 && !request->kcr3 && never_written(request))
                probe_failed(report, win32_stage_names[why.stage],
                        "start the VM, with share=on on its memory backend, then probe again",
                        "not one page of the file was ever written");
        else
                probe_failed(report, win32_stage_names[why.stage], probe_win32_hint(why.reason),
                        "%s%s", win32_reason_text(why.reason),
                        failure_detail(&why, detail, sizeof detail));
        return NULL;
}

static bool list_processes(struct probe_report *report, vmie_win32 *v, bool show)
{
        process *list = calloc(MAX_PROCESSES, sizeof *list);
        size_t total = 0;
        int r;

        progress_stage(&report->progress, "processes");
        r = list ? proc_list(v, list, MAX_PROCESSES, &total) : -ENOMEM;
        if (r < 0)
                probe_failed(report, "processes",
                        "probe again: the list may have changed under the walk",
                        "the process list cannot be walked: %s", strerror(-r));
        else
                probe_processes(
                        report, list, total < MAX_PROCESSES ? total : MAX_PROCESSES, total, show);
        free(list);
        return r == 0;
}

/* A producer that is there and refused is another trouble than none at all. */
static void say_nothing_found(
        struct probe_report *report, vmie_win32 *v, const struct vgpup_progress *searched)
{
        struct vgpup_suspect list[MAX_SUSPECTS];
        size_t total = 0;

        progress_stage(&report->progress, "suspects");
        if (vgpup_discover_suspects(v, list, MAX_SUSPECTS, &total) < 0 || total == 0) {
                probe_failed(report, "candidates", "start the producer in the guest",
                        "no process holds a region (%zu processes, %zu pages looked into)",
                        searched->n_processes, searched->n_pages);
                return;
        }
        probe_failed(report, "candidates", probe_flaw_hint(list[0].flaw),
                "no process holds a region; %zu page%s would begin one, but %s", total,
                total == 1 ? "" : "s", vgpup_flaw_text(list[0].flaw));
        for (size_t i = 0; i < total && i < MAX_SUSPECTS; i++)
                probe_suspect(report, &list[i]);
}

static bool look_at_candidates(struct probe_report *report, vmie_win32 *v, bool image,
        const struct vgpup_candidate *list, size_t total)
{
        size_t n = total < MAX_CANDIDATES ? total : MAX_CANDIDATES;
        const struct vgpup_candidate *alive;

        probe_ok(
                report, "candidates", "%zu%s", total, total > n ? ", too many to look at all" : "");
        alive = image ? probe_untold(report, list, n)
                      : probe_alive(report, vmie_win32_mem(v), list, n);
        return alive && probe_frame(report, v, alive);
}

static bool find_region(struct probe_report *report, vmie_win32 *v, bool image)
{
        struct vgpup_candidate *list = calloc(MAX_CANDIDATES, sizeof *list);
        struct vgpup_progress searched = { 0 };
        const struct vgpup_discovery how = { .progress = &searched };
        size_t total = 0;
        bool ok = false;
        int r;

        progress_stage(&report->progress, "candidates");
        progress_follow(&report->progress, &searched.n_processes_done, &searched.n_processes);
        r = list ? vgpup_discover(v, &how, list, MAX_CANDIDATES, &total) : -ENOMEM;
        if (r < 0)
                probe_failed(report, "candidates", "probe again", "the search broke off: %s",
                        strerror(-r));
        else if (total == 0)
                say_nothing_found(report, v, &searched);
        else
                ok = look_at_candidates(report, v, image, list, total);
        free(list);
        return ok;
}

bool probe(struct probe_report *report, const struct probe_request *request)
{
        struct vgpu_image_info image = { .kind = VGPU_IMAGE_RAW };
        vgpu_source *source = open_source(report, request, &image);
        vmie_win32 *v = NULL;
        vmie_mem m;
        bool found = false;

        if (!source)
                return false;
        vgpu_source_mem_pread(source, &m);
        v = open_kernel(report, &m, request, &image);
        if (v && list_processes(report, v, request->list))
                found = find_region(report, v, image.kind != VGPU_IMAGE_RAW);
        json_object_object_add(report->result, "ok", json_object_new_boolean(found));
        vmie_win32_close(v);
        vgpu_source_close(source);
        return found;
}

static int run(const struct ctl *ctl, const struct probe_request *request)
{
        struct probe_report report;
        const char *reason;
        bool found;

        if (probe_report_init(
                    &report, ctl->json ? NULL : stdout, isatty(STDERR_FILENO) ? stderr : NULL) < 0)
                return ctl_fail("out of memory");
        found = probe(&report, request);
        if (ctl->json)
                ctl_print_json(ctl, report.result);
        reason = probe_reason(&report);
        if (reason)
                ctl_fail("no live region: %s", reason);
        probe_report_deinit(&report);
        return ctl_done() == CTL_OK && found ? CTL_OK : CTL_FAILED;
}

/* Return: 0, or an exit code after having said what is wrong. */
static int parse(struct ctl *ctl, int argc, char **argv, struct probe_request *ret)
{
        enum { RAM = CTL_OPTION_OWN, MACHINE, RAM_SIZE, KCR3, PROCESSES };
        static const struct option options[] = {
                { "ram", required_argument, NULL, RAM },
                { "machine", required_argument, NULL, MACHINE },
                { "ram-size", required_argument, NULL, RAM_SIZE },
                { "kcr3", required_argument, NULL, KCR3 },
                { "processes", no_argument, NULL, PROCESSES },
                { 0 },
        };
        int c;

        while ((c = ctl_getopt(ctl, argc, argv, "", options)) != 0) {
                switch (c) {
                case RAM:
                        if (ret->n_ram == VGPU_SOURCE_FILES_MAX)
                                return ctl_usage(
                                        argv[0], "more than %d files", VGPU_SOURCE_FILES_MAX);
                        ret->ram[ret->n_ram++] = optarg;
                        break;
                case MACHINE:
                        if (vgpu_machine_from_name(optarg, &ret->machine) < 0)
                                return ctl_usage(argv[0],
                                        "unknown machine '%s'; there are q35, pc, microvm and flat",
                                        optarg);
                        break;
                case RAM_SIZE:
                        if (text_to_size(optarg, &ret->ram_size) < 0 || ret->ram_size == 0)
                                return ctl_usage(argv[0],
                                        "'%s' is no size; give bytes, or a number with K, M or G",
                                        optarg);
                        break;
                case KCR3:
                        if (text_to_hex(optarg, &ret->kcr3) < 0 || ret->kcr3 == 0)
                                return ctl_usage(argv[0],
                                        "'%s' is no page-table root in hexadecimal", optarg);
                        break;
                case PROCESSES:
                        ret->list = true;
                        break;
                default:
                        return CTL_USAGE;
                }
        }
        if (optind < argc)
                return ctl_usage(argv[0], "what is '%s'?", argv[optind]);
        if (ret->n_ram == 0)
                return ctl_usage(argv[0], "--ram FILE is missing");
        return 0;
}

int probe_run(struct ctl *ctl, int argc, char **argv)
{
        struct probe_request request = { .machine = VGPU_MACHINE_Q35 };
        int r = parse(ctl, argc, argv, &request);

        return r ? r : run(ctl, &request);
}
