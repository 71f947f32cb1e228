package config

import (
	"fmt"
	"io"
	"log/slog"
)

// mask is what is shown of any secret, an empty one too.
const mask = "***"

// Secret is a value that must not be seen: it is *** in every format of fmt, in
// slog, in JSON and in YAML. string(s) reveals it, where it is used and nowhere
// else. Keep it in exported fields: fmt reads unexported ones without asking.
type Secret string

// Format shows *** under every verb. (A String method would not do: fmt shows a
// string under a verb that does not fit, such as %d, as it is.)
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// LogValue shows *** to slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText shows *** to encoding/json and to what else asks for text. What is
// written so does not read back as the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

func (Secret) hide(string) string { return mask }
