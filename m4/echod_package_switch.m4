# ECHOD_PACKAGE_SWITCH(NAME, DEFAULT, VALUES, HELP)
# -------------------------------------------------
# Add --with-NAME and --without-NAME, for a library that need not be there. They set with_NAME to one
# of VALUES, a pattern such as "auto|yes|no"; to DEFAULT if neither is given. Any other value is an
# error.
AC_DEFUN([ECHOD_PACKAGE_SWITCH],
[AC_ARG_WITH([$1], [$4], [], [with_$1=$2])
AS_CASE(["$with_$1"], [$3], [],
    [AC_MSG_ERROR([--with-$1=$with_$1 is not known; it takes $3])])])
