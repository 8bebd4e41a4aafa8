/* format.c - see format.h. Fourccs are those of drm_fourcc.h, whose names read from the most significant byte down. */
#include "format.h"

#include <stddef.h>

#include "vgpu_stream.h"

#define FOURCC(a, b, c, d)                                                                         \
        ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

static const struct {
        const char *name, *short_name;
        uint32_t fourcc;
} formats[] = {
        [VGPU_FMT_BGRA8888] = { "BGRA8888", "BGRA", FOURCC('A', 'R', '2', '4') },
        [VGPU_FMT_BGRX8888] = { "BGRX8888", "BGRX", FOURCC('X', 'R', '2', '4') },
        [VGPU_FMT_RGBA8888] = { "RGBA8888", "RGBA", FOURCC('A', 'B', '2', '4') },
        [VGPU_FMT_RGBX8888] = { "RGBX8888", "RGBX", FOURCC('X', 'B', '2', '4') },
        [VGPU_FMT_BGRA1010102] = { "BGRA1010102", "BGRA10", FOURCC('A', 'R', '3', '0') },
        [VGPU_FMT_RGBA16F] = { "RGBA16F", "RGBA16F", FOURCC('A', 'B', '4', 'H') },
        [VGPU_FMT_RGBA1010102] = { "RGBA1010102", "RGBA10", FOURCC('A', 'B', '3', '0') },
};

uint32_t format_fourcc(uint32_t format)
{
        return format < sizeof(formats) / sizeof(formats[0]) ? formats[format].fourcc : 0;
}

const char *format_name(uint32_t format)
{
        if (format < sizeof(formats) / sizeof(formats[0]) && formats[format].name)
                return formats[format].name;
        return "unknown";
}

const char *format_short_name(uint32_t format)
{
        if (format < sizeof(formats) / sizeof(formats[0]) && formats[format].short_name)
                return formats[format].short_name;
        return "unknown";
}
