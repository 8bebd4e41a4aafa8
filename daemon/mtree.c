/*
 * mtree.c - see mtree.h
 *
 * A flat view as QEMU prints it:
 *
 *      FlatView #2
 *       AS "memory", root: system
 *       Root memory region: system
 *        0000000000000000-00000000000bffff (prio 0, ram): ram0
 *        0000000100000000-00000001ffffffff (prio 0, ram): ram0 @0000000080000000 KVM
 */
#include "mtree.h"

#include <errno.h>
#include <string.h>

#define LEGACY_BEGIN UINT64_C(0xa0000) /* video memory, option ROMs, firmware: up to 1 MiB */
#define LEGACY_END   UINT64_C(0x100000)

/* What is left of a line. */
struct cursor {
        const char *at, *end;
};

static bool take_text(struct cursor *c, const char *text)
{
        size_t len = strlen(text);

        if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
                return false;
        c->at += len;
        return true;
}

static void skip_blanks(struct cursor *c)
{
        while (c->at < c->end && *c->at == ' ')
                c->at++;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

/* QEMU prints sixteen digits. */
static bool take_hex(struct cursor *c, uint64_t *ret)
{
        uint64_t value = 0;

        if (c->end - c->at < 16)
                return false;
        for (int i = 0; i < 16; i++) {
                int digit = hex_digit(*c->at++);

                if (digit < 0)
                        return false;
                value = value << 4 | (uint64_t)digit;
        }
        *ret = value;
        return true;
}

/* "(prio N, ram): " */
static bool take_kind_ram(struct cursor *c)
{
        if (!take_text(c, "(prio "))
                return false;
        while (c->at < c->end && ((*c->at >= '0' && *c->at <= '9') || *c->at == '-'))
                c->at++;
        return take_text(c, ", ram): ");
}

static bool take_name(struct cursor *c, char name[MTREE_NAME_MAX])
{
        const char *end = memchr(c->at, ' ', (size_t)(c->end - c->at));
        size_t len = (size_t)((end ? end : c->end) - c->at);

        if (len == 0 || len >= MTREE_NAME_MAX)
                return false;
        memcpy(name, c->at, len);
        name[len] = '\0';
        c->at += len;
        return true;
}

static bool parse_range(struct cursor c, struct mtree_range *ret)
{
        struct mtree_range range = { .offset = 0 };
        uint64_t last;

        skip_blanks(&c);
        if (!take_hex(&c, &range.gpa) || !take_text(&c, "-") || !take_hex(&c, &last) ||
                !take_text(&c, " ") || !take_kind_ram(&c) || !take_name(&c, range.name))
                return false;
        if (take_text(&c, " @") && !take_hex(&c, &range.offset))
                return false;
        if (last < range.gpa || last == UINT64_MAX)
                return false;
        range.len = last - range.gpa + 1;
        *ret = range;
        return true;
}

static struct cursor take_line(struct cursor *text)
{
        const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
        struct cursor line = { text->at, newline ? newline : text->end };

        text->at = newline ? newline + 1 : text->end;
        if (line.end > line.at && line.end[-1] == '\r')
                line.end--;
        return line;
}

int mtree_parse(const char *text, size_t len, struct mtree_range *out, size_t cap, size_t *ret_n)
{
        struct cursor rest = { text, text + len };
        bool ours = false, found = false;
        size_t n = 0;

        while (rest.at < rest.end) {
                struct cursor line = take_line(&rest), words = line;
                struct mtree_range range;

                skip_blanks(&words);
                if (take_text(&words, "FlatView #")) {
                        ours = false;
                } else if (take_text(&words, "AS \"memory\", ")) {
                        ours = found = true;
                } else if (ours && parse_range(line, &range)) {
                        if (n == cap)
                                return -E2BIG;
                        out[n++] = range;
                }
        }
        if (!found)
                return -ENODATA;
        *ret_n = n;
        return 0;
}

/* ---- as a layout --------------------------------------------------------------------------------------------------- */

static int id_index(const char *const *ids, size_t n_ids, const char *name)
{
        for (size_t i = 0; i < n_ids; i++)
                if (strcmp(ids[i], name) == 0)
                        return (int)i;
        return -1;
}

/* Does @next go on where @p ended, but for what lies over the backend below 1 MiB? */
static bool bridges(const struct vgpu_layout_piece *p, const struct vgpu_layout_piece *next)
{
        uint64_t end = p->gpa + p->len;

        if (next->file != p->file || next->gpa - next->offset != p->gpa - p->offset)
                return false;
        return next->gpa == end || (end >= LEGACY_BEGIN && next->gpa <= LEGACY_END);
}

int mtree_layout(const struct mtree_range *ranges, size_t n_ranges, const char *const *ids,
        size_t n_ids, struct vgpu_layout *ret_layout)
{
        struct vgpu_layout l = { .n_pieces = 0 };

        for (size_t i = 0; i < n_ranges; i++) {
                const struct mtree_range *r = &ranges[i];
                struct vgpu_layout_piece *last = l.n_pieces ? &l.piece[l.n_pieces - 1] : NULL;
                struct vgpu_layout_piece piece = { r->gpa, r->offset, r->len, 0 };
                int file = id_index(ids, n_ids, r->name);

                if (file < 0)
                        continue;
                piece.file = (uint32_t)file;
                if (last && piece.gpa < last->gpa + last->len)
                        return -EINVAL;
                if (last && bridges(last, &piece)) {
                        last->len = piece.gpa + piece.len - last->gpa;
                        continue;
                }
                if (l.n_pieces == VGPU_LAYOUT_MAX)
                        return -E2BIG;
                l.piece[l.n_pieces++] = piece;
        }
        if (l.n_pieces == 0)
                return -ENODATA;
        *ret_layout = l;
        return 0;
}
