package kubevirt

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// status is how an API server says no (meta/v1 Status).
type status struct {
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Code    int    `json:"code"`
	Details struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Causes []struct {
			Reason string `json:"reason"`
			Field  string `json:"field"`
		} `json:"causes"`
	} `json:"details"`
}

// Answers that callers tell apart. They are wrapped in an error with a Kind.
var (
	errAbsent = errors.New("no such object")
	errExists = errors.New("the object exists")
	errMoved  = errors.New("the object is another one by now")
	errNoAPI  = errors.New("this kind of object is not served")
)

// err translates a refusal. Which Kind it is follows from the status and its
// reason; the server's message is needed only to tell a used-up quota from a missing
// permission, which have the same status and reason.
func (a answer) err(r call) error {
	var s status
	if json.Unmarshal(a.body, &s) != nil || s.Kind != "Status" {
		s = status{Message: strings.TrimSpace(string(a.body[:min(len(a.body), 200)]))}
	}
	cause := fmt.Errorf("%s %s: %d %s: %.1000s", r.method, r.path, a.status, s.Reason, s.Message)
	e := &domain.Error{Err: cause}
	put := func(kind domain.Kind, code, detail string) *domain.Error {
		e.Kind, e.Code, e.Detail = kind, code, detail
		return e
	}
	with := func(sentinel error) { e.Err = fmt.Errorf("%w: %w", sentinel, cause) }
	if a.status == http.StatusUnprocessableEntity && s.another() {
		with(errMoved)
		return put(domain.Unavailable, application.CodeTryAgain, "it is another one by now")
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return put(domain.Invalid, "invalid-spec", "the cluster refuses the specification")
	case http.StatusUnauthorized:
		return put(domain.Forbidden, "unauthenticated", "the cluster does not know us")
	case http.StatusForbidden:
		switch {
		case s.terminating():
			return put(domain.NotFound, "no-namespace", "the namespace of the machines is being deleted")
		case strings.Contains(s.Message, "exceeded quota"), strings.Contains(s.Message, "failed quota"):
			return put(domain.Exhausted, "cluster-quota", "a quota of the cluster is used up")
		}
		return put(domain.Forbidden, "denied", "the cluster does not permit it")
	case http.StatusNotFound:
		switch {
		case s.Reason != "NotFound":
			with(errNoAPI)
			return put(domain.NotFound, "no-api", "the cluster does not know this kind of object")
		case r.method == http.MethodPost:
			return put(domain.NotFound, "no-namespace", "the namespace of the machines does not exist")
		}
		with(errAbsent)
		return put(domain.NotFound, "absent", "it does not exist")
	case http.StatusConflict:
		if s.Reason == "AlreadyExists" {
			with(errExists)
			return put(domain.Conflict, "exists", "the name is taken")
		}
		with(errMoved)
		return put(domain.Unavailable, application.CodeTryAgain, "somebody else changed it")
	case http.StatusGone, http.StatusTooManyRequests:
		return put(domain.Unavailable, application.CodeTryAgain, "the cluster asks to come back later")
	}
	switch {
	case a.status < 500:
		return put(domain.Internal, "unexpected-answer", "the cluster answered in an unexpected way")
	case r.method == http.MethodGet:
		return put(domain.Unavailable, application.CodeTryAgain, "the cluster is in trouble")
	}
	return put(domain.Unavailable, "", "the cluster is in trouble") // it may have happened: a 504 is a write of unknown end
}

// another reports whether a change named the uid of an object that has gone: the new one
// of that name refuses it as an immutable field, with the status of a wrong value.
func (s status) another() bool {
	for _, c := range s.Details.Causes {
		if c.Field == "metadata.uid" {
			return true
		}
	}
	return false
}

func (s status) terminating() bool {
	for _, c := range s.Details.Causes {
		if c.Reason == "NamespaceTerminating" {
			return true
		}
	}
	return false
}

// annotate names what was done. The error keeps its Kind and Code; one without
// becomes Internal.
func annotate(op string, err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return &domain.Error{Op: op, Kind: domain.Internal, Err: err}
	}
	c := *e
	c.Op = op
	return &c
}

// looking turns what a look cannot find besides the thing itself (its namespace, the
// API) into an answer that is no answer: the thing is not known to be absent.
func looking(err error) error {
	if e, ok := errors.AsType[*domain.Error](err); ok && e.Kind == domain.NotFound {
		c := *e
		c.Kind, c.Err, c.Code = domain.Unavailable, err, application.CodeTryAgain
		return &c
	}
	return err
}
