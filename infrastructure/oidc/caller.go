package oidc

import (
	"slices"
	"strings"
	"unicode"

	"kbnt.dev/virtualization/domain"
)

// isTenant is what a tenant is called everywhere else (config.Name).
func isTenant(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsAny(s[:1], "._@-") && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._@-", r)
	})
}

// caller reads who is asking from the claims of a good token.
func (i *Issuer) caller(claims map[string]any) (domain.Caller, error) {
	known := []string{domain.RoleUser, domain.RoleOperator, domain.RoleViewer}
	const ask = "ask whoever runs the issuer to put it into the token"
	c := domain.Caller{User: single(claim(claims, i.UserClaim)), Tenant: single(claim(claims, i.TenantClaim))}
	for _, role := range several(claim(claims, i.RolesClaim)) {
		if slices.Contains(known, role) && !slices.Contains(c.Roles, role) {
			c.Roles = append(c.Roles, role)
		}
	}
	switch {
	case !isUser(c.User):
		return domain.Caller{}, forbidden("user-missing", "the claim "+i.UserClaim+" of the token is no user: 1 to 128 printable characters without spaces", ask)
	case !isTenant(c.Tenant):
		return domain.Caller{}, forbidden("tenant-missing", "the claim "+i.TenantClaim+" of the token is no tenant: 1 to 64 of A-Z a-z 0-9 . _ @ -", ask)
	case len(c.Roles) == 0:
		return domain.Caller{}, forbidden("role-missing", "the claim "+i.RolesClaim+" of the token has none of the roles user, operator and viewer", ask)
	}
	return c, nil
}

// claim is the claim of that very name (issuers have such as
// https://example.com/roles) or, where there is none, what the path leads to.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	var v any = claims
	for part := range strings.SplitSeq(name, ".") {
		object, _ := v.(map[string]any)
		v = object[part]
	}
	return v
}

// single is a claim of one text, which may be alone in a list. Anything else is
// nothing.
func single(v any) string {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	s, _ := v.(string)
	return s
}

// several is a claim of texts: a list of them, or one with spaces between, as the
// claim scope has. What is no text is left out.
func several(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// isUser is what the rules of a request allow as a user.
func isUser(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r)
	})
}
