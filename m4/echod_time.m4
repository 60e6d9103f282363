# ECHOD_REQUIRE_LIBEVENT_TIME
# ---------------------------
# Require that struct timeval is for us what it is for libevent, which was built before: where a long has
# 32 bits, the C library has two of them, of which only that with -D_TIME_BITS=64 knows times behind 2038.
# With the other one, each deadline would be a wrong one.
AC_DEFUN([ECHOD_REQUIRE_LIBEVENT_TIME], [
    AC_MSG_CHECKING([whether time_t is that of libevent])
    echod_save_CPPFLAGS=$CPPFLAGS
    CPPFLAGS="$CPPFLAGS $LIBEVENT_CFLAGS"
    AC_COMPILE_IFELSE([AC_LANG_SOURCE([
#include <event2/event-config.h>
#include <sys/types.h>
#ifdef EVENT__SIZEOF_TIME_T
_Static_assert(sizeof(time_t) == EVENT__SIZEOF_TIME_T, "another time_t");
#endif
        ])],
        [AC_MSG_RESULT([yes])],
        [AC_MSG_RESULT([no])
        AC_MSG_ERROR([libevent was built with another time_t; set or leave out -D_TIME_BITS=64 in CPPFLAGS as for libevent])])
    CPPFLAGS=$echod_save_CPPFLAGS
])
