/* lease_note.h - what a lock file says of the process that holds the lock: one
 * JSON object {"pid", "model", "program", "since"}.
 *
 * It is a word to people who wait and decides nothing. Any user may have
 * written it: it is read with care, and what makes no sense is "another
 * process".
 */

#ifndef RUN_LEASE_NOTE_H
#define RUN_LEASE_NOTE_H

enum { LEASE_HOLDER_BYTES = 256 };

/* Say that this process holds FD for MODEL. Failures are of no consequence. */
void lease_note_write(int fd, const char *model);
void lease_note_clear(int fd);

/* "pid 4711, bge-m3, for 12 s", or "another process". Printable UTF-8. */
void lease_note_read(int fd, char text[LEASE_HOLDER_BYTES]);

#endif
