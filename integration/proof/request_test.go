//go:build integration

package proof

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"kbnt.dev/virtualization/domain"
	"kbnt.dev/virtualization/eventing"
)

// request is one thing asked of a chain, and what must become of it.
type request struct {
	tenant, id string
	kind       domain.RequestType
	target     string // uid of the resource it works on, if it makes none
	body       string
	want       domain.Outcome // empty: any that is terminal
	poison     bool           // no request at all, but an event that nobody can read
	why        string         // what was done to it, for the message of a failure
}

func (r *request) message() string {
	if r.poison {
		return r.id
	}
	return domain.MessageID(r.tenant, r.id)
}

// resource is the uid of what it makes or works on.
func (r *request) resource() string {
	if r.target != "" {
		return r.target
	}
	return domain.ResourceUID(r.message())
}

// subjects are the names under which gates know it.
func (r *request) subjects() []string {
	return []string{r.message(), r.resource(), domain.DeadLetterID(r.message(), "provision")}
}

func (r *request) String() string { return fmt.Sprintf("%s of %s (%s)", r.id, r.tenant, r.why) }

func (r *request) header() http.Header {
	return http.Header{"Content-Type": {"application/json"}, headerTenant: {r.tenant}, headerSubject: {r.message()}}
}

// post posts a request until it is answered, and fails unless it is admitted.
func (c *chain) post(ctx context.Context, r *request) error {
	if r.poison {
		return c.postPoison(ctx, r)
	}
	status, answer, err := c.insist(ctx, http.MethodPost, c.members["intake"].url+"/api/v1/virtualize", r.header(), []byte(r.body))
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	if err != nil {
		return fmt.Errorf("post %s: %w", r, err)
	}
	return nil
}

// cancel cancels a request until it is answered. It reports false when it is too late.
func (c *chain) cancel(ctx context.Context, r *request) (bool, error) {
	status, answer, err := c.insist(ctx, http.MethodDelete, c.members["intake"].url+"/api/v1/requests/"+r.id, r.header(), nil)
	switch {
	case err != nil:
		return false, fmt.Errorf("cancel %s: %w", r, err)
	case status == http.StatusConflict:
		return false, nil
	case status >= 300:
		return false, fmt.Errorf("cancel %s: status %d: %s", r, status, answer)
	}
	return true, nil
}

// postPoison puts an event into the topic of requests that no codec can read.
func (c *chain) postPoison(ctx context.Context, r *request) error {
	h := http.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Id": {r.id}, "Ce-Source": {eventing.SourceIntake}, "Ce-Type": {eventing.TypeRequested},
		"Ce-Partitionkey": {r.id}, "Content-Type": {eventing.ContentTypeAvro},
	}
	status, answer, err := c.insist(ctx, http.MethodPost, c.settings.Front+"/sink/"+eventing.TopicRequests, h, []byte("poison"))
	if err != nil || status >= 300 {
		return fmt.Errorf("post poison %s: status %d: %s: %w", r.id, status, answer, err)
	}
	return nil
}

// body fills in a template: {vlan} of the operator's, {own} of nobody's yet,
// {subnet}, {target} by its virtual id, {id}.
func (c *chain) body(ctx context.Context, template string, n int, r *request) (string, error) {
	target := ""
	if strings.Contains(template, "{target}") {
		virtual, err := c.virtualID(ctx, r.tenant, r.target)
		if err != nil {
			return "", err
		}
		target = virtual
	}
	return strings.NewReplacer(
		"{vlan}", strconv.Itoa(100+n%100), "{own}", strconv.Itoa(200+n), "{subnet}", fmt.Sprintf("10.%d.%d.0/24", n/250, n%250),
		"{target}", target, "{id}", r.id,
	).Replace(template), nil
}

func (c *chain) virtualID(ctx context.Context, tenant, uid string) (virtual string, err error) {
	err = until(ctx, func() (bool, error) {
		resources, err := c.resources(ctx, tenant)
		for _, r := range resources {
			if r.UID == uid {
				virtual = r.VirtualID
			}
		}
		return virtual != "", err
	})
	if err != nil {
		return "", fmt.Errorf("find the resource %s of %s: %w", uid, tenant, err)
	}
	return virtual, nil
}

// await waits until a request is terminal.
func (c *chain) await(ctx context.Context, r *request) error {
	err := until(ctx, func() (bool, error) {
		if r.poison {
			letter, err := c.store.DeadLetter(ctx, domain.DeadLetterID(r.id, "provision"))
			return err == nil && letter.ID != "", err
		}
		record, err := c.store.Request(ctx, r.tenant, r.id)
		return err == nil && !record.Request.Unfinished(), err
	})
	if err != nil {
		return fmt.Errorf("await the end of %s: %w", r, err)
	}
	return nil
}
