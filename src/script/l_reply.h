/* Signatures by the signers of luaserve.core.reply, for other files of C. */
#ifndef SCRIPT_L_REPLY_H
#define SCRIPT_L_REPLY_H

#include "base/str.h"
#include "script/compat.h"

enum { L_REPLY_SIGNATURE = 43 /* bytes: 32 in base64url */ };

/* [-0, +0, v] The number of the secret with which the signer at index signer
 * has signed text, from 1 on; 0 where given is no signature of it. */
int l_reply_verify(lua_State *L, int signer, struct str text, struct str given);

#endif
