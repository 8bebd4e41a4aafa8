/*
 * status.h - the daemon's report of itself, for a person
 */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include <json-c/json.h>
#include <stdio.h>

/**
 * status_print() - the aligned `Key: value` form
 * @status: the daemon's object; what is null or missing is left out, what is new is ignored
 */
void status_print(FILE *f, json_object *status);

#endif /* CTL_STATUS_H */
