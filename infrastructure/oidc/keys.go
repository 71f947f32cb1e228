package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kbnt.dev/virtualization/domain"
)

// keys are what the issuer signs with, as it published them last.
type keys struct {
	Options
	client *http.Client

	mu      sync.Mutex
	set     []jose.JSONWebKey // nil: never fetched
	fetched time.Time         // when set was
	tried   time.Time         // the last look, good or bad
	err     error             // of the last look
	look    chan struct{}     // under way; closed when it ends; nil: none is
}

func newKeys(o Options) *keys { return &keys{Options: o, client: client(o.Roots)} }

// find returns the keys that a token may be signed with: the one that it names,
// or all that fit if it names none. None means that the issuer has no such key.
func (k *keys) find(ctx context.Context, kid, alg string) ([]any, error) {
	for waited := false; ; waited = true {
		k.mu.Lock()
		now := k.Clock()
		old := now.Sub(k.fetched) >= k.MaxAge
		gone := k.set == nil || now.Sub(k.fetched) >= k.Stale
		found := k.candidates(kid, alg)
		look := k.look
		if look == nil && !waited && k.due(now) && (gone || old || len(found) == 0) {
			look = make(chan struct{})
			k.look = look
			go k.fetch(context.WithoutCancel(ctx), look)
		}
		err := k.err
		k.mu.Unlock()
		switch {
		case !gone && len(found) > 0: // while they are fetched anew, too
			return found, nil
		case look != nil && !waited:
			select {
			case <-look:
				continue
			case <-ctx.Done():
				return nil, away(ctx.Err())
			}
		case gone || err != nil:
			return nil, away(err)
		}
		return nil, nil
	}
}

// due reports whether the issuer may be asked again: tokens with made-up keys
// must not make us ask for each of them.
func (k *keys) due(now time.Time) bool {
	pause := k.Pause
	if k.err != nil {
		pause /= 10
	}
	return k.tried.IsZero() || now.Sub(k.tried) >= pause
}

// fetch replaces the keys, or leaves them as they are. It ends within Timeout.
func (k *keys) fetch(ctx context.Context, done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(ctx, k.Timeout)
	defer cancel()
	set, err := discover(ctx, k.client, k.Issuer)

	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.err
	k.look, k.tried, k.err = nil, k.Clock(), err
	if err == nil {
		k.set, k.fetched = set, k.tried
	}
	switch {
	case err != nil && before == nil:
		k.Log.WarnContext(ctx, "the issuer hands out no keys", "issuer", k.Issuer, "error", err)
	case err == nil && before != nil:
		k.Log.InfoContext(ctx, "the issuer hands out keys again", "issuer", k.Issuer)
	}
}

// candidates are the keys that go with a kid and an algorithm.
func (k *keys) candidates(kid, alg string) (found []any) {
	for _, key := range k.set {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == alg) && fits(key.Key, alg) {
			found = append(found, key.Key)
		}
	}
	return found
}

// fits reports whether a public key makes signatures of that algorithm.
func fits(key any, alg string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.Curve.Params().Name]
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	}
	return false
}

// usable leaves out of what an issuer publishes all that tokens are not signed
// with: keys for encryption, secrets, RSA too short to trust or so long that
// every token would cost us dearly.
func usable(key jose.JSONWebKey) bool {
	if !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
		return false
	}
	if r, ok := key.Key.(*rsa.PublicKey); ok && (r.N.BitLen() < 2048 || r.N.BitLen() > 8192) {
		return false
	}
	return slices.ContainsFunc(algorithms, func(a jose.SignatureAlgorithm) bool { return fits(key.Key, string(a)) })
}

func away(err error) error {
	return &domain.Error{Op: "identify", Kind: domain.Unavailable, Code: "issuer-away",
		Detail: "the issuer of the tokens cannot be reached, so nobody can be told from anybody", Err: err}
}
