#include <config.h>

#include "echoctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { LINES = 24, COLUMNS = 80 }; /* of a terminal that does not say */

/* The alternate screen, without a cursor; and back (xterm, ctlseqs). */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

/* What ends a process that does not handle it, and can be handled. */
static const int deadly_signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGABRT, SIGBUS, SIGFPE,
                                     SIGSEGV, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2};

/* The mutable globals: a signal handler is handed nothing but the signal. */
static struct termios normal_input;
static volatile sig_atomic_t has_input; /* keys are read as they are pressed */

/* --- What signal handlers may call (signal-safety(7)) ------------------------------------------
 */

static void say(const char *sequence, size_t length)
{
    while (length > 0) {
        const ssize_t count = write(STDOUT_FILENO, sequence, length);

        if (count <= 0)
            return;
        sequence += count;
        length -= (size_t)count;
    }
}

static void enter(void)
{
    struct termios input = normal_input;

    input.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    if (has_input)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &input);
    say(ENTER, sizeof ENTER - 1);
}

static void leave(void)
{
    say(LEAVE, sizeof LEAVE - 1);
    if (has_input)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &normal_input);
}

/* Do what the signal does to who does not handle it, in its handler: it is blocked there. */
static void raise_unhandled(int number)
{
    sigset_t set;

    (void)signal(number, SIG_DFL);
    (void)raise(number);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void on_deadly_signal(int number)
{
    leave();
    raise_unhandled(number);
}

static void handle(int number, void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler};

    (void)sigfillset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
}

/* What our parent lets us ignore, as nohup(1) does, we go on to ignore. */
static void handle_deadly_signals(void (*handler)(int number))
{
    for (size_t i = 0; i < sizeof deadly_signals / sizeof deadly_signals[0]; i++) {
        struct sigaction action;

        if (sigaction(deadly_signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            handle(deadly_signals[i], handler);
    }
}

/* Ctrl-Z: the shell finds its screen, and we ours when we go on. */
static void on_stop(int number)
{
    const int status = errno;

    leave();
    raise_unhandled(number);
    handle(number, on_stop);
    enter();
    errno = status;
}

static void on_resize(int number)
{
    (void)number; /* it has interrupted the wait */
}

/* --- The screen ------------------------------------------------------------------------------ */

bool screen_is_there(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && terminal != NULL && terminal[0] != '\0' &&
           strcmp(terminal, "dumb") != 0;
}

void screen_begin(void)
{
    has_input = tcgetattr(STDIN_FILENO, &normal_input) == 0;
    handle_deadly_signals(on_deadly_signal);
    handle(SIGTSTP, on_stop);
    handle(SIGWINCH, on_resize);
    enter();
}

void screen_end(void)
{
    leave();
    handle_deadly_signals(SIG_DFL);
    handle(SIGTSTP, SIG_DFL);
    handle(SIGWINCH, SIG_DFL);
}

static struct winsize read_size(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = LINES, .ws_col = COLUMNS};
    return size;
}

/* Return the length of the characters that a line has room for. */
static size_t fitting_length(const char *line, size_t columns)
{
    size_t length = 0;

    for (; line[length] != '\0' && line[length] != '\n'; length++) {
        const bool begins = ((unsigned char)line[length] & 0xc0) != 0x80;

        if (begins && columns-- == 0)
            break;
    }
    return length;
}

/* From the first place on, each line is cleared before it is written, and all behind the last. */
void screen_draw(const char *text)
{
    const struct winsize size = read_size();

    (void)fputs("\033[H", stdout);
    for (size_t line = 0; *text != '\0' && line < size.ws_row; line++) {
        (void)fputs(line > 0 ? "\n\033[K" : "\033[K", stdout);
        (void)fwrite(text, 1, fitting_length(text, size.ws_col), stdout);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    (void)fputs("\033[J", stdout);
    (void)fflush(stdout);
}

static enum screen_event read_key(void)
{
    char key;

    if (read(STDIN_FILENO, &key, 1) != 1)
        return SCREEN_KEY_QUIT; /* the terminal is gone */
    if (key == 'q' || key == 'Q')
        return SCREEN_KEY_QUIT;
    return SCREEN_KEY_REFRESH;
}

enum screen_event screen_wait(uint64_t duration_ms)
{
    struct pollfd input = {.fd = has_input ? STDIN_FILENO : -1, .events = POLLIN};
    const int count = poll(&input, 1, (int)duration_ms);

    if (count < 0)
        return SCREEN_RESIZED;
    return count == 0 ? SCREEN_TIMEOUT : read_key();
}
