/*
 * text_test.c - one line of UTF-8, whatever it was
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "systemd/text.h"

struct text_case {
        const char *name, *text, *want;
};

/* '#' stands for what becomes '?': two of these beside each other are something else in C. */
static const struct text_case cases[] = {
        { "nothing", "", "" },
        { "plain", " plain ~", " plain ~" },
        { "control characters", "a\nb\tc\x1b[2J\x7f", "a#b#c#[2J#" },
        { "two bytes", "\xc3\xbc\xdf\xbf", "\xc3\xbc\xdf\xbf" },
        { "three bytes", "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbd",
                "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbd" },
        { "four bytes", "\xf0\x9f\x96\xa5\xf4\x8f\xbf\xbf", "\xf0\x9f\x96\xa5\xf4\x8f\xbf\xbf" },
        { "a continuation alone", "a\x80z", "a#z" },
        { "more bytes than needed", "\xc0\xaf\xe0\x9f\xbf\xf0\x8f\xbf\xbf", "#########" },
        { "a surrogate", "\xed\xa0\x80", "###" },
        { "beyond Unicode", "\xf4\x90\x80\x80\xf5\xff", "######" },
        { "cut at the end", "a\xe2\x82", "a##" },
        { "cut in the middle", "\xe2\x82z\xf0\x9f\x96", "##z###" },
        { "cut after one", "\xc3", "#" },
};

static void what_may_be_shown_stays_and_the_rest_is_marked(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char *text = strdup(cases[i].text), *want = strdup(cases[i].want);

                for (char *c = want; (c = strchr(c, '#')) != NULL;)
                        *c = '?';
                assert_ptr_equal(text_clean(text), text);
                if (strcmp(text, want) != 0)
                        fail_msg("%s", cases[i].name);
                free(text);
                free(want);
        }
}

/* What is clean is left alone, and a string never becomes longer: for every pair of bytes. */
static void cleaning_twice_is_cleaning_once(void **state)
{
        (void)state;
        for (unsigned pair = 0; pair < 65536; pair++) {
                char text[] = { (char)(pair >> 8), (char)pair, 'z', '\0' }, once[sizeof(text)];
                size_t len = strlen(text);

                text_clean(text);
                assert_int_equal(strlen(text), len);
                memcpy(once, text, sizeof(text));
                assert_string_equal(text_clean(text), once);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_may_be_shown_stays_and_the_rest_is_marked),
                cmocka_unit_test(cleaning_twice_is_cleaning_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
