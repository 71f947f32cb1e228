package local

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func aDispatcher(t *testing.T, url, deadLetters string) *dispatcher {
	return &dispatcher{
		sender: sender{client: testClient(t), namespace: "kbnt", delivery: delivery{timeout: patience}, retry: retried, log: testLog(t)},
		url:    url, deadLetters: deadLetters, extensions: map[string]string{"stage": "laptop"}, log: testLog(t),
		read: decodeRecord, wants: allOf(nil), reply: discardReply,
	}
}

func aRecord(t *testing.T) *sarama.ConsumerMessage {
	t.Helper()
	e := newEvent("1", "k")
	record, err := encode(&e, "topic", false)
	if err != nil {
		t.Fatal(err)
	}
	got := consumed(t, record)
	got.Partition, got.Offset = 2, 1<<40
	return got
}

func extensions(d delivered) map[string]string {
	m := make(map[string]string)
	for name, value := range d.Extensions() {
		m[name], _ = value.(string)
	}
	return m
}

func TestDispatchAddsExtensions(t *testing.T) {
	t.Parallel()
	function := newReceiver(t)
	if err := aDispatcher(t, function.URL, "").dispatch(t.Context(), aRecord(t)); err != nil {
		t.Fatalf("dispatch: %v", err)
	}
	want := map[string]string{"partitionkey": "k", "knativekafkapartition": "2", "knativekafkaoffset": "1099511627776", "stage": "laptop"}
	if got := extensions(function.next()); !maps.Equal(got, want) {
		t.Errorf("extensions %v, want %v", got, want)
	}
}

// What becomes of a record that cannot be delivered, the unpleasant parts
// included: every end but one lets its offset be committed.
func TestDispatchDeadLetters(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2000)
	tests := map[string]struct {
		reason  string
		answer  http.HandlerFunc
		dead    http.HandlerFunc // the dead letter sink's answer
		want    map[string]string
		unready bool // the record is never settled
	}{
		"refused": {
			reason: "a 4xx is dead-lettered with status, body and Kne- headers",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Kne-Reason", "undecodable")
				w.Header().Set("X-Other", "not kept")
				w.WriteHeader(http.StatusUnprocessableEntity)
				w.Write([]byte("no"))
			},
			want: map[string]string{"knativeerrorcode": "422", "knativeerrordata": "bm8=", "reason": "undecodable"},
		},
		"long body": {
			reason: "the first 1024 bytes of the body are kept",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				w.Write([]byte(long))
			},
			want: map[string]string{"knativeerrorcode": "500", "knativeerrordata": strings.Repeat("eHh4", 341) + "eA=="},
		},
		"empty body": {
			reason: "no body, no knativeerrordata",
			answer: status(http.StatusBadRequest),
			want:   map[string]string{"knativeerrorcode": "400"},
		},
		"no answer": {
			reason: "without an answer only the destination is known",
			answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			want:   map[string]string{},
		},
		"dead letter sink fails": {
			reason: "the event is lost and its offset committed",
			answer: status(http.StatusBadRequest),
			dead:   status(http.StatusServiceUnavailable),
			want:   map[string]string{"knativeerrorcode": "400"},
		},
		"bad Kne- name": {
			reason: "a Kne- header whose name is no extension's leaves the record unsettled for ever",
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Kne-Error-Reason", "x")
				w.WriteHeader(http.StatusBadRequest)
			},
			unready: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			function, deadLetters := newReceiver(t), newReceiver(t)
			function.answers(test.answer)
			deadLetters.answers(test.dead)
			err := aDispatcher(t, function.URL, deadLetters.URL).dispatch(t.Context(), aRecord(t))
			if test.unready {
				if !errors.Is(err, errUnsettled) {
					t.Errorf("dispatch: %v, want errUnsettled (%s)", err, test.reason)
				}
				deadLetters.none()
				return
			}
			if err != nil {
				t.Fatalf("dispatch: %v, want nil: the record is settled (%s)", err, test.reason)
			}
			dead := deadLetters.next()
			maps.Copy(test.want, map[string]string{
				"partitionkey": "k", "knativekafkapartition": "2", "knativekafkaoffset": "1099511627776", "stage": "laptop",
				"knativeerrordest": function.URL,
			})
			if got := extensions(dead); !maps.Equal(got, test.want) {
				t.Errorf("dead letter has %v, want %v (%s)", got, test.want, test.reason)
			}
			if dead.ID() != "1" || string(dead.Data()) != `{"id":"1"}` {
				t.Errorf("dead letter %s, want id and data unchanged", dead.Event)
			}
		})
	}
}

func TestDispatchSettlesWithoutDelivery(t *testing.T) {
	t.Parallel()
	function := newReceiver(t)
	unwanted := aDispatcher(t, function.URL, "")
	unwanted.wants = anyOf(nil)
	unreadable := aDispatcher(t, function.URL, "")
	noDeadLetters := aDispatcher(t, "http://127.0.0.1:1", "")
	for name, test := range map[string]struct {
		d      *dispatcher
		record *sarama.ConsumerMessage
	}{
		"filtered":            {unwanted, aRecord(t)},
		"unreadable":          {unreadable, &sarama.ConsumerMessage{Value: []byte("x")}},
		"no dead letter sink": {noDeadLetters, aRecord(t)},
	} {
		if err := test.d.dispatch(t.Context(), test.record); err != nil {
			t.Errorf("%s: dispatch: %v, want nil: the offset moves on", name, err)
		}
	}
	function.none()
}

// A dead letter keeps the last of several values of one Kne- header.
func TestDeadLetterRepeatedHeader(t *testing.T) {
	t.Parallel()
	e := newEvent("1", "")
	header := http.Header{"Kne-Reason": {"first", "last"}}
	dead, err := deadLetter(&e, "http://f", &answer{status: 400, header: header})
	if err != nil || dead.Extensions()["reason"] != "last" {
		t.Errorf("deadLetter(%v) = %v, %v, want reason last", header, dead, err)
	}
	if slices.Contains(slices.Collect(maps.Keys(e.Extensions())), "reason") {
		t.Errorf("the event itself was changed: %s", e)
	}
}
