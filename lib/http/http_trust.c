/* SPDX-License-Identifier: MIT */

/*
 * See http_trust.h.
 */

#include "http_trust.h"

#include <curl/curl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static char *setting(const char *name)
{
        const char *value = getenv(name);

        return mem_string(value && *value ? value : NULL);
}

/* The file alone, if there is one: both have the same authorities. */
static void ask_libcurl(struct http_trust *trust)
{
#if LIBCURL_VERSION_NUM >= 0x075400
        CURL *easy = curl_easy_init();
        char *file = NULL;
        char *directory = NULL;

        if (!easy)
                abort();
        curl_easy_getinfo(easy, CURLINFO_CAINFO, &file);
        curl_easy_getinfo(easy, CURLINFO_CAPATH, &directory);
        trust->file = mem_string(file);
        trust->directory = mem_string(file ? NULL : directory);
        curl_easy_cleanup(easy);
#else
        (void)trust;
#endif
}

static void ask_openssl(struct http_trust *trust)
{
        const char *file = X509_get_default_cert_file();

        if (access(file, R_OK) == 0)
                trust->file = mem_string(file);
        else
                trust->directory = mem_string(X509_get_default_cert_dir());
}

void http_trust_init(struct http_trust *trust)
{
        *trust = (struct http_trust){
                .file = setting(X509_get_default_cert_file_env()),
                .directory = setting(X509_get_default_cert_dir_env()),
        };
        if (!trust->file && !trust->directory)
                ask_libcurl(trust);
        if (!trust->file && !trust->directory)
                ask_openssl(trust);
}

void http_trust_release(struct http_trust *trust)
{
        free(trust->file);
        free(trust->directory);
        X509_STORE_free(trust->store);
        *trust = (struct http_trust){0};
}

const char *http_trust_place(const struct http_trust *trust)
{
        return trust->file ? trust->file : trust->directory;
}

/* As libcurl has it: trusted authorities are tried first, and may be intermediate ones. */
#define VERIFY_FLAGS (X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN)

X509_STORE *http_trust_store(struct http_trust *trust)
{
        X509_STORE *store;

        if (trust->store)
                return trust->store;
        store = X509_STORE_new();
        if (!store)
                abort();
        X509_STORE_set_flags(store, VERIFY_FLAGS);
        /* All of a file is read here; of a directory, an authority when a server names it. */
        if ((trust->file && X509_STORE_load_file(store, trust->file) != 1) ||
                (trust->directory && X509_STORE_load_path(store, trust->directory) != 1)) {
                X509_STORE_free(store);
                return NULL;
        }
        trust->store = store;
        return store;
}
