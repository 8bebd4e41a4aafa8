/*
 * cursor.h - the pointer, drawn into a picture
 *
 * Region ABI 1.0 carries the pointer's place and kind but no bitmap. The arrow is ours; every other kind is a
 * placeholder, the outline of its glyph with a cross on the hot spot, which shows the place without pretending
 * to know the shape.
 */
#ifndef CTL_CURSOR_H
#define CTL_CURSOR_H

#include <stdint.h>

#include "image.h"

struct cursor_look {
        int64_t x, y;              /* of the hot spot, pixels of the picture; may lie outside */
        uint32_t hot_x, hot_y;     /* hot spot in the glyph */
        uint32_t glyph_w, glyph_h; /* 0: unknown */
        uint32_t id;               /* VGPU_CURSOR_ID_* */
};

/* Draws with the glyph's top left corner at (x - hot_x, y - hot_y), clipped at the edges. */
void cursor_draw(struct image *image, const struct cursor_look *look);

#endif /* CTL_CURSOR_H */
