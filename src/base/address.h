/*
 * address: the text of an address to its parts, and a socket's address back to text.
 * Pure: resolves no name and opens nothing; echod's sockets does.
 * Called by setting_kind to read a text, and by whatever binds, connects or names an address.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    ADDRESS_HOST_SIZE = 256, /* a DNS name has at most 253 characters (RFC 1035, 2.3.4) */
    ADDRESS_NAME_SIZE = 256, /* of sockets that systemd passed: at most 255 (systemd.socket(5)) */
    ADDRESS_PATH_SIZE = sizeof(((struct sockaddr_un *)0)->sun_path),
    ADDRESS_TEXT_SIZE = 340, /* enough for any text that address_format* writes */
};

enum address_scheme {
    ADDRESS_TCP,     /* tcp://HOST:PORT or HOST:PORT */
    ADDRESS_UDP,     /* udp://HOST:PORT */
    ADDRESS_UNIX,    /* unix:///PATH or unix://@NAME */
    ADDRESS_FD,      /* fd://N */
    ADDRESS_SYSTEMD, /* systemd://[NAME] */
    ADDRESS_STDIO,   /* stdio: */
};

/* Plain data, and no pointer in it: it may be copied. Only the scheme's own members are set. */
struct address {
    enum address_scheme scheme;
    bool is_tls; /* tls:// for tcp://, and tls+ before unix://, fd:// and systemd:// */
    char host[ADDRESS_HOST_SIZE]; /* tcp, udp: a name or a numeric address, IPv6 without brackets */
    uint16_t port;                /* tcp, udp: host byte order; 0 lets the system choose */
    char path[ADDRESS_PATH_SIZE]; /* unix: absolute, or '@' and an abstract name; with a NUL */
    char name[ADDRESS_NAME_SIZE]; /* systemd: of the sockets that were passed; empty: all */
    int fd;                       /* fd */
};

/*
 * Read an address to listen on. IPv6 stands in brackets (RFC 3986, 3.2.2): "[::1]:7".
 * Return 0, or -1 with a sentence in `error` that quotes the text and says what would be right.
 */
int address_parse(const char *text, struct address *address, struct error *error)
    __attribute__((warn_unused_result));

/*
 * Read an address to connect to: tcp://HOST:PORT, udp://HOST:PORT or unix:///PATH. Without a scheme
 * it is TCP; without a port it is `default_port`. IPv6 needs its brackets only before a port.
 * Return 0, or -1 with a sentence in `error` that quotes the text and says what would be right.
 */
int address_parse_target(const char *text, uint16_t default_port, struct address *address,
                         struct error *error) __attribute__((warn_unused_result));

/* Tell whether two addresses were written alike; names are not resolved. */
bool address_is_equal(const struct address *address, const struct address *other);

/* Return how an address is written up to where its host, path, number or name begins: "tls://". */
const char *address_prefix(const struct address *address);

/* Write the address as address_parse reads it, scheme included: "tcp://[::1]:7". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/*
 * Make the socket address of a Unix address, and return its length: an abstract name, which Linux
 * has (unix(7)), has no path.
 */
socklen_t address_unix_socket(const struct address *address, struct sockaddr_un *socket_address);

/* Tell whether a Unix address is an abstract name. */
bool address_is_abstract(const struct address *address);

/*
 * Write a socket's address the way the log shows a peer: "127.0.0.1:5001", "[::1]:5001"; an IPv6
 * address with a scope names the interface, "[fe80::1%eth0]:7"; a Unix socket's path, or "unix"
 * where it has none; "unknown" for another family.
 */
void address_format_socket(const struct sockaddr *socket_address, socklen_t length,
                           char text[ADDRESS_TEXT_SIZE]);

#endif
