/* full_queue.h - a datagram socket that takes nothing in any more: others have filled the one queue that there is */
#ifndef FULL_QUEUE_H
#define FULL_QUEUE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Each is "X=1". Return: how many went into @receiver's queue. */
static inline unsigned fill_queue(int receiver)
{
        struct sockaddr_un address;
        socklen_t len = sizeof(address);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        unsigned n = 0;

        assert_true(fd >= 0);
        assert_int_equal(getsockname(receiver, (struct sockaddr *)&address, &len), 0);
        while (sendto(fd, "X=1", 3, 0, (struct sockaddr *)&address, len) == 3)
                n++;
        assert_int_equal(errno, EAGAIN);
        close(fd);
        return n;
}

#endif /* FULL_QUEUE_H */
