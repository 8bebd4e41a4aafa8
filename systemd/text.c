/* text.c - see text.h. The ranges are those of RFC 3629: no surrogates, nothing in more bytes than it needs. */
#include "systemd/text.h"

#include <stddef.h>
#include <stdint.h>

struct range {
        uint8_t first, last; /* of the first byte */
        uint8_t second[2];   /* from, to */
        unsigned more;       /* bytes behind the first */
};

static const struct range ranges[] = {
        { 0x20, 0x7e, { 0, 0 }, 0 },
        { 0xc2, 0xdf, { 0x80, 0xbf }, 1 },
        { 0xe0, 0xe0, { 0xa0, 0xbf }, 2 },
        { 0xe1, 0xec, { 0x80, 0xbf }, 2 },
        { 0xed, 0xed, { 0x80, 0x9f }, 2 },
        { 0xee, 0xef, { 0x80, 0xbf }, 2 },
        { 0xf0, 0xf0, { 0x90, 0xbf }, 3 },
        { 0xf1, 0xf3, { 0x80, 0xbf }, 3 },
        { 0xf4, 0xf4, { 0x80, 0x8f }, 3 },
};

static int continues(const unsigned char *c, const struct range *r)
{
        if (r->more > 0 && (c[1] < r->second[0] || c[1] > r->second[1]))
                return 0;
        for (unsigned i = 2; i <= r->more; i++)
                if (c[i] < 0x80 || c[i] > 0xbf)
                        return 0;
        return 1;
}

/* Bytes of the character at @c, 0: none that may be shown. The string's end continues nothing. */
static size_t character(const unsigned char *c)
{
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
                if (*c >= ranges[i].first && *c <= ranges[i].last)
                        return continues(c, &ranges[i]) ? 1 + ranges[i].more : 0;
        return 0;
}

char *text_clean(char *text)
{
        unsigned char *c = (unsigned char *)text;

        while (*c != '\0') {
                size_t len = character(c);

                if (len == 0) {
                        *c = '?';
                        len = 1;
                }
                c += len;
        }
        return text;
}
