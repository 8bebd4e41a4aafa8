/*
 * scan_helper_test.c - what is handed to the helper is done by another thread, and its time is counted
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "scan_helper.h"

struct job {
        pthread_t by;
        unsigned n;
};

static void do_job(void *arg)
{
        struct job *job = arg;

        job->by = pthread_self();
        job->n++;
}

static void work_is_done_by_another_thread_and_its_time_is_counted(void **state)
{
        struct scan_helper h;
        struct job job = { 0 };
        uint64_t before_ns;

        (void)state;
        if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
                skip();
        scan_helper_init(&h);
        assert_int_equal(h.took_ns, 0);
        for (unsigned i = 1; i <= 3; i++) {
                before_ns = h.took_ns;
                assert_true(h.helper.begin(&h.helper, do_job, &job));
                h.helper.end(&h.helper);
                assert_int_equal(job.n, i);
                assert_false(pthread_equal(job.by, pthread_self()));
                assert_true(h.took_ns > before_ns);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(work_is_done_by_another_thread_and_its_time_is_counted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
