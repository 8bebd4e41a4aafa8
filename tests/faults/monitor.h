/* monitor.h - a QEMU's monitor for the daemons under test: it says that the machine runs, and where its RAM is */
#ifndef FAULTS_MONITOR_H
#define FAULTS_MONITOR_H

#include <sys/types.h>

/* A process that answers at @path until it is killed, or we end. Ends the harness when that cannot be. */
pid_t monitor_start(const char *path);

#endif /* FAULTS_MONITOR_H */
