/* A stack of free registry indices in C memory. The registry's array part only
 * ever grows, to the most that was in use at once; a given-back slot keeps the
 * value false, so that its key stays and setting it again changes no table. */
#include "script/slot.h"

#include "base/mem.h"

static int *slots;
static int free_count, total, capacity;

int slot_take(lua_State *L)
{
    int slot;

    if (free_count > 0)
        return slots[--free_count];
    if (total == capacity) { /* room to give every slot back to */
        capacity = capacity ? capacity * 2 : 256;
        slots = mem_realloc(slots, (size_t)capacity * sizeof *slots);
    }
    lua_pushboolean(L, 0);
    slot = luaL_ref(L, LUA_REGISTRYINDEX);
    total++;
    return slot;
}

void slot_give(lua_State *L, int slot)
{
    if (slot == 0)
        return;
    lua_pushboolean(L, 0);
    slot_set(L, slot);
    slots[free_count++] = slot;
}

int slot_of(lua_State *L, int i)
{
    int slot;

    i = lua_absindex(L, i);
    slot = slot_take(L);
    lua_pushvalue(L, i);
    slot_set(L, slot);
    return slot;
}

int slot_count(void)
{
    return total - free_count;
}
