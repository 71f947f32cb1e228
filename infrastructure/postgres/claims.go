package postgres

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

var claimColumns = columnsOf(`pool text, value text, resource text, amount bigint, "group" text, until timestamptz`)

var claimsQuery = "SELECT " + claimColumns.names("") + " FROM claims WHERE pool = ANY($1) ORDER BY pool, value"

func scanClaim(scan scanner, c *domain.Claim) error {
	return scan(&c.Pool, &c.Value, &c.Resource, &c.Amount, &c.Group, moment{&c.Until})
}

// claimWrites claims, and releases: addresses from the end of their cool-down on,
// anything else now. What has cooled down is forgotten on the way. What another
// resource holds meets the key of the table, and is a conflict.
func claimWrites(all *writes, w *application.Work, now time.Time) {
	type key struct{ pool, value, resource string }
	at := map[key]int{}
	for _, c := range w.Additions.Claims {
		k, row := key{c.Pool, c.Value, c.Resource}, []any{c.Pool, c.Value, c.Resource, c.Amount, c.Group, stamp(c.Until)}
		if i, ok := at[k]; ok {
			all[addClaims][i] = row // claimed twice: the later one counts
			continue
		}
		at[k] = len(all[addClaims])
		all.add(giveUpClaims, c.Pool, c.Value, c.Resource, stamp(now))
		all.add(addClaims, row...)
	}
	if w.Additions.Free {
		all.add(coolClaims, w.Resource.UID, stamp(now.Add(w.Additions.CoolDown)))
		all.add(freeClaims, w.Resource.UID)
		all.add(forgetClaims, stamp(now))
	}
}

// changed is what a change did to what others of its batch may look at.
type changed struct {
	uid    string
	now    time.Time
	claims []domain.Claim
	freed  bool      // everything the resource held
	until  time.Time // when released addresses may be claimed again
}

// held are the claims of pools.
type held map[string][]domain.Claim

// note takes in what a change claimed and released.
func (h held) note(c changed) {
	for _, claim := range c.claims {
		pool, ok := h[claim.Pool]
		if !ok {
			continue // nobody of the batch looks at it
		}
		claim.Until = cut(claim.Until)
		i, found := slices.BinarySearchFunc(pool, claim.Value, func(c domain.Claim, value string) int { return cmp.Compare(c.Value, value) })
		if found {
			pool[i] = claim
		} else {
			h[claim.Pool] = slices.Insert(pool, i, claim)
		}
	}
	if !c.freed {
		return
	}
	for name, pool := range h {
		h[name] = slices.DeleteFunc(pool, func(x domain.Claim) bool {
			return x.Resource == c.uid && x.Until.IsZero() && !strings.HasPrefix(name, "ip/")
		})
		for i, x := range h[name] {
			if x.Resource == c.uid && x.Until.IsZero() {
				h[name][i].Until = cut(c.until)
			}
		}
	}
}

// shown are the claims of a pool that count now, in memory of their own.
func (h held) shown(name string, now time.Time) []domain.Claim {
	var all []domain.Claim
	for _, c := range h[name] {
		if c.Until.IsZero() || c.Until.After(now) {
			all = append(all, c)
		}
	}
	return all
}

// cut is a time as the database has it.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}
