#include <config.h>

#include "echod/sandbox_landlock.h"

#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#ifdef __linux__

/*
 * Landlock has no library, and the headers of a system may be older than its kernel. So what
 * linux/landlock.h of Linux 6.12 says stands here; it is the same on all architectures.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

enum {
    CREATE_RULESET_VERSION = 1, /* flag: return the ABI */
    RULE_PATH_BENEATH = 1,
    RULE_NET_PORT = 2,
    NAME_SERVER_PORT = 53, /* by TCP where an answer was too long (RFC 1035, 4.2.2) */
};

struct ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* since ABI 4 */
    uint64_t scoped;             /* since ABI 6 */
};

struct path_rule {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct port_rule {
    uint64_t allowed_access;
    uint64_t port;
};

/* Rights to files, by bits. */
#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_TRUNCATE    (UINT64_C(1) << 14)
#define FS_IOCTL_DEV   (UINT64_C(1) << 15)
/* Those that a rule for a file may have. */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_CONNECT_TCP     (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)

/* Return all rights to files that the kernel knows: each ABI has those of the ones before. */
static uint64_t known_rights(unsigned abi)
{
    static const uint64_t rights[] = {
        0, 0x1fff, 0x3fff /* to another directory */, 0x7fff /* truncate */, 0x7fff, 0xffff,
    };
    enum { COUNT = sizeof rights / sizeof rights[0] };

    return rights[abi < COUNT ? abi : COUNT - 1];
}

bool sandbox_landlock_has_network(const struct sandbox_landlock *landlock)
{
    return landlock->abi >= 4;
}

static void explain(int failure, struct error *error)
{
    if (failure == EOPNOTSUPP || failure == ENOSYS)
        error_set(error, "this system has no Landlock");
    else
        error_set(error, "this system refuses Landlock: %s", strerror(failure));
    errno = failure;
}

static int add_rule(const struct sandbox_landlock *landlock, int type, const void *rule)
{
    return (int)syscall(SYS_landlock_add_rule, landlock->fd, type, rule, 0);
}

static int allow_name_servers(const struct sandbox_landlock *landlock)
{
    const struct port_rule rule = {NET_CONNECT_TCP, NAME_SERVER_PORT};

    return sandbox_landlock_has_network(landlock) ? add_rule(landlock, RULE_NET_PORT, &rule) : 0;
}

/*
 * Connections to abstract names (unix(7)) have no path that could be limited; none are needed.
 * Where sockets bind is left alone, since a reload may ask for any port.
 */
static int make_ruleset(unsigned abi)
{
    const struct ruleset ruleset = {
        .handled_access_fs = known_rights(abi),
        .handled_access_net = abi >= 4 ? NET_CONNECT_TCP : 0,
        .scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX : 0,
    };

    return (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
}

int sandbox_landlock_begin(struct sandbox_landlock *landlock, struct error *error)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);

    *landlock = (struct sandbox_landlock){.fd = -1};
    if (abi < 1) {
        explain(abi == 0 ? EOPNOTSUPP : errno, error);
        return -1;
    }
    landlock->abi = (unsigned)abi;
    landlock->fd = make_ruleset(landlock->abi);
    if (landlock->fd >= 0 && allow_name_servers(landlock) == 0)
        return 0;
    explain(errno, error);
    descriptor_close(landlock->fd);
    return -1;
}

static uint64_t rights_of(enum sandbox_use use)
{
    switch (use) {
    case SANDBOX_READ:
        return FS_READ_FILE | FS_READ_DIR;
    case SANDBOX_MAKE_SOCKETS: /* and the directory is opened, to be locked */
        return FS_MAKE_SOCK | FS_REMOVE_FILE | FS_READ_DIR;
    case SANDBOX_REMOVE:
        return FS_REMOVE_FILE;
    }
    return 0;
}

static int allow_open(const struct sandbox_landlock *landlock, int fd, enum sandbox_use use)
{
    struct path_rule rule = {rights_of(use), fd};
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode))
        rule.allowed_access &= FS_OF_FILES;
    return rule.allowed_access == 0 ? 0 : add_rule(landlock, RULE_PATH_BENEATH, &rule);
}

/* What is missing, or may not be reached, is nothing that a reload could read. */
static bool is_out_of_reach(int failure)
{
    return failure == ENOENT || failure == ENOTDIR || failure == EACCES || failure == ELOOP;
}

void sandbox_landlock_allow(const char *path, enum sandbox_use use, void *landlock)
{
    struct sandbox_landlock *rules = landlock;
    const int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0 ? !is_out_of_reach(errno) : allow_open(rules, fd, use) < 0)
        rules->failure = errno;
    descriptor_close(fd);
}

int sandbox_landlock_enforce(struct sandbox_landlock *landlock, struct error *error)
{
    int failure = landlock->failure;

    if (failure == 0 && syscall(SYS_landlock_restrict_self, landlock->fd, 0) < 0)
        failure = errno;
    descriptor_close(landlock->fd);
    landlock->fd = -1;
    if (failure == 0)
        return 0;
    explain(failure, error);
    return -1;
}

#else

bool sandbox_landlock_has_network(const struct sandbox_landlock *landlock)
{
    (void)landlock;
    return false;
}

int sandbox_landlock_begin(struct sandbox_landlock *landlock, struct error *error)
{
    *landlock = (struct sandbox_landlock){.fd = -1};
    error_set(error, "only Linux has Landlock");
    errno = ENOSYS;
    return -1;
}

void sandbox_landlock_allow(const char *path, enum sandbox_use use, void *landlock)
{
    (void)path;
    (void)use;
    (void)landlock;
}

int sandbox_landlock_enforce(struct sandbox_landlock *landlock, struct error *error)
{
    return sandbox_landlock_begin(landlock, error);
}

#endif
