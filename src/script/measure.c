/* What the module "process" measures. Memory is asked of three who know their
 * part of it: the kernel, the C library and Lua. None of it is cheap enough for
 * every request: reading /proc takes some 20 microseconds. */
#include "script/measure.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "script/script.h"

static uint64_t started; /* ns of the monotonic clock */

void measure_open(void)
{
    if (started == 0)
        started = clock_monotonic();
}

static void set_integer(lua_State *L, const char *key, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, key);
}

/* Bytes of this process that are in memory; 0 where /proc is missing. */
static uint64_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Bytes in use of the heap of C, Lua's among them. */
static uint64_t heap_of_c(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

int measure_memory(lua_State *L)
{
    uint64_t used = (uint64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 +
                    (uint64_t)lua_gc(L, LUA_GCCOUNTB, 0);
    uint64_t total =
        script_state.heap.used > used ? script_state.heap.used : used;
    uint64_t heap = heap_of_c();

    lua_createtable(L, 0, 4);
    set_integer(L, "rss", resident());
    set_integer(L, "heapTotal", total);
    set_integer(L, "heapUsed", used);
    set_integer(L, "external", heap > total ? heap - total : 0);
    return 1;
}

static uint64_t microseconds(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

int measure_cpu(lua_State *L)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    lua_pushinteger(L, (lua_Integer)microseconds(usage.ru_utime));
    lua_pushinteger(L, (lua_Integer)microseconds(usage.ru_stime));
    return 2;
}

int measure_uptime(lua_State *L)
{
    lua_pushnumber(L, (double)(clock_monotonic() - started) / 1e9);
    return 1;
}

int measure_hrtime(lua_State *L)
{
    uint64_t now = clock_monotonic();

    lua_pushinteger(L, (lua_Integer)(now / 1000000000));
    lua_pushinteger(L, (lua_Integer)(now % 1000000000));
    return 2;
}

int measure_nanoseconds(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)clock_monotonic());
    return 1;
}
