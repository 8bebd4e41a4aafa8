/*
 * find.h - the RAM that a configuration names, opened by somebody who may
 *
 * The helper has rights that the daemon lacks, and gives away nothing but what the configuration says. A name of a file
 * can be made to lead elsewhere by who may write to its folder, a process number goes to another process, and a file
 * that is short or has a second name may be anybody's: whatever cannot be told from such a trick is refused.
 */
#ifndef VGPU_RAM_FIND_H
#define VGPU_RAM_FIND_H

#include <sys/socket.h>

#include "config/config.h"
#include "helper/offer.h"

/* Who is answered, as of the moment when they connected. */
struct ram_peer {
        struct ucred cred;
        const gid_t *group; /* beside cred.gid */
        size_t n_groups;
};

/**
 * ram_find() - open [guest] ram for somebody else
 * @cfg:  whose file only root can change
 * @peer: who it is for: files with a name that they could write to are not handed over
 * @ret:  the descriptors, for ram_hand_close(); or offer.reason
 *
 * A path is opened if no symbolic link is in it, and what is there is a regular file with one name, of VM_FILE_SMALLEST and
 * more, in whole pages. /proc/PID/fd/N must be a memfd, and `auto` means the memory backends of [guest] pidfile's
 * process: that has to have them mapped, shared and writable. Where pidfile can be written by somebody beside root, its process
 * must be theirs.
 *
 * A memfd's permissions let everybody write who can reach it, and who has a descriptor can. So write permission for others
 * than its owner is taken off it.
 *
 * Return: 0, or negative errno, and offer.reason says it in words.
 */
int ram_find(const struct vgpu_config *cfg, const struct ram_peer *peer, struct ram_hand *ret);

#endif /* VGPU_RAM_FIND_H */
