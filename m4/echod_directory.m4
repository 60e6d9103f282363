# ECHOD_DIRECTORY(NAME, DEFAULT, HELP)
# ------------------------------------
# Add --with-NAME=DIR, and substitute NAME by the directory; by DEFAULT for "yes" and without the
# option. For --without-NAME it is empty, and the conditional WITH_NAME (in capitals) is false.
# Anything but an absolute path is an error.
AC_DEFUN([ECHOD_DIRECTORY],
[AC_ARG_WITH([$1], [$3], [], [with_$1=yes])
AS_CASE(["$with_$1"],
    [yes], [$1='$2'],
    [no], [$1=],
    [/*|'$'*], [$1=$with_$1],
    [AC_MSG_ERROR([--with-$1=$with_$1 is no absolute path; give one, or no])])
AC_SUBST([$1])
AM_CONDITIONAL([WITH_]m4_toupper([$1]), [test "x$with_$1" != xno])])
