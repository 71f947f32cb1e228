//go:build integration

package cutlines

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// wire carries the connections of one function to PostgreSQL, and knows enough of
// its protocol to tell where a call and where an answer ends. A call ends with
// Sync, or is a Query or the start of a session; its answer ends with
// ReadyForQuery (PostgreSQL manual, chapter "Frontend/Backend Protocol").
type wire struct {
	*line
	to       string // socket of the server
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]bool
	down  bool // connections are refused
	ended bool
}

// newWire starts to carry connections to the database at an address, until the
// test ends, and returns the address to use instead.
func newWire(t testing.TB, address string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	w := &wire{line: newLine(), to: q.Get("host") + "/.s.PGSQL.5432", open: map[net.Conn]bool{}}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	w.running.Go(w.serve)
	t.Cleanup(w.close)
	q.Del("host")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = w.listener.Addr().String(), q.Encode()
	return w, u.String()
}

func (w *wire) close() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	_ = w.listener.Close()
	w.hangUp()
	w.running.Wait()
}

// away makes the database unreachable, or reachable again.
func (w *wire) away(down bool) {
	w.mu.Lock()
	w.down = down
	w.mu.Unlock()
	if down {
		w.hangUp()
	}
}

func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Close()
	}
}

// keep remembers a connection to be closed. false: there are none any more.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || w.ended {
		_ = c.Close()
		return false
	}
	w.open[c] = true
	return true
}

func (w *wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		delete(w.open, c)
		_ = c.Close()
	}
}

func (w *wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		if !w.keep(client) {
			continue
		}
		w.running.Go(func() {
			server, err := net.Dial("unix", w.to)
			if err != nil {
				w.drop(client)
				return
			}
			defer w.drop(client, server)
			if !w.keep(server) {
				return
			}
			w.running.Go(func() {
				defer w.drop(client, server)
				w.answers(client, server)
			})
			w.calls(client, server)
		})
	}
}

// calls carries what the function says, call by call.
func (w *wire) calls(client, server net.Conn) {
	from := bufio.NewReader(client)
	call, err := message(nil, from, 0)
	if err != nil {
		return
	}
	const cancelRequest = 80877102 // it has a connection of its own and is not answered
	ends := binary.BigEndian.Uint32(call[4:]) != cancelRequest
	for {
		if ends && w.ask() {
			return
		}
		if _, err := server.Write(call); err != nil {
			return
		}
		call = call[:0]
		for ends = false; !ends; {
			begin := len(call)
			if call, err = message(call, from, 1); err != nil {
				return
			}
			switch call[begin] {
			case 'S', 'Q':
				ends = true
			case 'H', 'X': // Flush: its answer has no end of its own. Terminate: it has none
				if _, err := server.Write(call); err != nil {
					return
				}
				call = call[:0]
			}
		}
	}
}

// answers carries what the database says, answer by answer.
func (w *wire) answers(client, server net.Conn) {
	from := bufio.NewReader(server)
	var answer []byte
	for {
		begin := len(answer)
		var err error
		if answer, err = message(answer, from, 1); err != nil {
			_, _ = client.Write(answer) // its last words
			return
		}
		if answer[begin] != 'Z' {
			continue
		}
		switch w.answer() {
		case whole:
		case answerTorn:
			_, _ = client.Write(answer[:len(answer)/2])
			return
		case silence:
			_ = server.SetReadDeadline(time.Now().Add(longestSilence))
			_, _ = io.Copy(io.Discard, from) // until the function has given up
			return
		default:
			return
		}
		if delay := w.delayed(); delay > 0 {
			time.Sleep(delay) // a slow network: this is what is tried
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
		answer = answer[:0]
	}
}

var errTooLong = errors.New("a message without sense")

// message appends one message: its type, but for that which begins a session,
// and its length, which counts itself.
func message(to []byte, from *bufio.Reader, kind int) ([]byte, error) {
	begin := len(to)
	to = append(to, make([]byte, kind+4)...)
	if _, err := io.ReadFull(from, to[begin:]); err != nil {
		return to[:begin], err
	}
	n := int(binary.BigEndian.Uint32(to[begin+kind:])) - 4
	if n < 0 || n > 1<<26 {
		return to[:begin], errTooLong
	}
	to = append(to, make([]byte, n)...)
	if _, err := io.ReadFull(from, to[begin+kind+4:]); err != nil {
		return to[:begin], err
	}
	return to, nil
}
