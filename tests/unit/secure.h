/*
 * secure: the TLS of a client of scene, whose flights and records go out in pieces.
 * Chooses no steps; walk does. secure_absent stands for it without OpenSSL.
 * Called by walk, paths and check_connection_tls.
 */
#ifndef TESTS_UNIT_SECURE_H
#define TESTS_UNIT_SECURE_H

#include "scene.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_context;

/* Tell whether there is TLS in this build. */
bool secure_is_there(void);

/* Make what connections are served with, and what makes clients; free both. */
struct tls_context *secure_begin(void);
void secure_end(void);

/*
 * Let a client speak TLS, up to 1.2 or up to 1.3. It is the one who does: the one before has hung
 * up, and is forgotten.
 */
void secure_join(struct client *client, bool is_old);

/* Go on with the handshake: take in what came, and send half of what is to be sent, or all. */
void secure_shake(bool is_half);

/*
 * Take in what came. Tell whether only the client's last flight is still to be sent, or what is
 * left of it; with TLS 1.2 it never is.
 */
bool secure_may_finish(void);

/* Tell whether the client may send; and whether it has read a close_notify (RFC 8446, 6.1). */
bool secure_is_ready(void);
bool secure_is_closed(void);

/* Send a close_notify without a FIN behind it, or a FIN without a close_notify before it. */
void secure_close(void);
void secure_truncate(void);

/*
 * Send half of a record of so many bytes, if nothing waits before it. The other half leaves before
 * what the client does next. Return false where something waits.
 */
bool secure_send_part(struct client *client, size_t size);

/* Say nothing more of TLS, within the handshake, and understand nothing. */
void secure_give_up(void);

/* Whatever has been said, send what the socket did not take yet, and FIN behind it. */
void secure_leave(void);

/* Change our keys, and ask for other ones (RFC 8446, 4.6.3). Return false where TLS has no such. */
bool secure_update_keys(void);

#endif
