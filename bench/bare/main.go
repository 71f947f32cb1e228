// Command bare is the floor under a function's start: net/http of the standard
// library, and an empty answer to everything. BenchmarkColdStart of
// integration/image compares the image with it.
//
//	bare 127.0.0.1:8080
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bare address")
		os.Exit(2)
	}
	err := http.ListenAndServe(os.Args[1], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	fmt.Fprintln(os.Stderr, "bare:", err)
	os.Exit(1)
}
