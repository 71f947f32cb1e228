package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"kbnt.dev/virtualization/config"
	"kbnt.dev/virtualization/infrastructure/cel"
)

// checkPolicies tries a file of policies as intake would, and prints how its test
// cases went.
func checkPolicies(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("kbnt policies takes the name of one file; docs/policies.md says what is in it")
	}
	var f config.PolicyFile
	if err := f.Decode(args[0]); err != nil {
		return fmt.Errorf("%s: want %w", args[0], err)
	}
	p := cel.New(cel.Options{File: filepath.Base(f.Path), Text: f.Data, Log: slog.New(slog.DiscardHandler)}) // the report says it
	if err := p.Report(out); err != nil {
		return fmt.Errorf("%s cannot be applied", args[0])
	}
	return nil
}
