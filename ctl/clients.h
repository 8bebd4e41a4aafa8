/*
 * clients.h - the daemon's list of its clients, for a person
 */
#ifndef CTL_CLIENTS_H
#define CTL_CLIENTS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/**
 * clients_print() - the aligned table
 * @clients: the daemon's object; what is null or missing is "-", what is new is ignored
 * @legend:  with a line of titles, or "No clients."
 *
 * Return: 0, or -EINVAL: @clients is no such list; nothing is printed.
 */
int clients_print(FILE *f, json_object *clients, bool legend);

/* Put the user's name beside each uid, where this host has one. */
void clients_add_users(json_object *clients);

#endif /* CTL_CLIENTS_H */
