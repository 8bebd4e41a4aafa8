/*
 * story.h - what a daemon tells the journal, collected as it comes
 *
 * A thread of its own takes the entries, because a journal that does not read makes the daemon wait.
 */
#ifndef STORY_H
#define STORY_H

#include <stdbool.h>
#include <stddef.h>

#define STORY_ENTRIES 256
#define STORY_FIELDS  32

struct story_entry {
        char *text; /* the packet; names and values point into it */
        struct {
                const char *name;
                const char *value; /* NUL-terminated */
        } field[STORY_FIELDS];
        size_t n_fields;
};

/* Begin to collect what comes to @fd, for good. Debug lines are left out. */
void story_begin(int fd);

/* How many entries there are by now; those before do not change any more. */
size_t story_n(void);
const struct story_entry *story_at(size_t i);

/* The value of a field, or NULL. */
const char *story_field(const struct story_entry *entry, const char *name);

/* Wait until there is an entry of this VGPU_EVENT at or after @from. Return: its place; -1 after a minute without. */
long story_until(const char *event, size_t from);

/**
 * story_line() - an entry as a line that is the same in every run
 *
 * "notice producer-found streaming: Streaming from 'producer.exe' (pid #)...": numbers are '#', paths "PATH".
 */
void story_line(const struct story_entry *entry, char *line, size_t cap);

#endif /* STORY_H */
