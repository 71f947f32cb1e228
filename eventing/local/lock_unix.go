//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package local

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes a file for this process until the returned function is called or
// the process ends, however it ends.
func lock(name string) (unlock func() error, err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("it is in use by another process")
		}
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	return file.Close, nil
}
