/* main.c - vgpuctl. Everything is in the library beside it, where tests reach it. */
#include "ctl.h"

int main(int argc, char **argv)
{
        return ctl_main(argc, argv);
}
