package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Caller is who is asking.
type Caller struct {
	User   string
	Tenant string
	Roles  []string
}

// Roles the built-in permissions know.
const (
	RoleUser     = "user"     // all request types on what the user owns
	RoleOperator = "operator" // the tenant's resources of any owner, acting for other users, dead letters
	RoleViewer   = "viewer"   // reads only
)

// Draft is what a client asked, decoded but not judged. Faults are the values
// that could not be understood; the rules add what else is wrong, so that the
// client hears of everything at once.
type Draft struct {
	Type              RequestType
	ResourceID        string // the client's own name: of the new resource, or of the one to work on
	VirtualResourceID string // of the one to work on
	Spec              Specification
	RequestID         string // never empty: made by the entry when the client gave none
	User              string // whom it is for; the caller by default
	CorrelationID     string
	CausationID       string
	Priority          Priority
	Labels            Labels
	Transport         string
	TraceParent       string
	Faults            []Violation
}

// Hash identifies what was asked, as understood: 8 and "8GB" are the same. The
// things that may differ between two posts of one request are left out: who
// carried it (transport, trace) and the ids made for it.
func (d Draft) Hash() string {
	b, _ := json.Marshal(struct {
		T       RequestType
		R, V, U string
		S       Specification
		P       Priority
		L       Labels
	}{d.Type, d.ResourceID, d.VirtualResourceID, d.User, d.Spec, d.Priority, d.Labels}) // plain data: cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
