//go:build integration

package cutlines

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"time"
)

// serve starts a server whose callers reach it over a line.
func serve(l *line, h http.HandlerFunc) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.ask() {
			hangUp(w, nil)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			hangUp(w, nil)
			return
		}
		asked := r.Clone(r.Context()) // with its body at hand: the answer is seen before it goes out
		asked.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		h(answer, asked)
		switch l.answer() {
		case whole:
			pass(w, answer)
		case answerTorn:
			// A recorder's answer is whole and in memory: dumping it cannot fail.
			told := answer.Result()
			told.ContentLength = int64(answer.Body.Len()) // as a server says it; the end of the connection would else end the answer
			raw, _ := httputil.DumpResponse(told, true)
			hangUp(w, raw[:len(raw)/2])
		case silence:
			select {
			case <-r.Context().Done(): // the caller has given up
			case <-time.After(longestSilence):
			}
			hangUp(w, nil)
		default:
			hangUp(w, nil)
		}
	}))
}

func pass(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the caller may have gone
}

// hangUp writes what there still is to say and closes the connection.
func hangUp(w http.ResponseWriter, last []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = conn.Write(last)
	_ = conn.Close()
}
