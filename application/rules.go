package application

import (
	"regexp"
	"slices"

	"kbnt.dev/virtualization/domain"
)

// Roles is the built-in [Permissions]: users work on what they own, operators on
// everything of their tenant and for other users, viewers on nothing.
type Roles struct{}

var _ Permissions = Roles{}

// Check implements [Permissions].
func (Roles) Check(c domain.Caller, d domain.Draft, target *domain.Resource) []domain.Violation {
	operator := slices.Contains(c.Roles, domain.RoleOperator)
	forbid := func(pointer, code, detail string) []domain.Violation {
		return []domain.Violation{{Pointer: pointer, Code: code, Detail: detail, Kind: domain.Forbidden}}
	}
	switch {
	case !operator && !slices.Contains(c.Roles, domain.RoleUser):
		return forbid("", "role-missing", "requests need the role user or operator")
	case !operator && d.User != c.User:
		return forbid("/metadata/userId", "acting-for-others", "acting for another user needs the role operator")
	case target != nil && !d.Type.Creates() && !operator && target.Owner != c.User:
		return forbid("/virtualResourceId", "not-the-owner", "the resource belongs to another user; this needs the role operator")
	}
	return nil
}

// MayCancel reports whether a caller may cancel a request of that user.
func (Roles) MayCancel(c domain.Caller, user string) bool {
	return slices.Contains(c.Roles, domain.RoleOperator) || slices.Contains(c.Roles, domain.RoleUser) && c.User == user
}

// Baseline is the built-in [Policies]: machines are entered by key, never by
// password.
type Baseline struct{}

var _ Policies = Baseline{}

var passwordLogin = regexp.MustCompile(`(?im)^\s*(ssh_pwauth:\s*(true|yes|1)|chpasswd:|password:|plain_text_passwd:)`)

// Judge implements [Policies].
func (Baseline) Judge(_ domain.Caller, d domain.Draft, _ domain.Money) (Judgement, error) {
	if m := d.Spec.Machine; m != nil && passwordLogin.MatchString(m.UserData) {
		return Judgement{Values: "no-passwords broken", Broken: []domain.Violation{{Pointer: "/specifications/userData", Code: "policy-no-passwords", Kind: domain.Invalid,
			Detail: "sets a password or allows password logins; use sshKeys instead"}}}, nil
	}
	return Judgement{Values: "no-passwords kept"}, nil
}

// Both are the built-in [Policies] and the operator's: either may refuse.
type Both struct{ First, Second Policies }

var _ Policies = Both{}

// Judge implements [Policies].
func (b Both) Judge(c domain.Caller, d domain.Draft, hourly domain.Money) (Judgement, error) {
	first, err := b.First.Judge(c, d, hourly)
	if err != nil {
		return Judgement{}, err
	}
	second, err := b.Second.Judge(c, d, hourly)
	if err != nil {
		return Judgement{}, err
	}
	return Judgement{Broken: slices.Concat(first.Broken, second.Broken), Values: first.Values + "; " + second.Values}, nil
}
