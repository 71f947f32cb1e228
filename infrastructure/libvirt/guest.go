package libvirt

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// guestTime is how long a guest gets for one answer. Observe takes this much longer than
// the host does.
const guestTime = time.Second

// guest is what a guest answered.
type guest struct {
	ssh, service     error // nil: it answered
	sshAt, serviceAt string
}

// portsOf are the services of an image.
func portsOf(entry Image) map[string]int {
	if entry.Ports == nil {
		return map[string]int{"ssh": 22}
	}
	return maps.Clone(entry.Ports)
}

// ask asks a guest over the network: whether its ssh port is open, and whether its service
// speaks, which is a page if it offers "http", else the greeting of ssh.
func (h *Hypervisor) ask(ctx context.Context, address netip.Addr, entry Image) (g guest) {
	ctx, cancel := context.WithTimeout(ctx, guestTime)
	defer cancel()
	ports := portsOf(entry)
	var both sync.WaitGroup
	both.Go(func() {
		conn, err := h.dial(ctx, address, ports["ssh"])
		if err != nil {
			g.ssh = fmt.Errorf("port %d does not answer", ports["ssh"])
			return
		}
		conn.Close()
		g.sshAt = fmt.Sprintf("port %d is open", ports["ssh"])
	})
	both.Go(func() {
		if port, ok := ports["http"]; ok {
			g.serviceAt, g.service = h.page(ctx, address, port)
		} else {
			g.serviceAt, g.service = h.greeting(ctx, address, ports["ssh"])
		}
	})
	both.Wait()
	return g
}

func (h *Hypervisor) dial(ctx context.Context, address netip.Addr, port int) (net.Conn, error) {
	return h.options.Dial(ctx, "tcp", net.JoinHostPort(address.String(), strconv.Itoa(port)))
}

// page asks for the first page. Any answer of HTTP will do: it comes from the service.
func (h *Hypervisor) page(ctx context.Context, address netip.Addr, port int) (string, error) {
	transport := &http.Transport{DialContext: h.options.Dial, DisableKeepAlives: true}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address.String(), strconv.Itoa(port))+"/", nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("port %d does not answer HTTP", port)
	}
	response.Body.Close()
	return fmt.Sprintf("port %d answers HTTP %d", port, response.StatusCode), nil
}

// greeting reads the line by which an SSH server begins (RFC 4253, 4.2).
func (h *Hypervisor) greeting(ctx context.Context, address netip.Addr, port int) (string, error) {
	conn, err := h.dial(ctx, address, port)
	if err != nil {
		return "", fmt.Errorf("port %d does not answer", port)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line, err := bufio.NewReaderSize(conn, 256).ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "SSH-") {
		return "", fmt.Errorf("port %d does not speak SSH", port)
	}
	return fmt.Sprintf("port %d speaks SSH", port), nil
}
