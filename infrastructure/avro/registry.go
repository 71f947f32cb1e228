package avro

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"time"
)

// RegistryOptions say where the schema registry is, if there is one.
type RegistryOptions struct {
	// URL of the API, absolute, http or https. User and password in it become
	// basic authentication. Nil: no registry. Examples:
	// http://karapace.kafka.svc:8081, http://apicurio.kafka.svc:8080/apis/ccompat/v7
	URL *url.URL

	// Timeout of one look-up with all its calls; 0 means DefaultRegistryTimeout.
	Timeout time.Duration

	// Client whose transport is used; nothing else of it changes, but that
	// redirects are not followed. Nil: one of its own, which asks no proxy.
	Client *http.Client
}

// DefaultRegistryTimeout leaves most of a delivery's time, 20 s, to its work.
const DefaultRegistryTimeout = 2 * time.Second

// maxAnswer bounds an answer of the registry. Our own schemas have some 10 KiB.
const maxAnswer = 1 << 20

// Content types, as the API reference recommends (section "Content Types").
const (
	registryType   = "application/vnd.schemaregistry.v1+json"
	registryAccept = "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5"
)

// registry is a client of the API that Confluent's Schema Registry has, and
// Karapace, Redpanda and Apicurio (under /apis/ccompat) have too.
type registry struct {
	base           *url.URL
	user, password string
	client         *http.Client
	timeout        time.Duration

	ids     memo[string, uint32] // of the schemas we write, by name
	writers memo[sighting, read] // of what may arrive
}

func newRegistry(o RegistryOptions) *registry {
	base := *o.URL
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	r := &registry{base: &base, user: o.URL.User.Username(), timeout: o.Timeout}
	r.password, _ = o.URL.User.Password()
	if r.timeout <= 0 {
		r.timeout = DefaultRegistryTimeout
	}
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second}}
	if o.Client != nil {
		client = *o.Client
	}
	// A redirected POST may become a GET, which means something else here.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r.client = &client
	return r
}

// id returns the id that the schema has under the subject. Only what is not
// there yet is registered, so permission to read is enough once somebody did.
func (r *registry) id(ctx context.Context, subject, schema string) (uint32, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var asked = struct {
		SchemaType string `json:"schemaType"`
		Schema     string `json:"schema"`
	}{"AVRO", schema}
	var found struct {
		ID int64 `json:"id"`
	}
	err := r.call(ctx, http.MethodPost, r.base.JoinPath("subjects", subject), asked, &found)
	if missing(err) { // 40401, no such subject; 40403, no such schema under it
		err = r.call(ctx, http.MethodPost, r.base.JoinPath("subjects", subject, "versions"), asked, &found)
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("id under subject %s: %w", subject, err)
	case found.ID < 1 || found.ID > math.MaxInt32:
		return 0, fmt.Errorf("id under subject %s: the registry answers %d, which is none", subject, found.ID)
	}
	return uint32(found.ID), nil
}

// registered is a schema as the registry has it.
type registered struct {
	Type       string            `json:"schemaType"` // "" is AVRO
	Schema     string            `json:"schema"`
	References []json.RawMessage `json:"references"` // to schemas of their own
}

// schema returns the schema with that id.
func (r *registry) schema(ctx context.Context, id uint32) (registered, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var found registered
	err := r.call(ctx, http.MethodGet, r.base.JoinPath("schemas", "ids", fmt.Sprint(id)), nil, &found)
	if err == nil && found.Schema == "" {
		err = errors.New("the answer has no schema")
	}
	if err != nil {
		return registered{}, fmt.Errorf("schema with id %d: %w", id, err)
	}
	return found, nil
}

// refusal is an answer that is no success.
type refusal struct {
	status  int
	Code    int    `json:"error_code"` // such as 40403; 0 if it is not the API that answers
	Message string `json:"message"`
}

func (e *refusal) Error() string {
	return fmt.Sprintf("the registry answers %d, code %d: %.200q", e.status, e.Code, e.Message)
}

func missing(err error) bool {
	e, ok := errors.AsType[*refusal](err)
	return ok && e.status == http.StatusNotFound
}

// call asks once. There is no retry in here: who needs the answer comes again.
func (r *registry) call(ctx context.Context, method string, to *url.URL, asked, answer any) error {
	var body io.Reader
	if asked != nil {
		content, err := json.Marshal(asked)
		if err != nil {
			return fmt.Errorf("write the question: %w", err)
		}
		body = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Accept", registryAccept)
	if asked != nil {
		req.Header.Set("Content-Type", registryType)
	}
	if r.user != "" || r.password != "" {
		req.SetBasicAuth(r.user, r.password)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case len(content) > maxAnswer:
		return fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		e := &refusal{status: resp.StatusCode}
		if json.Unmarshal(content, e) != nil {
			e.Message = string(content)
		}
		return e
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
