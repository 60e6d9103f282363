/*
 * other_system: takes away what only Linux has, so that on Linux the branches for other systems are
 * compiled, with all warnings, and run.
 * Gives the names of what the BSDs have in the place of IP_PKTINFO, with numbers that Linux takes and
 * answers nothing to: that is compiled, and not tried.
 * Included before each source by tests/check-portability, for its machine "other".
 */
#ifndef TESTS_OTHER_SYSTEM_H
#define TESTS_OTHER_SYSTEM_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#undef __linux__

#undef AT_EMPTY_PATH
#undef CLOCK_MONOTONIC_COARSE
#undef F_OFD_SETLK
#undef IPV6_FREEBIND
#undef IP_BIND_ADDRESS_NO_PORT
#undef IP_FREEBIND
#undef IP_PKTINFO
#undef IP_RECVERR
#undef IP_PMTUDISC_PROBE
#undef O_PATH
#undef PR_GET_NO_NEW_PRIVS
#undef PR_SET_NO_NEW_PRIVS
#undef SIOCOUTQNSD
#undef SO_BINDTODEVICE
#undef SO_INCOMING_CPU
#undef SO_MARK
#undef SO_MEMINFO
#undef SO_PROTOCOL
#undef SO_RCVBUFFORCE
#undef SO_RXQ_OVFL
#undef TCP_FASTOPEN
#undef TCP_USER_TIMEOUT
#undef UDP_GRO
#undef UDP_SEGMENT

#define IP_RECVDSTADDR 7 /* IP_RETOPTS of Linux */
#define IP_SENDSRCADDR IP_RECVDSTADDR

#endif
