# ECHOD_REQUIRE_C11
# -----------------
# End configure unless $CC compiles C11 and links atomic 64-bit counters, for which some 32-bit
# machines need -latomic.
AC_DEFUN([ECHOD_REQUIRE_C11],
[AC_MSG_CHECKING([for C11 with atomic 64-bit counters])
echod_saved_LIBS=$LIBS
echod_has_c11=no
for echod_library in '' -latomic; do
    LIBS="$echod_library $echod_saved_LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdatomic.h>
        #include <stdint.h>
        static _Atomic uint64_t count;]], [[atomic_fetch_add(&count, 1);]])],
        [echod_has_c11=yes
        break])
done
AC_MSG_RESULT([$echod_has_c11 $echod_library])
AS_IF([test "x$echod_has_c11" = xno],
    [AC_MSG_ERROR([echod needs a C11 compiler, for example gcc 4.9 or clang 3.6])])])

# ECHOD_REQUIRE_PTHREADS
# ----------------------
# Append -pthread to AM_CFLAGS, with which automake also links.
AC_DEFUN([ECHOD_REQUIRE_PTHREADS],
[AC_MSG_CHECKING([for POSIX threads])
echod_saved_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -pthread"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <pthread.h>]],
    [[return pthread_join(pthread_self(), 0);]])],
    [AC_MSG_RESULT([-pthread])
    AS_VAR_APPEND([AM_CFLAGS], [" -pthread"])],
    [AC_MSG_RESULT([no])
    AC_MSG_ERROR([echod needs POSIX threads, and $CC does not link with -pthread])])
CFLAGS=$echod_saved_CFLAGS])

# ECHOD_USE_SANITIZERS(LIST)
# --------------------------
# Compile and link with these sanitizers of gcc and clang, and let each report end the program.
# FORTIFY hides overflows from them, so it is switched off.
AC_DEFUN([ECHOD_USE_SANITIZERS],
[AC_MSG_CHECKING([whether $CC works with -fsanitize=$1])
echod_sanitizer_flags="-fsanitize=$1 -fno-sanitize-recover=all -fno-omit-frame-pointer"
echod_saved_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS $echod_sanitizer_flags"
AC_LINK_IFELSE([AC_LANG_PROGRAM],
    [AC_MSG_RESULT([yes])
    AS_VAR_APPEND([AM_CFLAGS], [" $echod_sanitizer_flags"])
    AS_VAR_APPEND([AM_CFLAGS], [" -U_FORTIFY_SOURCE"])],
    [AC_MSG_RESULT([no])
    AC_MSG_ERROR([--enable-sanitizers=$1: $CC does not know these or cannot combine them])])
CFLAGS=$echod_saved_CFLAGS])

# ECHOD_USE_HARDENING
# -------------------
# Harden the program with whatever this compiler and linker have.
AC_DEFUN([ECHOD_USE_HARDENING],
[ECHOD_TRY_FLAGS([AM_CFLAGS],
    [-fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE])
ECHOD_TRY_FLAGS([AM_LDFLAGS], [-pie -Wl,-z,relro -Wl,-z,now])])

# ECHOD_USE_FORTIFY
# -----------------
# Let the C library check the sizes of buffers. This stands in config.h, since it needs a compiler
# that optimises, which `make CFLAGS=-O0` can change, and must not replace another level.
AC_DEFUN([ECHOD_USE_FORTIFY],
[AC_DEFINE([USE_FORTIFY], [1], [Define to 1 to let the C library check the sizes of buffers.])
AH_BOTTOM([#if defined USE_FORTIFY && defined __OPTIMIZE__ && !defined _FORTIFY_SOURCE
# define _FORTIFY_SOURCE 2
#endif])])
