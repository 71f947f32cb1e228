package domain

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Ids are derived, so that whoever repeats a step after a crash makes the same
// ids again and finds what it made before (PROTOCOL section 3 of the design).

// namespace is the fixed UUID namespace of all derived ids. It was drawn once
// and must never change: ids of stored requests would no longer be found.
var namespace = [16]byte{0x6b, 0x62, 0x6e, 0x74, 0x5e, 0x31, 0x49, 0x24, 0x8f, 0xb7, 0xeb, 0x73, 0x1a, 0x34, 0x66, 0x00}

// derive is the UUIDv5 (RFC 9562) of parts, joined by the unit separator, which
// no part can contain: ids are restricted to printable characters.
func derive(parts ...string) string {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(strings.Join(parts, "\x1f")))
	var u [16]byte
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// MessageID names a request among those of all tenants.
func MessageID(tenant, requestID string) string { return derive(tenant, requestID, "message") }

// RequestedID is the id of the event that wakes provision: the message itself.
func RequestedID(messageID string) string { return messageID }

// ResultID is the id of the event that wakes notify, whatever the outcome.
func ResultID(messageID string) string { return derive(messageID, "result") }

// AcceptedID is the id of the answer to a posted CloudEvent: the same answer
// again is the same event.
func AcceptedID(messageID string) string { return derive(messageID, "accepted") }

// TerminalID is the id of the public event, whatever the outcome: emitting it
// twice is the same event.
func TerminalID(messageID string) string { return derive(messageID, "terminal") }

// ResourceUID names a resource for ever; it is never used again.
func ResourceUID(creatingMessageID string) string { return derive(creatingMessageID, "resource") }

// RequestIDOf is the default request id of a CloudEvent, from what makes the
// event unique (CloudEvents 1.0: source + id).
func RequestIDOf(source, id string) string { return derive(source, id, "cloudevent") }

// DeadLetterID names the dead letter that a function made of an event.
func DeadLetterID(eventID, function string) string { return derive(eventID, function) }

// ResumedRequestID names the request made by resuming a dead letter, so that
// resuming twice is one request.
func ResumedRequestID(deadLetterID string) string { return derive(deadLetterID, "resume") }

// VirtualID is the short name of a resource: the kind's prefix and the first
// digits (8, or more on collision, up to 64) of a hash of tenant and request id.
func VirtualID(k ResourceKind, tenant, requestID string, digits int) string {
	sum := sha256.Sum256([]byte(tenant + "\x1f" + requestID))
	return k.Prefix() + strings.ToUpper(hex.EncodeToString(sum[:]))[:min(max(digits, 8), 64)]
}

// DisplayID is the friendly number of a machine, counted per tenant and day:
// "VM-KBNT-20250830-001". day is YYYYMMDD, n counts from 1.
func DisplayID(k ResourceKind, day string, n int) string {
	return fmt.Sprintf("%sKBNT-%s-%03d", k.Prefix(), day, n)
}
