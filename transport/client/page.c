/*
 * page.c - the client's own page: armed or not
 *
 * A wake-up costs the daemon a system call, so it is written only for clients that say they are about to sleep. Two
 * sides that each write one word and read the other's (Dekker):
 *
 *      client                                  daemon
 *      armed = ticket                          publish, records, wake = what is new
 *      fence(seq_cst)                          fence(seq_cst)
 *      look at publish and records             look at armed: write a byte if it is a ticket not served yet
 *      sleep if nothing is new
 *
 * In the single order of the two fences one comes first, and the look after the other sees what was stored before it:
 * either the client finds the change and stays awake, or the daemon finds the ticket and writes. It may be both; the byte is
 * then one wake-up for nothing. With either fence missing both looks can be too early, on x86 too, since a load
 * overtakes an older store there: the client would sleep on a change that nobody announces.
 *
 * models/wake.pml shows it, and who sleeps on when any of this is left out.
 *
 * A ticket is new each time, so that the daemon serves each once without ever writing into this page; the wake descriptor is
 * emptied before arming, so that a byte found in it later belongs to this ticket or a harmless older one.
 */
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int page_open(struct own_page *p, int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);
        struct stat st;
        void *map;

        if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
                st.st_size < (off_t)sizeof(*p->map))
                return -EPROTO;
        map = mmap(NULL, sizeof(*p->map), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
                return errno == ENOMEM ? -ENOMEM : -EPROTO;
        *p = (struct own_page){ .map = map };
        /* what the daemon asks for before it looks: the map stays writable, and nobody can punch a hole any more */
        return fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0 ? -EPROTO : 0;
}

void page_close(struct own_page *p)
{
        if (p->map)
                munmap(p->map, sizeof(*p->map));
        *p = (struct own_page){ 0 };
}

void page_arm(struct own_page *p, uint32_t changes)
{
        if (!p->map)
                return;
        if (++p->ticket == 0)
                p->ticket = 1;
        __atomic_store_n(&p->map->interest, changes, __ATOMIC_RELAXED);
        /* release: who sees the ticket sees what it is for */
        __atomic_store_n(&p->map->armed, p->ticket, __ATOMIC_RELEASE);
        /* pairs with the daemon's between its change and its look at armed */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void page_disarm(struct own_page *p)
{
        if (p->map)
                __atomic_store_n(&p->map->armed, 0, __ATOMIC_RELAXED);
}
