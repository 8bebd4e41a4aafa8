/*
 * wake.pml - why nobody sleeps on a change
 *
 * A wake-up costs the daemon a system call, so it writes one only for clients that say they are about to sleep: each
 * stores a ticket, a new one every time, in a page of its own, fences, and looks at the ring once more. The daemon changes
 * the ring, fences, and looks at the page: for a ticket that it has not served yet it writes one byte. Total store order
 * (x86) is modelled as what it is: for either of them a buffer in front of memory, from which the oldest store goes there at
 * any time.
 *
 * The client is transport/client/page.c and client.c (and wait.c, which arms only before it sleeps and disarms when it
 * returns), the daemon transport/server/tell.c; what mirrors a function has its name. Leave a fence or a rule out
 * (-DMUTANT_...) and spin finds the client that sleeps: script/model runs the model and every mutant.
 *
 * Two claims, assertions below:
 *   AWAKE  a client that sleeps, with nothing in its descriptor to wake it, has seen the newest change;
 *   ONCE   there are never more bytes than tickets: a client that is slow to read them costs no more.
 *
 * Left out: what kind of change it is and who cares (a change that nobody is woken for is none here), more clients (each has
 * a page and a descriptor of its own), a descriptor that is full (it is readable then, which is all that counts), the wrap
 * of tickets (a client that arms 2^32 times between two looks of the daemon harms itself).
 */

#define CHANGES 3
#define EXTRA   2 /* dispatches without a byte: at the caller's whim, or for the socket */

byte ring;  /* publish and the serials of the records, as one */
byte armed; /* in the client's page */
byte bytes; /* in the wake descriptor */

chan daemon_stores = [2] of { byte };
chan client_stores = [2] of { byte };

bool daemon_done;
byte n_tickets, n_bytes;

active proctype store_buffers()
{
        byte what;

end:
        do
        :: d_step { daemon_stores?what -> ring = what; what = 0 }
        :: d_step { client_stores?what -> armed = what; what = 0 }
        od
}

active proctype daemon()
{
        byte serial, ticket, served;

        do
        :: serial < CHANGES ->
                serial++;
#ifdef MUTANT_LOOK_BEFORE_CHANGE
                ticket = armed;
#endif
                daemon_stores!serial;
#ifndef MUTANT_NO_DAEMON_FENCE
                empty(daemon_stores); /* fence(seq_cst) */
#endif
#ifndef MUTANT_LOOK_BEFORE_CHANGE
                ticket = armed;
#endif
                if
                :: ticket != 0 && ticket != served ->
#ifndef MUTANT_SERVED_AGAIN
                        served = ticket;
#endif
                        d_step {
                                bytes++;
                                n_bytes++;
                                assert(n_bytes <= n_tickets) /* ONCE */
                        }
                :: else
                fi
        :: else -> break
        od;
        empty(daemon_stores);
        daemon_done = true
}

inline drain_wake()
{
        bytes = 0
}

inline page_arm()
{
        d_step {
                n_tickets++;
#ifdef MUTANT_SAME_TICKET
                ticket = 1
#else
                ticket++
#endif
        };
        client_stores!ticket;
#ifndef MUTANT_NO_CLIENT_FENCE
        empty(client_stores) /* fence(seq_cst) */
#endif
}

inline client_look()
{
        seen = ring
}

active proctype client()
{
        byte ticket, seen, n_extra;

dispatch:
#ifndef MUTANT_DRAINED_LAST
        drain_wake();
#endif
#ifdef MUTANT_LOOK_BEFORE_ARMING
        client_look();
        page_arm();
#else
        page_arm();
        client_look();
#endif
#ifdef MUTANT_DRAINED_LAST
        drain_wake();
#endif
        /* the caller's poll(), or that of vgpu_client_wait() */
        if
        :: bytes > 0
        :: n_extra < EXTRA -> n_extra++
        :: d_step { daemon_done && bytes == 0 -> assert(seen == ring) /* AWAKE */ }; goto end
        fi;
        if
        :: client_stores!0 /* page_disarm() */
        :: skip
        fi;
        goto dispatch;
end:
        skip
}
