package libvirt

import (
	"errors"
	"fmt"
	"strings"

	rpc "github.com/digitalocean/go-libvirt"

	"kbnt.dev/virtualization/application"
	"kbnt.dev/virtualization/domain"
)

// noAnswer is the code of an answer that was lost: what was asked may still land.
const noAnswer = "no-answer"

// answer translates what a call returned. An error of libvirt is an answer, and
// then nothing more comes of the call, unless it tells of an answer that was lost behind
// it; any other means that the line broke.
func answer(what string, err error) error {
	if _, classed := errors.AsType[*domain.Error](err); err == nil || classed {
		return err
	}
	if errors.Is(err, rpc.ErrUnsupported) {
		err = rpc.Error{Code: uint32(rpc.ErrNoSupport), Message: err.Error()}
	}
	e, answered := errors.AsType[rpc.Error](err)
	if !answered {
		return &domain.Error{Kind: domain.Unavailable, Code: noAnswer, Detail: "the host did not answer", Err: fmt.Errorf("%s: %w", what, err)}
	}
	if relayed(e) {
		return &domain.Error{Kind: domain.Unavailable, Code: noAnswer, Detail: "the host did not answer", Err: fmt.Errorf("%s: %w (libvirt error %d)", what, e, e.Code)}
	}
	kind, code, detail := class(rpc.ErrorNumber(e.Code), e.Message)
	return &domain.Error{Kind: kind, Code: code, Detail: detail, Err: fmt.Errorf("%s: %w (libvirt error %d)", what, e, e.Code)}
}

// relayed reports whether an answer only says that another was lost. virtproxyd hands calls on to the
// daemons that do the work, and so does a libvirtd whose URI names another; when their line
// breaks, what was asked may still land.
func relayed(e rpc.Error) bool {
	switch rpc.ErrorNumber(e.Code) {
	case rpc.ErrInternalError, rpc.ErrSystemError, rpc.ErrRPC:
	default:
		return false
	}
	if strings.Contains(e.Message, "monitor") { // it was QEMU's line, and libvirt has seen to what is left of it
		return false
	}
	for _, sign := range []string{"Cannot recv data", "Cannot write data", "End of file while reading data", "client socket is closed", "keepalive", "Connection reset", "Broken pipe"} {
		if strings.Contains(e.Message, sign) {
			return true
		}
	}
	return false
}

// class is the meaning of an error of libvirt. What it says of the same thing
// differs between its drivers, so what is not known for certain is tried again.
func class(code rpc.ErrorNumber, message string) (kind domain.Kind, name, detail string) {
	switch code {
	case rpc.ErrNoDomain, rpc.ErrNoNetwork, rpc.ErrNoStoragePool, rpc.ErrNoStorageVol, rpc.ErrNoNwfilter, rpc.ErrNoDomainMetadata, rpc.ErrNoSecret:
		return domain.NotFound, "missing", "something that is needed is not on the host"
	case rpc.ErrAuthFailed, rpc.ErrAuthCancelled, rpc.ErrAuthUnavailable, rpc.ErrAccessDenied, rpc.ErrOperationDenied:
		return domain.Forbidden, "host-denies", "the host does not let us do this"
	case rpc.ErrXMLError, rpc.ErrXMLDetail, rpc.ErrXMLInvalidSchema, rpc.ErrInvalidArg, rpc.ErrConfigUnsupported, rpc.ErrNoSupport,
		rpc.ErrArgumentUnsupported, rpc.ErrOperationUnsupported, rpc.ErrOsType, rpc.ErrInvalidMac, rpc.ErrCPUIncompatible, rpc.ErrOverflow:
		return domain.Invalid, "unsupported", "the host cannot make such a thing"
	case rpc.ErrDomExist, rpc.ErrNetworkExist, rpc.ErrStorageVolExist:
		return domain.Conflict, "foreign", "the name belongs to somebody else"
	case rpc.ErrNoMemory:
		return domain.Unavailable, application.CodeNoCapacity, "the host has no memory left"
	}
	for _, sign := range []string{"Cannot allocate memory", "cannot set up guest memory", "No space left on device"} {
		if strings.Contains(message, sign) {
			return domain.Unavailable, application.CodeNoCapacity, "the host has no room left"
		}
	}
	return domain.Unavailable, application.CodeTryAgain, "the host could not do it"
}

// is reports whether err is an answer of libvirt with one of the codes.
func is(err error, codes ...rpc.ErrorNumber) bool {
	e, ok := errors.AsType[rpc.Error](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if rpc.ErrorNumber(e.Code) == code {
			return true
		}
	}
	return false
}

// refusedByHost reports whether err is an answer of libvirt itself: the call had
// no effect, and looking again may explain why.
func refusedByHost(err error) bool {
	_, ok := errors.AsType[rpc.Error](err)
	return ok && domain.CodeOf(err) != noAnswer
}

// named says which operation failed. An error without a Kind stays Internal.
func named(op string, err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return fmt.Errorf("libvirt.%s: %w", op, err)
	}
	named := *e
	named.Op = "libvirt." + op
	return &named
}

// at says on which host.
func at(host Host, err error) error {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok {
		return fmt.Errorf("host %s: %w", host.Name, err)
	}
	placed := *e
	placed.Err = fmt.Errorf("host %s", host.Name)
	if e.Err != nil {
		placed.Err = fmt.Errorf("host %s: %w", host.Name, e.Err)
	}
	return &placed
}

func invalid(format string, args ...any) error {
	return &domain.Error{Kind: domain.Invalid, Code: "invalid-spec", Detail: fmt.Sprintf(format, args...)}
}

func taken(code, format string, args ...any) error {
	return &domain.Error{Kind: domain.Conflict, Code: code, Detail: fmt.Sprintf(format, args...)}
}

func absent(what string) error {
	return &domain.Error{Kind: domain.NotFound, Code: "no-" + what, Detail: "the " + what + " does not exist"}
}

// later is an answer: nothing was done, and trying again may help.
func later(format string, args ...any) error {
	return &domain.Error{Kind: domain.Unavailable, Code: application.CodeTryAgain, Detail: fmt.Sprintf(format, args...)}
}
