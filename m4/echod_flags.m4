# ECHOD_TRY_FLAGS(VARIABLE, FLAGS)
# --------------------------------
# Append those FLAGS to VARIABLE, AM_CFLAGS or AM_LDFLAGS, which the compiler and the linker take
# without a warning together with what these two hold already.
AC_DEFUN([ECHOD_TRY_FLAGS],
[m4_foreach_w([echod_flag], [$2], [_ECHOD_TRY_FLAG([$1], m4_defn([echod_flag]))])])

AC_DEFUN([_ECHOD_TRY_FLAG],
[AS_VAR_PUSHDEF([echod_works], [echod_cv_flag_$2])dnl
AC_CACHE_CHECK([whether $CC works with $2], [echod_works],
    [echod_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $AM_CFLAGS $AM_LDFLAGS -Werror $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM],
        [AS_VAR_SET([echod_works], [yes])], [AS_VAR_SET([echod_works], [no])])
    CFLAGS=$echod_saved_CFLAGS])
AS_VAR_IF([echod_works], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([echod_works])dnl
])
