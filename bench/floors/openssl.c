/* The least that a verification can cost: OpenSSL alone, with everything prepared that does not depend on the token.
 *
 *     floor MODE ALGORITHM KEY TOKENS
 *
 * MODE is `hashed` (SHA-2 on the stack, then EVP_PKEY_verify with one context; RS256 and ES256), `whole`
 * (EVP_DigestVerify with one context used again; Ed25519) or `copied` (EVP_MD_CTX_copy_ex of a prepared context, then
 * EVP_DigestVerify). KEY is a SubjectPublicKeyInfo in DER. TOKENS has a line for each token: a good one, a space, the same
 * with another signature. Both are taken apart, decoded and, for ES256, written as DER before anything is measured.
 *
 * Every good one must verify and no other one. Then `ready` is printed, and for each line `N` on standard input the
 * microseconds of CPU that N verifications took. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct token {
    unsigned char *message, *signature;
    size_t messageBytes, signatureBytes;
};

static int isECDSA, isEdDSA, isWhole, isCopied;
static EVP_PKEY_CTX *keyContext;
static EVP_MD_CTX *prepared, *scratch;

static void fail(const char *what) {
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static int sextet(int character) {
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *found = character ? strchr(alphabet, character) : NULL;
    if (!found) fail("no base64url");
    return (int)(found - alphabet);
}

static size_t decode(const char *text, unsigned char *output) {
    unsigned bits = 0, held = 0;
    size_t count = 0;
    for (; *text; text++) {
        held = held << 6 | (unsigned)sextet(*text);
        bits += 6;
        if (bits >= 8) output[count++] = (unsigned char)(held >> (bits -= 8));
    }
    return count;
}

static struct token readToken(const char *text) {
    struct token token;
    unsigned char raw[1024];
    const char *dot = strrchr(text, '.');
    if (!dot || strlen(dot) > 1024) fail("no token");
    token.messageBytes = (size_t)(dot - text);
    token.message = (unsigned char *)strndup(text, token.messageBytes);
    token.signatureBytes = decode(dot + 1, raw);
    token.signature = malloc(token.signatureBytes + 16);
    memcpy(token.signature, raw, token.signatureBytes);
    if (isECDSA) {
        int half = (int)token.signatureBytes / 2;
        ECDSA_SIG *pair = ECDSA_SIG_new();
        ECDSA_SIG_set0(pair, BN_bin2bn(raw, half, NULL), BN_bin2bn(raw + half, half, NULL));
        unsigned char *end = token.signature;
        token.signatureBytes = (size_t)i2d_ECDSA_SIG(pair, &end);
        ECDSA_SIG_free(pair);
    }
    return token;
}

static int verify(const struct token *token) {
    if (isCopied) {
        if (EVP_MD_CTX_copy_ex(scratch, prepared) != 1) return 0;
        return EVP_DigestVerify(scratch, token->signature, token->signatureBytes, token->message, token->messageBytes) == 1;
    }
    if (isWhole)
        return EVP_DigestVerify(prepared, token->signature, token->signatureBytes, token->message, token->messageBytes) == 1;
    unsigned char digest[32];
    SHA256_CTX hash;
    SHA256_Init(&hash);
    SHA256_Update(&hash, token->message, token->messageBytes);
    SHA256_Final(digest, &hash);
    return EVP_PKEY_verify(keyContext, token->signature, token->signatureBytes, digest, sizeof digest) == 1;
}

static void prepare(const char *mode, const char *path) {
    FILE *file = fopen(path, "rb");
    EVP_PKEY *key = file ? d2i_PUBKEY_fp(file, NULL) : NULL;
    if (!key) fail("no key");
    fclose(file);
    isCopied = strcmp(mode, "copied") == 0;
    isWhole = strcmp(mode, "whole") == 0;
    if (isCopied || isWhole) {
        prepared = EVP_MD_CTX_new();
        scratch = EVP_MD_CTX_new();
        if (EVP_DigestVerifyInit(prepared, NULL, isEdDSA ? NULL : EVP_sha256(), NULL, key) != 1) fail("no context");
        return;
    }
    if (isEdDSA) fail("Ed25519 has no EVP_PKEY_verify");
    keyContext = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    EVP_MD *hash = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!keyContext || !hash || EVP_PKEY_verify_init(keyContext) != 1) fail("no context");
    if (!isECDSA && EVP_PKEY_CTX_set_rsa_padding(keyContext, RSA_PKCS1_PADDING) != 1) fail("no padding");
    if (EVP_PKEY_CTX_set_signature_md(keyContext, hash) != 1) fail("no hash");
}

int main(int count, char **arguments) {
    if (count != 5) fail("usage: floor MODE ALGORITHM KEY TOKENS");
    isECDSA = strcmp(arguments[2], "ES256") == 0;
    isEdDSA = strcmp(arguments[2], "EdDSA") == 0;
    prepare(arguments[1], arguments[3]);
    FILE *file = fopen(arguments[4], "r");
    if (!file) fail("no tokens");
    static struct token tokens[65536];
    static char good[16384], bad[16384];
    size_t tokenCount = 0;
    while (tokenCount < 65536 && fscanf(file, "%16383s %16383s", good, bad) == 2) {
        tokens[tokenCount] = readToken(good);
        struct token tampered = readToken(bad);
        if (!verify(&tokens[tokenCount])) fail("a good token does not verify");
        if (verify(&tampered)) fail("a tampered token verifies");
        tokenCount++;
    }
    if (!tokenCount) fail("no tokens");
    puts("ready");
    fflush(stdout);
    size_t rounds, next = 0;
    while (scanf("%zu", &rounds) == 1) {
        struct timespec start, end;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
        for (size_t done = 0; done < rounds; done++) {
            if (!verify(&tokens[next])) fail("a good token does not verify");
            next = next + 1 == tokenCount ? 0 : next + 1;
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        printf("%.3f\n", (double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3);
        fflush(stdout);
    }
    return 0;
}
