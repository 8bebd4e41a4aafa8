/*
 * reload_plan_test.c - of each key that differs: at once, or after a restart
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "reload_plan.h"

/* What an administrator may rely on; vgpud.conf(5) says the same. */
static const char *const live[] = { "guest.producer", "ring.max_clients", "ring.max_clients_user",
        "ring.max_bytes", "access.users", "access.groups", "access.intent_users",
        "access.intent_groups", "access.admin_users", "access.admin_groups", "pace.max_fps",
        "pace.latency", "log.level" };

static bool is_live(const struct config_key *key)
{
        char name[96];

        snprintf(name, sizeof(name), "%s.%s", key->section, key->name);
        for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
                if (strcmp(live[i], name) == 0)
                        return true;
        }
        return false;
}

static void change(struct vgpu_config *cfg, size_t key)
{
        ((char *)config_key_field(&config_keys[key], cfg))[config_keys[key].size - 1] ^= 1;
}

static void what_is_the_same_changes_nothing(void **state)
{
        struct vgpu_config a = { .ring.slots = 4 };
        struct vgpu_config b = a, before = a;
        struct reload_plan plan;
        char names[64];

        (void)state;
        reload_plan(&a, &b, &plan);
        assert_int_equal(plan.n_live + plan.n_restart, 0);
        assert_string_equal(reload_names(&plan, CONFIG_LIVE, names, sizeof(names)), "");
        reload_take(&plan, &b, &a);
        assert_memory_equal(&a, &before, sizeof(a));
}

/* Each key alone: it is on one list, is taken if it is live, and nothing else is touched. */
static void each_key_is_taken_or_waits(void **state)
{
        (void)state;
        for (size_t i = 0; i < config_n_keys; i++) {
                struct vgpu_config running = { .name = "win11" }, wanted = { .name = "other" };
                struct vgpu_config want = running;
                bool at_once = is_live(&config_keys[i]);
                char expect[96], names[96];
                struct reload_plan plan;

                change(&wanted, i);
                if (at_once)
                        change(&want, i);
                reload_plan(&running, &wanted, &plan);
                snprintf(expect, sizeof(expect), "[%s] %s", config_keys[i].section,
                        config_keys[i].name);
                assert_string_equal(reload_names(&plan, at_once ? CONFIG_LIVE : CONFIG_RESTART,
                                            names, sizeof(names)),
                        expect);
                assert_int_equal(plan.n_live, at_once);
                assert_int_equal(plan.n_restart, !at_once);
                reload_take(&plan, &wanted, &running);
                assert_memory_equal(&running, &want, sizeof(running));
        }
}

static void what_waits_keeps_showing_until_it_is_as_it_was(void **state)
{
        struct vgpu_config running = { .ring.slots = 4, .pace.max_fps = 60 };
        struct vgpu_config wanted = { .ring.slots = 8, .pace.max_fps = 30 };
        struct reload_plan plan;

        (void)state;
        for (int i = 0; i < 2; i++) {
                reload_plan(&running, &wanted, &plan);
                assert_int_equal(plan.n_live, i == 0);
                assert_int_equal(plan.n_restart, 1);
                reload_take(&plan, &wanted, &running);
        }
        assert_int_equal(running.pace.max_fps, 30);
        assert_int_equal(running.ring.slots, 4);
        wanted.ring.slots = 4;
        reload_plan(&running, &wanted, &plan);
        assert_int_equal(plan.n_live + plan.n_restart, 0);
}

static void a_user_with_another_number_is_another_user(void **state)
{
        struct vgpu_config running = { .access.users = { "bob", 1, { 1001 } } };
        struct vgpu_config wanted = { .access.users = { "bob", 1, { 1002 } } };
        struct reload_plan plan;

        (void)state;
        reload_plan(&running, &wanted, &plan);
        assert_int_equal(plan.n_live, 1);
        reload_take(&plan, &wanted, &running);
        assert_int_equal(running.access.users.id[0], 1002);
}

static void names_that_do_not_fit_are_cut(void **state)
{
        struct vgpu_config running = { 0 }, wanted = { 0 };
        struct reload_plan plan;
        char names[24];

        (void)state;
        for (size_t i = 0; i < config_n_keys; i++)
                change(&wanted, i);
        reload_plan(&running, &wanted, &plan);
        assert_int_equal(plan.n_live + plan.n_restart, config_n_keys);
        assert_string_equal(reload_names(&plan, CONFIG_RESTART, names, sizeof(names)),
                "[guest] ram, [guest] ma");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_the_same_changes_nothing),
                cmocka_unit_test(each_key_is_taken_or_waits),
                cmocka_unit_test(what_waits_keeps_showing_until_it_is_as_it_was),
                cmocka_unit_test(a_user_with_another_number_is_another_user),
                cmocka_unit_test(names_that_do_not_fit_are_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
