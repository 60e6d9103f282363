# ECHOD_SWITCH(NAME, DEFAULT, VALUES, HELP)
# -----------------------------------------
# Add --enable-NAME and --disable-NAME, which set enable_NAME to one of VALUES, a pattern such as
# "yes|no"; to DEFAULT if neither is given. Any other value is an error.
AC_DEFUN([ECHOD_SWITCH],
[AC_ARG_ENABLE([$1], [$4], [], [enable_$1=$2])
AS_CASE(["$enable_$1"], [$3], [],
    [AC_MSG_ERROR([--enable-$1=$enable_$1 is not known; it takes $3])])])
