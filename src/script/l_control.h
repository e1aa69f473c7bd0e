/* The control socket of this process, for worker.c, which knows where it is to
 * be; who comes to it is the business of lua/luaserve/control.lua. */
#ifndef SCRIPT_L_CONTROL_H
#define SCRIPT_L_CONTROL_H

#include <stddef.h>

/* Opens it at path (gate_open). Returns 0, or -1 and a line in error (size
 * bytes). gate_close closes it. */
int l_control_listen(const char *path, char *error, size_t size);

#endif
