//go:build integration

package libvirt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"kbnt.dev/virtualization/infrastructure/libvirt"
)

// line lets the first n-1 answers of a daemon through. The n-th is dropped, and the
// line is down from then on: for all connections, and for new ones.
type line struct {
	connect func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	left   int
	down   bool
	passed int
}

var errCut = errors.New("the line is cut")

func (l *line) dial(ctx context.Context, _ libvirt.Host) (net.Conn, error) {
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down {
		return nil, errCut
	}
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &counted{Conn: conn, line: l}, nil
}

// take counts an answer, and says whether it gets through.
func (l *line) take() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left--; l.left <= 0 {
		l.down = true
	}
	if !l.down {
		l.passed++
	}
	return !l.down
}

// answers is how many got through.
func (l *line) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passed
}

func (l *line) cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// counted hands answers on whole. Each begins with its length.
type counted struct {
	net.Conn
	line    *line
	pending []byte
}

func (c *counted) Read(p []byte) (int, error) {
	if len(c.pending) == 0 {
		var length [4]byte
		if _, err := io.ReadFull(c.Conn, length[:]); err != nil {
			return 0, err
		}
		packet := make([]byte, binary.BigEndian.Uint32(length[:]))
		copy(packet, length[:])
		if _, err := io.ReadFull(c.Conn, packet[4:]); err != nil {
			return 0, err
		}
		if !c.line.take() {
			c.Conn.Close()
			return 0, errCut
		}
		c.pending = packet
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}
