/*
 * lifecycle.h - what happens to a guest in its life, as tests over any rig
 *
 * Restarts, pauses, new runs, hangs, deaths, reboots, a killed daemon: one guest goes through all of them, one after the
 * other, under one client.
 */
#ifndef VGPU_TEST_LIFECYCLE_H
#define VGPU_TEST_LIFECYCLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* @set_up starts a rig and leaves a struct rig * in its state; @tear_down stops it. Return: as a test program's main(). */
int lifecycle_run(CMFixtureFunction set_up, CMFixtureFunction tear_down);

#endif /* VGPU_TEST_LIFECYCLE_H */
