/*
 * own_journal.h - a journal of the test's own
 *
 * libsystemd knows one path for the journal's socket, so the test makes a mount namespace in which /run is its own, and listens
 * there. That needs privileges; without them there is nothing to test.
 */
#ifndef OWN_JOURNAL_H
#define OWN_JOURNAL_H

/**
 * own_journal_open() - stand in for the journal, for this process and its children
 * @ret_fd: a datagram socket, non-blocking; each packet is an entry in the journal's own form: FIELD=value lines, or a FIELD's name, the
 *          length and the bytes of its value
 *
 * Return: 0, -EPERM (not allowed a mount namespace), or another negative errno.
 */
int own_journal_open(int *ret_fd);

#endif /* OWN_JOURNAL_H */
