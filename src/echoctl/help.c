#include <config.h>

#include "echoctl/help.h"

#include "echoctl/commands.h"
#include "echoctl/options.h"

void help_print(FILE *stream)
{
    (void)fputs("Usage: echoctl [OPTION]... COMMAND [ARGUMENT]...\n"
                "Look into a running echod, and act on it.\n\n"
                "Commands:\n",
                stream);
    commands_print(stream);
    (void)fputs("\nOptions:\n", stream);
    options_print(stream);
    (void)fputs("\n"
                "Examples:\n"
                "  echoctl status                            is it well?\n"
                "  echoctl connections --min-idle 10m --all  who is idle?\n"
                "  echoctl close 42                          end one of them\n"
                "  echoctl -s http://127.0.0.1:9265 ready    for a script: is it ready?\n"
                "\n"
                "Exit status: 0 if the service did it, 1 if it refused, has no such thing or is\n"
                "not ready, 2 if the command line is wrong, 3 if the service cannot be reached or\n"
                "its answer cannot be read, 71 if the system refuses something.\n\n"
                "Report bugs to: " PACKAGE_BUGREPORT "\n" PACKAGE_NAME " home page: <" PACKAGE_URL
                ">\n",
                stream);
}

void help_print_version(FILE *stream)
{
    (void)fputs("echoctl (" PACKAGE_NAME ") " PACKAGE_VERSION "\n"
                "Copyright (C) 2026 The echod authors\n"
                "License BSD-2-Clause: <https://spdx.org/licenses/BSD-2-Clause.html>\n"
                "This is free software: you are free to change and redistribute it.\n"
                "There is NO WARRANTY, to the extent permitted by law.\n",
                stream);
}
