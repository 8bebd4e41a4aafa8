/* Print every frame of the daemon at argv[1], up to argv[2] of them. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <vgpu_client.h>

static uint8_t pixels[3840 * 2160 * 4];

int main(int argc, char **argv)
{
        struct vgpu_client_failure why;
        struct vgpu_client_frame frame;
        struct vgpu_client *c;

        if (argc < 3)
                return 2;
        if (vgpu_client_connect(argv[1], NULL, &c, &why) < 0) {
                fprintf(stderr, "%s\n", why.text);
                return 1;
        }
        for (int left = atoi(argv[2]); left > 0;) {
                struct pollfd pfd = { .fd = vgpu_client_fd(c), .events = POLLIN };

                poll(&pfd, 1, -1);
                if (!(vgpu_client_dispatch(c) & VGPU_CLIENT_FRAME))
                        continue;
                if (vgpu_client_copy_latest(c, pixels, sizeof(pixels), &frame) == 1) {
                        printf("frame %lu: %ux%u\n", (unsigned long)frame.serial, frame.width,
                                frame.height);
                        left--;
                }
        }
        vgpu_client_close(c);
        return 0;
}
