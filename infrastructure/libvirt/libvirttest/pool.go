//go:build linux

package libvirttest

import (
	"context"
	"fmt"
	"net"
	"os"

	rpc "github.com/digitalocean/go-libvirt"
)

// dialed hands a connection to the client.
type dialed struct{ conn net.Conn }

func (d dialed) Dial() (net.Conn, error) { return d.conn, nil }

// Open opens a connection to a driver of the daemon, such as "qemu:///system".
// Close conn to end it.
func (s *Server) Open(ctx context.Context, uri string) (client *rpc.Libvirt, conn net.Conn, err error) {
	if conn, err = s.Connect(ctx); err != nil {
		return nil, nil, err
	}
	client = rpc.NewWithDialer(dialed{conn})
	if err := client.ConnectToURI(rpc.ConnectURI(uri)); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("open %s: %w; libvirtd said:\n%s", uri, err, s.Said())
	}
	return client, conn, nil
}

// Pool makes a storage pool of a new directory, of the same name below [Server.Dir].
// What is in the directory then is in the pool.
func (s *Server) Pool(ctx context.Context, name string) error {
	client, conn, err := s.Open(ctx, "qemu:///system")
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := os.MkdirAll(s.path(name), 0o755); err != nil {
		return err
	}
	pool, err := client.StoragePoolDefineXML(fmt.Sprintf(`<pool type="dir"><name>%s</name><target><path>%s</path></target></pool>`, name, s.path(name)), 0)
	if err == nil {
		err = client.StoragePoolCreate(pool, 0)
	}
	if err != nil {
		return fmt.Errorf("make pool %s: %w", name, err)
	}
	return nil
}
