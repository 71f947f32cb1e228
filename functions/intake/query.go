package intake

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kbnt.dev/virtualization/domain"
)

// query holds the parameters of an address, each of them known.
type query struct{ values url.Values }

// query reads the parameters and refuses those that are none, so that a typing
// error does not silently list everything.
func (x *exchange) query(known ...string) (query, error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return query{}, badParameter("the query", "is not valid")
	}
	for name, given := range values {
		if !slices.Contains(known, name) {
			return query{}, badParameter(clip(name), "is no parameter here; use "+strings.Join(known, ", "))
		}
		if len(given) > 1 {
			return query{}, badParameter(name, "is given twice")
		}
	}
	return query{values}, nil
}

func (q query) flag(name string) (bool, error) {
	if !q.values.Has(name) {
		return false, nil
	}
	switch q.values.Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badParameter(name, "is neither true nor false")
}

// oneOf returns a parameter that must be one of the given values, "" when it is missing.
func oneOf[S ~string](q query, name string, values []S) (S, error) {
	if !q.values.Has(name) {
		return "", nil
	}
	v := S(q.values.Get(name))
	if !slices.Contains(values, v) {
		var all []string
		for _, v := range values {
			all = append(all, string(v))
		}
		return "", badParameter(name, "is none of "+strings.Join(all, ", "))
	}
	return v, nil
}

const (
	pageDefault = 20
	pageMost    = 100
)

// page returns limit and cursor. A cursor is opaque to clients: it holds the id
// of the last item of the page before.
func (q query) page() (limit int, after string, err error) {
	limit = pageDefault
	if q.values.Has("limit") {
		if limit, err = strconv.Atoi(q.values.Get("limit")); err != nil || limit < 1 || limit > pageMost {
			return 0, "", badParameter("limit", "is not a number from 1 to 100")
		}
	}
	if q.values.Has("cursor") {
		raw, err := base64.RawURLEncoding.DecodeString(q.values.Get("cursor"))
		if after = string(raw); err != nil || !domain.IsRequestID(after) {
			return 0, "", badParameter("cursor", "is not one that a page gave")
		}
	}
	return limit, after, nil
}

// next is the cursor of the page behind a full one, "" when there is none.
func next[T any](items []T, limit int, id func(T) string) string {
	if len(items) < limit {
		return ""
	}
	return cursorTo(id(items[len(items)-1]))
}

func cursorTo(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }
