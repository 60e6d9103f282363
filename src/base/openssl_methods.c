#include <config.h>

#include "base/openssl_methods.h"

#include "base/openssl_memory.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <stdbool.h>

#if OPENSSL_VERSION_NUMBER >= 0x30000000L

#include <openssl/decoder.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

/* Without a context OpenSSL 3.0 crashes when it is asked for a method. */
static bool has_begun(void)
{
    return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) == 1 &&
           OSSL_LIB_CTX_get0_global_default() != NULL;
}

/* One of each kind will do: all of them are read along with it. NULL is fine to be freed. */
static void read_each_kind(void)
{
    EVP_MD_free(EVP_MD_fetch(NULL, "SHA256", NULL));
    EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL));
    EVP_MAC_free(EVP_MAC_fetch(NULL, "HMAC", NULL));
    EVP_KDF_free(EVP_KDF_fetch(NULL, "HKDF", NULL));
    EVP_RAND_free(EVP_RAND_fetch(NULL, "CTR-DRBG", NULL));
    EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(NULL, "EC", NULL));
    EVP_KEYEXCH_free(EVP_KEYEXCH_fetch(NULL, "ECDH", NULL));
    EVP_SIGNATURE_free(EVP_SIGNATURE_fetch(NULL, "ECDSA", NULL));
    EVP_ASYM_CIPHER_free(EVP_ASYM_CIPHER_fetch(NULL, "RSA", NULL));
    OSSL_DECODER_free(OSSL_DECODER_fetch(NULL, "EC", NULL));
}

#else

static bool has_begun(void)
{
    return true;
}

static void read_each_kind(void)
{
}

#endif

int openssl_methods_read(void)
{
    if (!has_begun() || openssl_memory_has_lacked())
        return -1;
    read_each_kind();
    ERR_clear_error(); /* a provider may lack a kind, and nobody has asked for it */
    return openssl_memory_has_lacked() ? -1 : 0;
}
