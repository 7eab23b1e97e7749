package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

var errInvalid = errors.New("invalid token")

// Public keys by their `kid`.
type keySet map[string]key

type key struct {
	algorithm string
	rsa       *rsa.PublicKey
	ecdsa     *ecdsa.PublicKey
}

func readKeys(path string) (keySet, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, Kty, Crv, N, E, X, Y string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	keys := keySet{}
	for _, each := range set.Keys {
		switch {
		case each.Kty == "RSA":
			keys[each.Kid] = key{"RS256", &rsa.PublicKey{N: number(each.N), E: int(number(each.E).Int64())}, nil}
		case each.Kty == "EC" && each.Crv == "P-256":
			keys[each.Kid] = key{"ES256", nil, &ecdsa.PublicKey{Curve: elliptic.P256(), X: number(each.X), Y: number(each.Y)}}
		default:
			return nil, fmt.Errorf("key %q: only RSA and P-256 are known", each.Kid)
		}
	}
	return keys, nil
}

func number(text string) *big.Int {
	bytes, _ := base64.RawURLEncoding.DecodeString(text)
	return new(big.Int).SetBytes(bytes)
}

type claims struct {
	Issuer    string   `json:"iss"`
	Audience  audience `json:"aud"`
	Expires   float64  `json:"exp"`
	NotBefore float64  `json:"nbf"`
	Scope     string   `json:"scope"`
}

func (claims *claims) validAt(now time.Time) bool {
	seconds := float64(now.Unix())
	return seconds < claims.Expires && seconds >= claims.NotBefore
}

// One string or a list of them.
type audience []string

func (audience *audience) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(audience))
	}
	*audience = []string{""}
	return json.Unmarshal(text, &(*audience)[0])
}

func (audience audience) contains(wanted string) bool {
	for _, each := range audience {
		if each == wanted {
			return true
		}
	}
	return false
}

// The claims of a compact JWS whose signature is right.
func (keys keySet) verify(token string) (*claims, error) {
	end := strings.LastIndexByte(token, '.')
	if end < 0 {
		return nil, errInvalid
	}
	head, payload, found := strings.Cut(token[:end], ".")
	if !found {
		return nil, errInvalid
	}
	var header struct{ Alg, Kid string }
	if err := decode(head, &header); err != nil {
		return nil, err
	}
	key, found := keys[header.Kid]
	if !found || header.Alg != key.algorithm {
		return nil, errInvalid
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(token[:end]))
	if !key.signed(digest[:], signature) {
		return nil, errInvalid
	}
	claims := &claims{}
	return claims, decode(payload, claims)
}

func (key key) signed(digest, signature []byte) bool {
	if key.rsa != nil {
		return rsa.VerifyPKCS1v15(key.rsa, crypto.SHA256, digest, signature) == nil
	}
	if len(signature) != 64 {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(key.ecdsa, digest, r, s)
}

func decode(text string, into any) error {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes, into)
}
