/* verify.c - see verify.h */
#include "verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu_stream.h"

#define FOURCC(a, b, c, d)                                                                         \
        ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define BUFFER_ALIGN 4096u

uint32_t verify_format(uint32_t fourcc)
{
        switch (fourcc) {
        case FOURCC('A', 'R', '2', '4'):
                return VGPU_FMT_BGRA8888;
        case FOURCC('X', 'R', '2', '4'):
                return VGPU_FMT_BGRX8888;
        case FOURCC('A', 'B', '2', '4'):
                return VGPU_FMT_RGBA8888;
        case FOURCC('X', 'B', '2', '4'):
                return VGPU_FMT_RGBX8888;
        case FOURCC('A', 'R', '3', '0'):
                return VGPU_FMT_BGRA1010102;
        case FOURCC('A', 'B', '3', '0'):
                return VGPU_FMT_RGBA1010102;
        case FOURCC('A', 'B', '4', 'H'):
                return VGPU_FMT_RGBA16F;
        default:
                return 0;
        }
}

/* What pattern_check() relies on. */
static bool checkable(const struct vgpu_client_frame *f, uint32_t format)
{
        return format && f->width && f->height && f->stride % 4 == 0 &&
               f->stride >= (uint64_t)f->width * vgpu_format_bpp(format) &&
               f->bytes == (uint64_t)f->height * f->stride;
}

bool verify_frame(struct verify_tally *tally, const struct vgpu_client_frame *frame,
        uint32_t n_stripes, const void *pixels, struct pattern_count *ret_count)
{
        uint32_t format = verify_format(frame->fourcc);
        const struct stripes stripes = { n_stripes, frame->width, frame->height, frame->stride,
                format, frame->producer_pid };
        uint64_t began_ns = latency_now();

        *ret_count = (struct pattern_count){ .first_bad = UINT64_MAX };
        if (checkable(frame, format))
                stripes_check(&stripes, pixels, frame->frame_id, ret_count);
        else
                *ret_count = (struct pattern_count){ .foreign = 1, .first_bad = 0 };
        tally->torn += ret_count->torn > 0;
        tally->foreign += ret_count->foreign > 0;
        tally->bytes_checked += frame->bytes;
        tally->check_ns += latency_between(began_ns, latency_now());
        return ret_count->torn == 0 && ret_count->foreign == 0;
}

/*
 * Written once before use: neither page faults in a measured copy, nor bytes that a short copy could be excused
 * with.
 */
static int grow(struct verify *v, size_t bytes)
{
        size_t cap = (bytes + BUFFER_ALIGN - 1) & ~(size_t)(BUFFER_ALIGN - 1);

        free(v->pixels);
        v->cap = 0;
        v->pixels = aligned_alloc(BUFFER_ALIGN, cap);
        if (!v->pixels)
                return -ENOMEM;
        memset(v->pixels, 0xa5, cap);
        v->cap = cap;
        return 0;
}

static int copy(struct verify *v)
{
        struct vgpu_client_frame frame;
        int r;

        while ((r = vgpu_client_copy_latest(v->client, v->pixels, v->cap, &frame)) == -ENOSPC) {
                r = grow(v, frame.bytes);
                if (r < 0)
                        return r;
        }
        if (r == 1)
                v->frame = frame;
        return r == -ENODATA ? 0 : r;
}

static void count_delivery(struct verify *v, uint64_t held_ns, uint64_t wait_began_ns)
{
        struct verify_tally *t = &v->tally;
        bool awaited =
                v->frame.publish_ns >= wait_began_ns && v->frame.publish_ns >= v->connected_ns;
        uint64_t latency_ns = latency_between(v->frame.publish_ns, held_ns);

        if (t->frames++ == 0)
                t->first_ns = held_ns;
        t->last_ns = held_ns;
        t->stale += v->frame.stale;
        if (v->frame.publish_ns >= v->connected_ns)
                latency_add(&t->latency, latency_ns);
        if (awaited)
                latency_add(&t->awaited, latency_ns);
        if (v->last_serial && v->frame.serial <= v->last_serial) {
                t->backwards++;
        } else if (v->last_serial) {
                t->missed += v->frame.serial - v->last_serial - 1;
                if (!awaited)
                        t->missed_checking += v->frame.serial - v->last_serial - 1;
        }
        v->last_serial = v->frame.serial;
}

int verify_take(struct verify *v, uint64_t wait_began_ns)
{
        int r = copy(v);

        if (r <= 0)
                return r;
        count_delivery(v, latency_now(), wait_began_ns);
        verify_frame(&v->tally, &v->frame, v->n_stripes ? v->n_stripes : 1, v->pixels, &v->last);
        return 1;
}

void verify_dispatched(struct verify *v, int events)
{
        if (events > 0 && events & VGPU_CLIENT_RECONNECTED)
                v->connected_ns = latency_now();
        /* Serials compare within one daemon process only. */
        if (events > 0 && events & VGPU_CLIENT_INSTANCE)
                v->last_serial = 0;
}

void verify_deinit(struct verify *v)
{
        v->client = vgpu_client_close(v->client);
        free(v->pixels);
        v->pixels = NULL;
        v->cap = 0;
}

double verify_fps(const struct verify_tally *tally)
{
        uint64_t ns = latency_between(tally->first_ns, tally->last_ns);

        return ns ? (double)(tally->frames - 1) * 1e9 / (double)ns : 0;
}

bool verify_passed(const struct verify_tally *tally)
{
        return tally->frames && !tally->torn && !tally->foreign && !tally->backwards;
}
