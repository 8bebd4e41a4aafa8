/* Sum up the pixels of every frame of the daemon at argv[1] where they lie, up to argv[2] of them. */
#include <stdio.h>
#include <stdlib.h>
#include <vgpu_client.h>

int main(int argc, char **argv)
{
        struct vgpu_client_options options = {
                .flags = VGPU_CLIENT_LEASES,
                .interest = VGPU_CLIENT_FRAME,
        };
        struct vgpu_client_frame frame;
        struct vgpu_client *c;

        if (argc < 3 || vgpu_client_connect(argv[1], &options, &c, NULL) < 0)
                return 1;
        for (int left = atoi(argv[2]); left > 0 && vgpu_client_wait(c, -1) >= 0;) {
                const void *pixels;
                uint64_t sum = 0;

                if (vgpu_client_acquire(c, &frame, &pixels) != 1)
                        continue;
                for (size_t i = 0; i < frame.bytes; i++)
                        sum += ((const uint8_t *)pixels)[i];
                /* 0: taken back while we read, so this sum is of no frame */
                if (vgpu_client_release(c, frame.serial) != 1)
                        continue;
                printf("frame %lu: %lu\n", (unsigned long)frame.serial, (unsigned long)sum);
                left--;
        }
        vgpu_client_close(c);
        return 0;
}
