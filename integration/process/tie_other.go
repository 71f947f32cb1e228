//go:build !linux

package process

import "os/exec"

// tie does nothing: these systems cannot tie one process to another.
func tie(*exec.Cmd) {}
