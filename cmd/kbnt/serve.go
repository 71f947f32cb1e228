package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	fnhttp "knative.dev/func-go/http"
)

// server is one function behind the middleware it has in a cluster.
type server struct {
	name     string
	url      string
	service  *fnhttp.Service
	finished chan struct{}
}

// listen takes an address. The error names the setting that chose it.
func listen(setting, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w; choose another address", setting, address, errors.Unwrap(err))
	}
	return l, nil
}

// serve starts a function on a listener. The middleware's own Start would take
// the address from the environment and the process's signals for itself, which
// three functions in one process cannot share.
//
// failed hears when the function stops serving without being told to.
func serve(name string, l net.Listener, f fnhttp.Handler, failed chan<- error) *server {
	s := &server{name: name, url: "http://" + l.Addr().String(), service: fnhttp.New(f), finished: make(chan struct{})}
	go func() {
		defer close(s.finished)
		if err := s.service.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("%s stopped serving: %w", name, err)
		}
	}()
	return s
}

// stop lets requests in progress end, for as long as ctx lasts, and cuts the
// others off: somebody who waits for a request may wait for longer, and asks again.
func (s *server) stop(ctx context.Context) error {
	err := s.service.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.service.Close()
	}
	<-s.finished
	return err
}

const drain = 5 * time.Second
