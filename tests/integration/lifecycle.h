/*
 * lifecycle.h - what happens to a guest in its life, as tests over any rig
 *
 * Each test gets a rig that is streaming in its first epoch and leaves it streaming.
 */
#ifndef VGPU_TEST_LIFECYCLE_H
#define VGPU_TEST_LIFECYCLE_H

void a_producer_restart_is_picked_up_by_the_same_connection(void **state);
void a_pause_shows_as_stalled_and_ends_well(void **state);
void a_new_run_is_reported_in_the_same_epoch(void **state);
void a_hanging_producer_shows_as_stalled_and_ends_well(void **state);
void a_killed_producer_is_searched_for_until_it_is_back(void **state);
void a_reboot_leads_to_the_next_epoch(void **state);
void a_restarted_daemon_is_found_by_a_running_client(void **state);

#endif /* VGPU_TEST_LIFECYCLE_H */
