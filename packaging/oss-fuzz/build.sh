#!/bin/sh
# build.sh: builds the fuzz targets with the engine and the sanitizers of OSS-Fuzz, each with its corpus.
# Leaves out the libraries that no target reaches: where the targets run there are none.
# Called by OSS-Fuzz in the source tree, with CC, CXX, CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE and OUT.
set -eu
: "${OUT:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}"

autoreconf -fi
./configure --disable-hardening --disable-tests --without-openssl --without-libmicrohttpd \
    --without-libseccomp LIBEVENT_LIBS='-l:libevent_core.a' \
    LIB_FUZZING_ENGINE="$LIB_FUZZING_ENGINE"
make -j "$(nproc)" fuzz-targets CCLD="$CXX ${CXXFLAGS:-}"

# Each target has a corpus; tests/check-makefile says so.
for corpus in tests/fuzz/corpus/*; do
    name=fuzz_${corpus##*/}
    cp "tests/fuzz/$name" "$OUT/"
    zip -q -j "$OUT/${name}_seed_corpus.zip" "$corpus"/*
done
