package libvirt

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	rpc "github.com/digitalocean/go-libvirt"
)

// The upload of a volume is spoken here, on a line of its own. The client's own
// StorageVolUpload waits for ever when the host refuses the end of the data, or
// the line breaks there: its sender has gone by then, and it tells the sender
// to stop over a channel that nobody reads (version of 2025-09-23).
//
// The protocol is that of libvirt's src/rpc/virnetprotocol.x: a length, six
// words of header, and XDR (RFC 4506).

// Numbers of the protocol.
const (
	program       = 0x20008086
	version       = 1
	procOpen      = 1
	procClose     = 2
	procAuthList  = 66
	procAuthPeer  = 70 // polkit: the daemon knows us by the process at the other end
	procUpload    = 208
	authPolkit    = 2
	typeCall      = 0
	typeReply     = 1
	typeStream    = 3
	statusOK      = 0
	statusError   = 1
	statusMore    = 2
	headerLen     = 28
	longestAnswer = 1 << 20 // of an upload, in bytes: errors are far shorter
)

// upload writes all of a small volume, at most 3 MiB.
func (s *session) upload(v rpc.StorageVol, data []byte) error {
	return s.change("write seed", func() error {
		conn, err := s.again()
		if err != nil {
			return err
		}
		defer conn.Close()
		line := &wire{conn: conn}
		methods, err := line.call(procAuthList, nil)
		if err != nil {
			return err
		}
		for ; len(methods) >= 8; methods = methods[4:] { // a count, and the methods
			if binary.BigEndian.Uint32(methods[4:]) == authPolkit {
				if _, err := line.call(procAuthPeer, nil); err != nil {
					return err
				}
				break
			}
		}
		uri := binary.BigEndian.AppendUint32(nil, 1) // there is one
		if _, err := line.call(procOpen, append(text(uri, s.host.URI), 0, 0, 0, 0)); err != nil {
			return err
		}
		to := text(text(text(nil, v.Pool), v.Name), v.Key)
		to = binary.BigEndian.AppendUint64(to, 0)
		to = binary.BigEndian.AppendUint64(to, uint64(len(data)))
		if _, err := line.call(procUpload, append(to, 0, 0, 0, 0)); err != nil {
			return err
		}
		if err := line.send(procUpload, typeStream, statusMore, data); err != nil {
			return err
		}
		if err := line.send(procUpload, typeStream, statusOK, nil); err != nil {
			return err
		}
		if _, err = line.answer(procUpload); err == nil {
			_, _ = line.call(procClose, nil) // a courtesy: without it the daemon logs an error
		}
		return err
	})
}

// wire is one connection, on which one call is made after the other.
type wire struct {
	conn   net.Conn
	serial uint32
}

func (w *wire) call(procedure uint32, args []byte) ([]byte, error) {
	w.serial++
	if err := w.send(procedure, typeCall, statusOK, args); err != nil {
		return nil, err
	}
	return w.answer(procedure)
}

func (w *wire) send(procedure, kind, status uint32, payload []byte) error {
	packet := make([]byte, 0, headerLen+len(payload))
	for _, word := range []uint32{uint32(headerLen + len(payload)), program, version, procedure, kind, w.serial, status} {
		packet = binary.BigEndian.AppendUint32(packet, word)
	}
	_, err := w.conn.Write(append(packet, payload...))
	return err
}

// answer waits for what the host says to the last call or to the end of its data.
func (w *wire) answer(procedure uint32) ([]byte, error) {
	for {
		var header [headerLen]byte
		if _, err := io.ReadFull(w.conn, header[:]); err != nil {
			return nil, err
		}
		word := func(n int) uint32 { return binary.BigEndian.Uint32(header[4*n:]) }
		if word(0) < headerLen || word(0) > headerLen+longestAnswer {
			return nil, fmt.Errorf("an answer of %d bytes", word(0))
		}
		payload := make([]byte, word(0)-headerLen)
		if _, err := io.ReadFull(w.conn, payload); err != nil {
			return nil, err
		}
		switch {
		case word(3) != procedure || word(5) != w.serial || word(4) != typeReply && word(4) != typeStream:
			continue // an event
		case word(6) == statusError:
			return nil, errorOf(payload)
		}
		return payload, nil
	}
}

// errorOf reads an error of libvirt: its code, where it is from, and perhaps a message.
func errorOf(payload []byte) error {
	e := rpc.Error{Code: uint32(rpc.ErrInternalError), Message: "no reason given"}
	if len(payload) < 12 {
		return e
	}
	e.Code = binary.BigEndian.Uint32(payload)
	if binary.BigEndian.Uint32(payload[8:]) == 1 && len(payload) >= 16 {
		if n := uint64(binary.BigEndian.Uint32(payload[12:])); n <= uint64(len(payload)-16) {
			e.Message = string(payload[16 : 16+n])
		}
	}
	return e
}

// text appends a string in XDR: its length, its bytes, and zeros to a multiple of four.
func text(to []byte, s string) []byte {
	to = append(binary.BigEndian.AppendUint32(to, uint32(len(s))), s...)
	for len(to)%4 != 0 {
		to = append(to, 0)
	}
	return to
}
