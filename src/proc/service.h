/* What a service manager gives and is told (systemd's protocols, in a few lines
 * and without its library): sockets that are bound already (LISTEN_FDS), and
 * how we are (NOTIFY_SOCKET). Used by main's parts and script/l_cluster.c. */
#ifndef PROC_SERVICE_H
#define PROC_SERVICE_H

#include <stdbool.h>

/* Takes the variables out of the environment, so that no other process takes
 * them for its own. mine: this process is the one that they are meant for.
 * At the very start. */
void service_begin(bool mine);

/* The i-th socket that was passed, from 0; -1 behind the last. Close-on-exec.
 */
int service_socket(int i);

/* Tells the manager, as in "READY=1". Does nothing where there is none. */
void service_notify(const char *text);

/* Seconds after which the manager ends us unless it is told "WATCHDOG=1"; 0:
 * never. */
double service_watchdog(void);

#endif
