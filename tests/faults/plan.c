/* plan.c - see plan.h */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

static void add(struct plan *plan, struct fault fault)
{
        if ((plan->n & (plan->n - 1)) == 0) {
                plan->fault = realloc(plan->fault, (plan->n ? 2 * plan->n : 1) * sizeof(fault));
                if (!plan->fault)
                        abort();
        }
        plan->fault[plan->n++] = fault;
}

static uint32_t next(const struct plan_how *how, uint32_t nth)
{
        if (how->every_until == 0 || nth < how->every_until)
                return nth + 1;
        return nth + nth / 2;
}

static void add_call(struct plan *plan, const struct plan_how *how, unsigned phase,
        const struct call *call, uint32_t n)
{
        size_t n_errors = call_n_errors(call);

        for (uint32_t nth = 1, turn = 0; nth <= n; nth = next(how, nth), turn++) {
                struct fault fault = { .phase = phase, .call = call->number, .nth = nth };

                for (size_t e = 0; e < n_errors; e++) {
                        fault.error = call->errors[e];
                        if (how->all_errors || e == (turn + phase) % n_errors)
                                add(plan, fault);
                }
        }
}

void plan_make(struct plan *plan, const struct plan_how *how, const struct board *allocations,
        const struct board *calls)
{
        *plan = (struct plan){ 0 };
        for (unsigned phase = 0; phase < BOARD_PHASES; phase++) {
                uint32_t n = how->allocations ? atomic_load(&allocations->n_allocations[phase]) : 0;

                for (uint32_t nth = 1; nth <= n; nth = next(how, nth))
                        add(plan, (struct fault){ .phase = phase, .call = -1, .nth = nth });
                for (int number = 0; how->calls && number < BOARD_CALLS; number++) {
                        const struct call *call = call_by_number(number);

                        if (call)
                                add_call(plan, how, phase, call,
                                        atomic_load(&calls->n_calls[phase][number]));
                }
        }
}

void plan_free(struct plan *plan)
{
        free(plan->fault);
        *plan = (struct plan){ 0 };
}

char *plan_print(const struct life *life, const struct fault *fault, char text[64])
{
        const char *phase = life->phases[fault->phase];

        if (fault->call < 0)
                snprintf(text, 64, "%s:malloc:%u", phase, fault->nth);
        else
                snprintf(text, 64, "%s:%s:%u:%s", phase, call_by_number(fault->call)->name,
                        fault->nth, strerrorname_np(fault->error));
        return text;
}

static int error_by_name(const char *name)
{
        for (int error = 1; error < 134; error++)
                if (strerrorname_np(error) && strcmp(strerrorname_np(error), name) == 0)
                        return error;
        return 0;
}

bool plan_parse(const struct life *life, const char *text, struct fault *ret)
{
        char phase[32], call[32], error[32] = "";
        const struct call *known;
        int n;

        *ret = (struct fault){ .phase = BOARD_PHASES, .call = -1 };
        n = sscanf(text, "%31[^:]:%31[^:]:%u:%31s", phase, call, &ret->nth, error);
        for (unsigned i = 0; n >= 3 && i < BOARD_PHASES && life->phases[i]; i++)
                if (strcmp(life->phases[i], phase) == 0)
                        ret->phase = i;
        if (ret->phase == BOARD_PHASES || strcmp(call, "malloc") == 0)
                return ret->phase < BOARD_PHASES && n == 3;
        known = call_by_name(call);
        ret->call = known ? known->number : -1;
        ret->error = error_by_name(error);
        return known && ret->error;
}
