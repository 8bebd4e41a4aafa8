/*
 * trust.h - who can change what is at a path?
 *
 * A helper with rights of its own must not do what somebody without them wrote into a file for it. So of each file that it
 * goes by it is asked who could have written it, or put another in its place: the owner of the file and of every folder above.
 */
#ifndef VGPU_TRUST_H
#define VGPU_TRUST_H

#include <stddef.h>
#include <sys/types.h>

/**
 * trust_path() - is what is at this path root's, and nobody else's to change?
 * @path:    absolute; followed through symbolic links, each of which is looked at on its own way
 * @also:    a user who may own it as well; 0: nobody
 * @ret_why: written when not: a sentence piece without its full stop
 *
 * The user that asks counts as root does: what they could change themselves is no news to them. A folder that everybody may
 * write to is fine where its sticky bit keeps others' entries as they are.
 *
 * Return: 0; -EPERM, or what looking at it said.
 */
int trust_path(const char *path, uid_t also, char *ret_why, size_t cap);

/**
 * trust_config() - the same of a configuration file, and of all drop-ins in the folder PATH.d
 */
int trust_config(const char *path, char *ret_why, size_t cap);

#endif /* VGPU_TRUST_H */
