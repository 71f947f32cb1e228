package oidc_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/infrastructure/oidc"
)

// No look at an issuer may outlive its timeout.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIdentify_algorithms(t *testing.T) {
	t.Parallel()
	for _, s := range []signer{rs256("r"), es256("e"), eddsa("d")} {
		t.Run(string(s.alg), func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.keys = []any{map[string]any{"kty": "unheard-of"}, "no key at all", s.published()}
			got, err := i.open(nil).Identify(request(t, token(t, s, i.claims())))
			if want := (domain.Caller{User: "ann", Tenant: "acme", Roles: []string{"user"}}); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestIdentify_claims(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	cases := map[string]struct {
		reason string
		change []any
		want   string // code, or tenant/user/roles
	}{
		"audience in a list":      {"a token may be for several", []any{"aud", []string{"other", "kbnt"}}, "acme/ann/[user]"},
		"another audience":        {"it was made for another program", []any{"aud", "other"}, "token-invalid"},
		"no audience":             {"it was made for anybody", []any{"aud", nil}, "token-invalid"},
		"an audience of numbers":  {"odd types are no audience", []any{"aud", []int{1}}, "token-invalid"},
		"another issuer":          {"others may use the same key", []any{"iss", "https://other.example"}, "token-invalid"},
		"issuer with a slash":     {"issuers are compared as they are", []any{"iss", i.url + "/"}, "token-invalid"},
		"no issuer":               {"a token says whose it is", []any{"iss", nil}, "token-invalid"},
		"expired":                 {"it does not hold any more", []any{"exp", now.Add(-31 * time.Second).Unix()}, "token-expired"},
		"expired just now":        {"clocks differ", []any{"exp", now.Add(-29 * time.Second).Unix()}, "acme/ann/[user]"},
		"never expires":           {"a stolen one would hold for ever", []any{"exp", nil}, "token-invalid"},
		"expiry as text":          {"odd types are not guessed at", []any{"exp", "4102444800"}, "token-invalid"},
		"expiry of null":          {"that is none", []any{"exp", json.RawMessage("null")}, "token-invalid"},
		"not yet":                 {"it holds later", []any{"nbf", now.Add(31 * time.Second).Unix()}, "token-invalid"},
		"almost":                  {"clocks differ", []any{"nbf", now.Add(29 * time.Second).Unix()}, "acme/ann/[user]"},
		"issued in the future":    {"some clock is wrong", []any{"iat", now.Add(time.Hour).Unix()}, "token-invalid"},
		"roles in one text":       {"as the claim scope has them", []any{"roles", "operator  user unknown"}, "acme/ann/[operator user]"},
		"roles of odd types":      {"what is no text is no role", []any{"roles", []any{1, nil, "viewer", map[string]any{"user": true}, "viewer"}}, "acme/ann/[viewer]"},
		"roles in an object":      {"its keys are no roles", []any{"roles", map[string]any{"user": true}}, "role-missing"},
		"unknown roles":           {"one of ours is needed", []any{"roles", []string{"User", "admin"}}, "role-missing"},
		"no roles":                {"one of ours is needed", []any{"roles", nil}, "role-missing"},
		"no tenant":               {"everything belongs to one", []any{"tenant", nil}, "tenant-missing"},
		"tenant alone in a list":  {"mappers make such", []any{"tenant", []string{"acme"}}, "acme/ann/[user]"},
		"two tenants":             {"which one is a guess", []any{"tenant", []string{"acme", "beta"}}, "tenant-missing"},
		"tenant as a number":      {"odd types are not guessed at", []any{"tenant", 7}, "tenant-missing"},
		"tenant for a path":       {"it goes into names elsewhere", []any{"tenant", "../acme"}, "tenant-missing"},
		"no user":                 {"somebody has to own things", []any{"sub", nil}, "user-missing"},
		"user with a line break":  {"it goes into logs", []any{"sub", "a\nb"}, "user-missing"},
		"user that is too long":   {"the rules allow 128", []any{"sub", strings.Repeat("a", 129)}, "user-missing"},
		"subject that is no text": {"the token is not as it should be", []any{"sub", 7}, "token-invalid"},
	}
	x := i.open(nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := i.claims(c.change...)
			if got := outcome(x.Identify(request(t, token(t, k, claims)))); got != c.want {
				t.Errorf("claims %v: got %s, want %s (%s)", claims, got, c.want, c.reason)
			}
		})
	}
}

// outcome is "tenant/user/roles", or the code of the error.
func outcome(c domain.Caller, err error) string {
	if err != nil {
		return domain.CodeOf(err)
	}
	return fmt.Sprintf("%s/%s/%v", c.Tenant, c.User, c.Roles)
}

