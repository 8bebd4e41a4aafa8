/* format.h - a VGPU_FMT_* under its other names: the DRM fourcc that readers go by, the word that people read */
#ifndef VGPUD_FORMAT_H
#define VGPUD_FORMAT_H

#include <stdint.h>

/* DRM_FORMAT_* of a VGPU_FMT_*, 0 when the format is not known. */
uint32_t format_fourcc(uint32_t format);

/* "BGRA", "BGRA10"...: what a line for people has room for; "unknown". Static storage. */
const char *format_short_name(uint32_t format);

/* "BGRA8888"...; "unknown". Static storage. */
const char *format_name(uint32_t format);

#endif /* VGPUD_FORMAT_H */
