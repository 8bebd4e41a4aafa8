/*
 * hidden.h - included before everything else in the guest kernel
 *
 * The image is linked once and for all, so no symbol is ever looked up in a global offset table; -fvisibility=hidden
 * says so of definitions only, this of declarations too.
 */
#pragma GCC visibility push(hidden)
