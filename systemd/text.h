/*
 * text.h - text that may be shown
 *
 * What a journal, a service manager or a JSON reader is given is one line of UTF-8, whatever a path, an image or another
 * program has put into it.
 */
#ifndef VGPU_TEXT_H
#define VGPU_TEXT_H

/**
 * text_clean() - make a string one line of UTF-8, in place
 *
 * Control characters, and bytes that belong to no whole character (one that was cut at the string's end included), become '?'.
 * Return: @text.
 */
char *text_clean(char *text);

#endif /* VGPU_TEXT_H */
