# What every target of ours is compiled with. `vgpu_flags` is for programs and libraries that run on a
# host; the freestanding ones (producer/, the guest kernel) take `vgpu_warnings` alone.

option(VGPUD_WERROR "Treat warnings as errors" OFF)
set(VGPUD_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize= (address,undefined or thread)")

add_library(vgpu_warnings INTERFACE)
target_compile_options(vgpu_warnings INTERFACE
        -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
        -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
        -fno-common -fno-strict-aliasing)
if(VGPUD_WERROR)
        target_compile_options(vgpu_warnings INTERFACE -Werror)
endif()

add_library(vgpu_flags INTERFACE)
target_link_libraries(vgpu_flags INTERFACE vgpu_warnings)
target_compile_definitions(vgpu_flags INTERFACE _GNU_SOURCE)
if(VGPUD_SANITIZE)
        target_compile_options(vgpu_flags INTERFACE
                -fsanitize=${VGPUD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_link_options(vgpu_flags INTERFACE -fsanitize=${VGPUD_SANITIZE})
        if(VGPUD_SANITIZE MATCHES thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
                # our fences order memory shared with other processes and guests, which TSan does not watch
                target_compile_options(vgpu_flags INTERFACE -Wno-tsan)
        endif()
endif()
