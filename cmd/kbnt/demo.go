package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"kbnt.dev/virtualization/eventing"
)

// sample is one of the four requests of the acceptance demo.
type sample struct{ what, body string }

func samples() []sample {
	return []sample{
		{"a machine on the operator's VLAN 100", `{"type":"CREATE_VIRTUAL_MACHINE","resourceId":"vm-12345","specifications":{"cpu":4,"memory":"8GB","disk":"100GB SSD","network":"vlan-100"},"metadata":{"requestId":"req-abc123","priority":"HIGH"}}`},
		{"a volume", `{"type":"ALLOCATE_STORAGE","specifications":{"size":500,"type":"SSD","iops":3000}}`},
		{"a network of our own", `{"type":"CREATE_NETWORK","specifications":{"subnet":"10.0.1.0/24","vlan":200,"gateway":"10.0.1.1"}}`},
		{"a machine on that network, which may still be in the making", `{"type":"CREATE_VIRTUAL_MACHINE","specifications":{"cpu":2,"memory":4,"disk":50,"network":"vlan-200"}}`},
	}
}

// accepted is what the demo reads of the 202.
type accepted struct {
	RequestID         string `json:"requestId"`
	TrackingURL       string `json:"trackingUrl"`
	VirtualResourceID string `json:"virtualResourceId"`
	EstimatedTime     string `json:"estimatedTime"`
	ResponseTime      string `json:"responseTime"`
	QueuePosition     int    `json:"queuePosition"`
	Cost              struct {
		HourlyUSD float64 `json:"hourlyUsd"`
	} `json:"cost"`
}

// tracked is what the demo reads at a tracking URL.
type tracked struct {
	RequestID string `json:"requestId"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	Phase     string `json:"phase"`
	Resource  struct {
		VirtualResourceID string `json:"virtualResourceId"`
		Type              string `json:"type"`
		Status            string `json:"status"`
		Address           string `json:"address"`
	} `json:"resource"`
	AcceptedAt time.Time `json:"acceptedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	Steps      []struct {
		Number     int             `json:"number"`
		Name       string          `json:"name"`
		Layer      string          `json:"layer"`
		Function   string          `json:"function"`
		DurationMs float64         `json:"durationMs"`
		Status     string          `json:"status"`
		Detail     json.RawMessage `json:"detail"`
	} `json:"steps"`
}

