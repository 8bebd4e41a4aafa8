/*
 * region_fixture.h - a bound region in the standard guest, for the tests that read through a handle
 */
#ifndef REGION_FIXTURE_H
#define REGION_FIXTURE_H

#include <string.h>

#include "guest_windows.h"

struct fixture {
        struct guest_windows w;
        struct guest_region r;
        vmie_win32 *v;
        vmie_mem *m;
        vgpup_region *region;
        uint8_t buf[TEST_STRIDE_BYTES + 64];
        vgpup_frame_info info;
};

static inline void fixture_open_as(struct fixture *f, const struct windows_config *config)
{
        guest_of(&f->w, &f->r, config);
        f->v = vmie_win32_open(&f->w.image.mem, 0, NULL);
        assert_non_null(f->v);
        f->m = vmie_win32_mem(f->v);
        f->region = vgpup_open(f->v);
        assert_non_null(f->region);
        memset(f->buf, MARKER, sizeof(f->buf));
        memset(&f->info, MARKER, sizeof(f->info));
        image_calm(&f->w.image);
}

static inline void fixture_open(struct fixture *f)
{
        struct windows_config config = windows_known(19045);

        fixture_open_as(f, &config);
}

static inline void fixture_close(struct fixture *f)
{
        vgpup_close(f->region);
        vmie_win32_close(f->v);
        windows_deinit(&f->w);
}

static inline int fixture_sample(struct fixture *f)
{
        return vgpup_sample_frame(f->region, f->m, f->buf, sizeof(f->buf), &f->info);
}

#endif /* REGION_FIXTURE_H */
