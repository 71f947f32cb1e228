package oidc

import (
	"context"
	"errors"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// algorithms are the signatures that count (RFC 7518, section 3.1; RFC 8037): all
// but none and those with a shared secret, which a public key could be taken for.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// verify returns all claims of a token that is good. Vendor errors are not
// wrapped: they may repeat what the token holds.
func (i *Issuer) verify(ctx context.Context, raw string) (map[string]any, error) {
	invalid := func(detail string) (map[string]any, error) { return nil, unauthenticated("token-invalid", detail) }
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return invalid("the token is no signed JWT, or its algorithm is none that is taken here")
	}
	head := token.Headers[0]
	candidates, err := i.keys.find(ctx, head.KeyID, head.Algorithm)
	if err != nil {
		return nil, err
	}
	var registered jwt.Claims
	var all map[string]any
	signed := false
	for _, key := range candidates {
		registered, all = jwt.Claims{}, nil
		err := token.Claims(key, &registered, &all)
		if err == nil {
			signed = true
			break
		}
		if !errors.Is(err, jose.ErrCryptoFailure) {
			return invalid("the claims of the token cannot be read")
		}
	}
	switch {
	case len(candidates) == 0:
		return invalid("the token is signed with a key that the issuer does not have")
	case !signed:
		return invalid("the signature of the token is wrong")
	case registered.Expiry == nil:
		return invalid("the token never expires")
	}
	switch err := registered.ValidateWithLeeway(jwt.Expected{Issuer: i.Issuer, AnyAudience: jwt.Audience{i.Audience}, Time: i.Clock()}, i.Leeway); {
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return invalid("the token is of another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return invalid("the token is for another audience")
	case errors.Is(err, jwt.ErrExpired):
		return nil, unauthenticated("token-expired", "the token has expired")
	case err != nil:
		return invalid("the token does not hold yet")
	}
	return all, nil
}
