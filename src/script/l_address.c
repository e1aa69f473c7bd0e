/* What listen takes and server:address() gives. Names of hosts are no concern
 * of this file: they are looked up before (l_dns.c). */
#include "script/l_address.h"

int l_address_read(lua_State *L, int i, struct addr *addr)
{
    int port = (int)luaL_optinteger(L, i + 1, -1);

    if (port < 0) {
        if (addr_from_path(luaL_checkstring(L, i), addr) < 0)
            luaL_error(L, "the path of a Unix socket has 1 to 107 bytes");
        return 0;
    }
    if (!lua_isnoneornil(L, i))
        return addr_from_ip(luaL_checkstring(L, i), (uint16_t)port, addr);
    *addr = addr_any((uint16_t)port);
    return 0;
}

void l_address_push(lua_State *L, const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    if (addr_is_unix(addr)) {
        lua_pushstring(L, addr_format(addr, text) + sizeof "unix:" - 1);
        return;
    }
    lua_createtable(L, 0, 3);
    lua_pushstring(L, addr->sa.ss_family == AF_INET ? "IPv4" : "IPv6");
    lua_setfield(L, -2, "family");
    lua_pushstring(L, addr_ip(addr, text));
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, addr_port(addr));
    lua_setfield(L, -2, "port");
}

void l_address_push_place(lua_State *L, const struct addr *addr)
{
    char text[ADDR_TEXT_SIZE];

    if (addr_is_unix(addr)) {
        lua_pushstring(L, addr_format(addr, text) + sizeof "unix:" - 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        return;
    }
    addr_ip(addr, text);
    lua_pushfstring(L, "%s:%d", text, (int)addr_port(addr));
    lua_pushstring(L, text);
    lua_pushinteger(L, addr_port(addr));
}
