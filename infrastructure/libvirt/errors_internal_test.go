package libvirt

import (
	"errors"
	"io"
	"testing"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// TestAnswer is the one table of what errors of libvirt mean.
func TestAnswer(t *testing.T) {
	t.Parallel()
	said := func(code rpc.ErrorNumber, message string) error {
		return rpc.Error{Code: uint32(code), Message: message}
	}
	for name, c := range map[string]struct {
		reason string
		err    error
		kind   domain.Kind
		code   string
	}{
		"no domain":       {"looked for, and not there", said(rpc.ErrNoDomain, ""), domain.NotFound, "missing"},
		"no network":      {"the same", said(rpc.ErrNoNetwork, ""), domain.NotFound, "missing"},
		"no pool":         {"the same", said(rpc.ErrNoStoragePool, ""), domain.NotFound, "missing"},
		"no volume":       {"the same", said(rpc.ErrNoStorageVol, ""), domain.NotFound, "missing"},
		"no filter":       {"the same", said(rpc.ErrNoNwfilter, ""), domain.NotFound, "missing"},
		"read only":       {"our connection may not change things", said(rpc.ErrOperationDenied, ""), domain.Forbidden, "host-denies"},
		"access control":  {"our user may not do this", said(rpc.ErrAccessDenied, ""), domain.Forbidden, "host-denies"},
		"authentication":  {"we are not who we should be", said(rpc.ErrAuthFailed, ""), domain.Forbidden, "host-denies"},
		"bad XML":         {"it will be bad again", said(rpc.ErrXMLError, ""), domain.Invalid, "unsupported"},
		"bad detail":      {"it will be bad again", said(rpc.ErrXMLDetail, ""), domain.Invalid, "unsupported"},
		"unsupported":     {"this host never can", said(rpc.ErrConfigUnsupported, ""), domain.Invalid, "unsupported"},
		"no such call":    {"this driver never can", rpc.ErrUnsupported, domain.Invalid, "unsupported"},
		"volume exists":   {"somebody was faster, or it is another's", said(rpc.ErrStorageVolExist, ""), domain.Conflict, "foreign"},
		"no memory":       {"room may come", said(rpc.ErrNoMemory, ""), domain.Unavailable, application.CodeNoCapacity},
		"guest memory":    {"QEMU says it in words", said(rpc.ErrInternalError, "qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory"), domain.Unavailable, application.CodeNoCapacity},
		"disk full":       {"so does the system", said(rpc.ErrSystemError, "cannot create path: No space left on device"), domain.Unavailable, application.CodeNoCapacity},
		"internal":        {"an answer: nothing more comes of it", said(rpc.ErrInternalError, "x"), domain.Unavailable, application.CodeTryAgain},
		"invalid state":   {"the state may change", said(rpc.ErrOperationInvalid, "x"), domain.Unavailable, application.CodeTryAgain},
		"system":          {"may pass", said(rpc.ErrSystemError, "Device or resource busy"), domain.Unavailable, application.CodeTryAgain},
		"timeout":         {"libvirt gave up, and says so", said(rpc.ErrOperationTimeout, "cannot acquire state change lock"), domain.Unavailable, application.CodeTryAgain},
		"unknown":         {"what is not known is tried again", said(9999, "x"), domain.Unavailable, application.CodeTryAgain},
		"relayed, reset":  {"a proxy lost the answer: the call may land yet", said(rpc.ErrSystemError, "Cannot recv data: Connection reset by peer"), domain.Unavailable, noAnswer},
		"relayed, ended":  {"the same", said(rpc.ErrInternalError, "client socket is closed"), domain.Unavailable, noAnswer},
		"relayed, end":    {"the same", said(rpc.ErrSystemError, "End of file while reading data: Input/output error"), domain.Unavailable, noAnswer},
		"relayed, silent": {"the same", said(rpc.ErrRPC, "connection closed due to keepalive timeout"), domain.Unavailable, noAnswer},
		"monitor":         {"QEMU ended while it was started, and libvirt says so", said(rpc.ErrInternalError, "Unable to read from monitor: Connection reset by peer"), domain.Unavailable, application.CodeTryAgain},
		"in other words":  {"an error of another kind is an answer", said(rpc.ErrXMLError, "Connection reset"), domain.Invalid, "unsupported"},
		"line broke":      {"the call may land yet", rpc.ErrInterrupted, domain.Unavailable, noAnswer},
		"end of file":     {"the same", io.EOF, domain.Unavailable, noAnswer},
		"classed already": {"is kept", taken("foreign", "x"), domain.Conflict, "foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := answer("try", c.err)
			if domain.KindOf(err) != c.kind || domain.CodeOf(err) != c.code {
				t.Errorf("%v: got %v %q, want %v %q: %s", c.err, domain.KindOf(err), domain.CodeOf(err), c.kind, c.code, c.reason)
			}
			if refusedByHost(err) && c.code == noAnswer {
				t.Errorf("%v: got taken for a refusal: %s", c.err, c.reason)
			}
			told := named("Ensure", at(Host{Name: "kvm-1"}, err))
			if domain.KindOf(told) != c.kind || domain.CodeOf(told) != c.code {
				t.Errorf("%v, named: got %v %q, want %v %q", c.err, domain.KindOf(told), domain.CodeOf(told), c.kind, c.code)
			}
		})
	}
	if err := answer("try", nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
	if err := answer("try", said(rpc.ErrNoDomain, "")); !is(err, rpc.ErrNoNetwork, rpc.ErrNoDomain) || is(err, rpc.ErrNoNetwork) || is(errors.New("x"), rpc.ErrNoDomain) {
		t.Errorf("%v: got told from others wrongly", err)
	}
}
