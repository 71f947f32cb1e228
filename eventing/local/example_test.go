package local_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"kbnt.dev/virtualization/eventing/local"
)

// A platform is opened before its functions, because they need the addresses
// of the sinks, and its sources start after them.
func Example() {
	manifests, err := local.Parse(os.DirFS("testdata/platform"))
	if err != nil {
		log.Fatal(err)
	}
	platform, err := local.Open(context.Background(), local.Options{
		Manifests: manifests,
		KafkaAddr: "127.0.0.1:0",
		HTTPAddr:  "127.0.0.1:0",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer platform.Close()

	done := make(chan string)
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done <- r.Header.Get("Ce-Id") + " of key " + r.Header.Get("Ce-Partitionkey")
	}))
	defer function.Close()
	services := make(map[string]string)
	for _, name := range manifests.Services() {
		services[name] = function.URL
	}
	if err := platform.StartSources(context.Background(), services); err != nil {
		log.Fatal(err)
	}

	request, err := http.NewRequest(http.MethodPost, platform.SinkURL("requests"), strings.NewReader("{}"))
	if err != nil {
		log.Fatal(err)
	}
	for name, value := range map[string]string{
		"Ce-Specversion": "1.0", "Ce-Id": "request-1", "Ce-Type": "dev.kbnt.virtualization.requested",
		"Ce-Source": "/kbnt/virtualization/intake", "Ce-Partitionkey": "vm-12345",
	} {
		request.Header.Set(name, value)
	}
	client := &http.Client{Transport: new(http.Transport)}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()
	fmt.Println("the sink answers", response.StatusCode)
	fmt.Println("the function gets", <-done)
	// Output:
	// the sink answers 202
	// the function gets request-1 of key vm-12345
}
