/* text_test.c - numbers people type, strings guests choose */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

struct number_case {
        const char *text;
        int result;
        uint64_t value;
};

static void check(int (*parse)(const char *, uint64_t *), const struct number_case *cases, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t value = 77;

                if (parse(cases[i].text, &value) != cases[i].result ||
                        value != (cases[i].result ? 77 : cases[i].value))
                        fail_msg("'%s' gave %#llx", cases[i].text, (unsigned long long)value);
        }
}

static void sizes_take_one_unit_of_1024(void **state)
{
        static const struct number_case cases[] = {
                { "0", 0, 0 },
                { "4096", 0, 4096 },
                { "1K", 0, 1024 },
                { "3m", 0, 3 << 20 },
                { "4G", 0, UINT64_C(4) << 30 },
                { "17179869183G", 0, UINT64_C(17179869183) << 30 },
                { "17179869184G", -ERANGE, 0 },
                { "18446744073709551616", -ERANGE, 0 },
                { "", -EINVAL, 0 },
                { "G", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
                { " 1", -EINVAL, 0 },
                { "1 ", -EINVAL, 0 },
                { "4GB", -EINVAL, 0 },
                { "4T", -EINVAL, 0 },
                { "0x100000000", 0, UINT64_C(1) << 32 },
                { "0XfF", 0, 255 },
                { "0x", -EINVAL, 0 },
                { "0x4G", -EINVAL, 0 },
                { "0x10000000000000000", -ERANGE, 0 },
                { "1.5G", -EINVAL, 0 },
        };

        (void)state;
        check(text_to_size, cases, sizeof cases / sizeof cases[0]);
}

static void hexadecimal_goes_with_or_without_its_prefix(void **state)
{
        static const struct number_case cases[] = {
                { "1ad000", 0, 0x1ad000 },
                { "0x1AD000", 0, 0x1ad000 },
                { "ffffffffffffffff", 0, UINT64_MAX },
                { "0x10000000000000000", -ERANGE, 0 },
                { "0x", -EINVAL, 0 },
                { "", -EINVAL, 0 },
                { "0x1g", -EINVAL, 0 },
                { "-1", -EINVAL, 0 },
        };

        (void)state;
        check(text_to_hex, cases, sizeof cases / sizeof cases[0]);
}

static void a_count_is_decimal_unless_it_says_0x(void **state)
{
        static const struct number_case cases[] = {
                { "10", 0, 10 },
                { "0x10", 0, 16 },
                { "010", 0, 10 },
                { "10h", -EINVAL, 0 },
                { "+1", -EINVAL, 0 },
        };

        (void)state;
        check(text_to_u64, cases, sizeof cases / sizeof cases[0]);
}

static void seconds_may_have_a_fraction(void **state)
{
        static const struct number_case cases[] = {
                { "2", 0, 2000 },
                { "0.5", 0, 500 },
                { "1.234", 0, 1234 },
                { "1.2349", 0, 1234 },
                { "0", 0, 0 },
                { ".5", -EINVAL, 0 },
                { "1.", -EINVAL, 0 },
                { "1s", -EINVAL, 0 },
                { "99999999999999", -ERANGE, 0 },
        };

        (void)state;
        check(text_to_ms, cases, sizeof cases / sizeof cases[0]);
}

static void bytes_from_outside_become_printable(void **state)
{
        char buf[64];

        (void)state;
        assert_string_equal(text_escape(buf, sizeof buf, "producer.exe", 16), "producer.exe");
        assert_string_equal(
                text_escape(buf, sizeof buf, "a\033[2J\xff\\", 7), "a\\x1b[2J\\xff\\x5c");
        assert_string_equal(text_escape(buf, sizeof buf, "abcdef", 3), "abc");
        assert_string_equal(text_escape(buf, sizeof buf, "", 5), "");
        assert_string_equal(
                text_escape_rest(buf, sizeof buf, "a\\x1b\033\xff", 7), "a\\x1b\\x1b\\xff");
}

static void escaping_never_writes_past_the_buffer(void **state)
{
        char buf[8];

        (void)state;
        for (size_t cap = 0; cap < sizeof buf; cap++) {
                memset(buf, '#', sizeof buf);
                text_escape(buf, cap, "a\001b\002", 4);
                for (size_t i = cap; i < sizeof buf; i++)
                        assert_int_equal(buf[i], '#');
                if (cap)
                        assert_non_null(memchr(buf, 0, cap));
        }
}

static void amounts_read_well(void **state)
{
        char buf[64];

        (void)state;
        assert_string_equal(text_bytes(buf, sizeof buf, 512), "512 bytes");
        assert_string_equal(text_bytes(buf, sizeof buf, UINT64_C(4) << 30), "4 GiB");
        assert_string_equal(text_bytes(buf, sizeof buf, 1536), "1.5 KiB");
        assert_string_equal(text_duration(buf, sizeof buf, 4200), "4.2 s");
        assert_string_equal(text_duration(buf, sizeof buf, 200000), "3 min 20 s");
        assert_string_equal(text_duration(buf, sizeof buf, 18120000), "5 h 2 min");
        assert_string_equal(text_duration(buf, sizeof buf, 273600000), "3 d 4 h");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sizes_take_one_unit_of_1024),
                cmocka_unit_test(hexadecimal_goes_with_or_without_its_prefix),
                cmocka_unit_test(a_count_is_decimal_unless_it_says_0x),
                cmocka_unit_test(seconds_may_have_a_fraction),
                cmocka_unit_test(bytes_from_outside_become_printable),
                cmocka_unit_test(escaping_never_writes_past_the_buffer),
                cmocka_unit_test(amounts_read_well),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