func TestIdentify_claimsElsewhere(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	claims := i.claims("roles", nil, "tenant", nil,
		"realm_access", map[string]any{"roles": []string{"offline_access", "operator"}}, "https://kbnt.dev/tenant", "acme", "email", "ann@example.com")
	x := i.open(func(o *oidc.Options) {
		o.RolesClaim, o.TenantClaim, o.UserClaim = "realm_access.roles", "https://kbnt.dev/tenant", "email"
	})
	if got, want := outcome(x.Identify(request(t, token(t, k, claims)))), "acme/ann@example.com/[operator]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	x = i.open(func(o *oidc.Options) { o.RolesClaim = "sub.roles.deeper" })
	if got := outcome(x.Identify(request(t, token(t, k, i.claims())))); got != "role-missing" {
		t.Errorf("a path through a text: got %s, want role-missing", got)
	}
}

// What is not signed by the issuer with a key of its own is not believed,
// whatever it says of itself.
func TestIdentify_forgeries(t *testing.T) {
	t.Parallel()
	k, other := rs256("k"), es256("k")
	i := newIssuer(t)
	public := k.published()
	secret := []byte("0123456789abcdef0123456789abcdef")
	i.keys = []any{public, jose.JSONWebKey{Key: secret, KeyID: "secret", Algorithm: "HS256"}, jose.JSONWebKey{Key: other.key.Public(), KeyID: "enc", Use: "enc"}}
	good := token(t, k, i.claims())
	parts := strings.Split(good, ".")
	part := func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }
	modulus, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ reason, token string }{
		"alg none":               {"nobody signed it", part(`{"alg":"none"}`) + "." + parts[1] + "."},
		"alg None":               {"nor in other letters", part(`{"alg":"nOnE","kid":"k"}`) + "." + parts[1] + "." + parts[2]},
		"a secret for the key":   {"HMAC with the public key as its secret", sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: modulus, KeyID: "k"}}, i.claims())},
		"a published secret":     {"what is published is no secret", sign(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: secret, KeyID: "secret"}}, i.claims())},
		"another key, same name": {"the signature counts", token(t, other, i.claims())},
		"a key for encryption":   {"it does not sign", token(t, signer{"enc", other.alg, other.key}, i.claims())},
		"an unknown key":         {"the issuer has it not", token(t, es256("x"), i.claims())},
		"a key it brings along":  {"anybody could", sign(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: other.key}}, i.claims())},
		"other claims":           {"the signature is for these", parts[0] + "." + part(`{"iss":"`+i.url+`","aud":"kbnt","sub":"root","exp":4102444800}`) + "." + parts[2]},
		"no signature":           {"nobody signed it", parts[0] + "." + parts[1] + "."},
		"two parts":              {"that is no JWT", parts[0] + "." + parts[1]},
		"nothing":                {"that is no JWT", ""},
		"noise":                  {"that is no JWT", "a.b.c"},
		"JSON serialization":     {"the header has the compact one", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`},
		"claims that are a list": {"claims have names", token(t, k, []int{1})},
		"huge":                   {"issuers make shorter ones", token(t, k, i.claims("x", strings.Repeat("x", 20<<10)))},
	}
	x := i.open(nil)
	if got := outcome(x.Identify(request(t, good))); got != "acme/ann/[user]" {
		t.Fatalf("the good one: got %s", got)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := x.Identify(request(t, c.token))
			if got := outcome(domain.Caller{}, err); err == nil || got != "token-invalid" || domain.KindOf(err) != domain.Unauthenticated {
				t.Errorf("%.200s: got %s, want token-invalid (%s)", c.token, got, c.reason)
			}
		})
	}
}

func TestIdentify_header(t *testing.T) {
	t.Parallel()
	k := es256("k")
	i := newIssuer(t)
	i.keys = []any{k.published()}
	good := token(t, k, i.claims())
	cases := map[string]struct {
		reason string
		values []string
		want   string
	}{
		"none":          {"nobody says who asks", nil, "token-missing"},
		"basic":         {"passwords are not taken", []string{"Basic YTpi"}, "token-missing"},
		"the bare name": {"there is nothing in it", []string{"Bearer"}, "token-invalid"},
		"other letters": {"schemes have no case (RFC 9110)", []string{"bEARER   " + good}, "acme/ann/[user]"},
		"twice":         {"which one is a guess", []string{"Bearer " + good, "Bearer " + good}, "token-invalid"},
		"two in one":    {"which one is a guess", []string{"Bearer " + good + ", Bearer " + good}, "token-invalid"},
	}
	x := i.open(nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.Header["Authorization"] = c.values
			if got := outcome(x.Identify(r)); got != c.want {
				t.Errorf("%q: got %s, want %s (%s)", c.values, got, c.want, c.reason)
			}
		})
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	for _, o := range []oidc.Options{{}, {Issuer: "https://login.example"}, {Issuer: "login.example", Audience: "kbnt"}, {Issuer: "ftp://login.example", Audience: "kbnt"}} {
		if _, err := oidc.New(o); err == nil {
			t.Errorf("New(%+v): no error, want one", o)
		}
	}
}
