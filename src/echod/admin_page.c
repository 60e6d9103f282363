#include <config.h>

#include "echod/admin_page.h"

#include "base/text_buffer.h"
#include "echod/admin_answer.h"

/* Made by the build: see src/echod/page. */
static const unsigned char page[] = {
#include "echod/page/page.inc"
};

/*
 * The script and the style are known by their SHA-256: who changes them runs
 * tests/system/test_admin_page.py, which says what is to stand here. No text becomes markup
 * (trusted types), whoever wrote it.
 */
static const char policy[] =
    "default-src 'none'; "
    "script-src 'sha256-5PYWis7OCMKKngQj8RKFJza6gB0pSognMVatCGNP8JY='; "
    "style-src 'sha256-IgAMkv0iofYbi5NLcCzyx+sNKgQLHY3LClkDj9Zn1dc='; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

void admin_page_answer(struct http_request *request, const struct admin_context *context,
                       const char *rest)
{
    struct text_buffer body = {0};

    (void)context;
    (void)rest;
    http_request_add_header(request, "Content-Security-Policy", policy);
    http_request_add_header(request, "Referrer-Policy", "no-referrer");
    text_buffer_append(&body, (const char *)page, sizeof page);
    admin_answer(request, 200, "text/html; charset=utf-8", &body);
}