// demo sends the four sample requests through a platform of its own, waits for
// their completion events on the topic, and prints what happened. It returns an
// error unless all of it is as it should be.
func demo(ctx context.Context, p *platform, out io.Writer) error {
	d := &demonstration{platform: p, out: out, client: &http.Client{Timeout: 40 * time.Second}}
	defer d.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()

	fmt.Fprintf(out, "Four requests through intake at %s, with a simulated hypervisor: nothing real is made.\n\n", p.intakeURL())
	if err := d.look(); err != nil {
		return err
	}
	events, err := readTopic(p.brokers(), eventing.TopicEvents, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	defer events.close()
	var posted []accepted
	for i, s := range samples() {
		a, err := d.post(ctx, s)
		if err != nil {
			return fmt.Errorf("request %d (%s): %w", i+1, s.what, err)
		}
		posted = append(posted, a)
		fmt.Fprintf(out, "  202  %-60s  %s, estimated %s, %.3f USD per hour, answered in %s\n", s.what, a.VirtualResourceID, a.EstimatedTime, a.Cost.HourlyUSD, a.ResponseTime)
	}
	fmt.Fprintln(out, "\nWaiting for their completion events on the topic virtualization-events:")
	completed := map[string]completion{}
	for len(completed) < len(posted) {
		c, err := events.next(ctx)
		if err != nil {
			return fmt.Errorf("%d of %d completion events came: %w", len(completed), len(posted), err)
		}
		completed[c.requestID] = c
		fmt.Fprintf(out, "  %-13s  %-26s partition %d, offset %d, %d bytes, checksum verified\n", c.subject, c.eventType, c.partition, c.offset, c.bytes)
	}
	for _, a := range posted {
		if err := d.show(ctx, a, completed[a.RequestID]); err != nil {
			return err
		}
	}
	return d.totals(ctx, posted, completed)
}

type demonstration struct {
	platform *platform
	out      io.Writer
	client   *http.Client
	before   map[string]int64 // records in each topic, which is not empty in a real Kafka
	wrong    []error
	tracked  []tracked
}

// look notes how many records the topics have.
func (d *demonstration) look() error {
	d.before = map[string]int64{}
	for _, topic := range []string{eventing.TopicRequests, eventing.TopicEvents} {
		n, err := written(d.platform.brokers(), topic)
		if err != nil {
			return err
		}
		d.before[topic] = n
	}
	return nil
}

// added is how many records a topic has got since.
func (d *demonstration) added(topic string) (int64, error) {
	n, err := written(d.platform.brokers(), topic)
	return n - d.before[topic], err
}

func (d *demonstration) expect(ok bool, format string, args ...any) {
	if !ok {
		d.wrong = append(d.wrong, fmt.Errorf(format, args...))
	}
}

func (d *demonstration) post(ctx context.Context, s sample) (a accepted, err error) {
	status, body, err := d.do(ctx, http.MethodPost, d.platform.intakeURL()+"/api/v1/virtualize", []byte(s.body), nil)
	if err != nil {
		return a, err
	}
	if status != http.StatusAccepted {
		return a, fmt.Errorf("got status %d, want 202: %s", status, body)
	}
	return a, json.Unmarshal(body, &a)
}

func (d *demonstration) do(ctx context.Context, method, url string, body []byte, header map[string]string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer, err := d.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	return answer.StatusCode, data, err
}

// show prints the 17 steps of one request, as its tracking URL has them.
func (d *demonstration) show(ctx context.Context, a accepted, c completion) error {
	var t tracked
	status, body, err := d.do(ctx, http.MethodGet, d.platform.intakeURL()+a.TrackingURL, nil, map[string]string{"Prefer": "wait=20"})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &t); err != nil || status != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", a.TrackingURL, status, body)
	}
	d.tracked = append(d.tracked, t)
	fmt.Fprintf(d.out, "\n%s  %s  %s  %s %s  in %s\n", t.RequestID, t.Type, t.Status, t.Resource.VirtualResourceID, t.Resource.Status, t.FinishedAt.Sub(t.AcceptedAt).Round(time.Millisecond))
	for _, s := range t.Steps {
		fmt.Fprintf(d.out, "  %2d  %-29s %-15s %-10s %10.3f ms  %s\n", s.Number, s.Name, s.Layer, s.Function, s.DurationMs, s.Status)
		for _, line := range planOf(s.Detail) {
			fmt.Fprintf(d.out, "        %s\n", line)
		}
	}
	d.expect(t.Status == "COMPLETED", "%s is %s, want COMPLETED", t.RequestID, t.Status)
	d.expect(len(t.Steps) == 17, "%s shows %d steps, want 17", t.RequestID, len(t.Steps))
	for i, s := range t.Steps {
		d.expect(s.Number == i+1 && s.Status == "SUCCESS", "%s: step %d is %s %s", t.RequestID, i+1, s.Name, s.Status)
	}
	d.expect(c.subject == t.Resource.VirtualResourceID, "%s: its event is about %s, want %s", t.RequestID, c.subject, t.Resource.VirtualResourceID)
	d.expect(c.eventType == "VIRTUALIZATION_COMPLETED", "%s: its event says %s", t.RequestID, c.eventType)
	return nil
}

func planOf(detail json.RawMessage) (lines []string) {
	var d struct {
		Plan []struct {
			Name       string          `json:"name"`
			DurationMs float64         `json:"durationMs"`
			Detail     json.RawMessage `json:"detail"`
		} `json:"plan"`
	}
	if json.Unmarshal(detail, &d) != nil {
		return nil
	}
	for _, s := range d.Plan {
		lines = append(lines, fmt.Sprintf("%-25s %28.3f ms  %s", s.Name, s.DurationMs, s.Detail))
	}
	return lines
}

