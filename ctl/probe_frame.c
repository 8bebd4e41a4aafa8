/*
 * probe_frame.c - can a frame be read? the last stage of a probe
 *
 * A producer can be alive and its pixels out of reach: paged out, or in a region that is not mapped as far as it says. A
 * frame is found and checked as for publishing, but not copied: what the copy would show is for `vgpuctl screenshot`.
 */
#include "probe.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TRIES                                                                                      \
        15 /* a period apart: a page in transition is believed after one second of guest time */

static const char *format_name(uint32_t format)
{
        static const char *const names[] = {
                [VGPU_FMT_BGRA8888] = "BGRA8888",
                [VGPU_FMT_BGRX8888] = "BGRX8888",
                [VGPU_FMT_RGBA8888] = "RGBA8888",
                [VGPU_FMT_RGBX8888] = "RGBX8888",
                [VGPU_FMT_BGRA1010102] = "BGRA1010102",
                [VGPU_FMT_RGBA16F] = "RGBA16F",
                [VGPU_FMT_RGBA1010102] = "RGBA1010102",
        };

        return format < sizeof names / sizeof names[0] && names[format] ? names[format] : "?";
}

static bool say_unreadable(struct probe_report *report, const struct gva_fault *fault, int error)
{
        const char *hint = "start the producer in the guest again";

        if (fault->kind == GVA_FAULT_PAGED_OUT)
                hint = "give the guest more memory: Windows has written the region to its pagefile";
        if (error == -ESTALE)
                probe_failed(report, "frame", "probe again",
                        "the producer ended, or was given another region, while it was looked at");
        else if (fault->kind != GVA_FAULT_NONE)
                probe_failed(report, "frame", hint,
                        "its frames cannot be read (reading 0x%" PRIx64 ": %s)", fault->gva,
                        gva_fault_text(fault->kind));
        else
                probe_failed(
                        report, "frame", hint, "its frames cannot be read: %s", strerror(-error));
        return false;
}

/* Nothing is wrong with a region that has no frame yet. */
static bool say_skipped(struct probe_report *report, enum vgpup_skip skip)
{
        switch (skip) {
        case VGPUP_SKIP_NOT_FRESH:
                probe_ok(report, "frame", "none published yet");
                return true;
        case VGPUP_SKIP_MALFORMED:
                probe_failed(report, "frame",
                        "install the producer again: what it writes is no region of this ABI",
                        "its newest frame's descriptor breaks a rule of the region ABI");
                return false;
        case VGPUP_SKIP_TRANSITION:
                probe_failed(report, "frame",
                        "probe again; give the guest more memory if it stays so",
                        "its pages were on their way between memory and pagefile all the time");
                return false;
        default:
                probe_failed(report, "frame",
                        "probe again; look at the load of the guest if it stays so",
                        "its newest frame was never left alone for long enough");
                return false;
        }
}

static bool is_worth_waiting_for(enum vgpup_skip skip)
{
        return skip == VGPUP_SKIP_NOT_FRESH || skip == VGPUP_SKIP_BUSY ||
               skip == VGPUP_SKIP_REMAPPED || skip == VGPUP_SKIP_TRANSITION;
}

static int sample(
        struct probe_report *report, vgpup_region *r, vmie_mem *m, struct vgpup_sample *ret)
{
        int rc = 0;

        for (unsigned i = 0; i < TRIES; i++) {
                rc = vgpup_sample_begin(r, m, VGPU_SLOT_STRIDE, ret);
                if (rc == 1)
                        rc = vgpup_sample_commit(r, m, ret);
                if (rc != 0 || !is_worth_waiting_for(vgpup_last_skip(r)))
                        break;
                progress_count(&report->progress, i, TRIES);
                probe_wait_periods(1);
        }
        return rc;
}

bool probe_frame(struct probe_report *report, vmie_win32 *v, const struct vgpup_candidate *c)
{
        vmie_mem *m = vmie_win32_mem(v);
        struct vgpup_sample s;
        vgpup_region *r;
        bool ok = true;
        int rc;

        progress_stage(&report->progress, "frame");
        rc = vgpup_bind(v, m, c, &r);
        if (rc < 0)
                return say_unreadable(report, gva_fault(m), rc);
        rc = sample(report, r, m, &s);
        if (rc < 0)
                ok = say_unreadable(report, gva_fault(m), rc);
        else if (rc == 0)
                ok = say_skipped(report, vgpup_last_skip(r));
        else
                probe_frame_found(report, &s.desc, format_name(s.desc.format), s.n_extents);
        vgpup_close(r);
        return ok;
}
