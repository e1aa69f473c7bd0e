/* The session of nghttp2: its settings, options and callbacks. Used by h2. */
#ifndef HTTP_H2_SESSION_H
#define HTTP_H2_SESSION_H

#include "http/h2_state.h"

/* A session that takes its notes on h; the caller deletes it. */
nghttp2_session *h2_session_new(struct h2 *h);

#endif
