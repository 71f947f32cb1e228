package cloudinit

import (
	"net"
	"strconv"
)

// networkConfig is version 2 of the format, that of netplan.
type networkConfig struct {
	Version   int                 `json:"version"`
	Ethernets map[string]ethernet `json:"ethernets"` // by a name of ours: the card is found by its MAC
}

type ethernet struct {
	Match     match    `json:"match"`
	DHCP4     bool     `json:"dhcp4"`
	DHCP6     bool     `json:"dhcp6"`
	Addresses []string `json:"addresses,omitempty"`
	Routes    []route  `json:"routes,omitempty"`
	DNS       *dns     `json:"nameservers,omitempty"`
}

type match struct {
	MAC string `json:"macaddress"`
}

type route struct {
	To  string `json:"to"`
	Via string `json:"via"`
}

type dns struct {
	Addresses []string `json:"addresses"`
}

func (m Machine) networkConfig() []byte {
	if len(m.NICs) == 0 {
		return nil
	}
	c := networkConfig{Version: 2, Ethernets: map[string]ethernet{}}
	for i, n := range m.NICs {
		mac, _ := net.ParseMAC(n.MAC) // checked
		e := ethernet{Match: match{mac.String()}, DHCP4: !n.Address.IsValid()}
		if n.Address.IsValid() {
			e.Addresses = []string{n.Address.String()}
		}
		if n.Gateway.IsValid() {
			to := "0.0.0.0/0" // older guests do not know the word "default"
			if n.Gateway.Is6() {
				to = "::/0"
			}
			e.Routes = []route{{To: to, Via: n.Gateway.String()}}
		}
		for _, server := range n.DNS {
			if e.DNS == nil {
				e.DNS = &dns{}
			}
			e.DNS.Addresses = append(e.DNS.Addresses, server.String())
		}
		c.Ethernets["nic"+strconv.Itoa(i)] = e
	}
	return marshal(c)
}

func (m Machine) metaData() []byte {
	return marshal(struct {
		InstanceID string `json:"instance-id"`
		Hostname   string `json:"local-hostname"`
	}{m.InstanceID, m.Hostname})
}
