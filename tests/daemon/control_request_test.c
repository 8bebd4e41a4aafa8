/* control_request_test.c - what a WRITE says, and which answers are believed */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "control_request.h"
#include "region_fixture.h"

static const struct control_request open_request = {
        .number = 5, .epoch = 3, .found = 8, .open = true
};
static const struct control_request shut_request = {
        .number = 5, .epoch = 3, .found = 8, .open = false
};
static const struct control_request no_request;

/* clang-format off */
static const struct {
        const char *name;
        const struct control_request *request;
        uint64_t number, epoch;
        uint32_t result, ctrl_gen;
        enum control_verdict verdict;
} cases[] = {
        { "done", &open_request, 5, 3, VGPU_CONTROL_DONE, 10, CONTROL_ANSWER },
        { "stale by its own account", &open_request, 5, 3, VGPU_CONTROL_STALE, 0, CONTROL_ANSWER },
        { "late by its own account", &open_request, 5, 3, VGPU_CONTROL_LATE, 0, CONTROL_ANSWER },
        { "failed", &open_request, 5, 3, VGPU_CONTROL_FAILED, 0, CONTROL_ANSWER },
        { "done with a generation it cannot have", &open_request, 5, 3, VGPU_CONTROL_DONE, 12, CONTROL_FORGED },
        { "done with an odd generation", &open_request, 5, 3, VGPU_CONTROL_DONE, 9, CONTROL_FORGED },
        { "no result", &open_request, 5, 3, 0, 10, CONTROL_FORGED },
        { "no known result", &open_request, 5, 3, VGPU_CONTROL_N_RESULTS, 10, CONTROL_FORGED },
        { "another epoch", &open_request, 5, 2, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "an epoch to come", &open_request, 5, 4, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "an old one of an epoch to come", &open_request, 4, 4, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "a request to come", &open_request, 6, 3, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "no request", &open_request, 0, 3, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "the largest number", &open_request, UINT64_MAX, 3, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "one that was given up", &open_request, 4, 3, VGPU_CONTROL_DONE, 10, CONTROL_LATE },
        { "one of an earlier epoch", &open_request, 4, 2, VGPU_CONTROL_DONE, 10, CONTROL_STALE },
        { "a second answer", &shut_request, 5, 3, VGPU_CONTROL_DONE, 10, CONTROL_LATE },
        { "a second answer from another epoch", &shut_request, 5, 2, VGPU_CONTROL_DONE, 10, CONTROL_FORGED },
        { "before anything was sent", &no_request, 0, 0, VGPU_CONTROL_DONE, 2, CONTROL_FORGED },
        { "of a daemon before this one", &no_request, 7, 1, VGPU_CONTROL_DONE, 2, CONTROL_FORGED },
};
/* clang-format on */

static void an_answer_is_believed_only_if_it_fits_what_was_sent(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                const struct vgpu_control_written written = {
                        .request = cases[i].number,
                        .epoch = cases[i].epoch,
                        .result = cases[i].result,
                        .ctrl_gen = cases[i].ctrl_gen,
                };
                enum control_verdict verdict = control_judge(cases[i].request, &written);

                if (verdict != cases[i].verdict)
                        fail_msg("%s: verdict %d", cases[i].name, (int)verdict);
        }
}

static void generations_close_even_whatever_was_found(void **state)
{
        (void)state;
        assert_int_equal(vgpu_control_open(0), 1);
        assert_int_equal(vgpu_control_next(0), 2);
        assert_int_equal(vgpu_control_open(8), 9);
        assert_int_equal(vgpu_control_next(8), 10);
        /* a writer died in the middle: never the same odd value again, for the producer may be looking at it */
        assert_int_equal(vgpu_control_open(9), 11);
        assert_int_equal(vgpu_control_next(9), 12);
        assert_int_equal(vgpu_control_next(UINT32_MAX - 1), 0);
        assert_int_equal(vgpu_control_next(UINT32_MAX), 2);
}

static void a_write_names_all_that_must_be_found(void **state)
{
        const vgpup_control_intent intent = { VGPU_CMD_PAUSE, 24, 1, 9 };
        struct control_request request = { .number = 11 };
        struct vgpu_control_write write;
        const struct vgpup_candidate *c;
        vgpu_control_t image;
        struct fixture f;
        uint64_t value;

        (void)state;
        fixture_open(&f);
        c = vgpup_region_candidate(f.region);
        memset(&write, MARKER, sizeof(write));
        control_describe(&request, f.region, f.m->levels, 4, 6, &intent, &write);

        assert_int_equal(request.number, 12);
        assert_true(request.open);
        assert_int_equal(write.request, 12);
        assert_int_equal(write.epoch, 4);
        assert_int_equal(write.ctrl_gen, 6);
        assert_int_equal(write.levels, 4);
        assert_int_equal(write.pid, c->proc.pid);
        assert_int_equal(write.proc_cr3, c->proc.cr3);
        assert_int_equal(write.region_gva, REGION_GVA);
        assert_int_equal(write.control_gva, REGION_GVA + VGPU_CONTROL_OFFSET);
        assert_int_equal(write.off, 4);
        assert_int_equal(write.len, 16);
        memcpy(&image, write.bytes, sizeof(image));
        assert_int_equal(image.ctrl_gen, 0);
        assert_int_equal(image.desired_state, VGPU_CMD_PAUSE);
        assert_int_equal(image.target_fps, 24);
        assert_int_equal(image.draw_cursor, 1);
        assert_int_equal(image.full_frame_req, 9);

        /* and it is to be found there */
        assert_memory_equal(write.identity, f.r.block, sizeof(write.identity));
        assert_int_equal(
                gva_read(f.m, write.kcr3, write.eprocess + write.pid_offset, &value, 8), 0);
        assert_int_equal(value, write.pid);
        assert_int_equal(
                gva_read(f.m, write.kcr3, write.eprocess + write.create_time_offset, &value, 8), 0);
        assert_int_equal(value, write.create_time);
        assert_int_equal(
                gva_read(f.m, write.kcr3, write.eprocess + write.cr3_offset, &value, 8), 0);
        assert_int_equal(value & ~UINT64_C(0xfff), write.proc_cr3);
        fixture_close(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_answer_is_believed_only_if_it_fits_what_was_sent),
                cmocka_unit_test(generations_close_even_whatever_was_found),
                cmocka_unit_test(a_write_names_all_that_must_be_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
