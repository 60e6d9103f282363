#include <config.h>

#include "echod/options_help.h"

#include "echod/listener_options.h"
#include "echod/options_table.h"

static void print_help(FILE *stream)
{
    (void)fputs("Usage: echod [OPTION]...\n"
                "Send every byte and every datagram back to whoever sent it (RFC 862).\n\n",
                stream);
    settings_print_help(options_table(), stream);
    (void)fputs(
        "\n"
        "SIZE is a number of bytes, or one with a unit: 64KiB, 1MB. DURATION is a number\n"
        "of seconds, or numbers with units: 0.5, 1m30s, 250ms.\n\n"
        "Without --config and --no-config, settings are read from\n" OPTIONS_DEFAULT_CONFIG ",\n"
        "if it exists; what the command line gives wins.\n\n"
        "Examples:\n"
        "  echod                                    serve on 127.0.0.1:13265\n"
        "  echod -l [::]:7 -l 0.0.0.0:7 -l udp://[::]:7 -l udp://0.0.0.0:7 --user nobody\n"
        "                                           the echo service of RFC 862\n"
        "  echod -l unix:///run/echod.sock,mode=0660,group=staff\n"
        "  echod -l 127.0.0.1:13265,name=local,idle-timeout=10m -w auto\n"
        "  echod --check --config new.conf          is this file right?\n\n"
        "TERM and INT drain and end echod, a second one or QUIT ends it at once, USR1\n"
        "logs the totals and every connection, HUP reads the configuration file again.\n"
        "Exit status: 0 after a requested stop, 64 if the command line is wrong, 71 if\n"
        "the system refuses something, 78 if the configuration file is wrong.\n\n"
        "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL ">\n",
        stream);
}

static void print_listen_help(FILE *stream)
{
    (void)fputs("Usage: echod --listen ADDRESS[,OPTION[=VALUE]]...\n"
                "What one listener is told; the others are not. A reload changes all of it for\n"
                "clients that come, but v6only, device, mark, freebind, mode, owner and group.\n\n",
                stream);
    listener_options_print_help(stream);
    (void)fputs("\n"
                "Examples:\n"
                "  --listen '[::]:7,idle-timeout=1h,name=public'\n"
                "  --listen unix:///run/echod.sock,mode=0660,group=staff\n"
                "  --listen udp://0.0.0.0:7,rate=100/s\n",
                stream);
}

void options_print_help(enum help_topic topic, FILE *stream)
{
    if (topic == HELP_LISTEN)
        print_listen_help(stream);
    else
        print_help(stream);
}

void options_print_version(FILE *stream)
{
    (void)fputs("echod (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}
