package local

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestPinger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := parseSchedule("*/1 * * * *", "")
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{answers: []any{503, 500, 200}}
		p := &pinger{
			ping: ping{object: object{namespace: "kbnt", name: "sweep"}, mediaType: "application/json", data: []byte(`{}`), extensions: map[string]string{"stage": "test"}},
			url:  "http://function/", schedule: s, log: testLog(t), sender: *x.sender(t, pingDelivery),
		}
		p.sender.retry = pingRetried
		go p.run(t.Context())
		time.Sleep(2*time.Minute + time.Second) // synctest's clock
		synctest.Wait()
		// 503 is worth a retry, 500 is not: the first tick is lost.
		want := []time.Duration{time.Minute, time.Minute + 100*time.Millisecond, 2 * time.Minute}
		if len(x.asked) != len(want) {
			t.Fatalf("asked at %v, want %v", x.asked, want)
		}
		for i := range want {
			if x.asked[i] != want[i] {
				t.Errorf("asked at %v, want %v", x.asked, want)
			}
		}
		for name, want := range map[string]string{
			"Ce-Type": "dev.knative.sources.ping", "Ce-Source": "/apis/v1/namespaces/kbnt/pingsources/sweep",
			"Ce-Stage": "test", "Content-Type": "application/json",
		} {
			if got := x.last.Header.Get(name); got != want {
				t.Errorf("header %s is %q, want %q", name, got, want)
			}
		}
		if body, err := io.ReadAll(x.last.Body); err != nil || string(body) != "{}" {
			t.Errorf("body %q, %v, want {}", body, err)
		}
	})
}
