/*
 * member.h - one member of a crowd, in its own process
 */
#ifndef VGPU_TEST_CROWD_MEMBER_H
#define VGPU_TEST_CROWD_MEMBER_H

#include "crowd.h"

/* Take frames until SIGTERM. Return: exit status. */
int member_run(const char *socket, enum crowd_kind kind, bool all_bytes, struct crowd_tally *tally);

#endif /* VGPU_TEST_CROWD_MEMBER_H */
