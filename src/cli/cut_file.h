/* cut_file.h - a file that loses its end while it is mapped.
 *
 * Weights and rows are read where they are mapped. When somebody else cuts such
 * a file, or its disk or network goes away, reading it is no error of a call:
 * the kernel sends SIGBUS. cut_file_watch() has the program say which file it
 * was, instead of "Bus error", and end with status 1. What was stored stays, as
 * after a kill.
 */

#ifndef CLI_CUT_FILE_H
#define CLI_CUT_FILE_H

void cut_file_watch(void);

#endif