// totals prints and checks what the four requests add up to.
func (d *demonstration) totals(ctx context.Context, posted []accepted, completed map[string]completion) error {
	kinds := map[string]int{}
	for _, t := range d.tracked {
		kinds[t.Resource.Type]++
	}
	messages, err := d.added(eventing.TopicRequests)
	if err != nil {
		return err
	}
	events, err := d.added(eventing.TopicEvents)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\n%d requests -> %d messages on virtualization-requests -> %d resources (%d machines, %d volume, %d network) -> %d events on virtualization-events\n",
		len(posted), messages, len(d.tracked), kinds["virtual-machine"], kinds["virtual-storage"], kinds["virtual-network"], events)
	d.expect(messages == 4, "%d messages on virtualization-requests, want 4", messages)
	d.expect(events == 4, "%d events on virtualization-events, want 4", events)
	d.expect(kinds["virtual-machine"] == 2 && kinds["virtual-storage"] == 1 && kinds["virtual-network"] == 1, "resources by kind: %v", kinds)
	ids := map[string]bool{}
	for _, c := range completed {
		ids[c.id] = true
	}
	d.expect(len(ids) == 4, "%d different event ids, want 4", len(ids))

	fmt.Fprintln(d.out, "\nMetrics, as Prometheus would scrape them:")
	if err := d.metrics(ctx); err != nil {
		return err
	}
	if err := errors.Join(d.wrong...); err != nil {
		return fmt.Errorf("the demo did not do what it should:\n%w", err)
	}
	fmt.Fprintln(d.out, "\nAll of it is as it should be.")
	return nil
}

// metrics compares series with what four requests must have made of them.
func (d *demonstration) metrics(ctx context.Context) error {
	var all []string
	for _, url := range d.platform.functionURLs() {
		status, body, err := d.do(ctx, http.MethodGet, url+"/metrics", nil, map[string]string{"Accept": "text/plain;version=0.0.4"})
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%s/metrics answered %d: %w", url, status, err)
		}
		all = append(all, strings.Split(string(body), "\n")...)
	}
	for _, want := range []string{
		`kbnt_virtualization_requests_total{function="intake",service="producer",type="CREATE_VIRTUAL_MACHINE"} 2`,
		`kbnt_messages_sent_total{function="intake",service="producer",topic="virtualization-requests"} 4`,
		`kbnt_topic_messages_total{function="intake",service="producer",topic="virtualization-requests"} 4`,
		`kbnt_messages_received_total{function="provision",service="consumer",type="CREATE_VIRTUAL_MACHINE"} 2`,
		`kbnt_messages_processed_total{function="provision",service="consumer",status="success"} 4`,
		`kbnt_messages_sent_total{function="provision",service="consumer",topic="virtualization-results"} 4`,
		`kbnt_messages_sent_total{function="notify",service="consumer",topic="virtualization-events"} 4`,
		`kbnt_virtual_resources_created_total{function="provision",region="local",resource_type="virtual-machine",service="consumer",status="success"} 2`,
		`kbnt_processing_duration_seconds_count{function="intake",operation="publish",service="producer"} 4`,
		`kbnt_processing_duration_seconds_count{function="provision",operation="process",service="consumer"} 4`,
		`kbnt_virtual_resources_active{resource_type="virtual-machine"} 2`,
		`kbnt_virtual_resources_active{resource_type="virtual-storage"} 1`,
		`kbnt_virtual_resources_active{resource_type="virtual-network"} 1`,
		`kbnt_virtual_machines_active_gauge 2`,
		`kbnt_end_to_end_latency_seconds_count{function="notify",service="consumer"} 4`,
	} {
		have := slices.Contains(all, want)
		mark := "  "
		if !have {
			mark = "! "
		}
		fmt.Fprintf(d.out, "%s%s\n", mark, want)
		name := want[:strings.LastIndex(want, " ")]
		d.expect(have, "metrics: want %s, have %q", want, slices.DeleteFunc(slices.Clone(all), func(l string) bool { return !strings.HasPrefix(l, name) }))
	}
	return nil
}
