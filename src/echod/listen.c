#include <config.h>

#include "echod/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Read an address with its options. */
static int parse(const char *text, struct listen *listen, struct error *error)
{
    const size_t address_length = strcspn(text, ",");
    const char *options = text + address_length + (text[address_length] == ',');
    struct error cause = {""};
    char *address;
    int status;

    errno = EINVAL;
    if (strlen(options) >= sizeof listen->options_text) {
        error_set(error, "\"%s\" has options of more than %zu characters; shorten them", text,
                  sizeof listen->options_text - 1);
        return -1;
    }
    memcpy(listen->options_text, options, strlen(options) + 1);
    address = strndup(text, address_length);
    if (address == NULL) {
        error_set(error, "no memory for \"%s\"", text);
        return -1;
    }
    status = address_parse(address, &listen->address, error);
    free(address);
    if (status < 0 ||
        listener_options_parse(options, &listen->address, &listen->options, &cause) == 0)
        return status;
    error_set(error, "\"%.*s\": %s", (int)address_length, text, cause.text);
    return -1;
}

/* Make room for one more. Return 0, or -1 with errno ENOMEM. */
static int grow(struct listen_list *list)
{
    const size_t room = list->room == 0 ? 1 : 2 * list->room;
    struct listen *items;

    if (list->count < list->room)
        return 0;
    items = realloc(list->items, room * sizeof *items);
    if (items == NULL)
        return -1;
    list->items = items;
    list->room = room;
    return 0;
}

void listen_list_init(void *list)
{
    *(struct listen_list *)list = (struct listen_list){0};
}

int listen_list_add(const char *text, const struct origin *origin, void *list, struct error *error)
{
    struct listen listen = {.origin = *origin};
    struct listen_list *listens = list;

    if (parse(text, &listen, error) < 0)
        return -1;
    if (grow(listens) < 0) {
        error_set(error, "no memory for \"%s\"", text);
        return -1;
    }
    if (listens->is_provisional)
        listens->count = 0;
    listens->is_provisional = false;
    listens->items[listens->count++] = listen;
    return 0;
}

void listen_list_make_provisional(void *list)
{
    ((struct listen_list *)list)->is_provisional = true;
}

const struct origin *listen_list_format(const void *list, size_t index,
                                        char text[SETTING_VALUE_SIZE])
{
    const struct listen_list *listens = list;
    const struct listen *listen;
    char address[ADDRESS_TEXT_SIZE];

    if (index >= listens->count)
        return NULL;
    listen = &listens->items[index];
    address_format(&listen->address, address);
    (void)snprintf(text, SETTING_VALUE_SIZE, "%s%s%s", address,
                   listen->options_text[0] == '\0' ? "" : ",", listen->options_text);
    return &listen->origin;
}

void listen_list_free(void *list)
{
    free(((struct listen_list *)list)->items);
    listen_list_init(list);
}

bool listen_list_is_equal(const struct listen_list *list, const struct listen_list *other)
{
    if (list->count != other->count)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (!address_is_equal(&list->items[i].address, &other->items[i].address) ||
            strcmp(list->items[i].options_text, other->items[i].options_text) != 0)
            return false;
    }
    return true;
}

int listen_list_copy(struct listen_list *list, const struct listen_list *other)
{
    struct listen *items = NULL;

    if (other->count > 0) {
        items = malloc(other->count * sizeof *items);
        if (items == NULL)
            return -1;
        memcpy(items, other->items, other->count * sizeof *items);
    }
    free(list->items);
    *list = *other;
    list->items = items;
    list->room = list->count;
    return 0;
}

void listen_list_resolve(struct listen_list *list, const struct listener_options *defaults)
{
    for (size_t i = 0; i < list->count; i++) {
        listener_options_inherit(&list->items[i].options, defaults);
        impair_choose_seed(&list->items[i].options.impair);
    }
}

size_t listen_list_occurrence(const struct listen_list *list, size_t index)
{
    size_t count = 0;

    for (size_t i = 0; i < index; i++)
        count += address_is_equal(&list->items[i].address, &list->items[index].address);
    return count;
}
