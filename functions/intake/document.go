package intake

import (
	_ "embed"
	"net/http"
)

// Document is openapi.yaml, the contract of this interface.
//
//go:embed openapi.yaml
var Document []byte

func (f *Function) showDocument(x *exchange) error {
	return x.send(http.StatusOK, "application/yaml", Document)
}

func (f *Function) showMetrics(x *exchange) error {
	f.Metrics.ServeHTTP(x.w, x.r.WithContext(x.ctx))
	return nil
}
