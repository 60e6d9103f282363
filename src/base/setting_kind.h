/*
 * setting_kind: what is done with the value of a setting of each type: one row for each.
 * Knows no table of settings, and not where a value came from.
 * Called by settings and command_line.
 */
#ifndef BASE_SETTING_KIND_H
#define BASE_SETTING_KIND_H

#include "base/setting.h"

/* `member` is that of the program's options which the setting names; NULL: there is no such thing.
 */
struct setting_kind {
    /* Let the member, which owns nothing, hold nothing; NULL: it is left as it is. */
    void (*clear)(const struct setting *setting, void *member);
    /*
     * Read a value. Return 0, or -1 with errno, ENOMEM if that is the reason, and a sentence in
     * `error` that quotes the text, says what would be right, and does not name the setting.
     */
    int (*set)(const struct setting *setting, void *member, const char *text,
               const struct origin *origin, struct error *error);
    /* Return the value as `set` reads it, in `text` or where it is; NULL: nobody gave one. */
    const char *(*format)(const struct setting *setting, const void *member,
                          char text[SETTING_VALUE_SIZE]);
    /* Give the member the value of another. Return 0, or -1 with errno ENOMEM. */
    int (*copy)(const struct setting *setting, void *member, const void *other);
    /* Free what the member owns, and clear it. */
    void (*free)(const struct setting *setting, void *member);
};

/* Return the row of a setting. */
const struct setting_kind *setting_kind_of(const struct setting *setting);

/* Tell whether a setting has no option: it is the operand, or all of them. */
bool setting_is_operand(const struct setting *setting);

/* Return the member that a setting names. */
void *setting_member(const struct setting *setting, void *options);
const void *setting_const_member(const struct setting *setting, const void *options);

/* Put the name of a setting, after these dashes, before the sentence about its value. */
void setting_name_in_error(const struct setting *setting, const char *dashes, struct error *error);

/*
 * Set a member, and note in `origins`, unless they are NULL, where its value came from. Return as
 * setting_kind's `set`.
 */
int setting_set_member(const struct setting *table, const struct setting *setting, void *options,
                       struct origin *origins, const char *text, const struct origin *origin,
                       struct error *error) __attribute__((warn_unused_result));

#endif
