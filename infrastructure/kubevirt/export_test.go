package kubevirt

import "net/http"

// TransportOf lets tests speak to a server as the driver does.
func TransportOf(c Cluster) (http.RoundTripper, error) { return c.transport() }
