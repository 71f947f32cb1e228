package local

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// BenchmarkChain is one event through a sink, Kafka and an unordered source to
// a function that does nothing, with 64 clients posting at once.
func BenchmarkChain(b *testing.B) {
	manifests, err := Parse(os.DirFS("testdata/platform"))
	if err != nil {
		b.Fatal(err)
	}
	platform, err := Open(b.Context(), Options{Manifests: manifests, KafkaAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer platform.Close()
	var delivered sync.WaitGroup
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { delivered.Done() }))
	defer function.Close()
	if err := platform.StartSources(b.Context(), map[string]string{"provision": function.URL, "notify": function.URL, "sweeper": function.URL}); err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	url := platform.SinkURL("requests")
	body := strings.Repeat("x", 512)

	delivered.Add(b.N)
	numbers := make(chan int)
	var posters sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		posters.Go(func() {
			for i := range numbers {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				for name, value := range map[string]string{"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": fmt.Sprint(i), "ce-partitionkey": fmt.Sprint(i), "Content-Type": "application/avro"} {
					request.Header.Set(name, value)
				}
				response, err := client.Do(request)
				if err != nil || response.StatusCode != http.StatusAccepted {
					b.Errorf("post: %v, %v", response, err)
					return
				}
				response.Body.Close()
			}
		})
	}
	for i := range b.N {
		numbers <- i
	}
	close(numbers)
	posters.Wait()
	delivered.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
