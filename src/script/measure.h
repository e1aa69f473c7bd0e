/* Memory, CPU time and clocks of this process, as functions for the module
 * "process"; used by l_process.c. */
#ifndef SCRIPT_MEASURE_H
#define SCRIPT_MEASURE_H

#include "script/compat.h"

/* Begins the time that measure_uptime counts; once. */
void measure_open(void);

/* memoryUsage() -> {rss, heapTotal, heapUsed, external} in bytes */
int measure_memory(lua_State *L);

/* cpuUsage() -> user, system: microseconds of CPU time */
int measure_cpu(lua_State *L);

/* uptime() -> seconds since measure_open */
int measure_uptime(lua_State *L);

/* hrtime() -> seconds, nanoseconds of the monotonic clock */
int measure_hrtime(lua_State *L);

/* nanoseconds() -> the same in one whole number */
int measure_nanoseconds(lua_State *L);

#endif
