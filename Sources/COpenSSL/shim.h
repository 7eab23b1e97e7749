#pragma once
// The SHA-2 context functions are marked as deprecated since 3.0. They are used all the same: one digest by
// way of EVP frees and allocates a context, and the request path must not allocate.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// A macro of macros, which Swift does not import: a name as RFC 2253 and RFC 4514 write it.
static const unsigned long scopecheck_name_as_rfc2253 = XN_FLAG_RFC2253;
