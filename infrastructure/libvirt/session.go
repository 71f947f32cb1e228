package libvirt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync/atomic"
	"time"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// reach is how long the daemon of a host may take to accept a connection.
const reach = 3 * time.Second

// session is one connection to the daemon of one host, for one operation. The
// client knows no context: when the context of the operation ends, the connection
// is closed, which ends its calls.
type session struct {
	host    Host
	rpc     *rpc.Libvirt
	again   func() (net.Conn, error) // another line to the same daemon
	landing bool                     // a call that changes something was sent and not answered
}

// dialed hands a connection to the client.
type dialed struct{ conn net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.conn, nil }

// with runs an operation on a host, and gives its error a code that says whether
// anything of it can still land. A daemon that takes the connection and does not open it
// within 5 s counts as down.
func (h *Hypervisor) with(ctx context.Context, host Host, operate func(*session) error) error {
	line := func() (net.Conn, error) {
		short, cancel := context.WithTimeout(ctx, reach)
		defer cancel()
		conn, err := h.options.Connect(short, host)
		if err != nil {
			return nil, unreached(ctx, host, err)
		}
		return conn, nil
	}
	conn, err := line()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s := &session{host: host, rpc: rpc.NewWithDialer(dialed{conn})}
	s.again = func() (net.Conn, error) {
		conn, err := line()
		if err == nil {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			return &stopped{conn, stop}, nil
		}
		return nil, err
	}
	var late atomic.Bool // a daemon that is frozen takes connections, and answers nothing
	stop := time.AfterFunc(surveyed, func() {
		late.Store(true)
		conn.Close()
	})
	err = s.look("open "+host.URI, func() error { return s.rpc.ConnectToURI(rpc.ConnectURI(host.URI)) })
	stop.Stop()
	switch {
	case err != nil && late.Load():
		return unreached(ctx, host, err)
	case err != nil:
		return s.settle(err)
	}
	if err := operate(s); err != nil {
		return s.settle(err)
	}
	_ = s.rpc.ConnectClose() // a courtesy: without it the daemon logs an error
	return nil
}

// settle says where it was, and whether anything may still land: a look that went
// unanswered leaves nothing behind.
func (s *session) settle(err error) error {
	if e, ok := errors.AsType[*domain.Error](err); ok && e.Code == noAnswer && !s.landing {
		looked := *e
		looked.Code = application.CodeTryAgain
		err = &looked
	}
	return at(s.host, err)
}

// stopped is a connection that no longer waits for a context once it is closed.
type stopped struct {
	net.Conn
	stop func() bool
}

func (c *stopped) Close() error {
	c.stop()
	return c.Conn.Close()
}

// look makes a call that changes nothing.
func (s *session) look(what string, call func() error) error { return answer(what, call()) }

// change makes a call that changes something. When its answer is lost, it may
// still land.
func (s *session) change(what string, call func() error) error {
	s.landing = true
	err := answer(what, call())
	s.landing = domain.CodeOf(err) == noAnswer
	return err
}

// connect opens the line that the address of a host names.
func connect(ctx context.Context, host Host) (net.Conn, error) {
	network, at, err := place(host.Address)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return new(net.Dialer).DialContext(ctx, network, at)
	}
	conn, err := (&tls.Dialer{Config: host.TLS}).DialContext(ctx, network, at)
	if err != nil {
		return nil, err
	}
	// After the handshake the daemon says, in one byte, whether it accepts us.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var verdict [1]byte
	_, err = conn.Read(verdict[:])
	switch {
	case err == nil && verdict[0] == 1:
		return conn, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil || errors.Is(err, io.EOF): // it said no, or hung up as it does then
		err = errRefused
	}
	conn.Close()
	return nil, err
}

// errRefused: the daemon does not accept our certificate.
var errRefused = errors.New("the host does not accept our certificate")

// unreached says why there is no connection. Nothing was done.
func unreached(ctx context.Context, host Host, err error) error {
	e := &domain.Error{Kind: domain.Unavailable, Code: application.CodeHostDown, Detail: "the host does not answer", Err: fmt.Errorf("connect to host %q: %w", host.Name, err)}
	remote, ok := errors.AsType[*net.OpError](err)
	alert := ok && remote.Op == "remote error" // crypto/tls: the host says in an alert what it does not like of us
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case ctx.Err() != nil:
		e.Code, e.Detail = application.CodeTryAgain, "the time was up before the host was asked"
	case errors.Is(err, errRefused) || errors.Is(err, fs.ErrPermission) || alert || untrusted || unknown:
		e.Kind, e.Code, e.Detail = domain.Forbidden, "host-denies", "the host does not accept us, or is not the one it should be"
	}
	return e
}
