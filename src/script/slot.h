/* Anchors: numbered places in Lua's registry that keep a value alive for C.
 * Unlike luaL_ref, setting and giving back a slot never allocates, so that both
 * may happen where no Lua error could be caught. All of the process's Lua
 * state; used by everything in script/. */
#ifndef SCRIPT_SLOT_H
#define SCRIPT_SLOT_H

#include "script/compat.h"

/* [-0, +0, m] Takes a free slot; its value is false. Never 0. May raise when
 * it has to make one: call it from a C function that Lua called. */
int slot_take(lua_State *L);

/* [-1, +0, -] Sets the value of a slot to the top of the stack. */
static inline void slot_set(lua_State *L, int slot)
{
    lua_rawseti(L, LUA_REGISTRYINDEX, slot);
}

/* [-0, +1, -] Pushes the value of a slot. */
static inline void slot_push(lua_State *L, int slot)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, slot);
}

/* [-0, +0, -] Lets go of the value and gives the slot back; 0 is ignored. */
void slot_give(lua_State *L, int slot);

/* [-0, +0, m] Takes a slot for the value at index i. */
int slot_of(lua_State *L, int i);

/* The count of slots in use, for tests. */
int slot_count(void);

#endif
