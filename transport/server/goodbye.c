/*
 * goodbye.c - the last words on a socket, and when to come again
 */
#include "goodbye.h"

#include <stdio.h>
#include <sys/socket.h>

#include "message.h"

#define UNREAD_MAX 16

/* When to come again, in ms: at once finds the same daemon in the same state. 0: it is no use at all. */
static uint32_t retry_ms(enum vgpu_goodbye reason)
{
        static const uint32_t ms[VGPU_N_GOODBYES] = {
                [VGPU_GOODBYE_STOPPING] = 100,
                [VGPU_GOODBYE_FULL] = 1000,
                [VGPU_GOODBYE_TOO_LATE] = 1000,
                [VGPU_GOODBYE_UNREAD] = 1000,
                [VGPU_GOODBYE_DROPPED] = 10000,
                [VGPU_GOODBYE_INTERNAL] = 1000,
                [VGPU_GOODBYE_FLOOD] = 10000,
        };

        return ms[reason];
}

void send_goodbye(int fd, enum vgpu_goodbye reason, const char *text)
{
        struct vgpu_msg_goodbye msg = {
                .header = message_header(VGPU_MSG_GOODBYE, sizeof(msg)),
                .reason = reason,
                .retry_ms = retry_ms(reason),
        };
        char rest[1];

        snprintf(msg.text, sizeof(msg.text), "%s", text);
        message_send(fd, &msg, sizeof(msg), NULL, 0, NULL, 0);

        /* closing a socket with unread packets makes the other end see a reset in place of what was sent */
        for (int i = 0; i < UNREAD_MAX; i++) {
                if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
                        break;
        }
}
