/* cursor.c - see cursor.h. Sizes come from a guest: they are bounded before anything is drawn by them. */
#include "cursor.h"

#include "vgpu_stream.h"

#define ARROW_W     12
#define ARROW_H     19
#define ARROW_CELL  32 /* height of the glyph this bitmap stands for at 96 dpi */
#define MAX_SCALE   8
#define MAX_OUTLINE 256 /* pixels; a larger glyph is drawn as if it had this size */
#define CROSS_REACH 4

static const char arrow[ARROW_H][ARROW_W + 1] = {
        "#           ",
        "##          ",
        "#.#         ",
        "#..#        ",
        "#...#       ",
        "#....#      ",
        "#.....#     ",
        "#......#    ",
        "#.......#   ",
        "#........#  ",
        "#.........# ",
        "#......#####",
        "#...#..#    ",
        "#..##...#   ",
        "#.#  #..#   ",
        "##   #...#  ",
        "#     #..#  ",
        "      #..#  ",
        "       ##   ",
};

static void put_black(struct image *image, int64_t x, int64_t y)
{
        image_put(image, x, y, 0, 0, 0);
}

static void put_white(struct image *image, int64_t x, int64_t y)
{
        image_put(image, x, y, 255, 255, 255);
}

static uint32_t bounded(uint32_t value, uint32_t low, uint32_t high)
{
        return value < low ? low : value > high ? high : value;
}

static void draw_arrow(struct image *image, int64_t left, int64_t top, uint32_t scale)
{
        for (uint32_t y = 0; y < ARROW_H * scale; y++) {
                for (uint32_t x = 0; x < ARROW_W * scale; x++) {
                        char c = arrow[y / scale][x / scale];

                        if (c == '#')
                                put_black(image, left + x, top + y);
                        else if (c == '.')
                                put_white(image, left + x, top + y);
                }
        }
}

/* Two pixels black, two white: visible on any ground. */
static void put_dashed(struct image *image, int64_t x, int64_t y, int64_t along)
{
        if (along & 2)
                put_white(image, x, y);
        else
                put_black(image, x, y);
}

static void draw_placeholder(
        struct image *image, const struct cursor_look *look, int64_t left, int64_t top)
{
        int64_t w = bounded(look->glyph_w ? look->glyph_w : ARROW_CELL, 2, MAX_OUTLINE);
        int64_t h = bounded(look->glyph_h ? look->glyph_h : ARROW_CELL, 2, MAX_OUTLINE);

        for (int64_t i = 0; i < w; i++) {
                put_dashed(image, left + i, top, i);
                put_dashed(image, left + i, top + h - 1, i);
        }
        for (int64_t i = 0; i < h; i++) {
                put_dashed(image, left, top + i, i);
                put_dashed(image, left + w - 1, top + i, i);
        }
        for (int64_t i = -CROSS_REACH; i <= CROSS_REACH; i++) {
                put_dashed(image, look->x + i, look->y, i);
                put_dashed(image, look->x, look->y + i, i);
        }
}

void cursor_draw(struct image *image, const struct cursor_look *look)
{
        int64_t left = look->x - look->hot_x, top = look->y - look->hot_y;

        if (look->id == VGPU_CURSOR_ID_ARROW)
                draw_arrow(image, left, top, bounded(look->glyph_h / ARROW_CELL, 1, MAX_SCALE));
        else
                draw_placeholder(image, look, left, top);
}
